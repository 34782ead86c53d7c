"""What was found, in one record with its verdict."""

from dataclasses import asdict
from typing import Any

import torch

from mstool.io.records import Run, to_plain
from mstool.nn.device import Compute
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.factors import PHASES
from mstool.shift.choice import suspect_label_shift
from mstool.shift.verdict import Verdict, judge_harm, recommend


def make_record(
    c: Comparison, parts: dict[str, Any], run: Run, hashes: dict[str, str], compute: Compute
) -> dict[str, Any]:
    """Record of a comparison, as plain JSON values."""
    measured = parts["measure"]
    n_units = len(set(c.source.groups)), len(set(c.target.groups))
    return to_plain(
        {
            "mstool": run.facts(compute.name, torch.get_num_threads()),
            "status": "done",
            "inputs": hashes,
            "settings": asdict(c.settings),
            "model": c.model and {"name": c.model.path.name, "sha256": c.model.sha256},
            "n": {
                "source": len(c.source.samples),
                "target": len(c.target.samples),
                "unit": "image" if c.settings.group_by is None else "group",
                "source_units": n_units[0],
                "target_units": n_units[1],
                "smallest_p": measured["tests"]["smallest_p"],
            },
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
    detected = any(row["detected"] for row in tests["p"].values())
    performance, estimates, fit = parts["performance"], parts["estimates"], parts["fit"]
    by_phases_alone = fit["moved"] == [PHASES] and all(fit["is_explained"].values())
    harmful = judge_harm(
        performance and performance["drop"],
        estimates and estimates["mean_iou"],
        parts["robustness"] and parts["robustness"]["undosed"],
        c.settings.tolerance,
        is_image_changed=(detected or not tests["can_detect"]) and not by_phases_alone,
    )
    label_shift = _suspect_label_shift(c, parts)
    chosen = parts["mitigation"] and parts["mitigation"]["chosen"]
    words = recommend(detected, harmful, label_shift, chosen, tests["can_detect"])
    return Verdict(detected, harmful, label_shift, words)


def _suspect_label_shift(c: Comparison, parts: dict[str, Any]) -> bool | None:
    """Phase fractions differ by more than chance, and still do once the images are alike."""
    found = parts["label_shift"]
    if found is None:
        return None
    target = found["target"]
    if parts["mitigation"]:
        rows = {row["name"]: row for row in parts["mitigation"]["repairs"]}
        target = rows[parts["mitigation"]["chosen"]]["phase_fraction"]
    theirs, ours = ([shares[name] for name in c.classes] for shares in (target, found["source"]))
    by_network = found["p"] <= c.settings.alpha and suspect_label_shift(theirs, ours)
    return bool(by_network or PHASES in parts["fit"]["moved"])


def _warnings(c: Comparison, parts: dict[str, Any]) -> list[str]:
    tests, performance = parts["measure"]["tests"], parts["performance"]
    warnings = []
    if not tests["can_detect"]:
        warnings.append(
            f"so few micrographs allow no p below {tests['smallest_p']:.2g}; after correction for "
            f"{len(tests['p'])} tests no shift can be detected"
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
    if c.left_out:
        warnings.append(f"left out for lack of time: {', '.join(c.left_out)}")
    return warnings
