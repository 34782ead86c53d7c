"""The whole of a comparison: measurements, cost, simulation, repair, verdict, record."""

from collections.abc import Callable, Sequence
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
from mstool.pipeline.kept_parts import PARTS, KeptParts
from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.cost import estimate_cost, measure_scores
from mstool.pipeline.shift.derive import (
    advise,
    derive_augmentation,
    expect_gain,
)
from mstool.pipeline.shift.factors import Factors, factors_of, fit_factors
from mstool.pipeline.shift.measure import describe_all, divide, look_at, measure
from mstool.pipeline.shift.mitigate import Repair, compare_repairs, try_repairs
from mstool.pipeline.shift.network import (
    make_network,
    read_set,
    trained_on,
)
from mstool.pipeline.shift.record import make_record
from mstool.pipeline.shift.repaired import (
    IMAGES,
    MODEL,
    write_repaired_images,
    write_repaired_model,
)
from mstool.pipeline.shift.sets import (
    ReadPlan,
    SetInputs,
    check_labels_fit,
    levels_of,
    read_sets,
    to_unit,
)
from mstool.pipeline.shift.settings import MODEL_REPAIRS, ShiftSettings
from mstool.pipeline.shift.simulate import (
    Piece,
    cases_of,
    cut_pieces,
    measure_robustness,
    write_simulated,
)
from mstool.reporting import Reporter
from mstool.scores.statistics import percentile_interval, resample_mean
from mstool.shift.choice import NONE
from mstool.shift.distances import mean_difference, standardise
from mstool.shift.permutation import p_value
from mstool.shift.readings import add_readings

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
    KeptParts(out, report).sweep()
    for warning in record["warnings"]:
        report.note(warning)
    report.note(f"{out}: {record['verdict']['recommendation']}")
    return record


def check_verdict(record: dict[str, Any], most: float | None) -> None:
    """Fail if the loss exceeds a limit, or without a model if a shift is detected.

    Raises
    ------
    CheckFailed
        With the figure.
    """
    if most is None:
        return
    lost, how = _known_loss(record)
    if lost is None and record["verdict"]["shift_detected"]:
        raise CheckFailed("a shift is detected; shift.json says in what")
    if lost is not None and lost > most:
        raise CheckFailed(f"mean IoU falls by {lost:.3f} ({how}), more than {most:g}")


def _known_loss(record: dict[str, Any]) -> tuple[float | None, str]:
    performance, estimates = record["performance"], record["estimates"]
    if performance and performance["drop"]:
        return performance["drop"]["mean_iou"], "measured"
    if estimates and estimates["mean_iou"]:
        return record["robustness"]["undosed"] - estimates["mean_iou"]["mean_iou"], "estimated"
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
    )  # fmt: skip


def _work(c: Comparison) -> dict[str, Any]:
    """All parts in order; each is kept on disk, so that an interrupted run goes on from it."""
    settings = c.settings
    division = divide(c.source.groups, c.target.groups, settings.permutations, settings.seed)
    parts: dict[str, Any] = {"label_shift": _label_shift(c, division)}
    pieces = _pieces(c)
    has_model = c.network is not None
    todo: dict[str, tuple[bool, Callable[[], Any]]] = {
        "measure": (
            True,
            lambda: measure(
                *c.looks, division, c.readings, settings.alpha, settings.permutations, settings.seed
            ),
        ),
        "fit": (True, lambda: _fit(c)),
        "performance": (has_model, lambda: _performance(c)),
        "robustness": (has_model and bool(settings.doses), lambda: _robustness(c, pieces)),
        "estimates": (has_model, lambda: _estimates(c, parts)),
        "mitigation": (has_model and bool(settings.repairs), lambda: _mitigation(c, parts)),
        "advice": (has_model and settings.advise > 0, lambda: _advice(c, parts, pieces)),
    }
    kept = KeptParts(c.out, c.report)
    for name, (is_wanted, make) in todo.items():
        is_late = c.is_late and name not in ("measure", "fit")  # without these there is no record
        parts[name] = kept.make_in_time(name, make, is_late, c.left_out) if is_wanted else None
    if settings.save_simulated and settings.doses:
        write_simulated(
            c.out / "simulated",
            pieces,
            settings.doses,
            c.levels,
            c.source.dtype,
            c.source.pixel_size_um,
            settings.seed,
        )
    parts["augmentation"] = _augmentation(c, factors_of(parts["fit"]))
    _draw(c, parts)
    return parts


def _fit(c: Comparison) -> dict[str, Any]:
    labels = None
    if all(sample.has_truth for sample in c.source.samples):
        labels = [sample.truths for sample in c.source.samples]
    elif c.network is not None:
        labels = [
            [c.network.probabilities(one).argmax(axis=0).astype(np.uint8) for one in sample.fields]
            for sample in c.source.samples
        ]
    change = None
    if c.readings is not None:
        change = np.subtract(*(add_readings(one.readings).fractions for one in c.readings[::-1]))
    return fit_factors(c.source, *c.looks, labels, change, c.levels, c.settings.seed)[1]


def _label_shift(c: Comparison, division) -> dict[str, Any] | None:
    """Phase fractions that the network predicts, with intervals and the p of their change."""
    if c.readings is None:
        return None
    rows = [np.stack([r.fractions for r in one.readings]) for one in c.readings]
    p = p_value(mean_difference(np.concatenate(rows), division.source, division.target))
    found: dict[str, Any] = {"p": p}
    sides = zip(("source", "target"), rows, (c.source, c.target), strict=True)
    for number, (name, fractions, one) in enumerate(sides):
        drawn = resample_mean(fractions, c.settings.seed + number, one.groups)
        found[name] = dict(zip(c.classes, fractions.mean(axis=0), strict=True))
        found[f"{name}_interval"] = dict(zip(c.classes, percentile_interval(drawn), strict=True))
    return found


def _pieces(c: Comparison) -> list[Piece]:
    """Pieces of source micrographs, of those that the model has not seen where there are some."""
    samples = c.source.samples
    labelled = [number for number, sample in enumerate(samples) if sample.has_truth]
    has_truth = bool(labelled)
    usable = labelled or list(range(len(samples)))
    seen = trained_on(c.source, c.model) if c.model else set()
    fresh = [number for number in usable if number not in seen]
    chosen = (fresh if len(fresh) > 1 else usable)[: c.settings.simulated_images]
    return cut_pieces(c.source, chosen, c.levels, c.network, has_truth)


def _performance(c: Comparison) -> dict[str, Any]:
    seen = trained_on(c.source, c.model)
    keep = [number for number in range(len(c.source.samples)) if number not in seen]
    keep = keep if len(keep) > 1 else list(range(len(c.source.samples)))
    source = [c.readings[0].readings[number] for number in keep]
    groups = [c.source.groups[number] for number in keep], c.target.groups
    found = measure_scores(source, c.readings[1].readings, groups, c.classes, c.settings.seed)
    target_seen = sorted(c.target.samples[k].name for k in trained_on(c.target, c.model))
    return found | {
        "source_trained_on": len(keep) == len(c.source.samples) and bool(seen),
        "target_trained_on": target_seen,
    }


def _robustness(c: Comparison, pieces: Sequence[Piece]) -> dict[str, Any]:
    settings = c.settings
    found, late = measure_robustness(
        c.network,
        pieces,
        settings.doses,
        c.source.dtype,
        settings.tolerance,
        settings.seed,
        lambda: c.is_late,
        c.report,
    )
    c.left_out.extend(f"simulated {family}" for family in late)
    has_truth = any(sample.has_truth for sample in c.source.samples)
    return found | {"truth": "labels" if has_truth else "prediction"}


def _estimates(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    cases = cases_of(parts["robustness"]) if parts["robustness"] else []
    names = [sample.name for sample in c.target.samples]
    return estimate_cost(c.readings[0].readings, c.readings[1].readings, names, cases)


def _mitigation(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    settings, factors = c.settings, factors_of(parts["fit"])

    def has_no_time(name: str) -> bool:
        if c.is_late:
            c.left_out.append(f"repair {name}")
        return c.is_late

    repairs, tried = try_repairs(
        settings.repairs, c.network, c.source, c.target, c.readings[1], factors, settings.seed,
        c.report, has_no_time,
    )  # fmt: skip
    found = compare_repairs(
        tried, c.readings[0], c.target.groups, c.classes, settings.is_auto, settings.seed
    )
    chosen = repairs[found["chosen"]]
    drawings.draw_cases(
        c.out, c.source, c.target, c.levels, c.network, None if chosen.name == NONE else chosen,
        c.model,
    )  # fmt: skip
    return found | {"files": _write_repair(c, chosen)}


def _write_repair(c: Comparison, repair: Repair) -> list[str]:
    """Repaired micrographs, or the repaired network; nothing for "none"."""
    if repair.name == NONE or c.model is None:
        return []
    if repair.name in MODEL_REPAIRS:
        return write_repaired_model(c.model, c.target, repair, c.out)
    how = c.settings
    return write_repaired_images(
        c.target_inputs, c.target, repair, c.levels, how.pixel_size_um, how.grey, c.out
    )


def _advice(c: Comparison, parts: dict[str, Any], pieces: Sequence[Piece]) -> dict[str, Any]:
    names = [sample.name for sample in c.target.samples]
    picks = advise(names, *c.readings, c.settings.advise)
    factors = factors_of(parts["fit"])
    gain = None
    if any(sample.has_truth for sample in c.source.samples) and factors.moved and not c.is_late:
        gain = expect_gain(c.network, pieces, factors, c.source.dtype, c.settings.seed, c.report)
    return {"annotate_next": picks, "expected": gain}


def _augmentation(c: Comparison, factors: Factors) -> dict[str, Any]:
    """Ranges for training that cover the shift."""
    source, target = c.looks
    std = float(
        np.sqrt(np.mean([to_unit(f, c.levels).var() for s in c.source.samples for f in s.fields]))
    )
    if c.model is not None:
        std = float(np.mean(c.model.checkpoint.std)) / (c.levels[1] - c.levels[0])
    return asdict(derive_augmentation(factors, source, target, std))


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
