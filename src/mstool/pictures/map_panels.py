"""A micrograph beside maps of what decides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mstool.pictures.colours import YELLOW
from mstool.pictures.overlay import stretch
from mstool.pictures.scale_bar import draw_scale_bar

_PER_ROW = 3


@dataclass(frozen=True)
class Panel:
    """One map."""

    title: str  # method
    values: np.ndarray  # float (H, W)
    is_signed: bool  # whether values below 0 mean something


def draw_attribution(
    image: np.ndarray,
    panels: Sequence[Panel],
    region: np.ndarray,
    title: str,
    pixel_size_um: float | None,
    image_title: str = "micrograph, region outlined",
) -> Figure:
    """Draw a micrograph with a region, bool (H, W), outlined, and maps over it.

    Maps are scaled by the 99th percentile of their size, each by its own; zero stays zero.
    """
    n = len(panels) + 1
    n_cols = n if n in (2, 4) and n <= _PER_ROW else min(n, _PER_ROW)
    n_rows = -(-n // n_cols)
    height, width = region.shape
    figure = Figure(
        figsize=(4.6 * n_cols, 3.5 * n_rows * height / width + 0.6 * n_rows + 0.4),
        layout="constrained",
    )
    figure.suptitle(title)
    places = np.atleast_1d(figure.subplots(n_rows, n_cols, squeeze=False)).ravel()
    grey = stretch(image[..., 0] if image.shape[2] == 1 else image)
    places[0].imshow(grey)
    places[0].set_title(image_title)
    draw_scale_bar(places[0], pixel_size_um)
    for axes, panel in zip(places[1:], panels, strict=False):
        _draw_map(figure, axes, grey, panel)
    for number, axes in enumerate(places):
        axes.set(xticks=[], yticks=[])
        if number < n and not region.all():
            # half a line under the maps, so that it hides little of them
            axes.contour(region, [0.5], colors=YELLOW if number == 0 else "black", linewidths=0.7)
        axes.set_visible(number < n)
    return figure


def scale_for_display(values: np.ndarray) -> np.ndarray:
    """Values over the 99th percentile of their size, cut at -1 and 1; zeros stay zeros."""
    size = np.abs(np.nan_to_num(values))
    top = np.percentile(size, 99) or size.max()
    return np.clip(np.nan_to_num(values) / top, -1, 1) if top > 0 else np.zeros_like(values)


def _draw_map(figure: Figure, axes: Axes, grey: np.ndarray, panel: Panel) -> None:
    axes.imshow(0.55 + 0.45 * grey)
    scaled = scale_for_display(panel.values)
    low, colours = (-1, "PuOr_r") if panel.is_signed else (0, "viridis")
    shown = axes.imshow(scaled, cmap=colours, vmin=low, vmax=1, alpha=0.25 + 0.75 * np.abs(scaled))
    axes.set_title(panel.title, fontsize=10)
    if panel.is_signed:
        shown.set_alpha(np.abs(scaled) ** 0.5)  # white at zero anyhow
    bar = figure.colorbar(shown, ax=axes, shrink=0.75)
    against = "against / for" if panel.is_signed else "size"
    bar.set_label(f"{against}, of the 99th percentile [1]", fontsize=8)
    if not np.any(panel.values):
        box = {"facecolor": "white", "edgecolor": "black"}
        axes.text(0.5, 0.5, "map of zeros", transform=axes.transAxes, ha="center", bbox=box)
