"""The whole of an explanation: checks, maps, verdicts, record, and pictures last."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import MissingInputError, UsageError
from mstool.explanations.regions import Region, describe_sample, draw_regions
from mstool.io.records import read_record
from mstool.labels.legend import Legend, legend_from_toml, legend_text
from mstool.micrographs.find import SetFiles
from mstool.micrographs.sets import Reading, open_set
from mstool.nn.attribution import Method
from mstool.nn.cams import CAMS
from mstool.nn.checkpoint import LoadedModel
from mstool.nn.device import Compute
from mstool.nn.layers import list_layers, match_layers, shallowest_layer
from mstool.nn.target import Contrast, at_rest
from mstool.pipeline.explain import faithfulness, patch, sanity
from mstool.pipeline.explain.boundary import check_boundary
from mstool.pipeline.explain.conclusion import describe, headline
from mstool.pipeline.explain.context import check_context
from mstool.pipeline.explain.explained import (
    KINDS,
    SHARD_RECORD,
    Explanation,
    Made,
    describe_share,
    join_shares,
    name_maps,
    share_parts,
)
from mstool.pipeline.explain.faithfulness import check_faithfulness
from mstool.pipeline.explain.features import dump_features
from mstool.pipeline.explain.fields import read_fields
from mstool.pipeline.explain.label_randomisation import check_labels
from mstool.pipeline.explain.maps import FieldMaps, write_maps
from mstool.pipeline.explain.patch import check_patch
from mstool.pipeline.explain.question import Maps, Question
from mstool.pipeline.explain.request import ExplainSettings, parse_region, parse_thresholds
from mstool.pipeline.explain.sanity import check_sanity
from mstool.pipeline.explain.stamping import DRAWN, list_done, place_pictures
from mstool.pipeline.job import Job, Work
from mstool.pipeline.kept_parts import PARTS, Budget, KeptParts, start_budget

RECORD = "explain.json"
# shares of a budget, about as long as each takes; what one leaves goes to those after it
_WEIGHTS = {
    "sanity": 3,
    "faithfulness": 6,
    "patch": 3,
    "labels": 4,
    "boundary": 2,
    "receptive_field": 1,
    "features": 1,
    "maps": 4,
}
_LEAST_MAPS = {
    "sanity": sanity.LEAST_MAPS,
    "faithfulness": faithfulness.LEAST_MAPS,
    "patch": patch.LEAST_MAPS,
}
_PICTURES = ("sanity", "faithfulness", "patch", "boundary", "counterfactual", "receptive_field")
CONTENTS = ("maps", "overlays", "features", *(f"{name}.png" for name in _PICTURES))


def explain_images(
    files: SetFiles,
    legend: Legend | None,
    reading: Reading,
    model: LoadedModel,
    settings: ExplainSettings,
    compute: Compute,
    job: Job,
) -> dict[str, Any] | None:
    """Explain a class in images and write a folder; give its record, also where it was there.

    A job that is a shard makes its share of the parts, and gives None.
    """
    out, report = job.out, job.report
    class_index = _find_class(settings.class_name, model)
    contrast = _parse_contrast(settings.contrast, class_index, model)
    methods = _resolve_methods(settings, model)
    choice = parse_region(settings.region)
    if choice.path is not None and not choice.path.is_file():
        raise MissingInputError(f"--region mask:{choice.path}: no such file")
    paths = [*files.files(), model.path, *([choice.path] if choice.path else [])]
    asked = {"methods": [method.label for method in methods], "legend": legend_text(legend)}
    work = _claim(settings.claimed | asdict(reading) | asked, paths, job)
    if work is None:
        return None if job.shard else read_record(out / RECORD)
    kept = KeptParts(out, start_budget(job.run, settings.max_time_s), report)
    segmenter = compute.place(model.segmenter)
    with at_rest(segmenter), work.filling():
        if job.is_merge:
            return _merge(settings, methods, model, work, job)
        micrographs = open_set(
            files, reading, legend or legend_from_toml(model.checkpoint.legend), report
        )
        fields = read_fields(
            micrographs, model, class_index, choice, settings.size, compute, report
        )
        question = Question(
            segmenter,
            compute,
            settings,
            parse_thresholds(settings.thresholds),
            methods,
            model.checkpoint.classes,
            class_index,
            contrast,
            tuple(fields),
            out,
            report,
            _grey_limits(model, [field.image for field in fields]),
            kept.budget,
        )
        made = _make_parts(question, model, kept, job)
    record = None
    if job.shard is not None:
        share = describe_share(made, work.list_files())
        work.finish(work.describe(compute.name, compute.n_threads) | share)
        report.note(f"{out}: {', '.join(made.parts)}; --merge joins them with those of the others")
    else:
        found = _conclude(made.put_together(), settings, methods, model, work)
        record = work.describe(compute.name, compute.n_threads) | found
        work.finish(record)
        _tell(record, job)
    kept.say_excess()
    return record


def _claim(claimed: dict[str, Any], paths: Sequence[Path], job: Job) -> Work | None:
    """Take the folder; pictures of a shard stay as they were drawn, for the merge to stamp."""
    if job.shard is None:
        return job.claim(RECORD, CONTENTS, claimed, paths, scratch=(PARTS, DRAWN))
    return job.claim(SHARD_RECORD, (*CONTENTS, DRAWN), claimed, paths, scratch=(PARTS,))


def _merge(
    settings: ExplainSettings,
    methods: Sequence[Method],
    model: LoadedModel,
    work: Work,
    job: Job,
) -> dict[str, Any]:
    """Join what shards have made, and give the record."""
    shards = work.open_parts(SHARD_RECORD)
    made = join_shares(shards, settings)
    work.gather(shards, (*CONTENTS, DRAWN))
    found = _conclude(made.put_together(), settings, methods, model, work)
    record = work.describe() | found
    work.finish_merge(record, shards)
    _tell(record, job)
    return record


def _conclude(
    found: Explanation,
    settings: ExplainSettings,
    methods: Sequence[Method],
    model: LoadedModel,
    work: Work,
) -> dict[str, Any]:
    """Entries of the record; the pictures are stamped with what they say of the checks."""
    done = list_done(settings.checks, vars(found))
    place_pictures(work.folder.path, done.stamp)
    return describe(found, settings, methods, model, done, work.list_files())


def _tell(record: dict[str, Any], job: Job) -> None:
    for line in [*record["warnings"], f"{job.out}: {headline(record)}"]:
        job.report.note(line)


def _find_class(name: str, model: LoadedModel) -> int:
    """Index of a class; a `UsageError` if the model has no such class."""
    classes = model.checkpoint.classes
    if name not in classes:
        raise UsageError(f"--class {name}: {model.path} has {', '.join(classes)}")
    return classes.index(name)


def _parse_contrast(text: str, class_index: int, model: LoadedModel) -> Contrast:
    """``rest``, ``none``, or the index of another class; a `UsageError` if it is none of them."""
    if text in ("rest", "none"):
        return text  # type: ignore[return-value]
    classes = model.checkpoint.classes
    if text not in classes or classes.index(text) == class_index:
        others = [name for number, name in enumerate(classes) if number != class_index]
        raise UsageError(f"--contrast {text}: use rest, none, {', '.join(others)}")
    return classes.index(text)


def _resolve_methods(settings: ExplainSettings, model: LoadedModel) -> tuple[Method, ...]:
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


def _make_parts(question: Question, model: LoadedModel, kept: KeptParts, job: Job) -> Made:
    """Parts of the job, the checks first; each is kept on disk, so that another run goes on."""
    settings, fields = question.settings, question.fields
    regions: list[Region] = []
    if settings.checks or settings.boundary or settings.receptive_field:
        regions = draw_regions(question.fields, settings.regions, settings.window, settings.seed)

    @cache
    def maps_of(number: int) -> Maps:
        return question.explain(question.ask_region(regions[number]))

    work: dict[str, Callable[[Question], Any]] = {
        "sanity": lambda asking: check_sanity(asking, regions),
        "faithfulness": lambda asking: check_faithfulness(asking, regions, maps_of),
        "patch": lambda asking: check_patch(asking, regions),
        "labels": lambda asking: check_labels(asking, regions),
        "boundary": lambda asking: check_boundary(asking, regions, maps_of),
        "receptive_field": lambda asking: check_context(asking, regions, model.checkpoint),
        "features": dump_features,
    }
    own = share_parts(settings, len(fields), job)
    asked = [name for name in work if name in own]
    parts = {}
    map_s = _time_map(question, regions) if asked else 0.0
    # what an earlier run has not begun comes before what it has made in part
    order = sorted(asked, key=kept.has)
    for number, name in enumerate(order):
        weight, *later = (_WEIGHTS[one] for one in (*order[number:], "maps"))
        asking = question.within(weight / (weight + sum(later)))
        make, least_s = partial(work[name], asking), _LEAST_MAPS.get(name, 0) * map_s
        parts[name] = kept.make(name, KINDS[name], make, needs_s=least_s)
    numbers = [number for number in range(len(fields)) if name_maps(number) in own]
    maps, missing = _make_maps(question, numbers, kept)
    names = tuple(field.name for field in fields)
    sample = describe_sample(regions) if regions else None
    return Made(names, sample, parts | maps, (*kept.left_out, *missing))


def _time_map(question: Question, regions: Sequence[Region]) -> float:
    """Seconds that a map of a region takes, by which checks are fitted into a budget; or 0."""
    if question.budget == Budget() or not regions:
        return 0.0
    began = time.monotonic()
    question.explain_regions(question.segmenter, regions[:1])
    return time.monotonic() - began


def _make_maps(
    question: Question, numbers: Sequence[int], kept: KeptParts
) -> tuple[dict[str, FieldMaps], tuple[str, ...]]:
    """Maps of fields, a part each, at least of the first; and what there was no time for."""
    # their names say nothing to a reader, and nor do their times
    maps = KeptParts(kept.folder, kept.budget, replace(kept.report, verbosity=-1))
    found = {}
    with question.report.progress("maps", len(numbers)) as advance:
        for number in numbers:
            name, make = name_maps(number), partial(write_maps, question, number)
            part = maps.make(name, FieldMaps, make, is_quick=number == numbers[0])
            found |= {name: part} if part else {}
            advance(1, question.fields[number].name)
    pieces = tuple(line for part in found.values() for line in part.left_out)
    n_missing = len(numbers) - len(found)
    return found, (*pieces, *([f"maps of {n_missing} images"] if n_missing else []))


def _grey_limits(model: LoadedModel, images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Range of greys that the network knows: of its training, or of the images for old models."""
    greys = model.checkpoint.greys
    if greys:
        return greys[0], greys[-1]
    return float(min(i.min() for i in images)), float(max(i.max() for i in images))
