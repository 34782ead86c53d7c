"""Whether maps show a cause that is known: patches against some regions."""

import time
from collections.abc import Sequence
from dataclasses import replace

from mstool.explanations.controls import CONTROLS, control_maps
from mstool.explanations.known_cause import Attacked, KnownCause, patch_density, weigh_patches
from mstool.explanations.regions import Region, count_units, surroundings
from mstool.nn.attack import Patch, attack, place_patch
from mstool.nn.attribution import Method, attribute
from mstool.pictures.map_panels import Panel, draw_attribution
from mstool.pipeline.explain.question import Maps, Question

N_REGIONS, N_HIDDEN = 4, 2
LEAST_MAPS = 12  # as long as so many maps with little effort takes one region
_HIDDEN_STEPS = 40  # each needs second derivatives
_AREA = 0.02  # of the window that the patch takes
_GAP_PX = 2


def check_patch(question: Question, regions: Sequence[Region]) -> KnownCause:
    """Attack the decision on four regions, openly and hiding from each class activation map.

    The first patch that is a cause is drawn, ``patch.png``.
    """
    attacks: list[Attacked] = []
    left_out: list[str] = []
    chosen = regions[:N_REGIONS]
    for number, region in question.in_time("known cause", chosen, left_out):
        is_first = not any(attacked.enrichment for attacked in attacks)
        attacks.append(_attack(question, region, number, is_first, left_out))
    n_worked = sum(bool(attacked.enrichment) for attacked in attacks)
    return KnownCause(
        count_units(chosen[: len(attacks)]),
        len(attacks),
        n_worked,
        n_worked > 0,
        tuple(attacked.margin_shift for attacked in attacks),
        {label: weigh_patches(attacks, label, question.limits) for label in question.method_labels},
        {name: weigh_patches(attacks, name, question.limits) for name in CONTROLS},
        tuple(left_out),
    )


def _attack(
    question: Question, region: Region, number: int, is_first: bool, left_out: list[str]
) -> Attacked:
    """Patch one region; hidden attacks that there is no time for are added to `left_out`."""
    # what decides is the class against all others, whatever maps are asked for
    subject = replace(question, contrast="rest").ask_region(region)
    saliency = attribute(subject, [Method("saliency")])["saliency"].values
    edge = max(6, round((_AREA * region.inside.size) ** 0.5))
    inside = place_patch(saliency, surroundings(region.inside, _GAP_PX), edge)
    if inside is None:
        return Attacked(float("nan"), {}, {})
    seed, limits = question.settings.seed + number, question.limits_grey
    began = time.monotonic()
    openly = attack(subject, inside, limits, seed=seed)
    if openly.margin_shift < question.limits.patch_shift:
        return Attacked(openly.margin_shift, {}, {})
    hiding_s = 2 * (time.monotonic() - began)  # fewer steps, but through second derivatives
    enrichment, maps = _densities(question, openly, number)
    if is_first:
        _draw(question, region, openly, maps)
    hidden = {}
    for method in question.methods if number < N_HIDDEN else ():
        if not method.layer:
            continue
        if not question.budget.fits(hiding_s):
            left_out.append(f"patches that hide from {method.label}")
            continue
        where = method.name, method.layer
        hiding = attack(subject, inside, limits, where, _HIDDEN_STEPS, seed)
        if hiding.margin_shift >= openly.margin_shift / 2:
            hidden[method.label] = _densities(question, hiding, number)[0]
    return Attacked(openly.margin_shift, enrichment, hidden)


def _densities(question: Question, patch: Patch, number: int) -> tuple[dict[str, float], Maps]:
    """Density of each map in the patch, where 1 is even; and the maps."""
    maps, subject = question.explain(patch.subject), patch.subject
    controls = control_maps(subject.image, subject.target.region, question.rng(74, number))
    every = {**maps, **controls}
    return {label: patch_density(values, patch.inside) for label, values in every.items()}, maps


def _draw(question: Question, region: Region, patch: Patch, maps: Maps) -> None:
    gained = question.classes[patch.subject.target.class_index]
    lost = question.settings.class_name
    figure = draw_attribution(
        patch.subject.image,
        [Panel(one.label, maps[one.label], one.is_signed) for one in question.methods],
        patch.inside,
        f"{region.field}: a patch made to turn {lost} into {gained}",
        None,
        "micrograph with patch, outlined",
    )
    question.draw("patch.png", figure)
