"""What the shift costs: measured with labels, estimated as a range without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mstool.scores.metrics import iou, mean_iou
from mstool.scores.statistics import Scored, difference_of_sets, score_intervals
from mstool.shift.estimates import (
    Case,
    Estimate,
    bound_accuracies,
    errors_left_out,
    estimate_accuracies,
    estimate_score,
    label_shift_score,
    predict_score,
    signs_of,
)
from mstool.shift.readings import Reading, add_readings

LEAST_CASES, LEAST_FAMILIES = 6, 3  # the unchanged pieces are one of either

Interval = tuple[float, float]  # NaN below four units, which do not tell how units vary


@dataclass(frozen=True)
class Scores:
    """Mean IoU, IoU and true phase fraction by class [1] of one set, all counts pooled."""

    n_images: int
    n_units: int  # images, or specimens
    mean_iou: float
    interval: Interval
    iou: dict[str, float]
    iou_interval: dict[str, Interval]
    phase_fraction: dict[str, float]


@dataclass(frozen=True)
class Drop:
    """Scores of the source less those of the target [1].

    What other shares of the phases explain of the loss is `by_phase_fraction`; `by_appearance` is
    the rest.
    """

    mean_iou: float
    interval: Interval
    iou: dict[str, float]
    iou_interval: dict[str, Interval]
    by_phase_fraction: float
    by_appearance: float


@dataclass(frozen=True)
class Performance:
    """Scores of both sets, None without labels, and what of them had decided the weights."""

    source: Scores | None
    target: Scores | None
    drop: Drop | None
    source_trained_on: bool = False
    target_trained_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Mean IoU [1] under a simulated change, estimated from other families."""

    family: str
    dose: float
    estimated: float
    true: float


@dataclass(frozen=True)
class Risk:
    """How badly a micrograph of the target may be segmented: 1 less its expected score [1]."""

    image: str
    risk: float
    self_consistency: float
    confidence: float
    mean_iou: float  # NaN without labels


@dataclass(frozen=True)
class Estimates:
    """What predictions alone tell of the score on the target; no range with too few cases.

    Signs are by set, accuracies as from `bound_accuracies`; the worst micrograph is ranked first.
    """

    self_consistency: dict[str, float]
    soft_iou: dict[str, float]
    accuracy: dict[str, dict[str, float]]
    mean_iou: Estimate | None
    calibration: tuple[Calibration, ...]
    ranking: tuple[Risk, ...]


def measure_scores(
    source: Sequence[Reading],
    target: Sequence[Reading],
    groups: tuple[Sequence[str], Sequence[str]],
    classes: Sequence[str],
) -> Performance:
    """Scores of both sets and their difference, where there are labels."""
    labelled = [all(one.confusion is not None for one in each) for each in (source, target)]
    scores = [
        _scores(readings, units, classes) if has_labels else None
        for has_labels, readings, units in zip(labelled, (source, target), groups, strict=True)
    ]
    drop = _drop(source, target, groups, classes) if all(labelled) else None
    return Performance(*scores, drop)


def estimate_cost(
    source: Sequence[Reading],
    target: Sequence[Reading],
    names: Sequence[str],
    cases: Sequence[Case],
    is_explained: bool = True,
) -> Estimates:
    """Range for the score on the target from predictions alone, and its worst micrographs.

    Parameters
    ----------
    source, target : sequence of Reading
        Of each micrograph; `source` with truth, for estimates of accuracy.
    names, cases
        Of the target's micrographs, and simulated changes of known cost.
    is_explained : bool
        Whether known factors explain the target; a change that is like none that was simulated
        makes every estimate an extrapolation.
    """
    ours, theirs = add_readings(source), add_readings(target)
    estimate, calibration = None, ()
    if len(cases) >= LEAST_CASES and len({case.family for case in cases}) >= LEAST_FAMILIES:
        estimate = estimate_score(cases, signs_of(theirs, ours))
        is_extrapolated = estimate.is_extrapolated or not is_explained
        estimate = replace(estimate, is_extrapolated=is_extrapolated)
        pairs = zip(cases, *errors_left_out(cases), strict=True)
        calibration = tuple(Calibration(one.family, one.dose, *pair) for one, *pair in pairs)
    rows = []
    for name, reading in zip(names, target, strict=True):
        own = signs_of(reading, ours)
        risk = 1 - (predict_score(cases, own) if estimate else own[0])
        rows.append(Risk(name, risk, own[0], own[1], reading.mean_iou))
    return Estimates(
        self_consistency={"source": ours.self_consistency, "target": theirs.self_consistency},
        soft_iou={"source": ours.soft_iou, "target": theirs.soft_iou},
        accuracy=bound_accuracies(cases, estimate_accuracies(ours, theirs)),
        mean_iou=estimate,
        calibration=calibration,
        ranking=tuple(sorted(rows, key=lambda row: -row.risk)),
    )


def known_score(performance: Performance, estimates: Estimates) -> Interval | None:
    """Interval of the mean IoU on the target: as measured, else as estimated; None if unknown.

    One micrograph has no interval, and an extrapolated estimate is worth none.
    """
    if performance.target is not None:
        low, high = map(float, performance.target.interval)
        return (low, high) if np.isfinite([low, high]).all() else None
    estimate = estimates.mean_iou
    return None if estimate is None or estimate.is_extrapolated else (estimate.low, estimate.high)


def _scores(readings, units, classes) -> Scores:
    confusions = _stack(readings)
    pooled = confusions.sum(axis=0)
    shares = pooled.sum(axis=1) / max(1, pooled.sum())
    found = score_intervals(confusions, units)
    return Scores(
        len(confusions),
        found.n_units,
        mean_iou(pooled),
        *_by_class(iou(pooled), found.scores, classes),
        dict(zip(classes, shares, strict=True)),
    )


def _drop(source, target, groups, classes) -> Drop:
    ours, theirs = add_readings(source).confusion, add_readings(target).confusion
    shares = theirs.sum(axis=1) / max(1, theirs.sum())
    by_labels = label_shift_score(add_readings(source), shares)
    intervals = difference_of_sets(_stack(source), _stack(target), groups)
    return Drop(
        mean_iou(ours) - mean_iou(theirs),
        *_by_class(iou(ours) - iou(theirs), intervals, classes),
        mean_iou(ours) - by_labels,
        by_labels - mean_iou(theirs),
    )


def _stack(readings):
    return np.stack([reading.confusion for reading in readings])


def _by_class(
    values: np.ndarray, intervals: Scored, classes: Sequence[str]
) -> tuple[Interval, dict[str, float], dict[str, Interval]]:
    """Interval of the mean, value of each class, and its interval."""
    by_class = zip(classes, intervals.iou, strict=True)
    return intervals.mean_iou, dict(zip(classes, values, strict=True)), dict(by_class)
