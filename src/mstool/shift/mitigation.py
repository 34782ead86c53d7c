"""How a network fares on the target under each repair, and which one is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.choice import NONE, choose_repair
from mstool.shift.readings import Reading, add_readings


@dataclass(frozen=True)
class RepairRow:
    """Signs and predicted phase fractions [1] under a repair; the score is NaN without labels."""

    name: str
    self_consistency: float
    confidence: float
    phase_fraction: dict[str, float]
    mean_iou: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Mitigation:
    """All repairs that were tried, and the one that is taken."""

    repairs: tuple[RepairRow, ...]
    chosen: str
    files: tuple[str, ...] = ()  # what it made, relative to the record
    left_out: tuple[str, ...] = ()  # for lack of time

    @property
    def chosen_row(self) -> RepairRow:
        """Row of the one that is taken."""
        return next(row for row in self.repairs if row.name == self.chosen)

    @property
    def makes_worse(self) -> bool:
        """Whether the labels show that it loses more than it brings; False without labels."""
        without = next(row for row in self.repairs if row.name == NONE)
        return self.chosen_row.mean_iou < without.mean_iou


def compare_repairs(
    trials: Mapping[str, Sequence[Reading]],
    source: Reading,
    groups: Sequence[str],
    classes: Sequence[str],
    is_auto: bool,
) -> Mitigation:
    """Table of repairs, and the one that is chosen: the most consistent, or else the last one.

    Trials are readings of each micrograph of the target, under each repair and ``none``; groups are
    those of the target.
    """
    pooled = {name: add_readings(found) for name, found in trials.items()}
    rows = []
    for name, reading in pooled.items():
        scores = reading.mean_iou, (float("nan"),) * 2
        if reading.confusion is not None:
            confusions = [one.confusion for one in trials[name]]
            scores = mean_iou_with_interval(confusions, groups)
        fractions = dict(zip(classes, reading.fractions, strict=True))
        rows.append(
            RepairRow(name, reading.self_consistency, reading.mean_confidence, fractions, *scores)
        )
    has_truth = pooled[NONE].confusion is not None
    known = {row.name: row.mean_iou for row in rows} if has_truth else None
    chosen = choose_repair(pooled, source, known) if is_auto else rows[-1].name
    return Mitigation(tuple(rows), chosen)
