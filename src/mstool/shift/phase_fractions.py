"""Phase fractions of two sets, and whether they differ by more than chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.divisions import Division
from mstool.chance.intervals import jackknife_interval
from mstool.chance.p_values import p_value
from mstool.chance.units import sum_by_unit
from mstool.labels.legend import IGNORE_INDEX
from mstool.scores.statistics import leave_out
from mstool.shift.distances import mean_difference


@dataclass(frozen=True)
class PhaseFractions:
    """Mean phase fractions by class [1], with intervals over specimens and the p of their change.

    The `basis` is ``labels`` or ``prediction``.
    """

    p: float
    basis: str
    source: dict[str, float]
    target: dict[str, float]
    source_interval: dict[str, tuple[float, float]]
    target_interval: dict[str, tuple[float, float]]

    @property
    def change(self) -> np.ndarray:
        """Target less source: (K,)."""
        return np.subtract(list(self.target.values()), list(self.source.values()))

    def describe(self) -> dict[str, object]:
        """Entry ``phase_fraction`` of the record, in which the basis is called ``from``."""
        facts = dict(vars(self))
        return {"from": facts.pop("basis"), **facts}


def count_classes(maps: Iterable[np.ndarray]) -> int:
    """Phases up to the last one that there is in label maps; at least 1."""
    return 1 + max((int(one[one != IGNORE_INDEX].max(initial=0)) for one in maps), default=0)


def true_fractions(maps: Sequence[np.ndarray], n_classes: int) -> np.ndarray:
    """Phase fractions (K,) of label maps taken together; NaN without a labelled pixel."""
    known = np.concatenate([one[one != IGNORE_INDEX] for one in maps])
    counts = np.bincount(known, minlength=n_classes)
    return counts / known.size if known.size else np.full(n_classes, np.nan)


def change_p(rows: Sequence[np.ndarray], division: Division) -> float:
    """P of the difference between the mean fractions of source and target, (N, K) and (M, K)."""
    return p_value(mean_difference(np.concatenate(rows), *division.weights))


def compare_fractions(
    rows: tuple[np.ndarray, np.ndarray],
    basis: str,
    groups: tuple[Sequence[str], Sequence[str]],
    division: Division,
    names: Sequence[str],
) -> PhaseFractions:
    """Means with intervals, and the p of their difference.

    Rows, (N, K), are phase fractions of each micrograph of source and target; names are those of
    the phases.
    """
    means = [dict(zip(names, one.mean(axis=0), strict=True)) for one in rows]
    intervals = [
        dict(zip(names, _mean_interval(*one), strict=True))
        for one in zip(rows, groups, strict=True)
    ]
    return PhaseFractions(change_p(rows, division), basis, *means, *intervals)


def _mean_interval(rows: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Interval of the mean of each column over micrographs, specimens being the unit: (K, 2)."""
    sums = sum_by_unit(np.hstack([rows, np.ones((len(rows), 1))]), groups)
    return jackknife_interval(*leave_out(sums, lambda s: s[..., :-1] / np.maximum(s[..., -1:], 1)))
