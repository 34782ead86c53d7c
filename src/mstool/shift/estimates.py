"""What the score on a new set will be, estimated without its truth.

Networks stay confident where they are wrong, so that a confidence is no accuracy. Estimates are
calibrated on simulated changes of micrographs whose truth is known, and their error is that on
kinds of change that the calibration has not seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import spearmanr

from mstool.scores.metrics import accuracy, mean_iou
from mstool.shift.readings import N_SCORES, Reading

_NEIGHBOURS, _RIDGE = 7, 5.0
_LEAST_ALIKE = 8  # cases whose errors make the range, or a third of all


@dataclass(frozen=True)
class Case:
    """A simulated change whose cost is known."""

    family: str
    dose: float
    signs: tuple[float, ...]  # from `signs_of`
    mean_iou: float  # the true one, as is the accuracy
    accuracy: float = float("nan")
    accuracies: dict[str, float] = field(default_factory=dict)  # from `estimate_accuracies`


@dataclass(frozen=True)
class Estimate:
    """A range for the score on a set without truth."""

    mean_iou: float  # middle of the range
    low: float
    high: float
    mean_error: float  # absolute, on families left out of the calibration
    rank_correlation: float  # Spearman's, of estimated with true scores of families left out
    n_cases: int  # simulated changes behind it
    is_extrapolated: bool  # outside of all that was simulated the range means little


def signs_of(reading: Reading, source: Reading) -> tuple[float, ...]:
    """What predictions alone tell of their quality, next to those on the source.

    Self-consistency, confidence, the IoU expected by the probabilities, and the largest change of a
    phase fraction.
    """
    change = np.abs(reading.fractions - source.fractions).max()
    return reading.self_consistency, reading.mean_confidence, reading.soft_iou, float(change)


def difference_of_confidences(source: Reading, target: Reading) -> float:
    """Accuracy on the source, less the confidence lost on the way [1]_.

    References
    ----------
    .. [1] Guillory, D. et al. (2021). ICCV, arXiv:2107.03315.
    """
    return accuracy_of(source) - (source.mean_confidence - target.mean_confidence)


def average_thresholded_confidence(source: Reading, target: Reading) -> float:
    """Share of target pixels surer than as many as the source has wrong pixels are not [1]_.

    References
    ----------
    .. [1] Garg, S. et al. (2022). ICLR, arXiv:2201.04234.
    """
    wrong = 1 - accuracy_of(source)
    below = np.concatenate([[0.0], np.cumsum(source.certainty) / source.n_px])
    edges = np.linspace(0, 1, N_SCORES + 1)
    threshold = np.interp(wrong, below + 1e-12 * np.arange(len(below)), edges)
    theirs = np.concatenate([[0.0], np.cumsum(target.certainty) / target.n_px])
    return float(1 - np.interp(threshold, edges, theirs))


def estimate_accuracies(source: Reading, target: Reading) -> dict[str, float]:
    """Accuracy by the usual methods, which all trust the confidence of the network.

    Without truth of the source, only the first of them is there.
    """
    found = {"average_confidence": target.mean_confidence}
    if source.confusion is not None:
        found["difference_of_confidences"] = difference_of_confidences(source, target)
        found["average_thresholded_confidence"] = average_thresholded_confidence(source, target)
    return found


def bound_accuracies(
    cases: Sequence[Case], estimates: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Range for each estimate of accuracy, as wide as its errors on all simulated changes.

    Without cases, all but the estimate itself is NaN.
    """
    found = {}
    for name, value in estimates.items():
        known = [case for case in cases if name in case.accuracies]
        errors = np.array([case.accuracy - case.accuracies[name] for case in known] or [np.nan])
        found[name] = {
            "accuracy": value,
            "low": float(np.clip(value + errors.min(), 0, 1)),
            "high": float(np.clip(value + errors.max(), 0, 1)),
            "mean_error": float(np.abs(errors).mean()),
        }
    return found


def accuracy_of(reading: Reading) -> float:
    """Share of the pixels that are right [1]; NaN without truth or without a labelled pixel."""
    return float("nan") if reading.confusion is None else float(accuracy(reading.confusion))


def predict_score(cases: Sequence[Case], signs: Sequence[float]) -> float:
    """Mean of a ridge regression on the signs, and of the cases whose signs are most alike.

    The line extends to doses that were not simulated; the neighbours follow what is not straight.
    """
    table, truth = _signs_in(cases), _scores_in(cases)
    mean, spread = _centre(table)
    scaled, own = (table - mean) / spread, (np.asarray(signs) - mean) / spread
    slope = np.linalg.solve(
        scaled.T @ scaled + _RIDGE * np.eye(len(own)), scaled.T @ (truth - truth.mean())
    )
    line = np.clip(truth.mean() + own @ slope, 0, 1)
    distance = _distances(table, signs)
    nearest = np.argsort(distance, kind="stable")[:_NEIGHBOURS]
    weights = 1 / (distance[nearest] + 0.1)
    return float((line + weights @ truth[nearest] / weights.sum()) / 2)


def nearest_case(cases: Sequence[Case], signs: Sequence[float]) -> Case:
    """Find the simulated change whose predictions look most like those with these signs."""
    return cases[int(np.argmin(_distances(_signs_in(cases), signs)))]


def errors_left_out(cases: Sequence[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Mean IoU of each case, estimated from those of other families, and the true one."""
    estimated = [
        predict_score([other for other in cases if other.family != one.family], one.signs)
        for one in cases
    ]
    return np.array(estimated), _scores_in(cases)


def estimate_score(cases: Sequence[Case], signs: Sequence[float]) -> Estimate:
    """Range for the mean IoU of a set with these signs, from cases of at least two families.

    It holds every error that was made on families left out where the estimate was about as high: a
    new kind of change is then as likely to lie outside as any one of those families is to be the
    worst. Poor scores are less certain than good ones, and are more often estimated too high than
    too low.
    """
    estimated, truth = errors_left_out(cases)
    middle = predict_score(cases, signs)
    n_alike = max(_LEAST_ALIKE, len(cases) // 3)
    alike = np.argsort(np.abs(estimated - middle), kind="stable")[:n_alike]
    errors = (truth - estimated)[alike]
    table = _signs_in(cases)
    leeway = 0.1 * np.ptp(table, axis=0) + 1e-3
    outside = (signs < table.min(axis=0) - leeway) | (signs > table.max(axis=0) + leeway)
    return Estimate(
        mean_iou=middle,
        low=float(np.clip(middle + errors.min(), 0, middle)),
        high=float(np.clip(middle + errors.max(), middle, 1)),
        mean_error=float(np.abs(estimated - truth).mean()),
        rank_correlation=_rank_correlation(estimated, truth),
        n_cases=len(cases),
        is_extrapolated=bool(outside.any()),
    )


def label_shift_score(source: Reading, fractions: Sequence[float]) -> float:
    """Mean IoU if phases are as well recognised as on the source, but in other true fractions.

    NaN without truth, and where the source lacks a phase that the target has.
    """
    fractions = np.asarray(fractions)
    if source.confusion is None or (fractions[source.confusion.sum(axis=1) == 0] > 0).any():
        return float("nan")
    rows = source.confusion / np.maximum(source.confusion.sum(axis=1, keepdims=True), 1)
    return float(mean_iou(rows * fractions[:, None]))


def _rank_correlation(estimated, truth):
    """Spearman's; NaN where either is constant."""
    if np.ptp(estimated) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(spearmanr(estimated, truth).statistic)


def _signs_in(cases):
    return np.array([case.signs for case in cases])


def _scores_in(cases):
    return np.array([case.mean_iou for case in cases])


def _distances(table, signs):
    """Root mean square over the signs, each in units of its spread."""
    return np.sqrt((((table - signs) / _centre(table)[1]) ** 2).mean(axis=1))


def _centre(table):
    return table.mean(axis=0), np.maximum(table.std(axis=0), 1e-3)
