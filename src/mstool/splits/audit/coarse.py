"""Where two micrographs may show the same field, by phase correlation of small copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from mstool.splits.audit.structure import local_structure, turned

_FINEST, _COARSEST = 0.7, 5.0  # px of small copies
_BAND = 0.13  # cycles per pixel of a small copy, beyond which a scale change of 2 % blurs
_LEAST_PX = 2400  # area of small copies that holds enough structure to be told from chance
_CELL = 8  # px; a cell of the correlation has one peak at most


@dataclass(frozen=True)
class Candidate:
    """Where the same field may be: a peak of the correlation."""

    height: float  # in standard deviations of the correlation
    offset: tuple[int, int]  # [px of small copies]
    turn: int


def transform_size(shapes: Sequence[tuple[int, int]]) -> int:
    """Edge [px] of the transforms that correlate small copies of these shapes without wrapping."""
    longest = max(max(shape) for shape in shapes)
    return _CELL * fft.next_fast_len(-(-2 * longest // _CELL), real=True)


def whitened_spectra(
    grey: np.ndarray, is_known: np.ndarray | None, size: int, turns: Sequence[int]
) -> np.ndarray:
    """Spectra of a small copy, turned, every wavelength with the same weight.

    Returns
    -------
    ndarray of complex64, shape (len(turns), size, size // 2 + 1)
        Zero mean; waves too short to survive a small change of scale are damped.
    """
    structure = local_structure(grey, is_known, _FINEST, _COARSEST)
    spectra = fft.rfft2(np.stack([_framed(turned(structure, turn), size) for turn in turns]))
    return spectra * (_damping(size) / np.maximum(np.abs(spectra), 1e-6))


def find_candidates(
    one: np.ndarray,
    other: np.ndarray,
    shapes: tuple[tuple[int, int], tuple[int, int]],
    turns: Sequence[int],
    least: float,
    most: int,
) -> list[Candidate]:
    """Highest peaks of the correlation of two micrographs, highest first.

    Parameters
    ----------
    one : ndarray of complex64, shape (n, n // 2 + 1)
        Spectrum of the first, upright.
    other : ndarray of complex64, shape (T, n, n // 2 + 1)
        Spectra of the second by turn.
    shapes : tuple
        Of both small copies, upright [px].
    turns : sequence of int, length T
        Turns of the second.
    least : float
        Least overlap that is looked for, as a share [1] of the smaller; nor is one of fewer than
        2400 pixels of the small copies.
    most : int
        Peaks to give.
    """
    size = one.shape[0]
    found = []
    for turn, correlation in zip(turns, fft.irfft2(one * other.conj(), (size, size)), strict=True):
        second = shapes[1][::-1] if turn % 2 else shapes[1]
        heights = correlation * _certainty(shapes[0], second, size, least)
        heights /= np.sqrt(np.vdot(heights, heights) / heights.size) + 1e-12
        found += [Candidate(*peak, turn) for peak in _peaks(heights, most)]
    return sorted(found, key=lambda each: -each.height)[:most]


def _framed(image: np.ndarray, size: int) -> np.ndarray:
    framed = np.zeros((size, size), np.float32)
    framed[: image.shape[0], : image.shape[1]] = image
    return framed


@lru_cache(maxsize=4)
def _damping(size: int) -> np.ndarray:
    rows, cols = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None]
    return np.exp(-(rows**2 + cols**2) / (2 * _BAND**2)).astype(np.float32)


@lru_cache(maxsize=64)
def _certainty(one: tuple[int, int], other: tuple[int, int], size: int, least: float) -> np.ndarray:
    """Weights that make chance equally high at all offsets, 0 where too little overlaps."""
    rows, cols = (
        np.clip(np.minimum(a, at + b) - np.maximum(0, at), 0, None)
        for a, b in zip(one, other, strict=True)
        for at in [np.where(np.arange(size) < a, np.arange(size), np.arange(size) - size)]
    )
    area = (rows[:, None] * cols[None]).astype(np.float32)
    smallest = min(one[0] * one[1], other[0] * other[1])
    return np.where(area >= max(_LEAST_PX, least * smallest), 1 / np.sqrt(np.maximum(area, 1)), 0)


def _peaks(values: np.ndarray, most: int) -> list[tuple[float, tuple[int, int]]]:
    """Heights and signed places of the highest values, one a cell."""
    size = len(values)
    n, half = size // _CELL, size // 2
    cells = values.reshape(n, _CELL, size).max(1).reshape(n, n, _CELL).max(2)
    peaks, most = [], min(most, cells.size)  # there is one cell of micrographs of some pixels
    for flat in np.argpartition(cells, -most, axis=None)[-most:]:
        top, left = (_CELL * int(part) for part in divmod(int(flat), n))
        cell = values[top : top + _CELL, left : left + _CELL]
        row, col = divmod(int(cell.argmax()), _CELL)
        peaks.append(
            (
                float(cell[row, col]),
                ((top + row + half) % size - half, (left + col + half) % size - half),
            )
        )
    return peaks
