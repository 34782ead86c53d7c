"""Proof that two micrographs show the same field: many blocks of one found in the other."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

_PER_SIDE = 12  # blocks along each side of the overlap, at most
_EDGES = (20, 64)  # px of a block
_STRETCH = 0.03  # change of scale, and turn in radians, that is allowed for
_TOLERANCE = 1.5  # px that a block may lie off
_PEAK = 4  # px around the place of a block that are no other place
_CLEAR = 0.85  # of the best fit, below which every other must stay


@dataclass(frozen=True)
class Match:
    """How the second micrograph lies on the first, and what speaks for it.

    Attributes
    ----------
    agreement : float
        Share [1] of the blocks that fit as well where the others say as anywhere.
    n_votes : int
        Blocks that fit in one place alone, and say the same.
    offset : tuple of float
        See the package.
    scale : float
        Pixels of the second for one of the first, along a line.
    """

    agreement: float
    n_votes: int
    offset: tuple[float, float]
    scale: float


def match_blocks(
    one: np.ndarray, other: np.ndarray, offset: tuple[float, float], doubt: float
) -> Match | None:
    """Look in a second structure, already turned, for blocks of the first.

    Parameters
    ----------
    one, other : ndarray of float32
        Structures.
    offset : tuple of float
        Where the second lies, at a guess.
    doubt : float
        How far [px] the guess may be off, besides a change of scale.

    Returns
    -------
    Match or None
        None where the overlap is too small to say anything.
    """
    top, left = (max(0, round(at)) for at in offset)
    bottom, right = (
        min(a, round(at) + b) for a, b, at in zip(one.shape, other.shape, offset, strict=True)
    )
    height, width = bottom - top, right - left
    edge = int(np.clip(min(height, width) / 2.5, *_EDGES))
    if min(height, width) < edge:
        return None
    corners = _corners(top, left, height, width, edge)
    reach = int(np.ceil(doubt + _STRETCH / 1.5 * max(height, width) / 2))
    guess = np.round(offset).astype(int)
    blocks = np.stack([one[r : r + edge, c : c + edge] for r, c in corners])
    padded = np.pad(other, reach)
    windows = np.stack(
        [padded[r : r + edge + 2 * reach, c : c + edge + 2 * reach] for r, c in corners - guess]
    )
    return _agree(corners + edge / 2, _fit(blocks, windows), guess)


def _corners(top: int, left: int, height: int, width: int, edge: int) -> np.ndarray:
    """Top left corners of blocks spread evenly over a window: int, shape (N, 2)."""
    rows, cols = (
        np.linspace(start, start + length - edge, int(np.clip(1.5 * length / edge, 3, _PER_SIDE)))
        for start, length in ((top, height), (left, width))
    )
    grid = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
    return np.unique(grid.reshape(-1, 2).astype(int), axis=0)


def _fit(blocks: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """How well each block fits in each place of its window: float (N, places, places)."""
    edge, size = blocks.shape[1], windows.shape[1]
    blocks = blocks - blocks.mean((1, 2), keepdims=True)
    shape = (fft.next_fast_len(size, real=True),) * 2
    spectra = fft.rfft2(blocks, shape).conj() * fft.rfft2(windows, shape)
    n = size - edge + 1
    products = fft.irfft2(spectra, shape)[:, :n, :n]
    sums, squares = _box_sums(windows, edge), _box_sums(windows**2, edge)
    return products / np.sqrt(np.maximum(squares - sums**2 / edge**2, 0.02 * edge**2))


def _box_sums(images: np.ndarray, edge: int) -> np.ndarray:
    """Sums over all squares in images (N, H, W): (N, H - edge + 1, W - edge + 1)."""
    total = np.cumsum(np.cumsum(images, 1, dtype=np.float64), 2)
    total = np.pad(total, ((0, 0), (1, 0), (1, 0)))
    return (
        total[:, edge:, edge:]
        - total[:, :-edge, edge:]
        - total[:, edge:, :-edge]
        + total[:, :-edge, :-edge]
    )


def _agree(centres: np.ndarray, fit: np.ndarray, guess: np.ndarray) -> Match:
    """Small similarity on which most clear blocks agree, and all blocks that it suits.

    A block of parallel lamellae or laths fits in many places: it proves none of them, but neither
    does it speak against one. Every two blocks that fit in one place alone make a proposal, on
    which all of these vote. Places are complex, row + i col.
    """
    n = fit.shape[1]
    best = fit.reshape(len(fit), -1).max(1)
    shifts = np.stack(np.divmod(fit.reshape(len(fit), -1).argmax(1), n), axis=1)
    is_clear = _is_clear(fit, shifts, best)
    origin = complex(*map(float, guess)) + (n // 2) * (1 + 1j)
    everywhere, moves = (values @ np.array([1, 1j]) for values in (centres, shifts))
    if is_clear.sum() < 3:
        return Match(0.0, 0, tuple(map(float, guess)), 1.0)
    start, stretch, n_votes = _vote(everywhere[is_clear], moves[is_clear])
    wanted = start + stretch * everywhere
    is_suited = _fit_near(fit, wanted) >= _CLEAR * best
    # a place p of the first is p - origin + start + stretch p in the second, whose corner is 0
    corner = (origin - start) / (1 + stretch)
    return Match(
        float(is_suited.mean()), n_votes, (float(corner.real), float(corner.imag)),
        float(abs(1 + stretch)),
    )  # fmt: skip


def _is_clear(fit: np.ndarray, places: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Whether blocks fit well in no place but the best, and those around it."""
    rest = fit.copy()
    for surface, place in zip(rest, places, strict=True):
        surface[tuple(slice(max(0, at - _PEAK), at + _PEAK + 1) for at in place)] = -np.inf
    return rest.reshape(len(rest), -1).max(1) < _CLEAR * best


def _vote(places: np.ndarray, moves: np.ndarray) -> tuple[complex, complex, int]:
    """Start and stretch of the similarity that most moves follow, and how many do."""
    first, second = np.triu_indices(len(places), 1)
    stretch = (moves[first] - moves[second]) / (places[first] - places[second])
    ok = np.abs(stretch) <= _STRETCH
    stretch, first = np.append(stretch[ok], 0), np.append(first[ok], 0)
    start = moves[first] - stretch * places[first]
    off = np.abs(moves - start[:, None] - stretch[:, None] * places)
    winner = (off <= _TOLERANCE).sum(1).argmax()
    votes = off[winner] <= _TOLERANCE
    if votes.sum() < 3:
        return start[winner], stretch[winner], int(votes.sum())
    design = np.stack([np.ones(votes.sum()), places[votes]], axis=1)
    start, stretch = np.linalg.lstsq(design, moves[votes], rcond=None)[0]
    return start, stretch, int(votes.sum())


def _fit_near(fit: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Best fit within a pixel of a place in each window; -1 beyond it."""
    framed = np.pad(fit, ((0, 0), (2, 2), (2, 2)), constant_values=-1)
    last = framed.shape[1] - 2
    rows, cols = (
        np.clip(np.rint(part).astype(int) + 2, 1, last) for part in (places.real, places.imag)
    )
    around = np.arange(-1, 2)
    numbers = np.arange(len(fit))[:, None, None]
    return framed[
        numbers, (rows[:, None] + around)[:, :, None], (cols[:, None] + around)[:, None]
    ].max((1, 2))
