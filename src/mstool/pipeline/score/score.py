"""Score masks against label maps."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import CheckFailed
from mstool.io.atomic import write_text
from mstool.io.outputs import OutputFolder, claim_files
from mstool.io.records import Run, hash_inputs, relative_to, to_json
from mstool.labels.legend import legend_from_toml
from mstool.pipeline.score.behind_masks import describe_calibration
from mstool.pipeline.score.counts import gather_counts
from mstool.pipeline.score.entries import (
    compare_fractions,
    describe_abstention,
    describe_baselines,
    describe_confusion,
    describe_conventions,
    describe_interval,
    describe_metrics,
)
from mstool.pipeline.score.image_counts import Comparison, ImageCounts, list_behind
from mstool.pipeline.score.inputs import MaskRun, Pair
from mstool.pipeline.score.leak import describe_leak
from mstool.pipeline.score.rivals import describe_least_difference, describe_rivals
from mstool.pipeline.score.runs import (
    common_folds,
    describe_folds,
    describe_runs,
    describe_variance,
)
from mstool.pipeline.score.score_settings import ScoreSettings
from mstool.pipeline.score.shapes import describe_image_shapes, describe_shapes, pool_shapes
from mstool.pipeline.shards import Parts
from mstool.reporting import Reporter
from mstool.scores.contract import DEFINITIONS
from mstool.scores.metrics import average_metrics
from mstool.splits.groups import join_relations


def claim_record(
    settings: ScoreSettings, inputs: Sequence[Path], out: Path | None, overwrite: bool
) -> dict[str, str]:
    """SHA-256 of each input by its path, relative to the folder of `out`, if that may be written.

    Raises
    ------
    OutputExistsError
        If `out` holds anything else than a score of the same inputs with the same settings, unless
        that is to be overwritten.
    """
    if out is None:
        return hash_inputs(inputs, Path())
    return claim_files((), out, asdict(settings), inputs, overwrite)


def score_masks(
    asked: Comparison, counted: Sequence[ImageCounts], report: Reporter, folder: Path = Path()
) -> dict[str, Any]:
    """Say what counts of masks come to: the keys of a score record, with NaN where undefined.

    `counted` are those of all micrographs, in their order; `folder` is that of the record. Of
    several runs the pixels of a micrograph are pooled first, so that it stays one unit.
    """
    settings, runs, pairs = asked.settings, asked.runs, asked.pairs
    names = legend_from_toml(settings.label_legend).names
    counts = gather_counts([image.runs for image in counted])
    shapes = [pool_shapes(image.shapes) for image in counted]
    may_abstain = any(run.mask_set.may_abstain for run in runs)
    groups, pooled = _drawn_groups(asked, report), counts.masks.sum(axis=0)
    own_groups = [pair.group for pair in pairs]
    _warn_of_labels(pooled, report)
    record = {
        "n_images": len(pairs),
        "classes": list(names),
        "pooled": describe_confusion(pooled, names),
        "per_image": [
            _describe_image(pair, group, confusion, names, folder)
            | describe_image_shapes(shape, names)
            for pair, group, confusion, shape in zip(
                pairs, groups or own_groups, counts.masks, shapes, strict=True
            )
        ],
        "image_mean": describe_metrics(average_metrics(counts.masks), names),
        "interval": describe_interval(counts.masks, counts.by_run, names, groups, report),
        "baselines": describe_baselines(counts, names),
        "phase_fraction": compare_fractions(pooled, names),
        "abstention": describe_abstention(pairs, counts) if may_abstain else None,
        "calibration": asked.probs and describe_calibration(pairs, list_behind(counted), names),
        **describe_shapes(shapes, names, settings.ask_shapes()),
        "as": describe_conventions(counts.masks, names, settings.tools or ()),
        "definitions": DEFINITIONS,
        "folds": describe_folds(pairs, common_folds(runs), counts.masks, names),
        "runs": describe_runs(runs, counts.by_run, names),
        "variance": describe_variance(runs, counts.by_run, groups),
        "leak": describe_leak(
            [(run.pairs, run.mask_set) for run in runs], settings.group_by, report
        ),
        "versus": describe_rivals(
            counts.masks,
            asked.rivals,
            [np.stack(each) for each in zip(*(image.rivals for image in counted), strict=True)],
            settings,
            groups,
            report,
        ),
    }
    if settings.min_detectable:
        record["min_detectable"] = describe_least_difference(counts.masks, names, groups)
    return record


def finish_record(
    record: dict[str, Any],
    hashes: dict[str, str],
    settings: ScoreSettings,
    out: Path | None,
    run: Run,
    parts: Parts | None = None,
) -> str:
    """Add the common keys, give JSON, and write it to `out` if that is set.

    Shards of which it is joined, in `parts`, are told, and taken away once it is written.
    """
    common = {
        "mstool": run.facts("score"),
        "status": "done" if _passes(record, settings.min_iou) else "check failed",
        "inputs": hashes,
        "settings": asdict(settings),
    }
    shards = {} if parts is None else {"shards": parts.describe()}
    text = to_json(common | record | shards)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, text)
    if parts is not None:
        parts.remove(OutputFolder(out, parts.record, ()))
    return text


def check_min_iou(record: dict[str, Any], min_iou: float | None) -> None:
    """Fail if the pooled mean IoU is too low, or undefined.

    Raises
    ------
    CheckFailed
        If so.
    """
    if not _passes(record, min_iou):
        mean_iou = _mean_iou(record)
        reached = "-" if math.isnan(mean_iou) else f"{mean_iou:.4f}"
        raise CheckFailed(
            f"the pooled mean IoU is {reached}, below --min-iou {min_iou:g}; look at per_image for "
            "where it fails"
        )


def _drawn_groups(asked: Comparison, report: Reporter) -> list[str] | None:
    """Group of each micrograph, if intervals are over groups: asked for, or recorded.

    What is recorded of any run holds, and of masks to compare with: which of two is compared with
    the other must not decide what varies.
    """
    runs, is_asked_for = asked.runs, asked.settings.group_by is not None
    own, groups = (
        join_relations(*([pair.group for pair in run.pairs] for run in some))
        for some in (runs, (*runs, *asked.rivals))
    )
    n_own, n_groups = len(set(own)), len(set(groups))
    if not is_asked_for and n_own < (n_tiled := _count_tiled_groups(runs[0])):
        report.note(
            f"the split of the training makes {n_own} groups of the {n_tiled} of the tile "
            "folder: these are the units of intervals, unless --group-by gives others"
        )
    if n_groups < n_own:
        report.note(
            f"the masks to compare with know that the micrographs are of {n_groups} groups, and "
            f"not of {n_own}: these are the units of intervals, unless --group-by gives others"
        )
    return groups if is_asked_for or n_groups < len(groups) else None


def _count_tiled_groups(run: MaskRun) -> int:
    """Number of groups of the scored micrographs as tile has made them."""
    sources = [run.mask_set.sources.get(pair.mask.stem) for pair in run.pairs]
    return len({source.group for source in sources if source})


def _warn_of_labels(pooled: np.ndarray, report: Reporter) -> None:
    """Say where the label maps have too little in them for a score to show anything."""
    n_classes = np.count_nonzero(pooled.sum(axis=1))
    if n_classes == 1:
        report.note("warning: the label maps hold one class alone; a high score shows nothing")
    if n_classes == 0:
        report.note("warning: no pixel with a class in mask and label map; nothing is scored")


def _describe_image(
    pair: Pair, group: str, confusion: np.ndarray, names: Sequence[str], folder: Path
) -> dict[str, Any]:
    files = {"mask": pair.mask, "labels": pair.labels, "micrograph": pair.image}
    return {
        "image": pair.name,
        "group": group,
        "files": {kind: path and relative_to(path, folder) for kind, path in files.items()},
        **describe_confusion(confusion, names),
        "phase_fraction": compare_fractions(confusion, names),
    }


def _passes(record: dict[str, Any], min_iou: float | None) -> bool:
    """Whether the pooled mean IoU is at least `min_iou`; NaN is not."""
    return min_iou is None or _mean_iou(record) >= min_iou


def _mean_iou(record: dict[str, Any]) -> float:
    """Pooled mean IoU [1] of a record, also of one that was read; NaN if undefined."""
    found = record["pooled"]["mean_iou"]
    return math.nan if found is None else found
