"""The whole of a comparison: measurements, cost, simulation, repair, verdict, record."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import CheckFailed
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs, read_record
from mstool.labels.legend import Legend
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.pipeline.kept_parts import PARTS, Budget, KeptParts
from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.factors import factors_of
from mstool.pipeline.shift.measure import describe_all, divide, look_at, measure
from mstool.pipeline.shift.network import make_network, read_set
from mstool.pipeline.shift.record import make_record
from mstool.pipeline.shift.repaired import IMAGES, MODEL
from mstool.pipeline.shift.sets import ReadPlan, SetInputs, check_labels_fit, levels_of, read_sets
from mstool.pipeline.shift.settings import ShiftSettings
from mstool.pipeline.shift.steps import (
    advise_annotation,
    choose_pieces,
    compare_fractions,
    derive_ranges,
    dose_source,
    estimate_loss,
    fit_change,
    repair_target,
    save_simulated,
    score_sets,
)
from mstool.reporting import Reporter
from mstool.shift.distances import standardise

RECORD = "shift.json"
_PLOTS = ("histograms", "spectra", "embedding", "robustness", "estimates", "mitigation")
_FILES = (*(f"{name}.{kind}" for name in _PLOTS for kind in ("png", "csv")), "examples.png")
CONTENTS = (*_FILES, "simulated", IMAGES, MODEL, PARTS)


def compare_sets(
    inputs: tuple[SetInputs, SetInputs],
    legend: Legend | None,
    model: LoadedModel | None,
    settings: ShiftSettings,
    compute: Compute,
    out: Path,
    overwrite: bool,
    run: Run,
    report: Reporter,
) -> dict[str, Any]:
    """Compare two sets and write a folder.

    Parameters
    ----------
    inputs : tuple of SetInputs
        Source and target.
    legend : Legend or None
        Of label maps.
    model : LoadedModel or None
        The network.
    settings : ShiftSettings
        How.
    compute : Compute
        Device.
    out : Path
        Folder to fill.
    overwrite : bool
        Whether to start afresh where it holds another comparison.
    run : Run
        For the record.
    report : Reporter
        Where notes and progress go.

    Returns
    -------
    dict
        The record, also where it had been there before.
    """
    folder = OutputFolder(out, RECORD, CONTENTS)
    files = [*inputs[0].files(), *inputs[1].files(), *([model.path] if model else [])]
    hashes = hash_inputs(files, out)
    state = folder.claim(asdict(settings), hashes, overwrite)
    if state == "done":
        report.note(f"{out}: nothing left to do")
        return read_record(out / RECORD)
    with folder.filling(state):
        deadline = run.clock + (settings.max_time_s or np.inf)
        comparison = _look(inputs, legend, model, settings, compute, out, deadline, report)
        parts = _work(comparison)
    record = make_record(comparison, parts, run, hashes, compute)
    folder.finish(record)
    KeptParts(out, Budget(), report, comparison.left_out).sweep()
    for warning in record["warnings"]:
        report.note(warning)
    report.note(f"{out}: {record['verdict']['recommendation']}")
    return record


def check_verdict(record: dict[str, Any], most: float | None) -> None:
    """Fail if the loss exceeds a limit, or without a model if a shift is detected.

    Raises
    ------
    CheckFailed
        With the figure; also where nothing can be told.
    """
    if most is None:
        return
    verdict, (lost, how) = record["verdict"], _known_loss(record)
    if lost is not None:
        if lost > most:
            raise CheckFailed(f"mean IoU falls by {lost:.3f} ({how}), more than {most:g}")
    elif record["model"] is not None:
        raise CheckFailed(f"the loss cannot be told: {verdict['recommendation']}")
    elif verdict["shift_detected"]:
        raise CheckFailed("a shift is detected; shift.json says in what")
    elif not record["tests"]["can_detect"]:
        raise CheckFailed("so few micrographs cannot show a shift; add some to either set")


def _known_loss(record: dict[str, Any]) -> tuple[float | None, str]:
    performance, estimates = record["performance"], record["estimates"]
    if performance and performance["drop"]:
        return performance["drop"]["mean_iou"], "measured"
    estimate, robustness = estimates and estimates["mean_iou"], record["robustness"]
    if estimate and robustness and not estimate["is_extrapolated"]:
        return robustness["undosed"] - estimate["mean_iou"], "estimated"
    return None, ""


def _look(inputs, legend, model, settings, compute, out, deadline, report) -> Comparison:
    plan = ReadPlan(
        settings.size,
        settings.fields,
        settings.scale,
        settings.group_by,
        settings.grey,
        settings.pixel_size_um,
    )
    if model is not None:
        check_labels_fit(inputs, model.checkpoint.classes, legend)
    source, target = read_sets(*inputs, legend, plan, report)
    levels = levels_of((source, target))
    network, readings = None, None
    looks = look_at(source, levels, report), look_at(target, levels, report)
    if model is not None:
        network = make_network(model, (source, target), levels, compute)
        readings = tuple(
            read_set(network, one.samples, f"predicting the {one.name}", report)
            for one in (source, target)
        )
    return Comparison(
        settings,
        inputs[1],
        source,
        target,
        levels,
        looks,
        model,
        network,
        readings,
        out,
        report,
        deadline,
    )


def _work(c: Comparison) -> dict[str, Any]:
    """All parts in order; each is kept on disk, so that an interrupted run goes on from it."""
    settings = c.settings
    division = divide(c.source.groups, c.target.groups, settings.permutations, settings.seed)
    parts: dict[str, Any] = {"label_shift": compare_fractions(c, division)}
    pieces = choose_pieces(c)
    has_model = c.network is not None
    todo: dict[str, tuple[bool, Callable[[], Any]]] = {
        "measure": (
            True,
            lambda: measure(
                *c.looks, division, c.readings, settings.alpha, settings.permutations, settings.seed
            ),
        ),
        "fit": (True, lambda: fit_change(c, parts)),
        "performance": (has_model, lambda: score_sets(c)),
        "robustness": (has_model and bool(settings.doses), lambda: dose_source(c, pieces)),
        "estimates": (has_model, lambda: estimate_loss(c, parts)),
        "mitigation": (has_model and bool(settings.repairs), lambda: repair_target(c, parts)),
        "advice": (has_model and settings.advise > 0, lambda: advise_annotation(c, parts, pieces)),
    }
    kept = KeptParts(c.out, Budget(c.deadline), c.report, c.left_out)
    for name, (is_wanted, make) in todo.items():
        is_quick = name not in ("robustness", "mitigation", "advice")
        parts[name] = kept.make(name, dict, make, is_quick) if is_wanted else None
    for part in parts.values():
        if part:
            c.left_out.extend(part.get("left_out", ()))
    if settings.save_simulated and settings.doses:
        save_simulated(c)
    parts["augmentation"] = derive_ranges(c, factors_of(parts["fit"]))
    _draw(c, parts)
    return parts


def _draw(c: Comparison, parts: dict[str, Any]) -> None:
    names = [sample.name for one in (c.source, c.target) for sample in one.samples]
    vectors, space = describe_all([*c.looks[0], *c.looks[1]]), "image statistics"
    if c.readings is not None:
        vectors = standardise(np.concatenate([one.features for one in c.readings]))
        space = "features of the network"
    drawings.draw_statistics(c.out, c.source, c.looks, names, vectors, space, c.levels)
    if parts["robustness"] and parts["robustness"]["families"]:
        drawings.draw_simulations(c.out, parts["robustness"], c.settings.tolerance)
    if parts["estimates"] and parts["estimates"]["mean_iou"]:
        drawings.draw_estimate(c.out, parts["estimates"])
    if parts["mitigation"]:
        score = parts["performance"] and parts["performance"]["source"]
        drawings.draw_repairs(c.out, parts["mitigation"], score and score["mean_iou"])
    else:
        drawings.draw_cases(c.out, c.source, c.target, c.levels, c.network, None, c.model)
