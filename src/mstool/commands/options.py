"""Options that mean the same in every verb, each defined once."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mstool.commands.option_groups import Group
from mstool.errors import InputError, MissingInputError, OutputExistsError, UsageError
from mstool.io.pixel_size import COARSEST_STATED_UM, FINEST_UM
from mstool.micrographs.own_greys import OWN_GREYS


def read_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take defaults of options from a TOML file; a flag on the command line wins.

    Raises
    ------
    MissingInputError, InputError, UsageError
        If the file is not there, is not TOML, or names an option that the verb does not have.
    """
    if path is None:
        return None
    if not path.is_file():
        raise MissingInputError(f"{path}: no such configuration file")
    from mstool.io.parsing import read_toml

    table = read_toml(path)
    known = {
        parameter.name: parameter.opts
        for parameter in ctx.command.params
        if parameter.param_type_name == "option" and parameter.name not in ("config", "help")
    }
    values = {}
    for key, value in table.items():
        name = next((name for name, flags in known.items() if _flag(key) in flags), None)
        if name is None:
            raise UsageError(f"{path}: unknown option {key!r}; mstool {ctx.info_name} --help")
        values[name] = value
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def refuse_empty(parameter: typer.CallbackParam, value: Any) -> Any:
    """Give a text, or several, back unless one is empty, as where a script's variable is not set.

    Raises
    ------
    UsageError
        If one is.
    """
    for text in value if isinstance(value, list) else [value]:
        if text is not None and not text.strip():
            raise UsageError(f"{parameter.opts[-1]}: is empty; give a value, or leave it out")
    return value


def one_of(*choices: str | int) -> Callable[[typer.CallbackParam, Any], Any]:
    """Callback that refuses, as a usage error, every word but `choices`."""

    def check(parameter: typer.CallbackParam, value: Any) -> Any:
        for word in value if isinstance(value, list) else [value]:
            if word not in (None, *choices):
                raise UsageError(f"{parameter.opts[-1]} {word}: use {', '.join(map(str, choices))}")
        return value

    check.choices = choices  # type: ignore[attr-defined]  # for completions
    return check


def check_scale(parameter: typer.CallbackParam, scale: float | None) -> float | None:
    """Give a magnification back.

    Raises
    ------
    UsageError
        If nothing sensible would be left of an image, or no memory.
    """
    if scale is not None and not 0.01 <= scale <= 100:
        raise UsageError(f"{parameter.opts[-1]} {scale:g}: must lie between 0.01 and 100")
    return scale


def check_pixel_size(parameter: typer.CallbackParam, size_um: float | None) -> float | None:
    """Give a pixel size [um/px] back.

    Raises
    ------
    UsageError
        If it is no number above 0, or one that no micrograph has, as of metres.
    """
    if size_um is None or FINEST_UM <= size_um <= COARSEST_STATED_UM:
        return size_um
    if not 0 < size_um < float("inf"):
        raise UsageError(f"{parameter.opts[-1]} {size_um:g}: must be a number above 0")
    raise UsageError(
        f"{parameter.opts[-1]} {size_um:g}: is in um/px, and micrographs have {FINEST_UM:g} to "
        f"{COARSEST_STATED_UM:g}"
    )


def check_threads(parameter: typer.CallbackParam, text: str) -> str:
    """Give a number of threads, or ``auto``, back.

    Raises
    ------
    UsageError
        If it is neither, or more than any machine can use.
    """
    if text != "auto" and not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= 1024):
        raise UsageError(f"{parameter.opts[-1]} {text}: use auto, or a number from 1 to 1024")
    return text


def parse_fold(text: object) -> int | str:
    """Fold that ``3`` names, or the word ``all``.

    Raises
    ------
    UsageError
        If `text` is neither.
    """
    word = str(text)
    if word != "all" and not re.fullmatch("-?[0-9]{1,6}", word):
        raise UsageError(f"--test-fold {word}: give the number of a fold, or all")
    return word if word == "all" else int(word)


def parse_duration(text: object) -> float:
    """Seconds of ``90``, ``90s``, ``45m``, ``2h`` or ``1:30:00``.

    Raises
    ------
    UsageError
        If `text` is none of them, or no time at all.

    Examples
    --------
    >>> parse_duration("1:30:00")
    5400.0
    """
    words, seconds = str(text), 0.0
    if number := re.fullmatch(r"([0-9]*\.?[0-9]+)([smh]?)", words):
        seconds = float(number[1]) * {"m": 60, "h": 3600}.get(number[2], 1)
    elif re.fullmatch(r"[0-9]{1,9}(:[0-9]{1,9})+", words):
        for part in words.split(":"):
            seconds = seconds * 60 + int(part)
    if not 0 < seconds < 1e9:
        raise UsageError(f"--max-time {text}: give a time such as 90s, 45m, 2h or 1:30:00")
    return seconds


def parse_memory(text: object) -> float:
    """Bytes of ``2G``, ``500M`` or ``1.5GiB``, in powers of 1024.

    Raises
    ------
    UsageError
        If `text` is none of them.

    Examples
    --------
    >>> parse_memory("1.5G")
    1610612736.0
    """
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([KMGT])(i?B)?", str(text))
    if not found or not float(found[1]):
        raise UsageError(f"--max-mem {text}: give memory such as 500M or 2G")
    return float(found[1]) * 1024 ** ("KMGT".index(found[2]) + 1)


def refuse_irregular(path: Path | None) -> Path | None:
    """Give the name of an output file back, unless a folder, a pipe or a device is there.

    Raises
    ------
    OutputExistsError
        If so: to write whole or not at all is to replace what is there, which is no file.
    """
    if path is None:
        return None
    is_stream = str(path.absolute().parent) in ("/dev", "/dev/fd")
    if is_stream or (path.exists() and not path.is_file()):
        raise OutputExistsError(f"{path}: is not a regular file; use > FILE or another --out")
    return path


def refuse_own_input(out: Path | None, inputs: Iterable[Path], flag: str = "--out") -> None:
    """See that the output file is not one of the inputs.

    Raises
    ------
    UsageError
        If it is.
    """
    if out is not None and out.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"{flag} {out}: is one of the inputs; name another file")


FilesFrom = Annotated[
    str | None,
    Group.INPUT(
        "--files-from", metavar="FILE", help="Read more paths from FILE, a line each; - is stdin."
    ),
]
Null = Annotated[
    bool, Group.INPUT("-0", "--null", help="Paths in --files-from end with NUL, not a line.")
]
Images = Annotated[
    Path | None,
    Group.INPUT(
        "--images",
        metavar="DIR",
        help="Folder with the micrographs, where the records do not lead to them.",
    ),
]
GroupBy = Annotated[
    str | None,
    Group.INPUT(
        "--group-by",
        metavar="REGEX",
        help="Finds the specimen in a file name (first group in brackets, or the whole match).",
        callback=refuse_empty,
    ),
]
Recursive = Annotated[
    bool, Group.INPUT("--recursive", help="Search folders with all that lies below them.")
]
ImageSuffix = Annotated[
    str,
    Group.INPUT(
        "--image-suffix",
        metavar="TEXT",
        help="What names of images add to those of label maps, such as _img or _0000.",
    ),
]
Bits = Annotated[
    int | None,
    Group.INPUT(
        "--bits",
        metavar="8|16",
        help="Convert greys to 8 or 16 bits, black staying black and white staying white.",
        callback=one_of(8, 16),
    ),
]
RescaleGreys = Annotated[
    str | None,
    Group.INPUT(
        "--rescale-greys",
        metavar="LOW,HIGH|each",
        help="Greys that become black and white, such as 0,4095 for 12 bits in a 16-bit file; the "
        "larger first turns greys round. each: those 4 standard deviations below and above the "
        "mean of all pixels of each micrograph, an information bar among them, so that all are "
        "equally bright and contrasted, whatever the lamp or the detector was set to; a model of "
        "such tiles asks the same of what it is shown, and segment does it unasked.",
    ),
]
Scale = Annotated[
    float,
    Group.INPUT(
        "--scale",
        metavar="F",
        help="Magnify micrographs by F first; for a model, as its tiles were.",
        callback=check_scale,
    ),
]
Grey = Annotated[bool, Group.INPUT("--grey", help="Turn colour into luminance.")]
PixelSize = Annotated[
    float | None,
    Group.INPUT(
        "--pixel-size",
        metavar="UM",
        help="Pixel size in um/px, instead of what the files say.",
        callback=check_pixel_size,
    ),
]
Labels = Annotated[
    list[Path] | None,
    Group.LABELS(
        "--labels",
        metavar="DIR",
        help="Folder with label maps, named as the micrographs; may be given several times.",
    ),
]
LabelSuffix = Annotated[
    str,
    Group.LABELS(
        "--label-suffix",
        metavar="TEXT",
        help="What the names of label maps add to those of images, such as _mask.",
    ),
]
LegendFile = Annotated[
    Path | None, Group.LABELS("--legend", metavar="FILE", help="Legend of the label maps (TOML).")
]
Classes = Annotated[
    str | None,
    Group.LABELS(
        "--classes",
        metavar="NAME=VALUE,...",
        help="Short legend, such as 'matrix=*,gamma-prime=#0000ff,tertiary=#ff0000'.",
        callback=refuse_empty,
    ),
]
Model = Annotated[
    Path | None, Group.NETWORK("--model", metavar="FILE|DIR", help="Model that mstool train wrote.")
]
Cache = Annotated[
    Path | None,
    Group.NETWORK(
        "--cache",
        metavar="DIR",
        help="For downloaded weights; by default ~/.cache/mstool, and for those of the Hugging "
        "Face hub what HF_HOME says.",
    ),
]
MaxTime = Annotated[
    float | None,
    Group.RUNNING(
        "--max-time",
        metavar="TIME",
        help="Budget, such as 45m: the work is fitted to it, and what is left out is said.",
        parser=parse_duration,
    ),
]
Seed = Annotated[int, Group.RUNNING("--seed", min=0, help="Source of all chance.")]
Device = Annotated[
    str, Group.RUNNING("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
]
Precision = Annotated[
    str,
    Group.RUNNING(
        "--precision",
        metavar="FORMAT",
        help="auto, fp32, bf16 or fp16; auto is the fastest that the hardware has itself.",
    ),
]
Threads = Annotated[
    str,
    Group.RUNNING(
        "--threads",
        metavar="auto|N",
        help="Threads on the CPU; auto is as many as cores, affinity and quota allow.",
        callback=check_threads,
    ),
]
OutFolder = Annotated[Path, Group.OUTPUT("-o", "--out", help="Folder to write.")]
OutFile = Annotated[
    Path | None,
    Group.OUTPUT(
        "-o",
        "--out",
        metavar="FILE",
        help="File to write, instead of stdout.",
        callback=refuse_irregular,
    ),
]
Overwrite = Annotated[
    bool,
    Group.OUTPUT(
        "--overwrite", help="Start afresh where the output was made with other settings or inputs."
    ),
]
Config = Annotated[
    Path | None,
    Group.COMMON(
        "--config",
        metavar="FILE",
        help="TOML file with options of this verb; flags on the command line win.",
        callback=read_config,
        is_eager=True,
    ),
]
DryRun = Annotated[
    bool,
    Group.COMMON("-n", "--dry-run", help="Print the resolved settings as JSON, and do nothing."),
]
Quiet = Annotated[bool, Group.COMMON("-q", "--quiet", help="No notes on stderr, errors only.")]
Verbose = Annotated[
    int,
    Group.COMMON(
        "-v",
        "--verbose",
        count=True,
        show_default=False,
        help="More detail; -vv also shows tracebacks.",
    ),
]


def parse_greys(text: str | None) -> tuple[float, float] | Literal["each"] | None:
    """Greys of ``--rescale-greys``: ``LOW,HIGH``, or ``each`` as it is.

    Raises
    ------
    UsageError
        If `text` is anything else.
    """
    if text is None or text == OWN_GREYS:
        return text
    number = r"\s*(-?[0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*"
    found = re.fullmatch(f"{number},{number}", text)
    if not found or float(found[1]) == float(found[2]):
        raise UsageError(
            f"--rescale-greys {text}: give two different greys, such as 0,4095, or each"
        )
    return float(found[1]), float(found[2])


def require_labels(given: Mapping[str, Any], *named: str) -> None:
    """Refuse options that say how label maps are read where no label maps are named.

    `given` is what the command line says, by name of the parameter; those in `named`, by default
    ``labels``, name label maps.

    Raises
    ------
    UsageError
        If there is one.
    """
    named = named or ("labels",)
    readers = ("label_suffix", "legend", "classes", "discard_ignored")
    idle = [_flag(name) for name in readers if given.get(name) not in (None, "")]
    if idle and not any(given[name] for name in named):
        need = "needs" if len(idle) == 1 else "need"
        wanted = " or ".join(map(_flag, named))
        raise UsageError(f"{', '.join(idle)}: {need} {wanted}; name the folder, or leave out")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def read_operands(paths: list[Path] | None, files_from: str | None, null: bool) -> list[Path]:
    """Paths of the command line, then those of ``--files-from``.

    Raises
    ------
    UsageError
        If there is none at all, or the list comes from a closed standard input.
    MissingInputError, InputError
        If the list is not there, or is no list.
    """
    operands = [*(paths or [])]
    if files_from is not None:
        operands += _read_list(files_from, null)
    if not operands:
        raise UsageError("no input is named; give files or folders, or --files-from")
    return operands


def _read_list(files_from: str, null: bool) -> list[Path]:
    import os
    import sys

    if files_from == "-":
        if sys.stdin is None:
            raise UsageError("--files-from -: standard input is closed; name a file")
        content = sys.stdin.buffer.read()
    elif Path(files_from).is_dir():
        raise InputError(f"{files_from}: is a folder; name a list of files, or give it as input")
    elif Path(files_from).exists():  # may be a pipe
        content = Path(files_from).read_bytes()
    else:
        raise MissingInputError(f"{files_from}: no such list of files")
    if null:
        names = content.split(b"\0")
    elif b"\0" in content:
        raise InputError(f"{files_from}: holds NUL; add -0, or save the list as UTF-8")
    else:
        names = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [Path(os.fsdecode(name)) for name in names if name]
