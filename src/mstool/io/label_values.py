"""What a file stores, as labels: values or colours, and the alpha that hides them."""

from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.io.micrograph import Micrograph
from mstool.io.stored import Stored, as_brightness, check_zero, look_up

_OPAQUE = 255
_KINDS = {"O": "Python objects", "V": "records", "c": "complex numbers", "S": "text", "U": "text"}
_KINDS |= {"M": "dates", "m": "durations"}


def as_label_map(stored: Stored, expand_palette: bool) -> Micrograph:
    """Label map of what a file stores; see `mstool.io.images.open_label_values`.

    Raises
    ------
    InputError
        If its numbers are no labels.
    """
    check_labels(stored.path, stored.dtype)
    if expand_palette:
        check_zero(stored)
    is_expanded = expand_palette and stored.palette is not None
    is_doubled = stored.n_colours == 3 and _has_equal_bytes(stored)
    is_clear = stored.is_transparent and any(
        (_alpha(raw, stored) < _OPAQUE).any() for raw in stored.bands()
    )
    is_byte = is_expanded or is_doubled or stored.dtype == bool
    dtype = np.dtype(np.uint8) if is_byte else stored.dtype.newbyteorder("=")
    dtype = np.result_type(dtype, np.uint8) if is_clear else dtype
    n_channels = (3 if is_expanded else stored.n_colours) + is_clear

    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        raw = stored.read_rows(row, col, height, width)
        values = raw[..., : stored.n_colours]
        if is_expanded:
            values = look_up(stored.palette, values[..., 0], stored.path)
        elif expand_palette:
            values = as_brightness(values, stored)
        if is_clear:
            values = np.concatenate([values, _alpha(raw, stored)[..., None]], axis=2)
        # Of 16-bit colours made bytes the upper one is dropped, which is the same.
        return np.ascontiguousarray(values if n_channels > 1 else values[..., 0], dtype)

    shape = (stored.height, stored.width, *((n_channels,) if n_channels > 1 else ()))
    is_white_zero = stored.is_white_zero and not expand_palette
    size, doubt = stored.size
    return Micrograph(stored.path, shape, dtype, size, read, doubt, stored.palette, is_white_zero)


def check_labels(path: Path, dtype: np.dtype) -> None:
    """Refuse numbers of a type that no label map holds."""
    if dtype.kind not in "biuf":
        kind = _KINDS.get(dtype.kind, f"values of type {dtype.name}")
        raise InputError(f"{path}: holds {kind}; a label map holds whole numbers")


def _has_equal_bytes(stored: Stored) -> bool:
    """Whether 16-bit colours are 8-bit colours, each byte written twice (v x 257)."""
    if stored.dtype != np.uint16:
        return False
    colours = (raw[..., : stored.n_colours] for raw in stored.bands())
    return all((values >> 8 == values & 255).all() for values in colours)


def _alpha(raw: np.ndarray, stored: Stored) -> np.ndarray:
    """Alpha of a window of a file that can be transparent: uint8, shape (height, width)."""
    if stored.has_alpha:
        return _to_byte(raw[..., -1])
    if stored.palette_alpha is not None:
        return look_up(stored.palette_alpha, raw[..., 0], stored.path)
    return np.where((raw == stored.clear_key).all(axis=2), 0, _OPAQUE).astype(np.uint8)


def _to_byte(alpha: np.ndarray) -> np.ndarray:
    """Alpha of 16 bits and of floats from 0 to 1, as 0..255; of other types it has that range."""
    if alpha.dtype.kind == "f":
        alpha = alpha * 255
    elif alpha.dtype == np.uint16:
        alpha = alpha / 257
    return np.rint(np.clip(alpha, 0, _OPAQUE)).astype(np.uint8)
