"""What a score record says of a cell, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mstool.scores.statistics import scores_of_sums, unit_sums

_OVER_IMAGES = 1  # place of the mean over images among the scores of `scores_of_sums`


@dataclass(frozen=True, eq=False)
class ScoredCell:
    """Confusion matrices of a cell, micrograph by micrograph.

    Attributes
    ----------
    name : str
        Of the cell.
    images : tuple of str
        Names of its N micrographs.
    units : tuple of str or None
        Specimen of each, where several share one; None where each micrograph is a unit.
    classes : tuple of str
        Names of its C classes.
    confusions : ndarray of int64, shape (N, C, C)
        Rows truth; summed over runs.
    by_run : ndarray of int64, shape (R, C, C)
        Of each run, summed over micrographs.
    """

    name: str
    images: tuple[str, ...]
    units: tuple[str, ...] | None
    classes: tuple[str, ...]
    confusions: np.ndarray
    by_run: np.ndarray

    @property
    def n_runs(self) -> int:
        """Runs that are pooled."""
        return len(self.by_run)


def scored_cell(name: str, record: Mapping[str, Any]) -> ScoredCell:
    """Cell of a score record.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is no such record.
    """
    rows, classes = record["per_image"], tuple(map(str, record["classes"]))
    confusions = np.array([row["confusion"] for row in rows], np.int64)
    if confusions.shape != (len(rows), len(classes), len(classes)) or not rows:
        raise ValueError("per_image and classes do not fit")
    runs = record["runs"] or [record["pooled"]]
    by_run = np.array([run["confusion"] for run in runs], np.int64)
    if by_run.shape[1:] != confusions.shape[1:]:
        raise ValueError("runs and classes do not fit")
    images = tuple(str(row["image"]) for row in rows)
    return ScoredCell(name, images, _units(record, rows), classes, confusions, by_run)


def scores_by_run(cell: ScoredCell) -> np.ndarray:
    """Scores of each run as `scores_of_sums` orders them, float64, shape (R, 3 + C).

    The mean over images is NaN: records have no micrographs of single runs.
    """
    scores = scores_of_sums(unit_sums(cell.by_run))
    scores[:, _OVER_IMAGES] = np.nan
    return scores


def _units(record: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> tuple[str, ...] | None:
    """Specimen of each micrograph; None where there are as many as micrographs."""
    groups = tuple(str(row.get("group", "")) for row in rows)
    if "" in groups:
        if (record.get("interval") or {}).get("unit") == "group":
            raise ValueError("it does not say which specimen a micrograph is of; score again")
        return None
    return groups if len(set(groups)) < len(groups) else None
