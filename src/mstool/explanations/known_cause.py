"""Whether maps show a cause that is known: a patch made to change the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.explanations.means import finite_mean
from mstool.explanations.verdicts import Thresholds, judge_patch


@dataclass(frozen=True)
class Attacked:
    """What a patch did to one region, and which maps show it.

    Density of a map in the patch is 1 where it is even. `enrichment` has it by map, and is empty if
    the patch is no cause; `hidden` has the same for patches that hide from a map, by that map.
    """

    margin_shift: float  # loss of the class against the rest [logits]; NaN without room for it
    enrichment: Mapping[str, float]
    hidden: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Shown:
    """How well a map shows patches."""

    enrichment: float  # mean density in open patches, where 1 is even [1]; NaN without any
    kept: float  # share of it in the patches that hide best [1]; NaN without any
    hidden_from: dict[str, float]  # share that is left, by the map from which the patch hides [1]
    verdict: str  # pass, fail or inconclusive
    reason: str | None = None  # where no patch could be tried


@dataclass(frozen=True)
class KnownCause:
    """Patches on some regions."""

    n_units: int
    n_regions: int  # that were attacked
    n_attackable: int  # of these, where a patch is a cause
    is_attackable: bool  # whether there is any
    margin_shift: tuple[float, ...]  # of each region [logits]; NaN without room for a patch
    methods: dict[str, Shown]
    controls: dict[str, Shown]
    left_out: tuple[str, ...] = ()

    @property
    def is_resisted(self) -> bool:
        """Whether patches were tried and none is a cause, so that no method can show one."""
        return not self.is_attackable and bool(np.isfinite(self.margin_shift).any())


def patch_density(attribution: np.ndarray, inside: np.ndarray) -> float:
    """Share of the absolute attribution in a patch over its share of the area; 0 for zeros [1].

    Examples
    --------
    >>> patch_density(np.array([[3.0, 1.0]]), np.array([[True, False]]))
    1.5
    """
    size = np.abs(attribution)
    total = float(size.sum())
    return float(size[inside].sum() / total / inside.mean()) if total > 0 else 0.0


def weigh_patches(attacks: Sequence[Attacked], label: str, limits: Thresholds) -> Shown:
    """Means over attacks that worked; what is kept is that of the best hiding place."""
    worked = [attacked for attacked in attacks if attacked.enrichment]
    openly = finite_mean(attacked.enrichment[label] for attacked in worked)
    kept: dict[str, list[float]] = {}
    for attacked in worked:
        for hidden_from, densities in attacked.hidden.items():
            ratio = densities[label] / max(attacked.enrichment[label], 1e-9)
            kept.setdefault(hidden_from, []).append(ratio)
    hidden_from = {name: finite_mean(ratios) for name, ratios in kept.items()}
    least = min(hidden_from.values(), default=float("nan"))
    was_tried = any(np.isfinite(attacked.margin_shift) for attacked in attacks)
    reason = None if was_tried else "no region left room for a patch beside it"
    return Shown(openly, least, hidden_from, judge_patch(openly, least, limits), reason)
