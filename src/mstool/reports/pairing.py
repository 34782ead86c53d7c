"""Cells of the same micrographs, compared with their base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.p_values import holm
from mstool.reports.scored_cell import ScoredCell, scores_by_run
from mstool.scores.versus import Versus, compare_scores
from mstool.splits.groups import join_relations


@dataclass(frozen=True, eq=False)
class Comparison:
    """A cell less its base.

    Attributes
    ----------
    versus : Versus
        Differences of scores, the first that of the pooled mean IoU.
    p_holm : float
        P of that one, corrected for the number of comparisons in the report.
    least_p_holm : float
        Smallest that it could have been, with the smallest p of all comparisons.
    by_run : tuple of float
        Difference of mean IoU of each run of the cell to the run of the base in the same place,
        or to the mean of its runs where they are not as many.
    has_run_variance : bool
        Whether the interval has what differs between runs in it.
    """

    versus: Versus
    p_holm: float
    least_p_holm: float
    by_run: tuple[float, ...]
    has_run_variance: bool


def why_not_paired(cell: ScoredCell, base: ScoredCell) -> str:
    """Reason for which a cell cannot be compared with the base, in words; empty if it can."""
    if set(cell.classes) != set(base.classes):
        return f"its classes are {', '.join(cell.classes)}, those of {base.name} differ"
    strange, lacking = set(cell.images) - set(base.images), set(base.images) - set(cell.images)
    if strange or lacking:
        example = sorted(strange or lacking)[0]
        where = base.name if strange else cell.name
        return f"it is of other micrographs than {base.name} ({example} is not in {where})"
    if len(set(cell.images)) < len(cell.images):
        return "two of its micrographs have the same name"
    ours, theirs = _aligned(cell, base)
    if (ours.sum(axis=2) != theirs.sum(axis=2)).any():
        return f"its label maps are not those of {base.name}, or other pixels were left out"
    return ""


def compare_with_base(
    pairs: Sequence[tuple[ScoredCell, ScoredCell]], seed: int
) -> dict[str, Comparison]:
    """Comparison of each cell with its base, by name of the cell, for (cell, base) that pair.

    All of them are one family: p-values are corrected for their number, over data sets too.
    """
    found = {cell.name: _compare(cell, base, seed) for cell, base in pairs}
    corrected = holm({name: float(versus.p[0]) for name, (versus, *_) in found.items()})
    smallest = {
        name: versus.smallest_p for name, (versus, *_) in found.items() if np.isfinite(versus.p[0])
    }
    return {
        name: Comparison(
            versus,
            corrected[name],
            holm(smallest | {name: versus.smallest_p})[name],
            by_run,
            has_runs,
        )
        for name, (versus, by_run, has_runs) in found.items()
    }


def best_cell(mean_iou: Mapping[str, float]) -> str:
    """Name of the cell with the largest mean IoU; the first of equals."""
    return max(mean_iou, key=lambda name: -1.0 if np.isnan(mean_iou[name]) else mean_iou[name])


def _compare(
    cell: ScoredCell, base: ScoredCell, seed: int
) -> tuple[Versus, tuple[float, ...], bool]:
    ours, theirs = _aligned(cell, base)
    runs, runs_of_base = scores_by_run(_in_order(cell, base)), scores_by_run(base)
    has_runs = len(runs) == len(runs_of_base) > 1
    by_run = runs - runs_of_base if has_runs else None
    versus = compare_scores(ours, theirs, _common_units(cell, base), seed, by_run=by_run)
    each = by_run if has_runs else runs - runs_of_base.mean(axis=0)
    return versus, tuple(each[:, 0].tolist()), has_runs


def _common_units(cell: ScoredCell, base: ScoredCell) -> list[str] | None:
    """Unit of each micrograph of the base: what shares one in either cell is not independent."""
    if cell.units is None and base.units is None:
        return None
    ours = _in_order(cell, base).units
    return join_relations(base.units or base.images, ours or base.images)


def _aligned(cell: ScoredCell, base: ScoredCell) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of both in the order of the base, multiplied to stand for as many runs.

    To multiply all matrices of a cell by one number changes none of its scores.
    """
    common = np.lcm(cell.n_runs, base.n_runs)
    ours = _in_order(cell, base).confusions * (common // cell.n_runs)
    return ours, base.confusions * (common // base.n_runs)


def _in_order(cell: ScoredCell, base: ScoredCell) -> ScoredCell:
    """The same cell with micrographs and classes in the order of the base."""
    rows = [cell.images.index(name) for name in base.images]
    classes = [cell.classes.index(name) for name in base.classes]
    square = np.ix_(classes, classes)
    by_run = np.array([matrix[square] for matrix in cell.by_run])
    confusions = np.array([cell.confusions[row][square] for row in rows])
    units = cell.units and tuple(cell.units[row] for row in rows)
    return ScoredCell(cell.name, base.images, units, base.classes, confusions, by_run)
