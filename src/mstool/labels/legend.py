"""The legend: which label value or colour stands for which phase; label maps read through it."""

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

_UNNAMED = -1
_ALIKE = 200  # distance of colours, each channel 0..255, below which two look much alike
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
# Above this a float64 no longer tells neighbouring integers apart. It is a float64 itself because a
# plain number would overflow when compared with float16.
_LARGEST_EXACT = np.float64(2**53)

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


def encode_labels(raw: np.ndarray, legend: Legend, origin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Class index of each pixel of a raw label map.

    Parameters
    ----------
    raw : ndarray, shape (H, W) or (H, W, 3), or with alpha (H, W, 2) or (H, W, 4)
        Integer values (float and bool too, if whole) or colours; of 16-bit colours the upper 8
        bits count. A pixel with alpha 0 has been erased: whatever colour it keeps, it belongs to
        the class ``"*"``. Under a legend of colours, grey uint8 values
        ``v`` are compared as ``(v, v, v)``; under a legend of integers, colours are taken as values
        if all are grey.
    origin : tuple of int, default (0, 0)
        Row and column [px] of the first pixel of `raw` in the label map it was cut from, so that
        messages name the place in the file.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        ``0 .. C - 1``, and 255 where the value is ignored.

    Raises
    ------
    LabelError
        If a value is named by no class, is not whole, or is of the other kind than the legend, or
        if a pixel is transparent and the legend has no class ``"*"``.
    """
    raw = np.asarray(raw)
    if not (raw.ndim == 2 or (raw.ndim == 3 and raw.shape[2] in (2, 3, 4))):
        raise LabelError(
            f"label map has shape {raw.shape}; give (H, W) values or (H, W, 3 or 4) colours"
        )
    is_erased = erased_pixels(raw)
    if raw.ndim == 3:
        raw = raw[..., 0] if raw.shape[2] == 2 else raw[..., :3]
    raw = _whole_numbers(raw, origin)
    keys = _colour_keys(raw, legend) if legend.is_colour else _value_keys(raw, origin)
    codes = _look_up(keys, *_code_table(legend))
    if is_erased is not None:
        codes[is_erased] = _UNNAMED if legend.rest is None else legend.rest
        if legend.rest is None and is_erased.any():
            raise LabelError(_describe_erased(is_erased, origin))
    if (codes == _UNNAMED).any():
        raise LabelError(_describe_unnamed(keys, codes == _UNNAMED, legend.is_colour, origin))
    return codes.astype(np.uint8)


def erased_pixels(raw: np.ndarray) -> np.ndarray | None:
    """Where a raw label map is wholly transparent: bool, (H, W); None without alpha."""
    has_alpha = raw.ndim == 3 and raw.shape[2] in (2, 4)
    return raw[..., -1] == 0 if has_alpha else None


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
        return _parse_colour(value) if is_colour else None
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour.lower()):
        raise InputError(f'colour {colour!r} is not a colour; write it as "#rrggbb"')
    return _parse_colour(colour.lower())


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


def _parse_colour(text: str) -> Colour:
    return tuple(bytes.fromhex(text[1:]))


def _toml_value(value: int | str) -> str:
    return json.dumps(value, ensure_ascii=False)  # names are printable, so TOML has it the same


def _enumerate(values: Sequence[int], most: int = 6) -> str:
    shown = ", ".join(map(str, values[:most]))
    return f"{shown}, ... ({len(values)} in all)" if len(values) > most else shown or "(none)"


def _whole_numbers(raw: np.ndarray, origin) -> np.ndarray:
    """Label values with an integer type."""
    if raw.dtype.kind in "ui":
        return raw
    if raw.dtype.kind == "b":
        return raw.astype(np.uint8)
    if raw.dtype.kind != "f":
        raise LabelError(f"label map has values of type {raw.dtype}; give integers or colours")
    # A comparison with NaN is false, so NaN is caught here as well.
    is_whole = (np.abs(raw) < _LARGEST_EXACT) & (np.rint(raw) == raw)
    if not is_whole.all():
        row, col, *_ = first = np.argwhere(~is_whole)[0]
        raise LabelError(
            f"label value {raw[tuple(first)]:g} in {_pixels(np.count_nonzero(~is_whole))}, "
            f"{_place(row, col, origin)}, is no whole number; save label maps as integers"
        )
    return raw.astype(np.int64)


def _colour_keys(raw: np.ndarray, legend: Legend) -> np.ndarray:
    """Colours packed as 0xrrggbb."""
    if raw.ndim == 2:
        return _grey_keys(raw, legend)
    if raw.dtype == np.uint16 and raw.size and raw.max() > 255:  # else 8 bits in a wider type
        raw = raw >> 8
    if raw.size and (raw.min() < 0 or raw.max() > 255):
        raise LabelError(
            f"label colours reach {raw.max()}, but a legend's colours have 8 bits a channel; "
            "save the label map with 8 bits"
        )
    keys = raw[..., 0].astype(np.uint32)
    for channel in (1, 2):
        keys <<= 8
        keys |= raw[..., channel].astype(np.uint32)
    return keys


def _grey_keys(raw: np.ndarray, legend: Legend) -> np.ndarray:
    """Grey values as colours, unless that would hide every named class in "*"."""
    if raw.dtype != np.uint8:
        raise LabelError(
            f"label map is grey ({raw.dtype}) but the legend names colours; use integers in the "
            "legend"
        )
    named = [phase.value for phase in legend.classes if phase.value != REST]
    named += [value for value in legend.ignore if isinstance(value, str)]
    has_grey = any(len(set(_parse_colour(value))) == 1 for value in named)
    if raw.size and raw.min() != raw.max() and not has_grey:
        raise LabelError(
            "label map is grey but no colour in the legend is; use integers in the legend"
        )
    return raw.astype(np.uint32) * 0x010101


def _value_keys(raw: np.ndarray, origin) -> np.ndarray:
    """Integer values; of grey colours, the channel."""
    if raw.ndim == 2:
        return raw
    is_grey = (raw[..., 0] == raw[..., 1]) & (raw[..., 0] == raw[..., 2])
    if not is_grey.all():
        row, col = np.argwhere(~is_grey)[0]
        raise LabelError(
            f"label map has colours, {_place(row, col, origin)}, "
            f"{tuple(raw[row, col].tolist())}, but the legend names integers; name colours, "
            "e.g. --classes matrix=*,phase=#0000ff"
        )
    return raw[..., 0]


def _code_table(legend: Legend) -> tuple[dict[int, int], int]:
    """Class index of each named key, and the index of every other key."""
    table, rest = {}, _UNNAMED
    for value in legend.ignore:
        if isinstance(value, str) == legend.is_colour:
            table[_key(value)] = IGNORE_INDEX
    for index, phase in enumerate(legend.classes):
        if phase.value == REST:
            rest = index
        else:
            table[_key(phase.value)] = index
    return table, rest


def _key(value: int | str) -> int:
    return value if isinstance(value, int) else int(value[1:], 16)


def _look_up(keys: np.ndarray, table: dict[int, int], rest: int) -> np.ndarray:
    """Code of each key, int16; by a table over all keys up to the largest unless that is huge."""
    if not keys.size:
        return np.empty(keys.shape, np.int16)
    largest = int(keys.max())
    if keys.min() >= 0 and largest < max(2**16, min(2**24, 64 * keys.size)):
        codes = np.full(largest + 1, rest, np.int16)
        for key, code in table.items():
            if 0 <= key <= largest:
                codes[key] = code
        return codes[keys]
    distinct, where = np.unique(keys, return_inverse=True)
    codes = np.array([table.get(key, rest) for key in distinct.tolist()], np.int16)
    return codes[where].reshape(keys.shape)


def _describe_unnamed(keys: np.ndarray, is_unnamed: np.ndarray, is_colour: bool, origin) -> str:
    """One line on the values that no class names: the only one, or the commonest of many."""
    distinct, counts = np.unique(keys[is_unnamed], return_counts=True)
    commonest = distinct[counts.argmax()]
    row, col = np.unravel_index(np.argmax(keys == commonest), keys.shape)
    name = f"#{commonest:06x}" if is_colour else str(commonest)
    kind = "colour" if is_colour else "value"
    where = f"in {_pixels(counts.max())}, {_place(row, col, origin)},"
    if len(distinct) == 1:
        return (
            f"label {kind} {name} {where} is named by no class; add it to the legend or to ignore"
        )
    advice = "add them to the legend or to ignore"
    if len(distinct) > 8:
        advice = (
            "name the rest, as matrix=* does, or save the label map without smoothing or "
            "compression loss"
        )
    return (
        f"{len(distinct)} label {kind}s are named by no class, the commonest, {name}, "
        f"{where.rstrip(',')}; {advice}"
    )


def _describe_erased(is_erased: np.ndarray, origin) -> str:
    row, col = np.argwhere(is_erased)[0]
    return (
        f"{_pixels(np.count_nonzero(is_erased))}, {_place(row, col, origin)}, transparent "
        'and of no class; paint them, or give one class the value "*"'
    )


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"


def _place(row: int, col: int, origin: tuple[int, int]) -> str:
    return f"first at row {row + origin[0]}, column {col + origin[1]}"
