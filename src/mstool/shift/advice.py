"""Which micrographs to annotate next, and what that would bring."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mstool.shift.choice import NONE, spread_picks
from mstool.shift.distances import standardise
from mstool.shift.dosing import Piece, dose_piece
from mstool.shift.estimates import Case, nearest_case, signs_of
from mstool.shift.factors import Factors
from mstool.shift.readings import SetReadings

Imitation = tuple[str, Callable[[Piece], Piece]]

_LEAST_GROUPS = 4


@dataclass(frozen=True)
class Pick:
    """A micrograph of the target: 1 less its self-consistency, and how far the source is."""

    image: str
    uncertainty: float
    distance: float


@dataclass(frozen=True)
class Gain:
    """Mean IoU [1] before annotation, and after that of so many micrographs.

    It is that of pieces of the source which look as the target does.
    """

    simulated_by: str
    before: float
    after: dict[str, float]
    left_out: tuple[str, ...] = ()  # for lack of time


@dataclass(frozen=True)
class Advice:
    """What to annotate, first the most wanted, and what that would bring."""

    annotate_next: tuple[Pick, ...]
    expected: Gain | None
    reason: str | None  # why that is not told


def pick_images(
    names: Sequence[str], source: SetReadings, target: SetReadings, n: int
) -> tuple[Pick, ...]:
    """Target micrographs to annotate next: uncertain, unlike the source and each other."""
    both = standardise(np.concatenate([source.features, target.features]))
    ours, theirs = both[: len(source.features)], both[len(source.features) :]
    doubt = [1 - reading.self_consistency for reading in target.readings]
    nearest = np.linalg.norm(theirs[:, None] - ours[None], axis=2).min(axis=1)
    picks = spread_picks(doubt, theirs, ours, n)
    return tuple(Pick(names[pick], doubt[pick], nearest[pick]) for pick in picks)


def imitate_target(
    factors: Factors, cases: Sequence[Case], readings: tuple[SetReadings, SetReadings], seed: int
) -> Imitation | None:
    """What makes source pieces look as the target, in words and as a change of a piece.

    It is the fit, or else the dose that the target is most like; None where nothing that was tried
    looks like it.
    """
    if factors.degrades:
        return "fit", lambda piece: replace(piece, image=factors.apply(piece.image, seed))
    cases = [case for case in cases if case.family != NONE]
    if not cases or (not factors.moved and factors.is_explained):
        return None
    ours, theirs = (one.pooled for one in readings)
    nearest = nearest_case(cases, signs_of(theirs, ours))
    words = f"{nearest.family}={nearest.dose:g}"
    return words, lambda piece: dose_piece(piece, nearest.family, nearest.dose, seed)


def split_pieces(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]] | None:
    """Pieces of one size to learn from, and of other specimens to be tested on; None if too few."""
    same = [piece for piece in pieces if piece.image.shape == pieces[0].image.shape]
    groups = list(dict.fromkeys(piece.group for piece in same))
    if len(groups) < _LEAST_GROUPS:
        return None
    for_training = set(groups[: len(groups) // 2])  # no specimen is on both sides
    sides = ([], [])
    for piece in same:
        sides[piece.group not in for_training].append(piece)
    return sides
