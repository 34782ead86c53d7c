"""A micrograph without boundaries, greys or texture, and what that costs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.colours import BLUE, GREEN, ORANGE
from mstool.pictures.scale_bar import draw_scale_bar


def draw_counterfactual(
    images: Mapping[str, np.ndarray],
    drops: Mapping[str, Sequence[float]],
    mean: Mapping[str, float],
    interval: Mapping[str, tuple[float, float]],
    verdict: str,
    title: str,
    pixel_size_um: float | None,
) -> Figure:
    """Draw the changed micrographs and the loss of probability of each region.

    Parameters
    ----------
    images : mapping of str to ndarray of float, shape (H, W, C)
        By title; the first is the micrograph itself and sets the grey range.
    drops : mapping of str to sequence of float
        Loss of each region [1], NaN left out, by what was removed.
    mean, interval : mapping of str to float, and to (float, float)
        Mean loss over micrographs or groups, and its interval [1]; NaN where there is none.
    verdict : str
        Cause that was found, ``mixed`` or ``not testable``.
    """
    first = next(iter(images.values()))
    height, width = first.shape[:2]
    figure = Figure(figsize=(3.6 * len(images), 3.6 * height / width + 3.4), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.6 * height / width + 0.4, 2.6])
    low, high = np.percentile(first, [0.5, 99.5])
    for axes, (name, image) in zip(upper.subplots(1, len(images)), images.items(), strict=True):
        shown = np.clip((image - low) / ((high - low) or 1), 0, 1)
        axes.imshow(shown[..., 0] if shown.shape[2] == 1 else shown, cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=10)
        if image is first:
            draw_scale_bar(axes, pixel_size_um)
    _draw_drops(lower.subplots(), drops, mean, interval, verdict)
    return figure


def _draw_drops(axes, drops, mean, interval, verdict) -> None:
    rng = np.random.default_rng(0)  # only spreads dots that would lie on each other
    for place, (name, colour) in enumerate(zip(drops, (BLUE, ORANGE, GREEN), strict=False)):
        values = np.asarray(drops[name], float)
        values = values[np.isfinite(values)]
        spread = place + rng.uniform(-0.15, 0.15, len(values))
        axes.plot(values, spread, "o", ms=4, alpha=0.35, color=colour)
        axes.plot([mean[name]] * 2, [place - 0.3, place + 0.3], color=colour, lw=3)
        axes.plot(interval[name], [place, place], color="black", lw=1.5)
    axes.axvline(0, color="black", lw=0.8)
    axes.set(
        yticks=range(len(drops)),
        yticklabels=[f"without {name}" for name in drops],
        xlabel="loss of the class's probability [1]; dots: regions, lines: mean by micrograph",
    )
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.1), max(high, 1.05))
    axes.set_title(f"cause of the decision: {verdict}", fontsize=11)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
