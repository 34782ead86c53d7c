"""Whether what maps call important matters to the network, more than what controls call so."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from mstool.chance.swaps import least_attainable_p, least_pairs
from mstool.explanations.controls import CONTROLS, control_maps
from mstool.explanations.controls_beaten import (
    Faithful,
    Faithfulness,
    Removal,
    mean_curves,
    weigh_removal,
)
from mstool.explanations.means import finite_mean
from mstool.explanations.regions import Region, count_units
from mstool.explanations.removal import (
    deletion_insertion,
    draw_perturbations,
    infidelity_ratio,
    perturbation_sizes,
    road_score,
)
from mstool.nn.attribution import LIGHT_EFFORT, blurred
from mstool.nn.target import class_probability, target_values
from mstool.pictures.removal_curves import draw_faithfulness
from mstool.pipeline.explain.question import Maps, Question

N_PERTURBATIONS, N_NOISES, N_SENSITIVE = 48, 4, 3
LEAST_MAPS = 25  # as long as so many maps with little effort takes one region
_NOISE = 0.01  # of the grey range, on filled pixels
_CHANGE = 0.02  # of the grey range, for sensitivity

Rows = Sequence[dict[str, Removal]]


def check_faithfulness(
    question: Question, regions: Sequence[Region], maps_of: Callable[[int], Maps]
) -> Faithfulness:
    """Remove and perturb pixels, region by region; every map against every control.

    `maps_of` gives the maps of a region by its number; ``faithfulness.png`` is drawn.
    """
    rows: list[dict[str, Removal]] = []
    left_out: list[str] = []
    for number, region in question.in_time("faithfulness", regions, left_out):
        rows.append(_measure(question, region, maps_of(number), number))
    sensitivity = {}
    if question.budget.is_spent:
        left_out.append("sensitivity")
    else:
        sensitivity = _sensitivity(question, regions[:N_SENSITIVE], left_out)
    seen = regions[: len(rows)]
    units = [region.unit for region in seen]
    weigh = partial(weigh_removal, rows, units, limits=question.limits)
    methods = {
        one.label: weigh(one.label, kind=one.kind, sensitivity=sensitivity.get(one.label, np.nan))
        for one in question.methods
    }
    controls = {name: weigh(name) for name in CONTROLS}
    _draw(question, rows, units, methods | controls)
    n_units = count_units(seen)
    return Faithfulness(
        n_units,
        len(rows),
        least_pairs(question.limits.alpha),
        least_attainable_p(n_units),
        methods,
        controls,
        tuple(left_out),
    )


def _measure(question: Question, region: Region, own: Maps, number: int) -> dict[str, Removal]:
    """ROAD, curves and infidelity of every map and control on one region."""
    rng, image, near = question.rng(71, number), region.image, region.near
    subject = question.ask_region(region)
    predict = partial(class_probability, subject)
    soft = blurred(image)
    noise = _NOISE * _span(region)
    squares = draw_perturbations(near.shape, near, N_PERTURBATIONS, rng)
    changed = np.where(squares[..., None], soft, image)
    drops = target_values(subject, image[None])[0] - target_values(subject, changed)
    # maps are summed over channels
    sizes = perturbation_sizes(squares, (image - changed).mean(axis=3))
    kinds = {method.label: [method.kind] for method in question.methods}
    found = {}
    for name, values in {**own, **control_maps(image, region.inside, rng)}.items():
        fresh = question.rng(72, number)
        found[name] = Removal(
            road_score(image, values, near, predict, fresh, noise=noise),
            {
                kind: infidelity_ratio((sizes[kind] * values).sum(axis=(1, 2)), drops)
                for kind in kinds.get(name, sizes)
            },
            deletion_insertion(image, soft, values, near, predict, fresh),
        )
    return found


def _sensitivity(
    question: Question, regions: Sequence[Region], left_out: list[str]
) -> dict[str, float]:
    """Largest relative change of a map under faint noise; a constant map would be the stablest."""
    largest: dict[str, list[float]] = {method.label: [] for method in question.methods}
    for number, region in question.in_time("sensitivity", regions, left_out):
        rng, strength = question.rng(73, number), _CHANGE * _span(region)
        before = question.explain(question.ask_region(region), LIGHT_EFFORT)
        changes: dict[str, list[float]] = {label: [0.0] for label in largest}
        for _ in range(N_NOISES):
            noise = rng.uniform(-strength, strength, region.image.shape).astype(np.float32)
            noisy = question.ask(region.image + noise, region.inside)
            for label, values in question.explain(noisy, LIGHT_EFFORT).items():
                norm = np.linalg.norm(before[label])
                if norm > 0:
                    changes[label].append(float(np.linalg.norm(values - before[label]) / norm))
        for label, values in changes.items():
            largest[label].append(max(values))
    return {label: finite_mean(values) for label, values in largest.items()}


def _span(region: Region) -> float:
    return float(np.ptp(region.image)) or 1.0


def _draw(question: Question, rows: Rows, units: list[str], found: Mapping[str, Faithful]) -> None:
    curves = {name: mean_curves(rows, units, name) for name in found}
    road = {name: [row[name].road for row in rows] for name in found}
    mean_road = {name: one.road for name, one in found.items()}
    title = f"Does what a map calls important matter? ({question.settings.class_name})"
    figure = draw_faithfulness(curves, road, mean_road, set(CONTROLS), title)
    question.draw("faithfulness.png", figure)
