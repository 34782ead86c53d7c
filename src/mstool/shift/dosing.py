"""What a network loses under growing doses of simulated change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.choice import NONE
from mstool.shift.doses import FAMILIES, apply_dose, breaking_dose
from mstool.shift.estimates import Case, accuracy_of, estimate_accuracies, signs_of
from mstool.shift.readings import Reading, add_readings


@dataclass(frozen=True)
class Piece:
    """A part of a micrograph of the source that is changed."""

    name: str  # of the micrograph, as is the group
    group: str
    image: np.ndarray  # float32 (h, w, C)
    labels: np.ndarray  # truth, or the prediction on the unchanged piece: (h, w)


Read = Callable[[Piece], Reading]


@dataclass(frozen=True)
class Dose:
    """Mean IoU [1] under one dose, with its interval over micrographs."""

    dose: float
    mean_iou: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Scores of a family of changes by rising dose, 0 among them.

    Its `breaking_dose` is where the tolerance is exceeded ``down`` and ``up`` from 0, NaN if never.
    """

    unit: str
    curve: tuple[Dose, ...]
    breaking_dose: dict[str, float]


@dataclass(frozen=True)
class DosedFamily:
    """What the doses of a family cost, and cases to calibrate estimates on, dose 0 left out."""

    scores: Curve
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Robustness:
    """What simulated changes of some micrographs cost."""

    n_pieces: int
    undosed: float  # mean IoU without a change [1]
    families: dict[str, Curve]
    cases: tuple[Case, ...]  # of all families, the unchanged pieces first
    left_out: tuple[str, ...]  # for lack of time
    truth: str  # labels or prediction: what predictions are compared with


def dose_piece(piece: Piece, family: str, dose: float, seed: int) -> Piece:
    """Piece under a dose; random parts belong to the micrograph and grow with the dose."""
    stream = seed + sum(piece.name.encode())
    changed = apply_dose(family, dose, piece.image, piece.labels, stream)
    return Piece(piece.name, piece.group, *changed)


def dose_family(
    family: str,
    doses: Sequence[float],
    pieces: Sequence[Piece],
    undosed: Sequence[Reading],
    read: Read,
    tolerance: float,
    seed: int,
) -> DosedFamily:
    """Read pieces under every dose of a family; `undosed` is what was read of them unchanged.

    The tolerance is the loss of mean IoU that counts [1].
    """
    groups, pooled = [piece.group for piece in pieces], add_readings(undosed)
    curve, cases = [], []
    for dose in sorted({0.0, *doses}):
        readings = undosed
        if dose != 0:
            readings = [read(dose_piece(piece, family, dose, seed)) for piece in pieces]
            cases.append(_case(family, dose, add_readings(readings), pooled))
        confusions = [reading.confusion for reading in readings]
        curve.append(Dose(dose, *mean_iou_with_interval(confusions, groups)))
    breaking = _breaking_doses(curve, pooled.mean_iou, tolerance)
    known = tuple(case for case in cases if np.isfinite(case.mean_iou))
    return DosedFamily(Curve(FAMILIES[family].unit, tuple(curve), breaking), known)


def gather_families(
    families: Mapping[str, DosedFamily | None], undosed: Sequence[Reading], truth: str
) -> Robustness:
    """All families together; those that are None are left out."""
    pooled = add_readings(undosed)
    made = {name: found for name, found in families.items() if found is not None}
    cases = [case for found in made.values() for case in found.cases]
    if np.isfinite(pooled.mean_iou):
        cases.insert(0, _case(NONE, 0.0, pooled, pooled))
    return Robustness(
        n_pieces=len(undosed),
        undosed=pooled.mean_iou,
        families={name: found.scores for name, found in made.items()},
        cases=tuple(cases),
        left_out=tuple(f"simulated {name}" for name in families if name not in made),
        truth=truth,
    )


def _case(family: str, dose: float, reading: Reading, undosed: Reading) -> Case:
    return Case(
        family,
        dose,
        signs_of(reading, undosed),
        reading.mean_iou,
        accuracy_of(reading),
        estimate_accuracies(undosed, reading),
    )


def _breaking_doses(curve: Sequence[Dose], nominal: float, tolerance: float) -> dict[str, float]:
    found = {}
    for side, sign in (("down", -1), ("up", 1)):
        rows = sorted((row for row in curve if row.dose * sign >= 0), key=lambda row: abs(row.dose))
        if len(rows) > 1:
            drops = [nominal - row.mean_iou for row in rows]
            found[side] = breaking_dose([row.dose for row in rows], drops, tolerance)
    return found
