"""Attribution against the distance to a boundary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from mstool.pictures.colours import SERIES


def draw_boundary(profiles: Mapping[str, Any], title: str, pixel_size_um: float | None) -> Figure:
    """Draw how dense maps are at each distance.

    Parameters
    ----------
    profiles : mapping of str to object
        With arrays ``from_px``, ``to_px`` (signed distances [px]) and ``enrichment`` [1], by name.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots()
    first = next(iter(profiles.values()))
    places = np.arange(len(first.from_px))
    for number, (name, profile) in enumerate(profiles.items()):
        is_plain = "control" in name or "random" in name
        axes.plot(
            places,
            np.where(profile.enrichment > 0, profile.enrichment, np.nan),
            "--s" if is_plain else "-o",
            ms=4,
            lw=1.2 if is_plain else 2.2,
            color=SERIES[number % len(SERIES)],
            label=name if np.any(profile.enrichment > 0) else f"{name} (map of zeros)",
        )
    axes.axhline(1, color="black", lw=0.8)
    axes.axvline(len(places) / 2 - 0.5, color="black", lw=0.8, ls=":")
    names = [
        _span(low, high, pixel_size_um)
        for low, high in zip(first.from_px, first.to_px, strict=True)
    ]
    axes.set_xticks(places, names, fontsize=7)
    unit = "px" if pixel_size_um is None else "px, below in µm"
    axes.set(
        xlabel=f"outside   ←   distance to the boundary [{unit}]   →   inside",
        ylabel="density of attribution, even spread = 1 [1]",
    )
    if any(np.any(profile.enrichment > 0) for profile in profiles.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_PlainNumber())
        axes.yaxis.set_minor_formatter(_PlainNumber(minor_thresholds=(1.5, 0.5)))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


class _PlainNumber(LogFormatter):
    """Numbers of a logarithmic axis in digits; a formula would be shown as it is written."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def _span(low: float, high: float, pixel_size_um: float | None) -> str:
    near, far = sorted((abs(low), abs(high)))
    text = f"{near:g}+" if np.isinf(far) else f"{near:g}-{far:g}"
    if pixel_size_um is None:
        return text
    size = pixel_size_um
    scaled = f"{near * size:.2g}+" if np.isinf(far) else f"{near * size:.2g}-{far * size:.2g}"
    return f"{text}\n{scaled}"
