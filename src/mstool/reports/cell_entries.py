"""Entries of a report: what its JSON says of each cell, plain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mstool.chance.power import ALPHA
from mstool.design.study_plan import name_columns
from mstool.io.plain import to_plain
from mstool.reports.pairing import Comparison
from mstool.reports.sentences import judge


def describe_scores(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a score record says of a cell, as it stands there."""
    interval, baselines = record["interval"] or {}, record["baselines"]
    rows = record["per_image"]
    groups = {row.get("group", row["image"]) for row in rows}
    return {
        "n_images": record["n_images"],
        "unit": "group" if len(groups) < len(rows) else "image",
        "n_units": len(groups),
        "n_runs": len(record["runs"] or [None]),
        "mean_iou": record["pooled"]["mean_iou"],
        "interval": interval.get("mean_iou"),
        "coverage": (interval.get("coverage") or {}).get("mean_iou"),
        "runs": [run["mean_iou"] for run in record["runs"] or [record["pooled"]]],
        "majority": baselines["majority"]["mean_iou"],
        "otsu": (baselines["otsu"] or {}).get("mean_iou"),
        "classes": describe_classes(record),
        "confusion": record["pooled"]["confusion"],
        "micrographs": describe_micrographs(record),
        "leak": record["leak"],
        # runs that are divided differently have folds, and all of them together have none
        "is_out_of_fold": all(one.get("folds") is not None for one in record["runs"] or [record]),
        "calibration": _describe_calibration(record["calibration"]),
        "variance": _standard_deviations(record["variance"]),
    }


def describe_classes(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Scores of each class, by its name."""
    pooled, interval = record["pooled"], record["interval"] or {}
    return {
        name: {
            "iou": pooled["iou"][name],
            "interval": (interval.get("iou") or {}).get(name),
            "precision": pooled["precision"][name],
            "recall": pooled["recall"][name],
            "true_share": record["phase_fraction"][name]["truth"],
            "predicted_share": record["phase_fraction"][name]["predicted"],
            "n_images": sum(row["iou"][name] is not None for row in record["per_image"]),
        }
        for name in record["classes"]
    }


def describe_micrographs(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Worst and median micrograph by mean IoU; None where no micrograph has one.

    With an even number of micrographs the median is the lower of the two in the middle.
    """
    scored = [row for row in record["per_image"] if row["mean_iou"] is not None]
    if not scored:
        return None
    ranked = sorted(scored, key=lambda row: (row["mean_iou"], row["image"]))
    chosen = {"worst": ranked[0], "median": ranked[(len(ranked) - 1) // 2]}
    keys = ("image", "mean_iou", "iou")
    return {place: {key: row[key] for key in keys} for place, row in chosen.items()}


def describe_comparison(comparison: Comparison, base: str) -> dict[str, Any]:
    """Entry ``versus`` of a cell: its mean IoU less that of the base."""
    versus = comparison.versus
    interval = versus.interval[0]
    entry = {
        "base": base,
        "difference": float(versus.difference[0]),
        "interval": None if np.isnan(interval).any() else interval.tolist(),
        "has_run_variance": comparison.has_run_variance,
        "by_run": list(comparison.by_run),
        "p": float(versus.p[0]),
        "p_holm": comparison.p_holm,
        "smallest_p": versus.smallest_p,
        "least_p_holm": comparison.least_p_holm,
        "can_distinguish": comparison.least_p_holm <= ALPHA,
        "least_difference": float(versus.least_difference[0]),
        "n_needed": versus.n_needed[0],
    }
    entry = to_plain(entry)
    return entry | {"verdict": judge(entry)}


def csv_rows(entries: Sequence[Mapping[str, Any]], factors: Sequence[str]) -> list[list[Any]]:
    """Rows of the CSV table, the header first; None where undefined."""
    before = ["cell", "data"]
    after = ["status", "n_images", "n_runs", "mean_iou", "low", "high"]
    after += ["base", "difference", "difference_low", "difference_high", "p", "p_holm"]
    after += ["core_s_train", "core_s_predict", "core_s", "peak_rss_mb"]
    header = [*before, *name_columns(factors, before + after), *after]
    return [header, *(_csv_row(entry, factors) for entry in entries)]


def _csv_row(entry: Mapping[str, Any], factors: Sequence[str]) -> list[Any]:
    row = [entry["name"], entry["data"], *(entry["levels"].get(factor) for factor in factors)]
    row += [entry["status"]]
    if entry["status"] != "done":
        return row + [None] * 15
    versus, cost = entry["versus"] or {}, entry["cost"]
    row += [entry["n_images"], entry["n_runs"], entry["mean_iou"]]
    row += entry["interval"] or [None, None]
    row += [versus.get("base"), versus.get("difference"), *(versus.get("interval") or (None, None))]
    row += [versus.get("p"), versus.get("p_holm")]
    return [*row, cost["train"], cost["predict"], cost["total"], cost["peak_rss_mb"]]


def _describe_calibration(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {key: found[key] for key in ("ece", "brier", "class_ece", "rank_correlation")}


def _standard_deviations(variance: Mapping[str, Any] | None) -> dict[str, float] | None:
    """Standard deviation of a micrograph's mean IoU by what it comes from."""
    if variance is None:
        return None
    return {name: row["sd"] for name, row in variance["components"].items()}
