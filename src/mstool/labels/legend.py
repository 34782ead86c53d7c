"""The legend: which label value or colour stands for which phase."""

import colorsys
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import dist

import numpy as np

from mstool.errors import InputError, LabelError, UsageError
from mstool.io.parsing import parse_toml

IGNORE_INDEX = 255
MAX_CLASSES = 255
REST = "*"
IGNORE_COLOUR = (128, 128, 128)

# Okabe, M. & Ito, K. (2008). Color Universal Design. Grey is left for ignored pixels.
OKABE_ITO = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (86, 180, 233),
    (213, 94, 0),
    (0, 0, 0),
)

_ALIKE = 200  # distance of colours, each channel 0..255, below which two look much alike
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class PhaseClass:
    """One class of a legend, and what stands for it in a label map.

    Its value is an integer, ``"#rrggbb"``, or ``"*"`` (every value that nothing else names).
    """

    name: str  # of the phase; no comma, no equals sign
    value: int | str
    colour: Colour  # red, green and blue, 0..255, that it is displayed with


@dataclass(frozen=True)
class Legend:
    """The classes of a label map, in index order, and the values left out of everything.

    Ignored integers match nothing in a label map that is read by colour: there white is ignored as
    ``"#ffffff"``, not as 255. Where nobody named the ignored values, 255 is ignored by custom, and
    a label map in which 255 seems to mean something else is worth a question.

    Raises
    ------
    InputError
        If the classes contradict each other, mix integers with colours, or are too few or many.
    """

    classes: tuple[PhaseClass, ...]  # 1 to 255; their place is their class index
    ignore: tuple[int | str, ...] = (IGNORE_INDEX,)  # integers or "#rrggbb"
    is_ignore_given: bool = field(default=False, compare=False)

    def __post_init__(self):
        """Refuse a legend that could be read in two ways."""
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise InputError(f"the legend has {len(self.classes)} classes; give 1 to {MAX_CLASSES}")
        _check_names(self.names)
        _check_values([phase.value for phase in self.classes], self.ignore)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in index order."""
        return tuple(phase.name for phase in self.classes)

    @property
    def is_colour(self) -> bool:
        """Whether label maps are read by colour, not by integer value."""
        return any(isinstance(phase.value, str) and phase.value != REST for phase in self.classes)

    @property
    def rest(self) -> int | None:
        """Index of the class with value ``"*"``; None without one."""
        return next((i for i, phase in enumerate(self.classes) if phase.value == REST), None)


def parse_classes(text: str) -> Legend:
    """Legend from its short form, ``NAME=VALUE,NAME=VALUE,...``.

    A value is an integer, ``#rrggbb``, or ``*``. The name ``ignore`` is no class: its values are
    left out. 255 is ignored unless a class has that value, or other values are ignored.

    Raises
    ------
    UsageError
        If an item is not ``NAME=VALUE``, or the classes make no legend.

    Examples
    --------
    >>> parse_classes("matrix=*,gamma-prime=#0000ff").names
    ('matrix', 'gamma-prime')
    """
    entries, ignore = [], []
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise UsageError(
                f"class {item.strip()!r} is not NAME=VALUE; write e.g. matrix=0,gp=1; a colour is "
                "written #0000ff"
            )
        meant = int(value) if _INTEGER.fullmatch(value) else value
        if name == "ignore":
            ignore.append(meant)
        else:
            entries.append((name, meant, None))
    try:
        return _build_legend(entries, tuple(ignore) or None)
    except InputError as error:
        raise UsageError(str(error)) from error


def legend_from_values(values: Iterable[int], ignore: Sequence[int] = (IGNORE_INDEX,)) -> Legend:
    """Legend of label maps that come without one: values 0..K-1 become classes "0".."K-1".

    `values` are those that occur, in all label maps together.

    Raises
    ------
    LabelError
        If the values that are not ignored are not 0..K-1.
    """
    present = sorted({int(value) for value in values})
    used = [value for value in present if value not in ignore]
    if not used or used != list(range(len(used))) or len(used) > MAX_CLASSES:
        raise LabelError(
            f"label values {_enumerate(used)} are not 0..K-1, so classes cannot be told without a "
            "legend; name them, e.g. --classes matrix=0,phase=7"
        )
    legend = _build_legend([(str(value), value, None) for value in used], tuple(ignore))
    return replace(legend, is_ignore_given=False)


def index_legend(legend: Legend) -> Legend:
    """Legend of the label maps that `encode_labels` gives: class ``i`` has value ``i``.

    Names and colours stay; 255 is ignored.
    """
    classes = tuple(replace(phase, value=i) for i, phase in enumerate(legend.classes))
    return Legend(classes, is_ignore_given=True)


def legend_from_toml(text: str) -> Legend:
    """Legend from the text of a ``legend.toml``, classes in its order.

    It has a key ``ignore`` (a list; [255] unless a class has that value) and tables ``[[class]]``
    with keys ``name``, ``value`` and, if wished, ``colour``.

    Raises
    ------
    InputError
        If the text is not TOML, has other keys, or makes no legend.
    """
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise InputError(f"the legend is not TOML: {error}; correct it") from error
    _check_keys(table, required={"class"}, optional={"ignore"})
    classes, ignore = table["class"], table.get("ignore")
    if not isinstance(classes, list) or not all(isinstance(entry, dict) for entry in classes):
        raise InputError("the legend's classes are not a list; begin each with [[class]]")
    if ignore is not None and not isinstance(ignore, list):
        raise InputError(f"ignore is {ignore!r}, not a list; write e.g. ignore = [255]")
    for entry in classes:
        _check_keys(entry, required={"name", "value"}, optional={"colour"})
    entries = [(entry["name"], entry["value"], entry.get("colour")) for entry in classes]
    return _build_legend(entries, None if ignore is None else tuple(ignore))


def legend_to_toml(legend: Legend) -> str:
    """Text of a ``legend.toml`` that `legend_from_toml` reads back as the same legend."""
    ignored = ", ".join(_toml_value(value) for value in legend.ignore)
    is_custom = legend.ignore == _ignored_by_custom([phase.value for phase in legend.classes])
    lines = [f"ignore = [{ignored}]"] if legend.is_ignore_given or not is_custom else []
    for phase in legend.classes:
        lines += [
            "",
            "[[class]]",
            f"name = {_toml_value(phase.name)}",
            f"value = {_toml_value(phase.value)}",
            f'colour = "#{bytes(phase.colour).hex()}"',
        ]
    return "\n".join(lines).lstrip("\n") + "\n"


def legend_text(legend: Legend | None) -> str | None:
    """Text of a legend for settings of a record; None where no legend was given."""
    return None if legend is None else legend_to_toml(legend)


def palette(legend: Legend) -> np.ndarray:
    """Colour table of an indexed-colour label map.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Row ``i`` is the colour of class ``i``; row 255, for ignored pixels, is mid grey;
        the rest is black.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(legend.classes)] = [phase.colour for phase in legend.classes]
    colours[IGNORE_INDEX] = IGNORE_COLOUR
    return colours


def _build_legend(entries, ignore=None) -> Legend:
    """Legend from (name, value, colour or None) as they were read; colours are filled in."""
    values = [_normal_value(value) for _, value, _ in entries]
    is_ignore_given = ignore is not None
    ignore = _ignored_by_custom(values) if ignore is None else ignore
    colours = [
        _given_colour(value, colour) for value, (_, _, colour) in zip(values, entries, strict=True)
    ]
    spare = _spare_colours(colours)
    colours = [next(spare) if colour is None else colour for colour in colours]
    names = [name for name, _, _ in entries]
    classes = tuple(map(PhaseClass, names, values, colours))
    return Legend(classes, tuple(_normal_value(value) for value in ignore), is_ignore_given)


def _ignored_by_custom(values) -> tuple[int, ...]:
    return () if IGNORE_INDEX in values else (IGNORE_INDEX,)


def _given_colour(value, colour) -> Colour | None:
    """Display colour that a class was given, or that its value is."""
    if colour is None:
        is_colour = isinstance(value, str) and _COLOUR.fullmatch(value)
        return parse_colour(value) if is_colour else None
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour.lower()):
        raise InputError(f'colour {colour!r} is not a colour; write it as "#rrggbb"')
    return parse_colour(colour.lower())


def _spare_colours(taken):
    """Colours for the classes without one: Okabe-Ito, then hues a golden section apart.

    Those that an eye takes for one of the given colours come last.
    """
    given = [colour for colour in taken if colour is not None]
    taken = {*given, IGNORE_COLOUR}
    hues = (
        tuple(
            round(255 * channel)
            for channel in colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.55 + 0.4 * (i % 2), 0.9)
        )
        for i in range(10 * MAX_CLASSES)
    )
    every = (*OKABE_ITO, *hues)
    for colour in sorted(every, key=lambda one: any(dist(one, other) < _ALIKE for other in given)):
        if colour not in taken:
            taken.add(colour)
            yield colour


def _check_names(names) -> None:
    for name in names:
        if name in ("ignore", "ignored"):
            raise InputError(f"class name {name!r} means pixels left out; use another name")
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"class name {name!r} is empty or not text; give every class a name")
        if "," in name or "=" in name or not name.isprintable() or name != name.strip():
            raise InputError(
                f"class name {name!r} holds a comma, an equals sign, an unprintable character or "
                "outer blanks; rename the class"
            )
    _check_unique(names, "class name")


def _check_values(values, ignore) -> None:
    for value in (*values, *ignore):
        if _normal_value(value) != value:
            raise InputError(f"colour {value!r} is not in lower case; write {value.lower()!r}")
    if REST in ignore:
        raise InputError('ignore holds "*"; list the values to leave out')
    _check_unique([*values, *ignore], "value")
    kinds = {type(value) for value in values if value != REST}
    if len(kinds) > 1:
        raise InputError("the classes mix integers with colours; use one kind for all of them")
    if kinds <= {int} and any(isinstance(value, str) for value in ignore):
        raise InputError(
            "ignore holds a colour but the classes are integers; use one kind for both"
        )


def _check_unique(items, what: str) -> None:
    seen = set()
    for item in items:
        if item in seen:
            raise InputError(f"{what} {item!r} occurs twice in the legend; keep one")
        seen.add(item)


def _check_keys(table, required: set[str], optional: set[str]) -> None:
    missing, unknown = required - set(table), set(table) - required - optional
    if missing:
        raise InputError(f"the legend lacks key {min(missing)!r}; see the example in the manual")
    if unknown:
        allowed = ", ".join(sorted(required | optional))
        raise InputError(f"the legend has an unknown key {min(unknown)!r}; use {allowed}")


def _normal_value(value) -> int | str:
    """Value of a class as the legend keeps it: colours in lower case."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    if isinstance(value, str) and (value == REST or _COLOUR.fullmatch(value.lower())):
        return value.lower()
    raise InputError(f"value {value!r} means nothing; use an integer, #rrggbb or *")


def parse_colour(text: str) -> Colour:
    """Red, green and blue, 0..255, of ``#rrggbb``."""
    return tuple(bytes.fromhex(text[1:]))


def _toml_value(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=False)  # names are printable, so TOML has it the same


def _enumerate(values: Sequence[int], most: int = 6) -> str:
    shown = ", ".join(map(str, values[:most]))
    return f"{shown}, ... ({len(values)} in all)" if len(values) > most else shown or "(none)"
