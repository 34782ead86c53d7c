"""Entries of a score record: what confusion matrices say, by class name, NaN where undefined."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from mstool.chance.intervals import LEAST_UNITS, METHOD, simulated_coverage
from mstool.pipeline.score.counts import Counts
from mstool.pipeline.score.inputs import Pair
from mstool.reporting import Reporter
from mstool.scores.baselines import majority_baseline, match_regions, relabel_regions
from mstool.scores.metrics import Metrics, compute_metrics
from mstool.scores.other_tools import CONVENTIONS, convert
from mstool.scores.statistics import Scored, score_intervals
from mstool.stereology.fractions import phase_fraction_from_counts

_OTSU_NOTE = (
    "thresholds are Otsu's, from grey levels alone; only the matching of their regions to classes "
    "had the truth in hand, so other thresholds may score more"
)


def describe_confusion(confusion: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Metrics of one confusion matrix, and the matrix itself."""
    metrics = describe_metrics(compute_metrics(confusion), names)
    return metrics | {"confusion": confusion.tolist()}


def describe_metrics(metrics: Metrics, names: Sequence[str]) -> dict[str, Any]:
    """Metrics as plain values; those of each class by its name."""
    values = {entry.name: getattr(metrics, entry.name) for entry in fields(metrics)}
    return {
        key: by_class(value, names) if np.ndim(value) else value for key, value in values.items()
    }


def by_class(values: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Values of classes, shape (C,), as plain ones by name."""
    return dict(zip(names, values.tolist(), strict=True))


def compare_fractions(confusion: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Phase fractions [1] of truth and prediction, and the error, by class."""
    truth = phase_fraction_from_counts(confusion.sum(axis=1))
    predicted = phase_fraction_from_counts(confusion.sum(axis=0))
    rows = np.stack([truth, predicted, predicted - truth], axis=1).tolist()
    keys = ("truth", "predicted", "error")
    return {name: dict(zip(keys, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def describe_abstention(pairs: Sequence[Pair], counts: Counts) -> dict[str, Any]:
    """Share of the labelled pixels [1] that masks give a class, in all and by micrograph."""
    kept = counts.masks.sum(axis=(1, 2))
    labelled = kept + counts.n_abstained
    with np.errstate(invalid="ignore"):
        shares = (kept / labelled).tolist()
    rows = zip(pairs, shares, strict=True)
    return {
        "coverage": float(kept.sum() / labelled.sum()) if labelled.any() else float("nan"),
        "per_image": [{"image": pair.name, "coverage": share} for pair, share in rows],
    }


def describe_interval(
    confusions: np.ndarray,
    by_run: np.ndarray,
    names: Sequence[str],
    groups: Sequence[str] | None,
    report: Reporter,
) -> dict[str, Any] | None:
    """Intervals of the metrics, from counts summed over runs and by run; None of too few units.

    Whole groups are the units if the group of each micrograph is given, otherwise micrographs.
    """
    found = score_intervals(confusions, groups, by_run=by_run)
    unit = "image" if groups is None else "group"
    if found.n_units < LEAST_UNITS:
        units = f"{found.n_units} {unit}{'s' * (found.n_units != 1)}"
        report.note(
            f"no interval: {units} cannot tell how {unit}s vary; score {LEAST_UNITS} or more"
        )
        return None
    coverage = {
        score: simulated_coverage(score, found.n_units)
        for score in ("mean_iou", "image_mean_iou", "accuracy")
    }
    # a class is known from the units that have it, however many the others are
    of_classes = [simulated_coverage("iou", n_units) for n_units in found.n_units_with.tolist()]
    return {
        "level": found.level,
        "method": METHOD,
        "unit": unit,
        "n_units": found.n_units,
        "n_runs": len(by_run),
        "coverage": coverage | {"iou": dict(zip(names, of_classes, strict=True))},
        **describe_scored(found.scores, names),
    }


def describe_scored(scored: Scored, names: Sequence[str]) -> dict[str, Any]:
    """A value or an interval of each score; intervals that are undefined are None."""
    plain = {name: _plain(value) for name, value in vars(scored).items() if name != "iou"}
    rows = zip(names, map(_plain, scored.iou), strict=True)
    return {**plain, "iou": dict(rows)}


def describe_baselines(counts: Counts, names: Sequence[str]) -> dict[str, Any]:
    """What the commonest class everywhere, and what thresholds, would have scored."""
    majority = majority_baseline(counts.masks).sum(axis=0)
    commonest = names[counts.masks.sum(axis=(0, 2)).argmax()]
    return {
        "majority": {"class": commonest, **describe_confusion(majority, names)},
        "otsu": None if counts.regions is None else _describe_otsu(counts.regions, names),
    }


def describe_conventions(
    confusions: np.ndarray, names: Sequence[str], tools: Sequence[str]
) -> dict[str, Any] | None:
    """What each of the other tools would print, and its convention in words; None without one."""
    found = {
        tool: {"convention": CONVENTIONS[tool], **convert(tool, confusions, names)}
        for tool in tools
    }
    return found or None


def _describe_otsu(regions: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    pooled = regions.sum(axis=0)
    classes = match_regions(pooled)
    return {
        "note": _OTSU_NOTE,
        "classes_dark_to_bright": [names[index] for index in classes],
        **describe_confusion(relabel_regions(pooled, classes), names),
    }


def _plain(value: Any) -> Any:
    """A number as it is, an interval as a list, or None if that is undefined."""
    if np.ndim(value) == 0:
        return value.item() if isinstance(value, np.generic) else value
    return None if np.isnan(value).any() else value.tolist()
