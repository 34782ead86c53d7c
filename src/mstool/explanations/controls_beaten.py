"""Whether maps tell the network's reasons better than controls that know nothing of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.swaps import least_attainable_p
from mstool.explanations.controls import CONTROLS, DISTANCE, RANDOM
from mstool.explanations.means import finite_mean, unit_means
from mstool.explanations.paired import Comparison, compare_pairs
from mstool.explanations.removal import SHARE, RemovalCurves
from mstool.explanations.verdicts import Thresholds, judge_faithfulness

ROAD, INFIDELITY = "road", "infidelity"


@dataclass(frozen=True)
class Removal:
    """What removing and perturbing pixels of one region says of one map."""

    road: float  # score [1]; more is better
    # ratio [1] by kind of map; less is better, NaN where nothing changed the decision
    infidelity: Mapping[str, float]
    curves: RemovalCurves  # deletion and insertion


@dataclass(frozen=True)
class Faithful:
    """One map against all controls; measures are means over units of means over regions [1].

    P values and numbers of pairs are by control and by measure.
    """

    deletion: float
    insertion: float
    road: float
    infidelity_ratio: float
    road_per_unit: tuple[float, ...]  # of each micrograph, or group
    sensitivity_max: float  # largest relative change under faint noise; NaN if not measured
    p: dict[str, dict[str, float]]  # of so large an advantage by chance
    p_equal: dict[str, dict[str, float]]  # of so small a one if the margin were true
    n_pairs: dict[str, dict[str, int]]  # units on which both are defined
    least_attainable_p: float  # with the fewest of these pairs
    verdict: str | None  # None for the random map, which has nothing to beat
    reason: str | None  # what it rests on


@dataclass(frozen=True)
class Faithfulness:
    """All maps against all controls."""

    n_units: int
    n_regions: int
    least_units: int  # below which the verdict is inconclusive
    least_attainable_p: float  # that so many units can give [1]
    methods: dict[str, Faithful]
    controls: dict[str, Faithful]
    left_out: tuple[str, ...] = ()


def weigh_removal(
    rows: Sequence[Mapping[str, Removal]],
    units: Sequence[str],
    name: str,
    limits: Thresholds,
    kind: str = SHARE,
    sensitivity: float = float("nan"),
) -> Faithful:
    """Compare one map with each control, and judge by those that must be beaten.

    Parameters
    ----------
    rows : sequence of mapping of str to Removal
        Of each region, by label of the map or name of the control.
    name : str
        The map.
    kind : str
        What its values are, by which the infidelity of controls is taken too: see
        `perturbation_sizes`.
    sensitivity : float
        To be noted with it.
    """
    road, infidelity = (_by_unit(rows, units, name, of) for of in _measures(kind).values())
    areas = unit_means([row[name].curves.areas for row in rows], units)
    found = {
        control: _compare(rows, units, name, control, kind, limits)
        for control in CONTROLS
        if control != name
    }
    verdict = reason = None
    if name != RANDOM:
        # the distance control does not beat itself
        verdict, reason = judge_faithfulness(found[RANDOM], found.get(DISTANCE, {}), limits)
    n_least = min(one.n_pairs for table in found.values() for one in table.values())
    return Faithful(
        *(finite_mean(column) for column in areas.T),
        finite_mean(road),
        finite_mean(infidelity),
        tuple(road.tolist()),
        sensitivity,
        _pick(found, "p"),
        _pick(found, "p_equal"),
        _pick(found, "n_pairs"),
        least_attainable_p(n_least),
        verdict,
        reason,
    )


def mean_curves(
    rows: Sequence[Mapping[str, Removal]], units: Sequence[str], name: str
) -> RemovalCurves:
    """Mean curves of a map, over units of means over their regions."""
    curves = [row[name].curves for row in rows]
    deletion, insertion = (
        unit_means([getattr(one, kind) for one in curves], units).mean(axis=0)
        for kind in ("deletion", "insertion")
    )
    return RemovalCurves(curves[0].shares, deletion, insertion)


def _compare(
    rows, units, name: str, control: str, kind: str, limits: Thresholds
) -> dict[str, Comparison]:
    margins = {ROAD: limits.equal_road, INFIDELITY: limits.equal_infidelity}
    return {
        measure: compare_pairs(
            *(_by_unit(rows, units, one, of) for one in (name, control)),
            margins[measure],
            is_more_better=measure == ROAD,
        )
        for measure, of in _measures(kind).items()
    }


def _measures(kind: str) -> dict[str, Callable[[Removal], float]]:
    """Both measures of a map of one kind."""
    return {ROAD: lambda one: one.road, INFIDELITY: lambda one: one.infidelity[kind]}


def _by_unit(rows, units, name: str, of: Callable[[Removal], float]) -> np.ndarray:
    return unit_means([of(row[name]) for row in rows], units)


def _pick(found: Mapping[str, Mapping[str, Comparison]], key: str) -> dict[str, dict]:
    return {
        control: {measure: getattr(one, key) for measure, one in table.items()}
        for control, table in found.items()
    }
