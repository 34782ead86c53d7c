"""Label maps read through a legend: the class of each pixel."""

import numpy as np

from mstool.errors import LabelError
from mstool.labels.legend import IGNORE_INDEX, REST, Legend, parse_colour

_UNNAMED = -1
# Above this a float64 no longer tells neighbouring integers apart. It is a float64 itself because a
# plain number would overflow when compared with float16.
_LARGEST_EXACT = np.float64(2**53)


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
    has_grey = any(len(set(parse_colour(value))) == 1 for value in named)
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
