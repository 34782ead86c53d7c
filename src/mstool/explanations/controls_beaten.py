"""Whether maps tell the network's reasons better than controls that know nothing of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.explanations.controls import CONTROLS, DISTANCE, RANDOM
from mstool.explanations.means import finite_mean, unit_means
from mstool.explanations.paired import Comparison, compare_pairs, least_attainable_p
from mstool.explanations.removal import RemovalCurves
from mstool.explanations.verdicts import Thresholds, judge_faithfulness

ROAD, INFIDELITY = "road", "infidelity"


@dataclass(frozen=True)
class Removal:
    """What removing and perturbing pixels of one region says of one map.

    Attributes
    ----------
    road : float
        Score [1]; more is better.
    infidelity : float
        Ratio [1]; less is better, NaN where nothing changed the decision.
    curves : RemovalCurves
        Deletion and insertion.
    """

    road: float
    infidelity: float
    curves: RemovalCurves


@dataclass(frozen=True)
class Faithful:
    """One map against all controls; measures are means over units of means over regions.

    Attributes
    ----------
    deletion, insertion, road, infidelity_ratio : float
        Mean measures [1].
    road_per_unit : tuple of float
        ROAD of each micrograph, or group [1].
    sensitivity_max : float
        Largest relative change of the map under faint noise [1]; NaN if not measured.
    p, p_equal : dict of str to dict of str to float
        By control and measure: of so large an advantage by chance, and of so small a one if it
        were the margin that counts [1].
    n_pairs : dict of str to dict of str to int
        Units on which both are defined, likewise.
    least_attainable_p : float
        Smallest p that the fewest of these pairs can give [1].
    verdict, reason : str or None
        Outcome, and what it rests on; None for the random map, that has nothing to beat.
    """

    deletion: float
    insertion: float
    road: float
    infidelity_ratio: float
    road_per_unit: tuple[float, ...]
    sensitivity_max: float
    p: dict[str, dict[str, float]]
    p_equal: dict[str, dict[str, float]]
    n_pairs: dict[str, dict[str, int]]
    least_attainable_p: float
    verdict: str | None
    reason: str | None


@dataclass(frozen=True)
class Faithfulness:
    """All maps against all controls.

    Attributes
    ----------
    n_units, n_regions : int
        Groups of micrographs, which are compared, and regions of which each is a mean.
    least_units : int
        Units below which the verdict is ``inconclusive``.
    least_attainable_p : float
        Smallest p that so many units can give [1].
    methods, controls : dict of str to Faithful
        By label, by name.
    left_out : tuple of str
        What there was no time for.
    """

    n_units: int
    n_regions: int
    least_units: int
    least_attainable_p: float
    methods: dict[str, Faithful]
    controls: dict[str, Faithful]
    left_out: tuple[str, ...] = ()


def weigh_removal(
    rows: Sequence[Mapping[str, Removal]],
    units: Sequence[str],
    name: str,
    limits: Thresholds,
    sensitivity: float = float("nan"),
) -> Faithful:
    """Compare one map with each control, and judge by those that must be beaten.

    Parameters
    ----------
    rows : sequence of mapping of str to Removal
        Of each region, by label of the map or name of the control.
    units : sequence of str
        Micrograph or group of each region.
    name : str
        The map.
    limits : Thresholds
        Where to cut.
    sensitivity : float
        To be noted with it.
    """
    road, infidelity = (_by_unit(rows, units, name, measure) for measure in (ROAD, INFIDELITY))
    areas = unit_means([row[name].curves.areas for row in rows], units)
    found = {
        control: _compare(rows, units, name, control, limits)
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


def _compare(rows, units, name: str, control: str, limits: Thresholds) -> dict[str, Comparison]:
    margins = {ROAD: limits.equal_road, INFIDELITY: limits.equal_infidelity}
    return {
        measure: compare_pairs(
            *(_by_unit(rows, units, one, measure) for one in (name, control)),
            margin,
            is_more_better=measure == ROAD,
        )
        for measure, margin in margins.items()
    }


def _by_unit(rows, units, name: str, measure: str) -> np.ndarray:
    return unit_means([getattr(row[name], measure) for row in rows], units)


def _pick(found: Mapping[str, Mapping[str, Comparison]], key: str) -> dict[str, dict]:
    return {
        control: {measure: getattr(one, key) for measure, one in table.items()}
        for control, table in found.items()
    }
