"""What the shift costs: measured with labels, estimated as a range without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mstool.chance.resampling import percentile_interval
from mstool.scores.metrics import iou, mean_iou
from mstool.scores.statistics import resample_iou
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

LEAST_CASES = 6

Interval = tuple[float, float]  # NaN where one unit tells nothing of how units vary


@dataclass(frozen=True)
class Scores:
    """Mean IoU, IoU and true phase fraction by class [1] of one set, all counts pooled."""

    n_images: int
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
    seed: int,
) -> Performance:
    """Scores of both sets and their difference, where there are labels."""
    scores: list[Scores | None] = [None, None]
    drawn = []
    for number, (readings, units) in enumerate(zip((source, target), groups, strict=True)):
        if any(reading.confusion is None for reading in readings):
            continue
        confusions = np.stack([reading.confusion for reading in readings])
        drawn.append(resample_iou(confusions, seed + number, units))
        scores[number] = _scores(confusions, drawn[-1], classes)
    drop = None
    if len(drawn) == 2:
        drop = _drop(add_readings(source), add_readings(target), drawn, classes)
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
    if len(cases) >= LEAST_CASES and len({case.family for case in cases}) > 2:
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


def _scores(confusions, drawn, classes) -> Scores:
    pooled = confusions.sum(axis=0)
    shares = pooled.sum(axis=1) / max(1, pooled.sum())
    return Scores(
        len(confusions),
        mean_iou(pooled),
        *_by_class(iou(pooled), drawn, classes),
        dict(zip(classes, shares, strict=True)),
    )


def _drop(source: Reading, target: Reading, drawn, classes) -> Drop:
    shares = target.confusion.sum(axis=1) / max(1, target.confusion.sum())
    ours, theirs = mean_iou(source.confusion), mean_iou(target.confusion)
    by_labels = label_shift_score(source, shares)
    per_class = iou(source.confusion) - iou(target.confusion)
    n = min(len(resampled) for resampled, _ in drawn)  # none of a set with one unit
    differences = [one[:n] - other[:n] for one, other in zip(*drawn, strict=True)]
    return Drop(
        ours - theirs,
        *_by_class(per_class, differences, classes),
        ours - by_labels,
        by_labels - theirs,
    )


def _by_class(values, drawn, classes) -> tuple[Interval, dict[str, float], dict[str, Interval]]:
    """Interval of the mean, value of each class, and its interval."""
    mean, by_class = map(percentile_interval, drawn)
    return mean, dict(zip(classes, values, strict=True)), dict(zip(classes, by_class, strict=True))
