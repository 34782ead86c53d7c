"""The whole of an explanation: maps, checks, verdicts, record."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mstool.errors import CheckFailed, MissingInputError, UsageError
from mstool.explanations.controls import DISTANCE, EDGE
from mstool.explanations.verdicts import NOT_CHECKED, judge_method
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs, read_record
from mstool.nn.attribution import Effort, Method
from mstool.nn.cams import CAMS
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.layers import list_layers, match_layers, shallowest_layer
from mstool.nn.target import Contrast, at_rest
from mstool.pipeline.explain.boundary import check_boundary, claim
from mstool.pipeline.explain.context import check_context
from mstool.pipeline.explain.faithfulness import check_faithfulness
from mstool.pipeline.explain.features import dump_features
from mstool.pipeline.explain.fields import FieldInputs, read_fields
from mstool.pipeline.explain.labels import check_labels
from mstool.pipeline.explain.maps import write_maps
from mstool.pipeline.explain.patch import check_patch
from mstool.pipeline.explain.sanity import check_sanity
from mstool.pipeline.explain.settings import ExplainSettings, parse_region, parse_thresholds
from mstool.pipeline.explain.study import MARGIN_PX, Study, Unit, draw_units
from mstool.pipeline.kept_parts import PARTS, Budget, KeptParts
from mstool.reporting import Reporter

RECORD = "explain.json"
_PICTURES = ("sanity", "faithfulness", "patch", "boundary", "counterfactual", "receptive_field")
CONTENTS = ("maps", "overlays", "features", PARTS, *(f"{name}.png" for name in _PICTURES))


def explain_images(
    inputs: FieldInputs,
    model: LoadedModel,
    settings: ExplainSettings,
    compute: Compute,
    out: Path,
    overwrite: bool,
    run: Run,
    report: Reporter,
) -> dict[str, Any]:
    """Explain a class in images and write a folder.

    Parameters
    ----------
    inputs : FieldInputs
        Images or tiles.
    model : LoadedModel
        The network.
    settings : ExplainSettings
        How.
    compute : Compute
        Device.
    out : Path
        Folder to fill.
    overwrite : bool
        Whether to start afresh where it holds other explanations.
    run : Run
        For the record.
    report : Reporter
        Where notes and progress go.

    Returns
    -------
    dict
        The record, also where it had been there before.
    """
    class_index = find_class(settings.class_name, model)
    methods = resolve_methods(settings, model)
    folder = OutputFolder(out, RECORD, CONTENTS)
    choice = parse_region(settings.region)
    if choice.path is not None and not choice.path.is_file():
        raise MissingInputError(f"--region mask:{choice.path}: no such file")
    files = [*inputs.files(), model.path, *([choice.path] if choice.path else [])]
    hashes = hash_inputs(files, out)
    claimed = asdict(settings) | {"methods": [method.label for method in methods]}
    state = folder.claim(claimed, hashes, overwrite)
    if state == "done":
        report.note(f"{out}: nothing left to do")
        return read_record(out / RECORD)
    segmenter = compute.place(model.segmenter)
    with at_rest(segmenter), folder.filling(state):
        fields = read_fields(
            inputs, model, class_index, choice, settings.size, settings.scale, compute, report
        )
        study = Study(
            segmenter,
            compute,
            settings,
            parse_thresholds(settings.thresholds),
            methods,
            model.checkpoint.classes,
            class_index,
            parse_contrast(settings.contrast, class_index, model),
            tuple(fields),
            out,
            report,
            _grey_limits(model, [field.image for field in fields]),
            run.clock + (settings.max_time_s or np.inf),
        )
        parts = _work(study, model)
    record = _record(study, parts, run, hashes, claimed, model)
    folder.finish(record)
    KeptParts(out, Budget(), report, study.left_out).sweep()
    for warning in record["warnings"]:
        report.note(warning)
    report.note(f"{out}: {_headline(record)}")
    return record


def find_class(name: str, model: LoadedModel) -> int:
    """Index of a class.

    Raises
    ------
    UsageError
        If the model has no such class.
    """
    classes = model.checkpoint.classes
    if name not in classes:
        raise UsageError(f"--class {name}: {model.path} has {', '.join(classes)}")
    return classes.index(name)


def parse_contrast(text: str, class_index: int, model: LoadedModel) -> Contrast:
    """``rest``, ``none``, or the index of another class.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    if text in ("rest", "none"):
        return text  # type: ignore[return-value]
    classes = model.checkpoint.classes
    if text not in classes or classes.index(text) == class_index:
        others = [name for number, name in enumerate(classes) if number != class_index]
        raise UsageError(f"--contrast {text}: use rest, none, {', '.join(others)}")
    return classes.index(text)


def resolve_methods(settings: ExplainSettings, model: LoadedModel) -> tuple[Method, ...]:
    """Methods with their layers: each class activation map at each layer that was asked for."""
    n_channels = model.checkpoint.spec.n_channels
    layers: list[str] = []
    if settings.layers or any(name in CAMS for name in settings.methods):
        known = list_layers(model.segmenter, n_channels)
        shallowest = [shallowest_layer(known, n_channels)]
        layers = match_layers(settings.layers, known) if settings.layers else shallowest
    methods = []
    for name in settings.methods:
        methods += [Method(name, layer) for layer in layers] if name in CAMS else [Method(name)]
    return tuple(methods)


def check_verdicts(record: dict[str, Any], fail_on: Sequence[str]) -> None:
    """Fail if a verdict is among those that were named.

    Raises
    ------
    CheckFailed
        Naming the first method.
    """
    verdicts = record["verdict"]["methods"]
    found = [f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict in fail_on]
    claimed = record["verdict"]["claim_boundary"]
    if claimed in fail_on:
        found.append(f"the boundary claim is {claimed}")
    if found:
        raise CheckFailed(f"{', '.join(found)}; explain.json has the reasons")


def _work(study: Study, model: LoadedModel) -> dict[str, Any]:
    """All parts in order; each is kept on disk, so that an interrupted run goes on from it."""
    settings = study.settings
    kept = KeptParts(study.out, Budget(study.deadline), study.report, study.left_out)
    parts: dict[str, Any] = {"maps": kept.make("maps", list, lambda: write_maps(study), True)}
    needs_units = settings.checks or settings.boundary or settings.receptive_field
    units: list[Unit] = []
    maps: list[dict[str, np.ndarray]] = []
    if needs_units:
        units = draw_units(
            study.fields, settings.regions, settings.window, MARGIN_PX, settings.seed
        )
        parts["units"] = {"n": len(units), "margin_px": MARGIN_PX}
    if "faithfulness" in settings.checks or settings.boundary:
        with study.report.progress("maps of regions", len(units)) as advance:
            for unit in units:
                maps.append(study.explain(study.ask(unit.image, unit.region)))
                advance(1)
    todo: dict[str, tuple[bool, Callable[[], Any]]] = {
        "boundary": (settings.boundary, lambda: check_boundary(study, units, maps)),
        "sanity": ("sanity" in settings.checks, lambda: check_sanity(study, units)),
        "labels": ("labels" in settings.checks, lambda: check_labels(study, units)),
        "faithfulness": (
            "faithfulness" in settings.checks,
            lambda: check_faithfulness(study, units, maps),
        ),
        "patch": ("patch" in settings.checks, lambda: check_patch(study, units)),
        "receptive_field": (
            settings.receptive_field,
            lambda: check_context(study, units, model),
        ),
        "features": (bool(settings.features), lambda: dump_features(study)),
    }
    for name, (is_wanted, make) in todo.items():
        parts[name] = None
        if is_wanted:
            parts[name] = kept.make(name, dict, make)
    return parts


def _record(
    study: Study,
    parts: dict[str, Any],
    run: Run,
    hashes: dict[str, str],
    claimed: dict[str, Any],
    model: LoadedModel,
) -> dict[str, Any]:
    checkpoint = model.checkpoint
    judged = {
        method.label: _judge(study, parts, "methods", method.label) for method in study.methods
    }
    judged_controls = {
        f"control: {name}": _judge(study, parts, "controls", name) for name in (EDGE, DISTANCE)
    }
    boundary = parts["boundary"]
    return {
        "mstool": run.facts(study.compute.name, torch.get_num_threads()),
        "status": "done",
        "inputs": hashes,
        "settings": claimed,
        "thresholds": asdict(study.limits),
        "model": {"name": model.path.name, "sha256": model.sha256, "classes": checkpoint.classes},
        "target": {
            "class": study.settings.class_name,
            "contrast": study.settings.contrast,
            "region": study.settings.region,
        },
        "is_checked": bool(study.settings.checks),
        "images": parts["maps"],
        "units": parts.get("units"),
        "methods": [
            {"name": m.label, "method": m.name, "layer": m.layer or None, "is_signed": m.is_signed}
            for m in study.methods
        ],
        "sanity": parts["sanity"],
        "label_randomisation": parts["labels"],
        "faithfulness": parts["faithfulness"],
        "patch": parts["patch"],
        "boundary": boundary,
        "receptive_field": parts["receptive_field"],
        "features": parts["features"],
        "left_out": study.left_out,
        "warnings": list_warnings(parts["maps"]),
        "verdict": {
            "methods": {name: verdict for name, (verdict, _) in judged.items()},
            "controls": {name: verdict for name, (verdict, _) in judged_controls.items()},
            "reasons": {name: why for name, (_, why) in {**judged, **judged_controls}.items()},
            "claim_boundary": claim(boundary["counterfactual"]["verdict"]) if boundary else None,
            "cause": boundary["counterfactual"]["verdict"] if boundary else None,
        },
    }


def list_warnings(images: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences on maps that are incomplete, or coarser than what they are to show."""
    warnings = []
    for row in images:
        for label, found in row["methods"].items():
            error = found["completeness_error"]
            if error is not None and error > Effort().tolerance:
                warnings.append(
                    f"{row['image']}: {label} misses {error:.0%} of the difference to its baseline "
                    f"after {found['n_steps']} steps; read it as a ranking of pixels at most"
                )
            stride = row["window"][2] / found["native_shape"][0]
            if stride > row["thickness_px"]:
                warnings.append(
                    f"{row['image']}: {label} has a network stride of {stride:.0f} px and cannot "
                    f"place anything in regions {row['thickness_px']:.0f} px thick"
                )
    return warnings


def _judge(study: Study, parts: dict[str, Any], table: str, name: str) -> tuple[str, list[str]]:
    if not study.settings.checks:
        return NOT_CHECKED, ["no check was made"]
    checks = {
        check: parts[check][table][name]["verdict"]
        for check in ("sanity", "faithfulness", "patch")
        if parts[check] and "verdict" in parts[check][table].get(name, {})
    }
    decision = parts["sanity"] and parts["sanity"]["decision"]
    is_decided = not decision or decision["margin"] >= study.limits.decision * max(
        decision["random_margin"], 0.0
    )
    is_attackable = not parts["patch"] or parts["patch"]["is_attackable"]
    return judge_method(checks, is_decided, is_attackable)


def _grey_limits(model: LoadedModel, images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Range of stored values; that of the images for floats, which have none of their own."""
    dtype = np.dtype(model.checkpoint.dtype)
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return float(min(i.min() for i in images)), float(max(i.max() for i in images))


def _headline(record: dict[str, Any]) -> str:
    words = [f"{name}: {verdict}" for name, verdict in record["verdict"]["methods"].items()]
    if record["verdict"]["cause"]:
        words.append(f"cause: {record['verdict']['cause']}")
    if record["left_out"]:
        words.append(f"left out for lack of time: {', '.join(record['left_out'])}")
    return "; ".join(words)
