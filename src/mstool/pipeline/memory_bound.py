"""How many tiles at a time a bound of memory allows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mstool.errors import UnavailableError, UsageError
from mstool.io.records import peak_rss_mb

_MIB = 2**20
_BAND_ROWS = 64  # of which copies are made while they are finished, coloured and compressed
_SLACK = 32 * _MIB


@dataclass(frozen=True)
class MemoryNeeds:
    """What a stream needs at its worst [bytes]."""

    with_one: float  # of the whole process, with one tile at a time and nothing to blend
    each_more: float  # for each further tile
    blending: float  # rows of the widest micrograph


def measure_needs(
    predict: Callable[[np.ndarray], object],
    tile: np.ndarray,
    blending: float,
    each_more: float | None = None,
) -> MemoryNeeds:
    """See what one tile takes: a quarter of it, and then all of it, are predicted.

    Parameters
    ----------
    predict : callable
        Takes a tile, (H, W) or (H, W, C).
    tile : ndarray
        One of full size.
    blending : float
        From `blending_bytes`.
    each_more : float, optional
        Bytes of a further tile, where that is known, and not as much as the network takes for one.

    Raises
    ------
    UnavailableError
        If this system does not tell how much memory a process takes.
    """
    if each_more is not None:
        predict(tile)
        return MemoryNeeds(_peak(), each_more, blending)
    half = max(32, len(tile) // 64 * 32)
    predict(tile[:half, :half])
    small = _peak()
    predict(tile)
    whole = _peak()
    share = min(half, len(tile)) ** 2 / len(tile) ** 2
    activations = (whole - small) / max(1 - share, 0.1)
    return MemoryNeeds(whole, max(activations, 4.0 * tile.size), blending)


def blending_bytes(
    shape: tuple[int, int], scaled_width: int, size: int, n_classes: int, is_scaled: bool
) -> float:
    """Bytes for the rows of a micrograph (H, W) that tiles of a size [px] still change.

    Sums of probabilities are float32 and of weights float64, one plane of which is copied where
    rows are shifted; finished rows are copied a few times.
    """
    held = size * scaled_width * (4 * n_classes + 8 + 8)
    finished = _BAND_ROWS * max(scaled_width, shape[1]) * (4 * n_classes * 4 + 32)
    return held + finished * (2 if is_scaled else 1)


def choose_batch(needs: MemoryNeeds, bound: float, most: int) -> int:
    """Tiles at a time, `most` at most, with which a `bound` [bytes] holds.

    Raises
    ------
    UsageError
        If not even one tile fits; the least possible bound is named.

    Examples
    --------
    >>> choose_batch(MemoryNeeds(300e6, 100e6, 50e6), 600e6, most=8)
    3
    """
    least = needs.with_one + needs.blending + _SLACK
    if least > bound:
        raise UsageError(
            f"--max-mem: {bound / _MIB:.0f} MiB is too little; the least possible here is "
            f"{np.ceil(least / _MIB):.0f}M, or less with a smaller --size"
        )
    return min(most, 1 + int((bound - least) / needs.each_more))


def _peak() -> float:
    peak = peak_rss_mb()
    if peak is None:
        raise UnavailableError(
            "--max-mem: this system does not tell how much memory a process takes; give a small "
            "--batch-size instead"
        )
    return peak * _MIB
