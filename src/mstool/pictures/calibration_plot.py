"""Calibration of a cell, from its record."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.reliability import draw_bins, draw_coverage


def draw_calibration(
    bins: Sequence[Mapping[str, Any]], coverage: Sequence[Mapping[str, Any]], error: float
) -> Figure:
    """Draw reliability over what leaving out the unsure buys, one below the other.

    Parameters
    ----------
    bins : sequence of mapping
        ``n_pixels``, ``confidence`` and ``accuracy`` of each bin; None where undefined.
    coverage : sequence of mapping
        ``threshold``, ``coverage``, ``mean_iou`` and ``accuracy``, as thresholds rise.
    error : float
        Expected calibration error [1].
    """
    figure = Figure(figsize=(5, 8), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    overall = _columns(bins, ("n_pixels", "confidence", "accuracy"))
    draw_bins(upper, [*overall.values()], {}, error)
    draw_coverage(lower, _columns(coverage, ("threshold", "coverage", "mean_iou", "accuracy")))
    for axes in (upper, lower):
        axes.grid(alpha=0.35)
    return figure


def _columns(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, np.ndarray]:
    return {key: np.array([row[key] for row in rows], float) for key in keys}
