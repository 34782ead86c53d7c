"""Options that mean the same in every verb, each defined once."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from mstool.errors import InputError, MissingInputError, OutputExistsError, UsageError


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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from None
    known = {
        parameter.name: parameter.opts
        for parameter in ctx.command.params
        if parameter.param_type_name == "option" and parameter.name not in ("config", "help")
    }
    values = {}
    for key, value in table.items():
        name = _parameter_name(key, known)
        if name is None:
            raise UsageError(f"{path}: unknown option {key!r}; mstool {ctx.info_name} --help")
        values[name] = value
    ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def _parameter_name(key: str, known: dict[str, list[str]]) -> str | None:
    """Name of the parameter whose long flag is `key`, dashes or underscores."""
    flag = "--" + key.replace("_", "-")
    return next((name for name, flags in known.items() if flag in flags), None)


def refuse_empty(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Give `text` back unless it is empty, as where a variable of a script is not set.

    Raises
    ------
    UsageError
        If it is.
    """
    if text is not None and not text.strip():
        raise UsageError(f"{parameter.opts[-1]}: is empty; give a value, or leave it out")
    return text


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


def refuse_own_input(out: Path | None, inputs: Iterable[Path]) -> None:
    """See that the output file is not one of the inputs.

    Raises
    ------
    UsageError
        If it is.
    """
    if out is not None and out.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(f"--out {out}: is one of the inputs; name another file")


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file with options of this verb; flags on the command line win.",
        callback=read_config,
        is_eager=True,
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from", metavar="FILE", help="Read more paths from FILE, a line each; - is stdin."
    ),
]
Null = Annotated[
    bool, typer.Option("-0", "--null", help="Paths in --files-from end with NUL, not a line.")
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Start afresh where the output was made with other settings or inputs."
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("-n", "--dry-run", help="Print the resolved settings as JSON, and do nothing."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No notes on stderr, errors only.")]
Verbose = Annotated[
    int,
    typer.Option("-v", "--verbose", count=True, help="More detail; -vv also shows tracebacks."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Source of all chance.")]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="FORMAT",
        help="auto, fp32, bf16 or fp16; auto is the fastest that the hardware has itself.",
    ),
]
PixelSize = Annotated[
    float | None,
    typer.Option(
        "--pixel-size", metavar="UM", help="Pixel size in um/px, instead of what the files say."
    ),
]
LabelSuffix = Annotated[
    str,
    typer.Option(
        "--label-suffix",
        metavar="TEXT",
        help="What the names of label maps add to those of images, such as _mask.",
    ),
]
LegendFile = Annotated[
    Path | None,
    typer.Option("--legend", metavar="FILE", help="Legend of the label maps (TOML)."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="NAME=VALUE,...",
        help="Short legend, such as 'matrix=*,gamma-prime=#0000ff,tertiary=#ff0000'.",
        callback=refuse_empty,
    ),
]


def parse_duration(flag: str, text: str | None) -> float | None:
    """Seconds of ``90``, ``90s``, ``45m``, ``2h`` or ``1:30:00``; None for None.

    Raises
    ------
    UsageError
        If `text` is none of them, or no time at all.
    """
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        if ":" in text:
            seconds = 0.0
            for part in text.split(":"):
                seconds = seconds * 60 + int(part)
        else:
            unit = units.get(text[-1:], 1)
            seconds = float(text.rstrip("smh")) * unit
    except ValueError:
        seconds = -1
    if not 0 < seconds < 1e9:
        raise UsageError(f"{flag} {text}: give a time such as 90s, 45m, 2h or 1:30:00")
    return seconds


def require_choice(flag: str, value: str, choices: tuple[str, ...]) -> str:
    """Give `value` back if it is one of `choices`.

    Raises
    ------
    UsageError
        If not.
    """
    if value not in choices:
        raise UsageError(f"{flag} {value}: use {', '.join(choices)}")
    return value


def require_path(flag: str, path: Path | None, remedy: str) -> Path:
    """Give `path` back if it was named.

    Raises
    ------
    UsageError
        If not.
    """
    if path is None:
        raise UsageError(f"{flag}: not given; {remedy}")
    return path


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
