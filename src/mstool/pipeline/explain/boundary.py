"""Is it the grain boundaries? Attribution near them, and what is lost without them."""

from collections.abc import Callable, Sequence

import numpy as np

from mstool.explanations.boundaries import (
    INSIDE_PX,
    OUTSIDE_PX,
    band_mask,
    distance_profile,
    mean_profile,
    signed_distance,
)
from mstool.explanations.boundary_claim import BandUse, BoundaryUse, over_others, use_of_band
from mstool.explanations.controls import EDGE, edge_map
from mstool.explanations.counterfactuals import (
    CAUSES,
    Change,
    Counterfactual,
    region_drops,
    remove_causes,
    weigh_causes,
)
from mstool.explanations.field_of_view import Field
from mstool.explanations.means import finite_mean, unit_means
from mstool.explanations.regions import Region, count_units
from mstool.nn.infer import image_probabilities
from mstool.pictures.changed_micrographs import draw_counterfactual
from mstool.pictures.distance_curves import draw_boundary
from mstool.pipeline.explain.question import Maps, Question
from mstool.pipeline.explain.sanity import random_maps


def check_boundary(
    question: Question, regions: Sequence[Region], maps_of: Callable[[int], Maps]
) -> BoundaryUse:
    """Measure attribution against distance, and change the micrographs.

    `maps_of` gives the maps of a region by its number; ``boundary.png`` and ``counterfactual.png``
    are drawn.
    """
    left_out: list[str] = []
    own = [maps_of(number) for number, _ in question.in_time("boundary", regions, left_out)]
    regions = regions[: len(own)]
    units, windows = [region.unit for region in regions], [region.near for region in regions]
    distances = [signed_distance(region.labels, question.class_index) for region in regions]
    bands = [band_mask(distance) for distance in distances]
    named = _name_maps(question, regions, own)
    size, band = question.pixel_size_um, (INSIDE_PX, OUTSIDE_PX)
    profile = {
        name: mean_profile(list(map(distance_profile, maps, distances, windows)), units)
        for name, maps in named.items()
    }
    uses = {name: use_of_band(maps, bands, windows, units) for name, maps in named.items()}
    shares = [(one & near).sum() / near.sum() for one, near in zip(bands, windows, strict=True)]
    title = f"Attribution of {question.settings.class_name} against distance to its boundary"
    question.draw("boundary.png", draw_boundary(profile, title, size))
    return BoundaryUse(
        question.source,
        band,
        None if size is None else (band[0] * size, band[1] * size),
        count_units(regions),
        len(regions),
        finite_mean(unit_means(shares, units)),
        _compare(question, uses),
        profile,
        _counterfactual(question, left_out),
        tuple(left_out),
    )


def _name_maps(
    question: Question, regions: Sequence[Region], own: Sequence[Maps]
) -> dict[str, list[np.ndarray]]:
    """Maps of all regions: by method, by method with random weights, and of the edge detector."""
    random = random_maps(question, regions, 900 + question.settings.seed)
    named = {label: [maps[label] for maps in own] for label in question.method_labels}
    named |= {_random(label): [maps[label] for maps in random] for label in question.method_labels}
    return named | {f"control: {EDGE}": [edge_map(region.image) for region in regions]}


def _random(label: str) -> str:
    return f"{label}, random weights"


def _compare(question: Question, uses: dict[str, BandUse]) -> dict[str, BandUse]:
    edge = uses[f"control: {EDGE}"]
    own = {
        name: over_others(uses[name], edge, uses[_random(name)]) for name in question.method_labels
    }
    return uses | own


def _counterfactual(question: Question, left_out: list[str]) -> Counterfactual:
    """Loss of probability in the interior of regions, under each of the three changes.

    Fields that there was no time for are added to `left_out`; there is time for the first.
    """
    drops: dict[str, list[float]] = {cause: [] for cause in CAUSES}
    units: list[str] = []
    dense, shown = [], None
    n_seen = 0
    for number in question.budget.paced(range(len(question.fields))):
        n_seen, field = number + 1, question.fields[number]
        change = remove_causes(
            field.image, field.prediction, question.class_index, question.rng(75, number)
        )
        if change is None:
            continue
        dense.append(change.band_share)
        for cause, image in change.images.items():
            drops[cause] += _drops(question, field, change, image)
        units += [field.group] * int(change.components.max())
        shown = shown or (field, change)
    if n_seen < len(question.fields):
        left_out.append(f"causes in {len(question.fields) - n_seen} images")
    found = weigh_causes(drops, units, dense, question.limits)
    if shown is not None:
        _draw_change(question, *shown, drops, found)
    return found


def _drops(question: Question, field: Field, change: Change, image: np.ndarray) -> list[float]:
    after = image_probabilities(question.segmenter, image, question.compute)
    before, index = field.probabilities, question.class_index
    return region_drops(before[index], after[index], change.components, change.core).tolist()


def _draw_change(
    question: Question,
    field: Field,
    change: Change,
    drops: dict[str, list[float]],
    found: Counterfactual,
) -> None:
    images = {f"without {cause}": image for cause, image in change.images.items()}
    figure = draw_counterfactual(
        {"micrograph": field.image, **images},
        drops,
        found.drop,
        found.interval,
        found.verdict,
        f"What does {question.settings.class_name} depend on? ({field.name})",
        field.pixel_size_um,
    )
    question.draw("counterfactual.png", figure)
