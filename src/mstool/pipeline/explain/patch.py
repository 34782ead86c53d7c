"""Whether maps show a cause that is known: a patch made to change the decision."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mstool.explanations.controls import CONTROLS, control_maps
from mstool.explanations.verdicts import judge_patch
from mstool.nn.attribution import Method
from mstool.nn.cams import class_activation_maps
from mstool.nn.patch import Patch, attack, place_patch, surroundings
from mstool.pictures.attribution import Panel, draw_attribution
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.study import Study, Unit

N_UNITS, N_HIDDEN = 4, 2
_HIDDEN_STEPS = 40  # each needs second derivatives
_AREA = 0.02  # of the window that the patch takes
_GAP_PX = 2


def check_patch(study: Study, units: Sequence[Unit]) -> dict[str, Any]:
    """Attack the decision on some regions, openly and hiding from each class activation map.

    Parameters
    ----------
    study : Study
        The question.
    units : sequence of Unit
        The first four are used.

    Returns
    -------
    dict
        For the record, with the picture ``patch.png`` written.
    """
    rows: list[dict[str, Any]] = []
    chosen = units[:N_UNITS]
    with study.report.progress("known cause", len(chosen)) as advance:
        for number, unit in enumerate(chosen):
            if study.is_late and rows:
                study.left_out.append(f"known cause on {len(chosen) - number} regions")
                break
            rows.append(
                _attack_unit(
                    study, unit, number, is_first=not any(row.get("is_cause") for row in rows)
                )
            )
            advance(1)
    worked = [row for row in rows if row.get("is_cause")]
    labels = [*(method.label for method in study.methods), *CONTROLS]
    table = {label: _summary(study, worked, label) for label in labels}
    return {
        "n_units": len(rows),
        "n_attackable": len(worked),
        "is_attackable": bool(worked),
        "margin_shift": [row.get("margin_shift") for row in rows],
        "methods": {method.label: table[method.label] for method in study.methods},
        "controls": {name: table[name] for name in CONTROLS},
    }


def _attack_unit(study: Study, unit: Unit, number: int, is_first: bool) -> dict[str, Any]:
    subject = study.ask(unit.image, unit.region)
    gradient = class_activation_maps(subject, [])[1][0].abs().sum(dim=0).cpu().numpy()
    edge = max(6, round((_AREA * unit.region.size) ** 0.5))
    inside = place_patch(gradient, surroundings(unit.region, _GAP_PX), edge)
    if inside is None:
        return {"margin_shift": None}
    seed = study.settings.seed + number
    limits = study.limits_grey
    benign = attack(subject, inside, limits, seed=seed)
    row: dict[str, Any] = {
        "margin_shift": benign.margin_shift,
        "is_cause": benign.margin_shift >= study.limits.patch_shift,
    }
    if not row["is_cause"]:
        return row
    row["enrichment"], maps = _enrichments(study, benign, number)
    row["hidden"] = {}
    for method in study.methods:
        if not method.layer or number >= N_HIDDEN or study.is_late:
            continue
        where = method.name, method.layer
        hidden = attack(subject, inside, limits, where, _HIDDEN_STEPS, seed)
        if hidden.margin_shift >= benign.margin_shift / 2:
            row["hidden"][method.label] = _enrichments(study, hidden, number)[0]
    if is_first:
        _draw(study, unit, benign, maps)
    return row


def _enrichments(
    study: Study, patch: Patch, number: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Density of each map in the patch, where 1 is even."""
    maps = study.explain(patch.subject)
    rng = np.random.default_rng([study.settings.seed, 74, number])
    every = {**maps, **control_maps(patch.subject.image, patch.subject.target.region, rng)}
    area = patch.inside.mean()
    densities = {}
    for label, values in every.items():
        size = np.abs(values)
        total = float(size.sum())
        densities[label] = float(size[patch.inside].sum() / total / area) if total > 0 else 0.0
    return densities, maps


def _summary(study: Study, rows: list[dict[str, Any]], label: str) -> dict[str, Any]:
    """Means over attacks that worked; what is kept is that of the best hiding place."""
    if not rows:
        return {
            "enrichment": None,
            "kept": None,
            "verdict": judge_patch(np.nan, np.nan, study.limits),
        }
    openly = float(np.mean([row["enrichment"][label] for row in rows]))
    by_attack: dict[str, list[float]] = {}
    for row in rows:
        for hidden_from, densities in row["hidden"].items():
            ratio = densities[label] / max(row["enrichment"][label], 1e-9)
            by_attack.setdefault(hidden_from, []).append(ratio)
    kept = min((float(np.mean(values)) for values in by_attack.values()), default=float("nan"))
    return {
        "enrichment": openly,
        "kept": kept,
        "hidden_from": {name: float(np.mean(values)) for name, values in by_attack.items()},
        "verdict": judge_patch(openly, kept, study.limits),
    }


def _draw(study: Study, unit: Unit, patch: Patch, maps: dict[str, np.ndarray]) -> None:
    def panel(method: Method) -> Panel:
        return Panel(method.label, maps[method.label], method.is_signed)

    gained = study.classes[patch.subject.target.class_index]
    figure = draw_attribution(
        patch.subject.image,
        [panel(method) for method in study.methods],
        patch.inside,
        f"{unit.field}: a patch (outlined) made to turn {study.settings.class_name} into {gained}",
        None,
        stamp=study.settings.stamp,
    )
    save_figure(study.out / "patch.png", figure)
