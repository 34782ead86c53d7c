"""Maps while weights turn random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.colours import SERIES
from mstool.pictures.map_panels import scale_for_display


@dataclass(frozen=True)
class SanityRow:
    """One method, and its maps, float (H, W)."""

    name: str
    is_signed: bool  # whether values below 0 mean something
    trained: np.ndarray  # map of the trained network
    randomised: Sequence[np.ndarray]  # map for each number of random blocks
    similarity: Sequence[float]  # absolute rank correlation with `trained` [1]; may be NaN


def draw_sanity(
    rows: Sequence[SanityRow], blocks: Sequence[str], title: str, passing: tuple[float, float]
) -> Figure:
    """Draw maps against the number of random blocks, and how alike they stay.

    Parameters
    ----------
    blocks : sequence of str
        Names of the blocks, from the output.
    passing : tuple of float
        Most similarity that passes, as the mean and at the end [1].
    """
    n_cols = len(blocks) + 1
    figure = Figure(figsize=(1.75 * n_cols + 0.6, 1.95 * len(rows) + 4.2), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.95 * len(rows), 3.6])
    grid = upper.subplots(len(rows), n_cols, squeeze=False)
    for places, row in zip(grid, rows, strict=True):
        for column, (axes, values) in enumerate(
            zip(places, [row.trained, *row.randomised], strict=True)
        ):
            low, colours = (-1, "PuOr_r") if row.is_signed else (0, "viridis")
            axes.imshow(scale_for_display(values), cmap=colours, vmin=low, vmax=1)
            axes.set(xticks=[], yticks=[])
            if row is rows[0]:
                name = "trained" if column == 0 else f"+ {_shorten(blocks[column - 1])}"
                axes.set_title(name, fontsize=7)
        places[0].set_ylabel("\n@".join(row.name.split("@")), fontsize=8)
    axes = lower.subplots()
    for number, row in enumerate(rows):
        style = "--" if row.name.startswith("control") else "-o"
        axes.plot(
            range(1, n_cols),
            row.similarity,
            style,
            ms=4,
            color=SERIES[number % len(SERIES)],
            label=row.name,
        )
    names = ("most mean that passes", "most at the end that passes")
    for height, name in zip(passing, names, strict=True):
        axes.axhline(height, color="grey", lw=0.8, ls=":")
        axes.text(n_cols - 0.98, height + 0.01, name, fontsize=7, color="dimgrey", ha="right")
    axes.set(
        xlabel="blocks with random weights, from the output",
        ylabel="|rank correlation| with the\ntrained network's map [1]",
        ylim=(0, 1.05),
        xticks=range(1, n_cols),
    )
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.3)
    return figure


def _shorten(name: str) -> str:
    return name if len(name) <= 18 else "…" + name[-17:]
