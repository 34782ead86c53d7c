"""Whether what maps call important matters to the network, more than what controls call so."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mstool.explanations.controls import CONTROLS, DISTANCE, EDGE, RANDOM, control_maps
from mstool.explanations.faithfulness import (
    RemovalCurves,
    deletion_insertion,
    draw_perturbations,
    infidelity_ratio,
    least_attainable_p,
    paired_p,
    road_score,
)
from mstool.explanations.verdicts import judge_faithfulness
from mstool.nn.attribution import LIGHT_EFFORT, blurred
from mstool.nn.target import target_values
from mstool.pictures.faithfulness import draw_faithfulness
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.study import Study, Unit, finite_mean, probability_of

N_PERTURBATIONS, N_NOISES, N_SENSITIVE = 48, 4, 3
_NOISE = 0.01  # of the grey range, on filled pixels
_CHANGE = 0.02  # of the grey range, for sensitivity


def check_faithfulness(
    study: Study, units: Sequence[Unit], maps: Sequence[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Remove and perturb pixels, unit by unit; every map against every control.

    Parameters
    ----------
    study : Study
        The question.
    units : sequence of Unit
        All of them.
    maps : sequence of dict
        Of each unit, by label.

    Returns
    -------
    dict
        For the record, with the picture ``faithfulness.png`` written.
    """
    rows: list[dict[str, dict[str, Any]]] = []
    with study.report.progress("faithfulness", len(units)) as advance:
        for number, (unit, own) in enumerate(zip(units, maps, strict=True)):
            if study.is_late and rows:
                study.left_out.append(f"faithfulness on {len(units) - number} regions")
                break
            rows.append(_measure(study, unit, own, number))
            advance(1)
    labels = [method.label for method in study.methods]
    sensitivity = _sensitivity(study, units)
    methods = {
        label: {
            **_summary(rows, label),
            "sensitivity_max": sensitivity.get(label),
            **_compare(study, rows, label),
        }
        for label in labels
    }
    controls = {name: _summary(rows, name) for name in CONTROLS}
    for name in (EDGE, DISTANCE):
        controls[name] |= _compare(study, rows, name)
    _draw(study, rows, labels)
    return {
        "n_units": len(rows),
        "least_attainable_p": least_attainable_p(len(rows)),
        "methods": methods,
        "controls": controls,
    }


def _measure(
    study: Study, unit: Unit, own: dict[str, np.ndarray], number: int
) -> dict[str, dict[str, Any]]:
    """ROAD, curves and infidelity of every map and control on one unit."""
    rng = np.random.default_rng([study.settings.seed, 71, number])
    subject = study.ask(unit.image, unit.region)
    predict = probability_of(subject)
    soft = blurred(unit.image)
    span = float(np.ptp(unit.image)) or 1.0
    squares = draw_perturbations(unit.region.shape, unit.window, N_PERTURBATIONS, rng)
    changed = np.where(squares[..., None], soft, unit.image)
    drops = target_values(subject, unit.image[None])[0] - target_values(subject, changed)
    size = (unit.image - changed).mean(axis=3)  # maps are summed over channels
    found = {}
    for name, values in {**own, **control_maps(unit.image, unit.region, rng)}.items():
        fresh = np.random.default_rng([study.settings.seed, 72, number])
        products = (size * values).sum(axis=(1, 2))
        found[name] = {
            "road": road_score(
                unit.image, values, unit.window, predict, fresh, noise=_NOISE * span
            ),
            "infidelity": infidelity_ratio(products, drops),
            "curves": deletion_insertion(unit.image, soft, values, unit.window, predict, fresh),
        }
    return found


def _summary(rows: list[dict[str, dict[str, Any]]], name: str) -> dict[str, Any]:
    areas = np.array([row[name]["curves"].areas for row in rows])
    return {
        "deletion": float(areas[:, 0].mean()),
        "insertion": float(areas[:, 1].mean()),
        "road": float(np.mean([row[name]["road"] for row in rows])),
        "infidelity_ratio": finite_mean([row[name]["infidelity"] for row in rows]),
        "road_per_unit": [row[name]["road"] for row in rows],
    }


def _compare(study: Study, rows: list[dict[str, dict[str, Any]]], name: str) -> dict[str, Any]:
    """Compare with each control, and judge by those that must be beaten."""
    p: dict[str, dict[str, float]] = {}
    for control in CONTROLS:
        if control == name:
            continue
        road = [[row[key]["road"] for row in rows] for key in (name, control)]
        lack = [[row[key]["infidelity"] for row in rows] for key in (name, control)]
        p[control] = {"road": paired_p(*road), "infidelity": paired_p(*lack, alternative="less")}
    against = [list(p.get(control, {}).values()) for control in (RANDOM, DISTANCE)]
    against[1] = against[1] or [1.0]  # the distance control does not beat itself
    return {"p": p, "verdict": judge_faithfulness(*against, len(rows), study.limits)}


def _sensitivity(study: Study, units: Sequence[Unit]) -> dict[str, float]:
    """Largest relative change of a map under faint noise; a constant map would be the stablest."""
    if study.is_late:
        study.left_out.append("sensitivity")
        return {}
    largest: dict[str, list[float]] = {method.label: [] for method in study.methods}
    for number, unit in enumerate(units[:N_SENSITIVE]):
        rng = np.random.default_rng([study.settings.seed, 73, number])
        span = _CHANGE * (float(np.ptp(unit.image)) or 1.0)
        before = study.explain(study.ask(unit.image, unit.region), LIGHT_EFFORT)
        changes: dict[str, list[float]] = {label: [0.0] for label in largest}
        for _ in range(N_NOISES):
            noise = rng.uniform(-span, span, unit.image.shape).astype(np.float32)
            after = study.explain(study.ask(unit.image + noise, unit.region), LIGHT_EFFORT)
            for label, values in after.items():
                norm = np.linalg.norm(before[label])
                if norm > 0:
                    change = np.linalg.norm(values - before[label]) / norm
                    changes[label].append(float(change))
        for label, values in changes.items():
            largest[label].append(max(values))
    return {label: float(np.mean(values)) for label, values in largest.items()}


def _draw(study: Study, rows: list[dict[str, dict[str, Any]]], labels: list[str]) -> None:
    names = [*labels, *CONTROLS]
    curves = {name: _mean_curves([row[name]["curves"] for row in rows]) for name in names}
    road = {name: [row[name]["road"] for row in rows] for name in names}
    title = f"Does what a map calls important matter? ({study.settings.class_name})"
    figure = draw_faithfulness(curves, road, set(CONTROLS), title, stamp=study.settings.stamp)
    save_figure(study.out / "faithfulness.png", figure)


def _mean_curves(curves: list[RemovalCurves]) -> RemovalCurves:
    return RemovalCurves(
        curves[0].shares,
        np.mean([one.deletion for one in curves], axis=0),
        np.mean([one.insertion for one in curves], axis=0),
    )
