"""Probabilities against frequencies, and scores against coverage."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstool.pictures.colours import BLACK, BLUE, ORANGE

Bins = Sequence[np.ndarray]  # pixels, mean probability and share of right pixels of each bin

_LEAST_SHARE = 1e-4  # of the pixels, that a dot of a class needs
_MARKED = (0.6, 0.8, 0.9, 0.95)  # thresholds


def draw_reliability(
    title: str,
    overall: Bins,
    by_class: Mapping[str, tuple[np.ndarray, Bins]],
    error: float,
    curve: Mapping[str, Any],
) -> Figure:
    """Draw how often the class of a probability is right, and what leaving out the unsure buys.

    Parameters
    ----------
    title : str
        Of the figure.
    overall : sequence of 3 ndarray
        Bins of the largest probability.
    by_class : mapping of str to (ndarray of shape (3,), sequence of 3 ndarray)
        Colour (red, green, blue [1]) and bins of the probability of each class.
    error : float
        Expected calibration error [1].
    curve : mapping of str to ndarray
        ``threshold``, ``coverage``, ``mean_iou`` and ``accuracy`` [1], as thresholds rise.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    draw_bins(left, overall, by_class, error)
    draw_coverage(right, curve)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


def draw_bins(
    axes: Axes, overall: Bins, by_class: Mapping[str, tuple[np.ndarray, Bins]], error: float
) -> None:
    """Draw how often the class of a probability is right; arguments as in `draw_reliability`."""
    pixels, confidence, hits = overall
    total = max(pixels.sum(), 1)
    axes.plot(
        [0, 1], [0, 1], ":", color=BLACK, lw=1, label="ideal: probability = share of right pixels"
    )
    for name, (colour, (n, probability, share)) in by_class.items():
        seen = np.where(n >= _LEAST_SHARE * total, share, np.nan)
        axes.plot(probability, seen, "-", marker=".", color=colour, lw=1, label=name)
    label = f"largest probability (error {error:.3f})"
    axes.plot(confidence, hits, "-o", color=BLACK, ms=4, lw=2, label=label)
    width = 1 / len(pixels)
    places = (np.arange(len(pixels)) + 0.5) * width
    share = pixels / total
    axes.bar(places, share, 0.9 * width, color="0.85", zorder=0, label="share of pixels")
    axes.set(
        title="reliability",
        xlabel="probability [1]",
        ylabel="share of right pixels [1]",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(fontsize=8, loc="upper left")


def draw_coverage(axes: Axes, curve: Mapping[str, Any]) -> None:
    """Draw what leaving out the unsure buys; `curve` as in `draw_reliability`."""
    coverage, mean_iou = curve["coverage"], curve["mean_iou"]
    axes.plot(coverage, mean_iou, "-", color=BLUE, lw=2, label="mean IoU")
    axes.plot(coverage, curve["accuracy"], "--", color=ORANGE, lw=1.5, label="accuracy")
    least = 1.0
    for threshold in _MARKED:
        place = np.searchsorted(curve["threshold"], threshold - 1e-9)
        point = coverage[place], mean_iou[place]
        if np.isfinite(point).all():
            least = point[0]
            axes.plot(*point, "o", color=BLUE, ms=5)
            axes.annotate(f"{threshold:g}", point, (0, -12), textcoords="offset points", fontsize=8)
    axes.set(
        title="what stitch --abstain P keeps (dots: P)",
        xlabel="coverage: share of pixels with a class [1]",
        ylabel="score of these pixels [1]",
        xlim=(1.01, min(0.5, least - 0.05)),
    )
    axes.legend(fontsize=8, loc="lower right")
