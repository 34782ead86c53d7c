"""Two sets of micrographs side by side: grey levels, spectra, and where each micrograph lies."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mstool.pictures.colours import BLUE, ORANGE

_SETS = (("source", BLUE, "o", "-"), ("target", ORANGE, "^", "--"))


def draw_histograms(source, target, title: str, black: float, white: float) -> Figure:
    """Draw grey levels of each set: median micrograph, and the middle 80 % of micrographs.

    Black and white are told in words: where a camera saturates they would dwarf the rest.

    Parameters
    ----------
    source, target : ndarray of float, shape (n, L) and (m, L)
        Share of the pixels by level, one row a micrograph.
    black, white : float
        Stored values of the ends.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    levels = np.linspace(black, white, source.shape[1])[1:-1]
    for rows, (name, colour, _, line) in zip((source, target), _SETS, strict=True):
        padded = np.pad(rows[:, 1:-1], ((0, 0), (2, 2)), mode="edge")
        smooth = np.array([np.convolve(row, np.ones(5) / 5, "valid") for row in padded])
        low, middle, high = np.percentile(smooth, [10, 50, 90], axis=0)
        density = source.shape[1] / (white - black)
        axes.fill_between(levels, low * density, high * density, color=colour, alpha=0.25, lw=0)
        ends = rows.mean(axis=0)
        label = f"{name}, {len(rows)} ({ends[0]:.1%} black, {ends[-1]:.1%} white)"
        axes.plot(levels, middle * density, color=colour, ls=line, lw=2, label=label)
    axes.set(xlabel="grey level [stored value]", ylabel="share of the pixels per grey level [1]")
    axes.set(title=title, xlim=(black, white))
    axes.set_ylim(bottom=0)
    figure.legend(
        title="micrographs; line: median, band: middle 80 %", loc="outside lower center", ncols=2
    )
    axes.grid(alpha=0.3)
    return figure


def draw_spectra(frequency, source, target, title: str, pixel_size_um: float | None) -> Figure:
    """Draw power spectra of each set, and their difference.

    Parameters
    ----------
    frequency : ndarray of float, shape (F,)
        Cycles per pixel.
    source, target : ndarray of float, shape (n, F) and (m, F)
        Natural logarithm of power, one row a micrograph.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    place = frequency if pixel_size_um is None else frequency / pixel_size_um
    unit = "cycles/px" if pixel_size_um is None else "cycles/µm"
    to_db = 10 / np.log(10)
    for rows, (name, colour, _, line) in zip((source, target), _SETS, strict=True):
        low, middle, high = np.percentile(rows * to_db, [10, 50, 90], axis=0)
        left.fill_between(place, low, high, color=colour, alpha=0.25, lw=0)
        left.plot(place, middle, color=colour, ls=line, lw=2, label=f"{name} ({len(rows)})")
    left.set(xlabel=f"frequency [{unit}]", ylabel="power [dB]", title="median, middle 80 %")
    left.legend()
    change = (target.mean(axis=0) - source.mean(axis=0)) * to_db
    right.axhline(0, color="black", lw=0.8)
    right.plot(place, change, color="black", lw=2)
    right.set(xlabel=f"frequency [{unit}]", ylabel="target less source [dB]", title="difference")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


def draw_embedding(
    points: np.ndarray, n_source: int, explained: Sequence[float], title: str
) -> Figure:
    """Draw each micrograph at its first two principal components.

    Parameters
    ----------
    points : ndarray of float, shape (N, 2)
        Source first.
    n_source : int
        Rows of the source.
    explained : sequence of float
        Share of the variance along each axis [1].
    """
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    for rows, (name, colour, marker, _) in zip(
        (points[:n_source], points[n_source:]), _SETS, strict=True
    ):
        axes.plot(
            *rows.T, marker, color=colour, ms=7, alpha=0.75, mec="white", mew=0.6,
            label=f"{name} ({len(rows)})",
        )  # fmt: skip
    axes.set(
        xlabel=f"first principal component [{explained[0]:.0%} of the variance]",
        ylabel=f"second principal component [{explained[1]:.0%}]",
    )
    axes.set_title(title, fontsize=11)
    axes.legend(title="a point is a micrograph")
    axes.grid(alpha=0.3)
    return figure
