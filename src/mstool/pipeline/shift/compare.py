"""The whole of a comparison: measurements, cost, simulation, repair, verdict, record."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mstool.chance.divisions import divide
from mstool.errors import CheckFailed, UsageError
from mstool.io.records import pick, read_record
from mstool.labels.legend import Legend, legend_from_toml, legend_text
from mstool.micrographs.find import SetFiles
from mstool.micrographs.sets import Reading
from mstool.nn.checkpoint import LoadedModel, load_checkpoint
from mstool.nn.device import Compute
from mstool.pipeline.job import Job
from mstool.pipeline.kept_parts import PARTS, Budget, KeptParts
from mstool.pipeline.shift import steps
from mstool.pipeline.shift.comparison import Comparison, look_at
from mstool.pipeline.shift.drawings import FILES, draw_all
from mstool.pipeline.shift.mitigate import Repair
from mstool.pipeline.shift.network import make_network, read_set
from mstool.pipeline.shift.plan import ShiftSettings
from mstool.pipeline.shift.products import IMAGES, MODEL, SIMULATED
from mstool.pipeline.shift.record import describe
from mstool.pipeline.shift.samples import name_sides, read_sets
from mstool.shift.choice import NONE
from mstool.shift.cost import known_score
from mstool.shift.factors import Factors
from mstool.shift.findings import Findings
from mstool.shift.grey_levels import levels_of
from mstool.shift.measures import Measurements, measure

RECORD = "shift.json"
CONTENTS = (*FILES, SIMULATED, IMAGES, MODEL)


def load_model(path: Path | None, settings: ShiftSettings) -> LoadedModel | None:
    """Model of ``--model``.

    Raises
    ------
    UsageError
        If repairs or advice are asked for without one.
    """
    if path is None and (any(name != NONE for name in settings.repairs) or settings.advise):
        flag = "--mitigate" if settings.repairs else "--retrain-advice"
        raise UsageError(f"{flag}: needs a network; name one with --model")
    return None if path is None else load_checkpoint(path)


def compare_sets(
    files: tuple[SetFiles, SetFiles],
    legend: Legend | None,
    model: LoadedModel | None,
    settings: ShiftSettings,
    compute: Compute,
    budget: Budget,
    job: Job,
) -> dict[str, Any]:
    """Compare two sets and write a folder; give its record, also where it had been there before.

    What the budget leaves out is made when the same work is asked for again.
    """
    paths = [path for one in files for path in one.files()]
    inputs = [*paths, *([model.path] if model else [])]
    claimed = asdict(settings) | name_sides(files, job.out) | {"legend": legend_text(legend)}
    work = job.claim(RECORD, CONTENTS, claimed, inputs, scratch=(PARTS,))
    if work is None:
        return read_record(job.out / RECORD)
    parts = KeptParts(job.out, budget, job.report)
    with work.filling():
        comparison = _look(files, legend, model, settings, compute, parts)
        found, chosen = _find(comparison)
        augmentation = steps.derive_augmentation(comparison, found.factors)
        draw_all(comparison, found, chosen)
    begun = work.describe(compute.name, compute.n_threads)
    record = begun | describe(comparison, found, augmentation) | {"files": work.list_files()}
    work.finish(record)
    for warning in record["warnings"]:
        job.report.note(warning)
    job.report.note(f"{job.out}: {record['verdict']['recommendation']}")
    parts.say_excess()
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


def _look(files, legend, model, settings, compute, parts: KeptParts) -> Comparison:
    """Read both sets, and what image statistics and the network make of them."""
    report, needs = parts.report, [] if model is None else [model.needs]
    if legend is None and model is not None:
        legend = legend_from_toml(model.checkpoint.legend)
    reading = pick(Reading, vars(settings))
    sets = read_sets(files, legend, reading, needs, settings.size, settings.fields, report)
    levels = levels_of(sets[0].dtype, [s.extent for one in sets for s in one.samples])
    looks = tuple(look_at(one, levels, report) for one in sets)
    network, readings, target_s = None, None, 0.0
    if model is not None:
        network = make_network(model, levels, compute)
        read = []
        for one in sets:
            began = time.monotonic()
            read.append(read_set(network, one.samples, f"predicting the {one.name}", report))
            target_s = time.monotonic() - began
        readings = tuple(read)
    return Comparison(settings, *sets, levels, looks, model, network, readings, target_s, parts)


def _find(c: Comparison) -> tuple[Findings, Repair | None]:
    """All parts in order, and the repair that is taken.

    What takes long is kept on disk, so that an interrupted run goes on from it. Repairs come before
    doses, which take longest, so that a short budget leaves out doses first; nothing is begun that
    would not end in time.
    """
    settings, has_model = c.settings, c.network is not None
    division = divide(*c.groups, settings.permutations, settings.seed)
    numbers = settings.alpha, settings.permutations, settings.seed
    fractions = steps.find_fractions(c, division)
    measured = c.parts.make(
        "measure", Measurements, lambda: measure(*c.looks, division, c.readings, *numbers), True
    )
    factors = c.parts.make("fit", Factors, lambda: steps.fit_change(c, fractions), True)
    performance = mitigation = chosen = robustness = estimates = advice = None
    if has_model:
        performance = steps.score_sets(c)
        if settings.repairs:
            mitigation, chosen = steps.repair_target(c, factors, division)
        pieces = steps.choose_pieces(c)
        if settings.doses:
            robustness = steps.dose_source(c, pieces)
        estimates = steps.estimate_loss(c, factors, robustness)
        if settings.advise:
            known = known_score(performance, estimates)
            advice = steps.advise_annotation(c, pieces, factors, robustness, known)
    if settings.save_simulated and settings.doses:
        steps.save_simulated(c)
    found = Findings(
        measured, factors, fractions, performance, mitigation, robustness, estimates, advice
    )
    return found, chosen
