"""How a network fares on the target under each repair, and which one is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.divisions import Division
from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.choice import LEAST_GAIN, NONE, better_repairs, choose_repair
from mstool.shift.phase_fractions import change_p
from mstool.shift.readings import Reading, add_readings


@dataclass(frozen=True)
class RepairRow:
    """Signs and predicted phase fractions [1] under a repair; the score is NaN without labels.

    Fractions are means over micrographs, and `phase_fraction_p` is the p of their difference from
    those that are predicted on the source.
    """

    name: str
    self_consistency: float
    confidence: float
    phase_fraction: dict[str, float]
    phase_fraction_p: float
    mean_iou: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Mitigation:
    """All repairs that were tried, and the one that is taken."""

    repairs: tuple[RepairRow, ...]
    chosen: str
    is_better: bool  # clearly more consistent than none, or of a clearly higher score
    files: tuple[str, ...] = ()  # what it made, relative to the record
    left_out: tuple[str, ...] = ()  # for lack of time
    impossible: tuple[str, ...] = ()  # repairs, each with the reason

    @property
    def chosen_row(self) -> RepairRow:
        """Row of the one that is taken."""
        return next(row for row in self.repairs if row.name == self.chosen)

    @property
    def makes_worse(self) -> bool:
        """Whether its score is clearly lower than without a repair; False without labels."""
        without = next(row for row in self.repairs if row.name == NONE)
        return self.chosen_row.mean_iou < without.mean_iou - LEAST_GAIN


def compare_repairs(
    trials: Mapping[str, Sequence[Reading]],
    source: Sequence[Reading],
    groups: Sequence[str],
    division: Division,
    classes: Sequence[str],
    is_auto: bool,
) -> Mitigation:
    """Table of repairs, and the one that is chosen: the most consistent, or else the last one.

    Trials are readings of each micrograph of the target, under each repair and ``none``, and source
    those of the source as it is; groups are those of the target, and the division is of both sets.
    """
    pooled = {name: add_readings(found) for name, found in trials.items()}
    own = add_readings(source)
    rows = [
        _describe(name, found, source, groups, division, classes) for name, found in trials.items()
    ]
    has_truth = pooled[NONE].confusion is not None
    known = {row.name: row.mean_iou for row in rows} if has_truth else None
    chosen = choose_repair(pooled, own, known) if is_auto else rows[-1].name
    is_better = chosen in better_repairs(pooled, own, known)
    if known is not None:
        is_better |= known[chosen] > known[NONE] + LEAST_GAIN
    return Mitigation(tuple(rows), chosen, is_better)


def _describe(name, readings, source, groups, division, classes) -> RepairRow:
    pooled = add_readings(readings)
    scores = pooled.mean_iou, (float("nan"),) * 2
    if pooled.confusion is not None:
        scores = mean_iou_with_interval([one.confusion for one in readings], groups)
    shares = [np.stack([one.fractions for one in side]) for side in (source, readings)]
    return RepairRow(
        name,
        pooled.self_consistency,
        pooled.mean_confidence,
        dict(zip(classes, shares[1].mean(axis=0), strict=True)),
        change_p(shares, division),
        *scores,
    )
