"""What was found, in one record with its verdict."""

from dataclasses import asdict
from typing import Any

import torch

from mstool.io.plain import to_plain
from mstool.io.records import Run
from mstool.nn.device import Compute
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.factors import PHASES, factors_of
from mstool.pipeline.shift.sets import list_doubts
from mstool.shift.choice import NONE, suspect_label_shift
from mstool.shift.verdict import Verdict, judge_harm, recommend

_NEAR = 4  # times alpha: a corrected p below may be a shift that was missed
_FEW = 10


def make_record(
    c: Comparison, parts: dict[str, Any], run: Run, hashes: dict[str, str], compute: Compute
) -> dict[str, Any]:
    """Record of a comparison, as plain JSON values."""
    measured = parts["measure"]
    n_units = len(set(c.source.groups)), len(set(c.target.groups))
    n_images = len(c.source.samples), len(c.target.samples)
    return to_plain(
        {
            "mstool": run.facts(compute.name, torch.get_num_threads()),
            "status": "done",
            "inputs": hashes,
            "settings": asdict(c.settings),
            "model": c.model and {"name": c.model.path.name, "sha256": c.model.sha256},
            "n": {
                "source": n_images[0],
                "target": n_images[1],
                "unit": "image" if n_units == n_images else "group",
                "source_units": n_units[0],
                "target_units": n_units[1],
                "smallest_p": measured["tests"]["smallest_p"],
            },
            "pixel_size_um": {"source": c.source.pixel_size_um, "target": c.target.pixel_size_um},
            **measured,
            "fit": parts["fit"],
            "performance": parts["performance"],
            "estimates": parts["estimates"],
            "robustness": parts["robustness"],
            "mitigation": parts["mitigation"],
            "chosen": parts["mitigation"] and parts["mitigation"]["chosen"],
            "phase_fraction": parts["label_shift"],
            "augmentation": parts["augmentation"],
            "advice": parts["advice"],
            "left_out": c.left_out,
            "warnings": _warnings(c, parts),
            "verdict": asdict(_judge(c, parts)),
        }
    )


def _judge(c: Comparison, parts: dict[str, Any]) -> Verdict:
    tests = parts["measure"]["tests"]
    p_holm = [row["p_holm"] for row in tests["p"].values() if row["p_holm"] is not None]
    is_near = min(p_holm, default=1.0) <= _NEAR * c.settings.alpha
    detected = any(row["detected"] for row in tests["p"].values())
    performance, estimates, fit = parts["performance"], parts["estimates"], parts["fit"]
    factors = factors_of(fit)
    by_phases_alone = factors.moved == (PHASES,) and factors.is_explained
    harmful = judge_harm(
        performance and performance["drop"],
        estimates and estimates["mean_iou"],
        parts["robustness"] and parts["robustness"]["undosed"],
        c.settings.tolerance,
        is_image_changed=(is_near or not tests["can_detect"]) and not by_phases_alone,
    )
    label_shift = _suspect_label_shift(c, parts)
    mitigation = parts["mitigation"]
    words = recommend(
        detected,
        harmful,
        label_shift,
        mitigation and mitigation["chosen"],
        tests["can_detect"],
        c.model is not None,
        worse=_makes_worse(mitigation),
    )
    return Verdict(detected, harmful, label_shift, words)


def _makes_worse(mitigation: dict[str, Any] | None) -> bool:
    """Whether the labels show that the chosen repair loses more than it brings."""
    scores = {row["name"]: row["mean_iou"] for row in mitigation["repairs"]} if mitigation else {}
    if None in scores.values() or not scores:
        return False
    return scores[mitigation["chosen"]] < scores[NONE]


def _suspect_label_shift(c: Comparison, parts: dict[str, Any]) -> bool | None:
    """Whether phase fractions differ by more than chance; None where nothing tells.

    Predictions on images that changed and were not repaired tell nothing of phases.
    """
    found, fit = parts["label_shift"], parts["fit"]
    if found is None:
        return True if PHASES in fit["moved"] else None
    ours, theirs = found["source"], found["target"]
    if found["from"] == "prediction":
        if parts["mitigation"] and parts["mitigation"]["chosen"] != NONE:
            rows = {row["name"]: row for row in parts["mitigation"]["repairs"]}
            theirs = rows[parts["mitigation"]["chosen"]]["phase_fraction"]
        elif set(fit["moved"]) - {PHASES} or not factors_of(fit).is_explained:
            return None
    differs = suspect_label_shift([theirs[name] for name in ours], list(ours.values()))
    return bool(found["p"] <= c.settings.alpha and differs)


def _warnings(c: Comparison, parts: dict[str, Any]) -> list[str]:
    tests, performance = parts["measure"]["tests"], parts["performance"]
    warnings = []
    warnings.extend(list_doubts(c.source, c.target))
    if not tests["can_detect"]:
        cause = "permutations" if tests["few_permutations"] else "micrographs"
        warnings.append(
            f"so few {cause} allow no p below {tests['smallest_p']:.2g}; after correction for "
            f"{len(tests['p'])} tests no shift can be detected"
        )
    scored = [performance[name] for name in ("source", "target")] if performance else []
    if any(one and one["n_images"] < _FEW for one in scored):
        warnings.append(
            f"intervals of scores rest on fewer than {_FEW} micrographs and are too narrow"
        )
    if performance and performance["source_trained_on"]:
        warnings.append("the model was trained on the source; its score there flatters")
    if performance and performance["target_trained_on"]:
        shown = ", ".join(performance["target_trained_on"][:3])
        warnings.append(f"the model was trained on micrographs of the target: {shown}")
    places = {"grey": "grey levels", "spectrum": "spectra"}
    unexplained = [places[k] for k, is_so in parts["fit"]["is_explained"].items() if not is_so]
    if unexplained:
        warnings.append(
            f"no factor explains the {' and '.join(unexplained)} of the target: think of etching, "
            "staining or other structures, and do not rely on the values that were fitted"
        )
    estimates = parts["estimates"] and parts["estimates"]["mean_iou"]
    if estimates and estimates["is_extrapolated"]:
        warnings.append(
            "the target lies outside of all that was simulated: do not rely on estimates"
        )
    if parts["robustness"] and parts["robustness"]["truth"] == "prediction":
        warnings.append("without --source-labels, losses are against the undisturbed prediction")
    advice = parts["advice"]
    if advice and advice["reason"]:
        warnings.append(f"what annotation would bring is not told: {advice['reason']}")
    if c.left_out:
        warnings.append(f"left out for lack of time: {', '.join(c.left_out)}")
    return warnings
