"""Pairs of micrographs that show the same field."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mstool.splits.audit.blocks import Match, match_blocks
from mstool.splits.audit.coarse import find_candidates, transform_size, whitened_spectra
from mstool.splits.audit.structure import local_structure, turned

UPRIGHT, ALL_TURNS = (0,), tuple(range(8))

_LEAST = 0.08  # overlap that is looked for; below it chance is as good
_PEAKS = 3  # of each pair that are looked at closely
# Over 1 000 pairs with nothing in common, parallel stripes among them, none agrees by more than
# 0.55, or with more than 5 votes; fields that share 15 % start at 12.6 in height, 1.0 and 6.
_HEIGHT, _AGREEMENT, _VOTES = 8.0, 0.75, 5
# Small overlaps of coarse lamellae have few blocks to vote: a clear peak and one mind will do.
_CLEAR_HEIGHT, _CLEAR_AGREEMENT, _CLEAR_VOTES = 12.0, 0.95, 3
_FINEST, _COARSEST = 1.2, 8.0  # px; passes grain, and not noise, blocks of JPEG, or shading
_ELBOW_ROOM = 14  # px around a block, so that finding it in its place says something
_SMALL, _LEGIBLE, _MOST_SMALL = 192, 64, 512  # px


@dataclass(frozen=True)
class Field:
    """One micrograph to compare.

    Attributes
    ----------
    grey : ndarray, shape (H, W)
        Grey values.
    is_known : ndarray of bool, shape (H, W), or None
        Where they are known; None for everywhere.
    """

    grey: np.ndarray
    is_known: np.ndarray | None = None


@dataclass(frozen=True)
class Overlap:
    """How a second micrograph lies on a first.

    Attributes
    ----------
    share : float
        Area that both show over that of the smaller [1].
    offset : tuple of float
        Row and column of the corner of the second, turned, in the first [px].
    turn : int
        See the package.
    scale : float
        Pixels of the second for one of the first, along a line.
    agreement : float
        Share [1] of the blocks of the overlap that fit there as well as anywhere.
    """

    share: float
    offset: tuple[float, float]
    turn: int
    scale: float
    agreement: float

    def magnified(self, factor: float) -> "Overlap":
        """Overlap of the same two, both magnified."""
        return replace(self, offset=(self.offset[0] * factor, self.offset[1] * factor))


def small_scale(shapes: Iterable[tuple[int, int]]) -> float:
    """Magnification of the small copies by which fields of these shapes are found, at most 1.

    The largest becomes as small as it can be with the smallest still legible.
    """
    shapes = list(shapes)
    longest, shortest = max(map(max, shapes)), min(map(min, shapes))
    return min(1.0, max(_SMALL / longest, _LEGIBLE / shortest), _MOST_SMALL / longest)


def find_overlaps(
    small: Mapping[int, Field],
    pairs: Iterable[tuple[int, int]],
    read: Callable[[int], Field],
    scale: float,
    turns: Sequence[int] = ALL_TURNS,
) -> Iterator[Overlap | None]:
    """Compare micrographs pair by pair.

    Small copies are correlated with one another; where they may show the same field, blocks of one
    micrograph are looked for in the other.

    Parameters
    ----------
    small : mapping of int to Field
        Small copies by number.
    pairs : iterable of (int, int)
        First and second of each pair; quicker if sorted by the second.
    read : callable
        Gives a micrograph by its number, at full scale.
    scale : float
        Magnification of the small copies, all alike.
    turns : sequence of int
        Ways in which the second may lie.

    Yields
    ------
    Overlap or None
        One a pair.
    """
    size = transform_size([field.grey.shape for field in small.values()])

    @lru_cache(maxsize=2)
    def lying(number: int) -> np.ndarray:
        return whitened_spectra(small[number].grey, small[number].is_known, size, turns)

    @lru_cache(maxsize=len(small))
    def upright(number: int) -> np.ndarray:
        return whitened_spectra(small[number].grey, small[number].is_known, size, UPRIGHT)[0]

    @lru_cache(maxsize=6)
    def structure(number: int) -> np.ndarray:
        field = read(number)
        return local_structure(field.grey, field.is_known, _FINEST, _COARSEST)

    for first, second in pairs:
        shapes = small[first].grey.shape, small[second].grey.shape
        spectra = upright(first), lying(second)
        peaks = find_candidates(*spectra, shapes, turns, _LEAST, _PEAKS)
        found = [
            verify(
                structure(first),
                structure(second),
                peak.turn,
                peak.offset,
                scale,
                is_clear=peak.height >= _CLEAR_HEIGHT,
            )
            for peak in peaks
            if peak.height >= _HEIGHT
        ]
        yield max(filter(None, found), key=lambda overlap: overlap.agreement, default=None)


def verify(
    one: np.ndarray,
    other: np.ndarray,
    turn: int,
    offset: tuple[int, int],
    scale: float,
    is_clear: bool = False,
) -> Overlap | None:
    """See whether two structures at full scale overlap as small copies of them say.

    None if they do not. Where the copies say it clearly, fewer blocks need to agree.
    """
    lying = turned(other, turn)
    rough = offset[0] / scale, offset[1] / scale
    match = match_blocks(one, lying, rough, doubt=1.5 / scale + _ELBOW_ROOM)
    if match is None:
        return None
    agrees = match.agreement >= _AGREEMENT and match.n_votes >= _VOTES
    is_one_mind = match.agreement >= _CLEAR_AGREEMENT and match.n_votes >= _CLEAR_VOTES
    if not (agrees or (is_clear and is_one_mind)):
        return None
    share = _shared_area(one.shape, lying.shape, match)
    return Overlap(share, match.offset, turn, match.scale, match.agreement)


def shared_windows(
    one: tuple[int, int], other: tuple[int, int], overlap: Overlap
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of what two micrographs share, in the first and in the second, turned.

    Parameters
    ----------
    one, other : tuple of int
        Shapes (H, W), the second turned [px].
    """
    first, second = [], []
    for length, other_length, at in zip(one, other, overlap.offset, strict=True):
        start, end = _shared_span(length, other_length, at, overlap.scale)
        first.append(slice(round(start), round(end)))
        second.append(slice(round((start - at) * overlap.scale), round((end - at) * overlap.scale)))
    return tuple(first), tuple(second)


def _shared_span(length: int, other: int, at: float, scale: float) -> tuple[float, float]:
    return max(0.0, at), min(float(length), at + other / scale)


def _shared_area(one: tuple[int, int], other: tuple[int, int], match: Match) -> float:
    spans = [
        _shared_span(*lengths, at, match.scale)
        for *lengths, at in zip(one, other, match.offset, strict=True)
    ]
    area = np.prod([max(0.0, end - start) for start, end in spans])
    return float(area / min(np.prod(one), np.prod(other) / match.scale**2))
