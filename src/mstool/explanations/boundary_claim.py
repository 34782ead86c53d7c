"""Is it the boundaries? What was measured, and what becomes of the claim."""

from dataclasses import dataclass, replace

from mstool.explanations.boundaries import Profile, band_enrichment, band_share
from mstool.explanations.counterfactuals import BOUNDARY, MIXED, NOT_TESTABLE, Counterfactual
from mstool.explanations.means import finite_mean, unit_means


@dataclass(frozen=True)
class BandUse:
    """How much of a map lies in the band along the boundary [1].

    Enrichment is compared with that of a map that knows nothing of the network, and of the same
    method with random weights; NaN for these themselves.
    """

    share: float  # of the absolute attribution; NaN for a map of zeros
    enrichment: float  # the share over that of the area
    over_edge_detector: float = float("nan")
    over_random_weights: float = float("nan")


@dataclass(frozen=True)
class BoundaryUse:
    """Whether it is the boundaries: attribution near them, and what is lost without them."""

    source: str  # of the boundaries: labels or prediction
    band_px: tuple[float, float]  # how far the band reaches inside and outside
    band_um: tuple[float, float] | None  # None without a pixel size
    n_units: int
    n_regions: int
    band_area_share: float  # of the compared pixels [1]
    methods: dict[str, BandUse]  # controls and maps with random weights too
    profile: dict[str, Profile]  # means, by the same names
    counterfactual: Counterfactual  # what is lost
    left_out: tuple[str, ...] = ()


def use_of_band(maps, bands, windows, units) -> BandUse:
    """How much of the maps of one method lies in the bands, mean over units.

    Parameters
    ----------
    maps : sequence of ndarray of float, shape (H, W)
        One a region.
    bands, windows : sequence of ndarray of bool, shape (H, W)
        Band along the boundary, and pixels that count.
    """
    rows = list(zip(maps, bands, windows, strict=True))
    share, enrichment = (
        finite_mean(unit_means([measure(*row) for row in rows], units))
        for measure in (band_share, band_enrichment)
    )
    return BandUse(share, enrichment)


def over_others(own: BandUse, edge: BandUse, random: BandUse) -> BandUse:
    """The same, compared with the edge detector and with random weights."""
    return replace(
        own,
        over_edge_detector=_ratio(own.enrichment, edge.enrichment),
        over_random_weights=_ratio(own.enrichment, random.enrichment),
    )


def judge_claim(cause: str) -> str:
    """What becomes of the claim that boundaries decide, by the cause that was found."""
    known = {BOUNDARY: "supported", MIXED: "mixed", NOT_TESTABLE: "not_testable"}
    return known.get(cause, "not_supported")


def _ratio(first: float, second: float) -> float:
    return first / second if second else float("nan")
