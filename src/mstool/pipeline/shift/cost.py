"""What the shift costs: measured with labels, estimated as a range without."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mstool.scores.metrics import iou, mean_iou
from mstool.scores.statistics import percentile_interval, resample_iou
from mstool.shift.estimates import (
    Case,
    bound_accuracies,
    errors_left_out,
    estimate_accuracies,
    estimate_score,
    label_shift_score,
    predict_score,
    signs_of,
)
from mstool.shift.readings import Reading, add_readings

LEAST_CASES = 6


def measure_scores(
    source: Sequence[Reading],
    target: Sequence[Reading],
    groups: tuple[Sequence[str], Sequence[str]],
    classes: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Scores of both sets and their difference, where there are labels.

    Parameters
    ----------
    source, target : sequence of Reading
        Of each micrograph; without truth for a set without labels.
    groups : tuple of sequence of str
        Specimen of each micrograph.
    classes : sequence of str
        Names.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``source``, ``target`` and ``drop``, each None where labels are missing.
    """
    found: dict[str, Any] = {"source": None, "target": None, "drop": None}
    samples = {}
    for name, readings, units in (("source", source, groups[0]), ("target", target, groups[1])):
        if any(reading.confusion is None for reading in readings):
            continue
        confusions = np.stack([reading.confusion for reading in readings])
        samples[name] = resample_iou(confusions, seed + (name == "target"), units)
        found[name] = _scores(confusions, samples[name], classes)
    if found["source"] and found["target"]:
        found["drop"] = _drop(add_readings(source), add_readings(target), samples, classes)
    return found


def estimate_cost(
    source: Sequence[Reading],
    target: Sequence[Reading],
    names: Sequence[str],
    cases: Sequence[Case],
) -> dict[str, Any]:
    """Range for the score on the target from predictions alone, and its worst micrographs.

    Parameters
    ----------
    source, target : sequence of Reading
        Of each micrograph; `source` with truth, for estimates of accuracy.
    names : sequence of str
        Of the target's micrographs.
    cases : sequence of Case
        Simulated changes of known cost.

    Returns
    -------
    dict
        ``mean_iou`` (a range with its error, None with too few cases), ``accuracy`` by method
        (ranges too), ``ranking`` (worst micrograph first).
    """
    ours, theirs = add_readings(source), add_readings(target)
    found: dict[str, Any] = {
        "self_consistency": {"source": ours.self_consistency, "target": theirs.self_consistency},
        "soft_iou": {"source": ours.soft_iou, "target": theirs.soft_iou},
        "accuracy": bound_accuracies(cases, estimate_accuracies(ours, theirs)),
        "mean_iou": None,
    }
    families = {case.family for case in cases}
    signs = signs_of(theirs, ours)
    if len(cases) >= LEAST_CASES and len(families) > 2:
        found["mean_iou"] = asdict(estimate_score(cases, signs))
        estimated, truth = errors_left_out(cases)
        found["calibration"] = [
            {"family": case.family, "dose": case.dose, "estimated": a, "true": b}
            for case, a, b in zip(cases, estimated, truth, strict=True)
        ]
    rows = []
    for name, reading in zip(names, target, strict=True):
        own = signs_of(reading, ours)
        risk = 1 - (predict_score(cases, own) if found["mean_iou"] else own[0])
        row = {"image": name, "risk": risk, "self_consistency": own[0], "confidence": own[1]}
        if reading.confusion is not None:
            row["mean_iou"] = mean_iou(reading.confusion)
        rows.append(row)
    found["ranking"] = sorted(rows, key=lambda row: -row["risk"])
    return found


def _scores(confusions, resampled, classes) -> dict[str, Any]:
    pooled = confusions.sum(axis=0)
    mean, by_class = resampled
    several = len(confusions) > 1
    by_name = iou(pooled)
    return {
        "n_images": len(confusions),
        "mean_iou": mean_iou(pooled),
        "interval": percentile_interval(mean) if several else None,
        "iou": dict(zip(classes, by_name, strict=True)),
        "iou_interval": {
            name: percentile_interval(by_class[:, index]) if several else None
            for index, name in enumerate(classes)
        },
        "phase_fraction": dict(
            zip(classes, pooled.sum(axis=1) / max(1, pooled.sum()), strict=True)
        ),
    }


def _drop(source: Reading, target: Reading, samples, classes) -> dict[str, Any]:
    shares = target.confusion.sum(axis=1) / max(1, target.confusion.sum())
    ours, theirs = mean_iou(source.confusion), mean_iou(target.confusion)
    by_labels = label_shift_score(source, shares)
    per_class = iou(source.confusion) - iou(target.confusion)
    mean, classwise = (_resampled_difference(*pair) for pair in zip(*samples.values(), strict=True))
    return {
        "mean_iou": ours - theirs,
        "interval": percentile_interval(mean),
        "iou": dict(zip(classes, per_class, strict=True)),
        "iou_interval": {
            name: percentile_interval(classwise[:, index]) for index, name in enumerate(classes)
        },
        "by_phase_fraction": ours - by_labels,
        "by_appearance": by_labels - theirs,
    }


def _resampled_difference(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Source less target in each resample; none where a set has one unit, which never varies."""
    n = min(len(source), len(target))
    return source[:n] - target[:n]
