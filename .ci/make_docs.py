"""Write man pages and shell completions from the command line itself.

Fills ``man/`` and ``completions/``, which hold nothing else. With ``--check`` it writes nothing,
but lists the files that are stale, missing or left over, and exits with 1 if there are any.
"""

import argparse
import inspect
import itertools
import re
import sys
import textwrap
import typing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import shtab
import typer

from mstool.commands.option_groups import Group
from mstool.io.record_keys import Section, record_keys
from mstool.scores.contract import DEFINITIONS
from mstool.scores.other_tools import CONVENTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = Path(__file__).resolve().parent / "pages"  # manual pages that are no verb's
FOLDERS = ("completions", "man")
SHELLS = {"mstool.bash": "bash", "_mstool": "zsh", "mstool.fish": "fish"}

EXIT_CODES = (
    ("0", "Done; also when nothing was left to do."),
    ("1", "A check failed, or some inputs failed."),
    ("2", "Wrong usage."),
    ("65", "An input cannot be used."),
    ("66", "An input is missing."),
    ("69", "A device, a download or an optional package is not there, or memory ran out."),
    ("70", "A bug."),
    (
        "73",
        "The output exists and was made with other inputs or settings, or another process is at "
        "work in it.",
    ),
    ("74", "Reading or writing failed."),
    ("75", "Stopped on request (SIGUSR1, SIGUSR2, SIGXCPU); run the same command again to go on."),
    ("129, 130, 131, 141, 143", "Ended by a hang-up, Ctrl-C, SIGQUIT, a closed pipe or SIGTERM."),
)

ENVIRONMENT = (
    (
        "HF_HOME",
        "Where weights of the Hugging Face hub are kept, by default ~/.cache/huggingface. Where "
        "weights are downloaded, and only there, it is asked for if there is no home directory.",
    ),
    (
        "MPLCONFIGDIR",
        "Where pictures find their fonts listed. Without it, and without a home directory that can "
        "be written, the list is made in a temporary folder by each run that draws.",
    ),
    ("NO_COLOR", "Progress bars have no colour."),
    ("OMP_NUM_THREADS", "The most threads that --threads auto takes."),
    ("OMP_WAIT_POLICY", "How threads wait for each other; without it they are passive."),
)

FILES = {  # what a verb reads and writes by default
    "phantom": (
        ("phantom/images/, phantom/labels/", "Micrographs (TIFF) and label maps (PNG)."),
        ("phantom/raters/NAME/", "Label maps of each annotator, with --raters."),
        ("phantom/legend.toml", "The classes."),
        ("phantom/phantom.json", "Record with every true parameter; written last."),
    ),
    "tile": (
        ("tiles/images/, tiles/labels/", "Tiles (TIFF) and their label maps (PNG)."),
        ("tiles/tiles.jsonl", "A line a tile: source, group, window, label counts."),
        ("tiles/legend.toml", "The classes."),
        ("tiles/tiles.json", "Record; written last."),
    ),
    "split": (
        ("tiles/", "Tile folder that is read; or micrographs."),
        ("standard output", "CSV with the columns source, group and fold; of pairs with --audit."),
    ),
    "pretrain": (
        ("tiles/", "Tile folders that are read; labels are not looked at."),
        ("pretrained/encoder.safetensors", "Weights of the encoder, and what they come from."),
        ("pretrained/history.csv, pretrained/curves.png", "Loss of every epoch."),
        ("pretrained/resume/", "What an unfinished run goes on from."),
        ("pretrained/pretrain.json", "Record; written last."),
    ),
    "train": (
        ("tiles/", "Tile folder that is read."),
        ("model/model.safetensors", "Weights, and all that is needed to use them."),
        ("model/history.csv, model/curves.png", "Loss and IoU of every epoch."),
        ("model/resume/", "What an unfinished run goes on from."),
        ("model/train.json", "Record; written last."),
        ("cv/fold-K/", "Such a folder for each fold, with --test-fold all -o cv/."),
        ("cv/cv.json", "Record of these; written last."),
    ),
    "predict": (
        ("tiles/, model/", "Tile folder and model that are read."),
        ("probs/probs/ID.tif", "Class probabilities of a tile, classes first."),
        ("probs/tiles.jsonl", "The tiles."),
        ("probs/predict.json", "Record; written last."),
    ),
    "segment": (
        ("masks/NAME.tif", "Label map in indexed colour, in the size of the micrograph."),
        ("masks/legend.toml", "Classes and colours."),
        ("masks/stitch.json", "Record, as stitch writes it; written last."),
    ),
    "stitch": (
        ("probs/", "Probabilities that are read."),
        ("masks/NAME.tif", "Label map of a micrograph, in indexed colour."),
        ("masks/stitch.json", "Record; written last."),
    ),
    "score": (
        ("masks/, labels/", "Masks and label maps that are read."),
        ("standard output", "Scores as JSON."),
    ),
    "report": (
        ("PLAN, RECORDS", "Plan with its score records, or records, that are read."),
        ("masks/, probs/, model/", "Records behind these scores, and pictures, where unchanged."),
        ("report.html", "The page; everything is in it."),
        ("report.csv", "A row a cell."),
        ("report.json", "Record with all numbers and sentences; written last."),
    ),
    "explain": (
        ("model/", "Model that is read."),
        ("explain/overlays/", "Each map over its micrograph, beside the controls."),
        ("explain/maps/", "Raw maps and regions (NumPy .npz)."),
        (
            "explain/sanity.png, faithfulness.png, patch.png",
            "What the checks found; patch.png if a patch could change the decision.",
        ),
        (
            "explain/boundary.png, counterfactual.png, receptive_field.png, features/",
            "With --boundary, --receptive-field and --dump-features.",
        ),
        ("explain/explain.json", "Record with every measurement and verdict; written last."),
    ),
    "domain-shift": (
        ("SOURCE, TARGET, model/", "Micrographs or tiles, and the model, that are read."),
        (
            "shift/histograms.png, spectra.png, embedding.png",
            "How the sets differ; a CSV with the numbers lies beside each.",
        ),
        (
            "shift/robustness.png, estimates.png, mitigation.png, examples.png",
            "With a model: cost of simulated doses, estimates, repairs, predictions.",
        ),
        ("shift/repaired/ or shift/model/", "What the chosen repair made."),
        ("augment.toml", "Ranges for train, where --derive-augmentation says."),
        ("shift/shift.json", "Record with every measurement and verdict; written last."),
    ),
    "study": (
        ("PLAN", "Plan that is read; see mstool-plan(5)."),
        ("standard output", "Makefile, Snakefile or script; CSV with --dry-run or --estimate."),
    ),
    "export": (
        ("model/", "Model that is read."),
        ("export/model.onnx", "The graph."),
        (
            "export/test-image.npy, test-probabilities.npy",
            "An input of the graph, and the output that is expected for it.",
        ),
        ("export/model.zip", "With --format bioimageio, instead of these: the package."),
        ("export/export.json", "Record with all that is done around the graph; written last."),
    ),
}

MEANINGS = {  # sections of terms that a verb's record explains in the same words
    "score": (("DEFINITIONS", DEFINITIONS), ("OTHER TOOLS", CONVENTIONS)),
}

# Words that an option takes, among others or in other forms, so that it does not say them itself;
# each must occur in its help, so that the two agree.
CHOICES = {
    "--arch": "unet-plain unet unetplusplus manet linknet fpn pspnet deeplabv3 deeplabv3plus pan "
    "upernet segformer dpt",
    "--cue": "rim grey texture lath",
    "--device": "auto cpu cuda mps",
    "--finetune": "full decoder",
    "--loss": "ce focal dice jaccard lovasz",
    "--class-weights": "none balanced",
    "--precision": "auto fp32 bf16 fp16",
    "--threads": "auto",
}

_DOTS = "...\\&"  # which end no sentence
_METAVARS = {int: "INTEGER", float: "FLOAT", Path: "PATH"}


@dataclass(frozen=True)
class Parameter:
    """An option or a positional argument.

    Attributes
    ----------
    flags : tuple of str
        Short before long; empty for a positional argument.
    metavar : str
        What its value is called; empty for a flag without a value.
    n_values : int
        Values after the flag; -1 for any number.
    is_repeatable, is_required, is_count : bool
        Whether it may, or must, be given; whether giving it twice means more.
    choices : tuple of str
        Words that it takes; empty if any.
    completes : str
        "file", "folder" or nothing.
    default : str
        As typed; empty for none.
    limits : str
        Smallest and largest value, in words; empty for none.
    help : str
        One or more sentences.
    group : str
        Heading that it stands under; empty for none.
    """

    flags: tuple[str, ...]
    metavar: str
    n_values: int = 1
    is_repeatable: bool = False
    is_required: bool = False
    is_count: bool = False
    choices: tuple[str, ...] = ()
    completes: str = ""
    default: str = ""
    limits: str = ""
    help: str = ""
    group: str = ""


@dataclass(frozen=True)
class Verb:
    """One subcommand.

    Attributes
    ----------
    name, summary : str
        ``tile``, and one line without a final point.
    paragraphs, examples : tuple of str
        The rest of its help.
    parameters : tuple of Parameter
        Positional arguments and options, in the order of its help.
    """

    name: str
    summary: str
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    parameters: tuple[Parameter, ...]


# From the app to plain tables


def read_app(app: typer.Typer) -> tuple[Verb, list[Verb]]:
    """Give the program and its verbs, in order."""
    group = typer.main.get_command(app)
    help_flags = tuple(group.context_settings.get("help_option_names", ["--help"]))
    return _read_command(group, help_flags), [
        _read_command(command, help_flags) for command in group.commands.values()
    ]


def _read_command(command: typing.Any, help_flags: tuple[str, ...]) -> Verb:
    hints = typing.get_type_hints(inspect.unwrap(command.callback))
    summary, *rest = (command.help or command.name).split("\n\n")
    parameters = [
        _read_parameter(parameter, hints.get(parameter.name, str))
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
    ]
    is_grouped = any(parameter.group for parameter in parameters)
    group = Group.COMMON if is_grouped else ""
    parameters.append(Parameter(help_flags, "", help="Show help and exit.", group=group))
    return Verb(
        name=command.name,
        summary=_fold(summary).rstrip("."),
        paragraphs=tuple(_fold(text) for text in rest if not text.startswith("Example:")),
        examples=tuple(
            line.removeprefix("Example:").strip()
            for text in rest
            for line in text.splitlines()
            if line.startswith("Example:")
        ),
        parameters=tuple(parameters),
    )


def _read_parameter(parameter: typing.Any, hint: typing.Any) -> Parameter:
    is_argument = parameter.param_type_name == "argument"
    flags = () if is_argument else (*parameter.opts, *parameter.secondary_opts)
    is_switch = getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)
    kind = _value_type(hint)
    metavar = parameter.metavar or _METAVARS.get(kind, "TEXT")
    text = _fold(parameter.help or "")
    return Parameter(
        flags=tuple(sorted(flags, key=lambda flag: flag.startswith("--"))),
        metavar="" if is_switch else metavar,
        n_values=parameter.nargs,
        is_repeatable=getattr(parameter, "multiple", False),
        is_required=parameter.required,
        is_count=getattr(parameter, "count", False),
        choices=() if is_switch else _choices(parameter, kind, text),
        completes="" if is_switch else _completes(kind, metavar),
        default="" if is_switch else _default_text(parameter.default),
        limits="" if is_switch else _limits_text(parameter),
        help=text,
        group=str(getattr(parameter, "rich_help_panel", None) or ""),
    )


def _value_type(hint: typing.Any) -> typing.Any:
    """Type of one value: ``list[Path] | None`` is of paths."""
    while typing.get_origin(hint) not in (None, typing.Literal):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _choices(parameter: typing.Any, kind: typing.Any, text: str) -> tuple[str, ...]:
    if typing.get_origin(kind) is typing.Literal:
        return tuple(map(str, typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    metavar = parameter.metavar or ""
    if re.fullmatch(r"[a-z0-9.-]+(\|[a-z0-9.-]+)+", metavar):
        return tuple(metavar.split("|"))
    words = next((CHOICES[flag].split() for flag in parameter.opts if flag in CHOICES), ())
    words = getattr(parameter.callback, "choices", words)
    if lost := [word for word in words if word not in text]:
        raise ValueError(f"{', '.join(parameter.opts)}: its help does not name {', '.join(lost)}")
    return tuple(words)


def _completes(kind: typing.Any, metavar: str) -> str:
    parts = re.split(r"[^A-Z]+", metavar)
    if "DIR" in parts and "FILE" not in parts:
        return "folder"
    return "file" if kind is Path or "FILE" in parts else ""


def _default_text(default: typing.Any) -> str:
    if default is None or default == ():
        return ""
    values = default if isinstance(default, list | tuple) else [default]
    return " ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _limits_text(parameter: typing.Any) -> str:
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is not None and most is not None:
        return f"Between {least:g} and {most:g}."
    if least is not None:
        return f"At least {least:g}."
    return "" if most is None else f"At most {most:g}."


def _fold(text: str) -> str:
    return " ".join(text.split())


# Man pages


def make_page(verb: Verb, neighbours: list[str]) -> str:
    """Man page of a verb.

    Parameters
    ----------
    verb : Verb
        What it documents.
    neighbours : list of str
        Verbs to point to.

    Returns
    -------
    str
        Source for man(1).
    """
    arguments = [parameter for parameter in verb.parameters if not parameter.flags]
    flags = [parameter for parameter in verb.parameters if parameter.flags]
    lines = [*_head(f"mstool-{verb.name}", verb.summary), ".SH SYNOPSIS"]
    lines += [f"{_bold('mstool ' + verb.name)} [{_italic('OPTION')}]{_DOTS}"]
    lines += [_synopsis_of(argument) for argument in arguments]
    lines += [".SH DESCRIPTION", *_paragraphs((verb.summary + ".", *verb.paragraphs))]
    if arguments:
        lines += [".SH ARGUMENTS", *_parameter_items(arguments)]
    lines += [".SH OPTIONS", *_grouped_items(flags)]
    for title, terms in MEANINGS.get(verb.name, ()):
        items = ((_bold(term), words) for term, words in terms.items())
        lines += [f".SH {roff(title)}", *_items(items)]
    lines += _exit_status()
    if verb.name in FILES:
        lines += [".SH FILES", *_items((_italic(path), text) for path, text in FILES[verb.name])]
    if verb.examples:
        lines += [".SH EXAMPLE", *_examples(verb.examples)]
    lines += _see_also(["mstool", *(f"mstool-{name}" for name in neighbours)])
    return "\n".join(lines) + "\n"


def make_overview(program: Verb, verbs: list[Verb]) -> str:
    """Man page of the program as a whole; parameters as for `make_page`."""
    lines = [*_head("mstool", program.summary), ".SH SYNOPSIS"]
    option, file = _italic("OPTION"), _italic("FILE")
    lines += [f"{_bold('mstool')} {_italic('VERB')} [{option}]{_DOTS} [{file}]{_DOTS}"]
    lines += [".br", f"{_bold('mstool')} {_flags_text(('--help', '--version'), ' | ')}"]
    lines += [".SH DESCRIPTION", *_paragraphs((program.summary + ".", *program.paragraphs))]
    lines += [".SH VERBS", *_items((_bold(verb.name), verb.summary + ".") for verb in verbs)]
    lines += [".SH OPTIONS", *_parameter_items(program.parameters)]
    lines += [".SH PIPELINE", *_paragraphs(_PIPELINE), ".PP", *_examples(_pipeline(verbs))]
    lines += [".SH CONVENTIONS", *_paragraphs(_MANNERS)]
    lines += [".SH FILES FROM ELSEWHERE", *_paragraphs(_HOSTILE), *_exit_status()]
    lines += [".SH ENVIRONMENT", *_items((_bold(name), text) for name, text in ENVIRONMENT)]
    lines += _see_also([f"mstool-{verb.name}" for verb in verbs])
    return "\n".join(lines) + "\n"


_PIPELINE = (
    "Each verb reads what one before it has written, and the default names of folders fit "
    "together. Label maps are needed to train and to score, and for nothing else; mstool phantom "
    "makes micrographs with label maps to practise on.",
)
_MANNERS = (
    "Standard output carries data only; notes, progress and errors go to standard error. Progress "
    "bars appear only on a terminal. An error is one line: what is wrong, and what to do; -vv adds "
    "the traceback.",
    "Outputs appear whole or not at all. A folder is complete when its record (tiles.json, "
    "train.json and so on) is there, which is written last, so it is the file that a makefile "
    "depends on.",
    "Running a command again goes on where it stopped: finished pieces are kept when inputs and "
    "settings are the same. When they differ the command stops and says what differs; --overwrite "
    "starts afresh. Nothing is repaired, skipped or clamped in silence.",
    "One run at a time works in an output folder. It holds a lock there (.mstool.lock), which ends "
    "with its process, however that ends; a second run, with --overwrite too, ends at once and "
    "names the process. Where the file system knows no locks, as some network file systems, and "
    "on Windows, a run works without one and keeps nobody out, so give each its own --out there. "
    "Temporary files of runs that were killed (.mstool-NAME.XXXXXXXX.SUFFIX) are removed by the "
    "next run in that folder; without locks, only once they are ten minutes old.",
    "Options can come from a TOML file given with --config, whose keys are the long names of "
    "options; a flag on the command line wins. --dry-run prints the settings and does nothing. The "
    "same inputs, settings, seed, device and number of threads give the same bytes. What is wrong "
    "with a value from the file names the file.",
)
_HOSTILE = (
    "No file makes mstool run code, and none but what --weights asks for by name opens a "
    "connection: names of encoders come from the lists of the libraries, and weights are tensors, "
    "numbers and text, also in files of PyTorch.",
    "Sizes that a file claims are held against what is there before memory is taken: pixels "
    "against the bytes that are stored for them, tiles against the micrographs that they are of, "
    "a network against its weights, an archive against what it unpacks to. What is large and "
    "honest is read. An image that has to be decoded whole (PNG, JPEG, BMP) and is larger than "
    "free memory is refused by name; TIFF in strips or tiles is read by parts.",
    "JSON and TOML may be nested 50 deep, with integers of up to 64 bits. What a terminal would "
    "obey, in names of files, classes or keys, is shown escaped, as \\x1b; JSON has it escaped. In "
    "CSV, text that a spreadsheet would run, with =, +, - or @ in front, has an apostrophe before "
    "it, which mstool takes off where it reads the file; numbers stay as they are. A pattern of "
    "--group-by may take 2 s for a name.",
)


def _pipeline(verbs: list[Verb]) -> list[str]:
    """First example of each verb that reads something."""
    readers = [verb for verb in verbs if any(not each.flags for each in verb.parameters)]
    return [example for verb in readers for example in verb.examples[:1]]


def make_text_page(name: str, section: str, text: str) -> str:
    """Give a manual page of files or formats.

    Parameters
    ----------
    name, section : str
        Of the page.
    text : str
        First line "NAME - summary". Then headings after "# ", terms before ":: " (a name, and what
        follows it after a blank), lines of a block after four blanks, and paragraphs, each on a
        line.

    Returns
    -------
    str
        Roff with man macros.
    """
    first, _, rest = text.partition("\n")
    lines = _head(name, first.partition(" - ")[2], section)
    for kind, group in itertools.groupby(filter(None, rest.splitlines()), key=_kind_of):
        if kind == "block":
            lines += [*_break_after(lines), *_examples(line[4:] for line in group)]
            continue
        for line in group:
            term, _, words = line.partition(":: ")
            if kind == "heading":
                lines.append(f".SH {roff(line[2:].upper())}")
            elif kind == "item":
                # long names may be broken after a comma or a dot
                lines += _items([(re.sub(r"[,.](?=.)", r"\g<0>\\:", _bold(term)), words)])
            else:
                lines += [*_break_after(lines), *_wrap(roff(line))]
    return "\n".join(lines) + "\n"


def fill_in_records(text: str) -> str:
    """Put the keys of all records where a text of a page asks for them."""
    known = record_keys()
    words = [f"{word} for {meaning}" for word, meaning in known.any_key.items()]
    sections = "\n\n".join(map(_record_section, known.sections.values()))
    any_key = f"{', '.join(words)}.".replace(" for", " stands for", 1)
    return text.replace("@any-key@", any_key).replace("@records@", sections)


def _record_section(section: Section) -> str:
    lines = [f"# {section.heading}", section.about]
    for key in section.keys:
        kind = key.kind if key.is_always else f"{key.kind}, sometimes"
        lines.append(f"{key.path} ({kind}):: {key.text}")
    return "\n".join(filter(None, lines))


def _named(term: str) -> str:
    """A name in bold, if long broken after a comma or a dot, and what follows it."""
    name, blank, rest = term.partition(" ")
    return re.sub(r"[,.](?=.)", r"\g<0>\:", _bold(name)) + blank + roff(rest)


def _break_after(lines: list[str]) -> list[str]:
    """Paragraph break, but after a heading, which is one."""
    return [] if lines[-1].startswith(".SH") else [".PP"]


def _kind_of(line: str) -> str:
    if line.startswith("    "):
        return "block"
    if line.startswith("# "):
        return "heading"
    return "item" if ":: " in line else "paragraph"


def _head(name: str, summary: str, section: str = "1") -> list[str]:
    title = roff(name.upper())
    kind = {"1": "User Commands", "5": "File Formats"}[section]
    return [
        '.\\" Made by .ci/make_docs.py; do not edit.',
        f'.TH {title} {section} "" "mstool" "{kind}"',
        ".nh",  # names and flags are not hyphenated
        ".ad l",
        ".SH NAME",
        f"{roff(name)} \\- {roff(summary[0].lower() + summary[1:])}",
    ]


def _synopsis_of(argument: Parameter) -> str:
    name = argument.metavar.removesuffix("...")
    dots = _DOTS if argument.n_values == -1 else ""
    word = _italic(name)
    return f"{word}{dots}" if argument.is_required else f"[{word}]{dots}"


def _parameter_items(parameters: typing.Iterable[Parameter]) -> list[str]:
    return _items((_term(parameter), _explanation(parameter)) for parameter in parameters)


def _grouped_items(parameters: list[Parameter]) -> list[str]:
    """Options under the headings, and in the order, of the help."""
    lines = []
    for group in ("", *Group):
        members = [parameter for parameter in parameters if parameter.group == group]
        heading = [f".SS {roff(group)}"] if group and members else []
        lines += [*heading, *_parameter_items(members)]
    return lines


def _term(parameter: Parameter) -> str:
    if not parameter.flags:
        return _italic(parameter.metavar)
    return _flags_text(parameter.flags) + (parameter.metavar and f" {_italic(parameter.metavar)}")


def _explanation(parameter: Parameter) -> str:
    default = parameter.default and f"Default: {parameter.default}."
    again = "May be given more than once." if parameter.is_repeatable else ""
    return " ".join(part for part in (parameter.help, default, parameter.limits, again) if part)


def _flags_text(flags: typing.Iterable[str], separator: str = ", ") -> str:
    return separator.join(_bold(flag) for flag in flags)


def _exit_status() -> list[str]:
    return [".SH EXIT STATUS", *_items((_bold(code), text) for code, text in EXIT_CODES)]


def _see_also(pages: list[str]) -> list[str]:
    links = [f"{_bold(page)}(1)" for page in pages]
    links += [f"{_bold(page)}(5)" for page in ("mstool-formats", "mstool-legend")]
    return [".SH SEE ALSO", *_wrap(", ".join(links))]


def _examples(commands: typing.Iterable[str]) -> list[str]:
    return [".RS 4", ".nf", *(_guard(roff(line)) for line in commands), ".fi", ".RE"]


def _items(items: typing.Iterable[tuple[str, str]]) -> list[str]:
    """Tagged paragraphs; the terms are roff already, the texts are not."""
    return [line for term, text in items for line in (".TP", _guard(term), *_wrap(roff(text)))]


def _paragraphs(texts: typing.Iterable[str]) -> list[str]:
    paragraphs = [_wrap(roff(text)) for text in texts]
    return [line for lines in paragraphs for line in (".PP", *lines)][1:]


def _wrap(source: str) -> list[str]:
    lines = textwrap.wrap(source, 90, break_long_words=False, break_on_hyphens=False)
    return [_guard(line) for line in lines]


def _guard(line: str) -> str:
    """Keep a line that begins like a request from being one."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


_SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def roff(text: str) -> str:
    """Escape plain text for a man page, so that what is shown can be pasted into a shell."""
    return "".join(
        _SPECIAL.get(letter, letter if letter.isascii() else f"\\[u{ord(letter):04X}]")
        for letter in text
    )


def _bold(text: str) -> str:
    return f"\\fB{roff(text)}\\fR"


def _italic(text: str) -> str:
    return f"\\fI{roff(text)}\\fR"


# Completions


def make_parser(program: Verb, verbs: list[Verb]) -> argparse.ArgumentParser:
    """Mirror the command line in argparse, which is what shtab reads."""
    parser = argparse.ArgumentParser("mstool", description=program.summary, add_help=False)
    _mirror(parser, program)
    subparsers = parser.add_subparsers(metavar="VERB")
    for verb in verbs:
        _mirror(subparsers.add_parser(verb.name, help=verb.summary, add_help=False), verb)
    return parser


def _mirror(parser: argparse.ArgumentParser, verb: Verb) -> None:
    for number, parameter in enumerate(verb.parameters):
        options: dict[str, typing.Any] = {"help": parameter.help.replace("%", "%%")}
        if parameter.is_count:
            options["action"] = "count"
        elif not parameter.metavar:
            options["action"] = "store_true"
        else:
            options |= _value_options(parameter)
        if parameter.flags:
            options["dest"] = f"option{number}"
        action = parser.add_argument(*(parameter.flags or (parameter.metavar,)), **options)
        if parameter.completes:
            action.complete = shtab.FILE if parameter.completes == "file" else shtab.DIRECTORY


def _value_options(parameter: Parameter) -> dict[str, typing.Any]:
    options: dict[str, typing.Any] = {}
    if parameter.choices:
        options["choices"] = parameter.choices
    if parameter.is_repeatable:
        options["action"] = "append"
    if not parameter.flags:
        options["nargs"] = "*" if parameter.n_values == -1 else "?"
    elif parameter.n_values > 1:
        options["nargs"] = parameter.n_values
    return options | ({"metavar": parameter.metavar} if parameter.n_values == 1 else {})


# All of it


def make_documents(app: typer.Typer) -> dict[str, str]:
    """Give the content of every document.

    Parameters
    ----------
    app : Typer
        The command line.

    Returns
    -------
    dict of str to str
        Content by path from the root of the repository, with forward slashes.
    """
    program, verbs = read_app(app)
    names = [verb.name for verb in verbs]
    documents = {"man/mstool.1": make_overview(program, verbs)}
    for index, verb in enumerate(verbs):
        neighbours = names[max(0, index - 1) : index] + names[index + 1 : index + 2]
        documents[f"man/mstool-{verb.name}.1"] = make_page(verb, neighbours)
    for path in sorted(PAGES.glob("*.txt")):
        name, _, section = path.stem.rpartition(".")
        text = fill_in_records(path.read_text(encoding="utf-8"))
        documents[f"man/{path.stem}"] = make_text_page(name, section, text)
    parser = make_parser(program, verbs)
    for name, shell in SHELLS.items():
        documents[f"completions/{name}"] = shtab.complete(parser, shell).rstrip("\n") + "\n"
    return documents


def find_stale(documents: dict[str, str], root: Path) -> dict[str, str]:
    """What is wrong with the documents on disk, by path; empty if nothing is."""
    on_disk = {
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    faults = dict.fromkeys(on_disk - set(documents), "left over")
    for name, text in documents.items():
        if name not in on_disk:
            faults[name] = "missing"
        elif (root / name).read_text(encoding="utf-8") != text:
            faults[name] = "stale"
    return dict(sorted(faults.items()))


def write_documents(documents: dict[str, str], root: Path) -> None:
    """Bring the documents on disk up to date."""
    for name, fault in find_stale(documents, root).items():
        if fault == "left over":
            (root / name).unlink()
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(documents[name], encoding="utf-8", newline="\n")


def main() -> int:
    """Write or check, and give the exit code."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    is_check = parser.parse_args().check
    from mstool.cli import make_app

    documents = make_documents(make_app())
    if not is_check:
        write_documents(documents, ROOT)
        return 0
    faults = find_stale(documents, ROOT)
    for name, fault in faults.items():
        print(f"{name}: {fault}; run make docs", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
