"""How far a network looks."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from mstool.pictures.colours import BLUE, GREEN, GREY, ORANGE, SKY


def draw_receptive_field(
    gradient: np.ndarray,
    radii: Mapping[str, float],
    theoretical_px: float,
    tile_size: int,
    phase_sizes: Mapping[str, float],
    pixel_size_um: float | None,
    title: str,
    *,
    is_lower_bound: bool = False,
) -> Figure:
    """Draw the effective field, and its size beside those of tiles and phases.

    Parameters
    ----------
    gradient : ndarray of float, shape (S, S)
        Effective field, the pixel itself in the middle.
    radii : mapping of str to float
        ``r50``, ``r68`` and ``r95`` [px].
    theoretical_px : float
        Width of the theoretical field [px]; infinite if it is global, NaN if it is not known.
    tile_size : int
        Edge of the training tiles [px].
    phase_sizes : mapping of str to float
        Median thickness by class [px].
    is_lower_bound : bool
        Whether the radii are at least so large, since the windows may cut the field.
    """
    figure = Figure(figsize=(12, 5), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _draw_field(figure, left, gradient, radii, theoretical_px, "≥" if is_lower_bound else "=")
    least = ", at least" if is_lower_bound else ""
    sizes = {f"half of the influence (2 r50){least}": (2 * radii["r50"], BLUE)}
    sizes[f"95 % of the influence (2 r95){least}"] = (2 * radii["r95"], SKY)
    if np.isfinite(theoretical_px):
        sizes["theoretical field"] = (theoretical_px, GREEN)
    sizes["tile"] = (tile_size, GREY)
    sizes |= {f"{name}, median thickness": (size, ORANGE) for name, size in phase_sizes.items()}
    names = list(sizes)
    right.barh(names, [size for size, _ in sizes.values()], color=[c for _, c in sizes.values()])
    for place, (size, _) in enumerate(sizes.values()):
        um = "" if pixel_size_um is None else f" = {size * pixel_size_um:.3g} µm"
        right.text(size, place, f" {size:.0f} px{um}", va="center", fontsize=8)
    right.invert_yaxis()
    right.margins(x=0.4)
    right.set(xlabel="width [px]")
    if not np.isfinite(theoretical_px):
        words = "the whole input" if np.isposinf(theoretical_px) else "not known"
        right.set_title(f"theoretical field: {words}", fontsize=10)
    return figure


def _draw_field(figure, axes, gradient, radii, theoretical_px, sign: str) -> None:
    radius = gradient.shape[0] // 2
    values = np.nan_to_num(gradient)
    top = values.max() or 1.0
    extent = (-radius - 0.5, radius + 0.5, radius + 0.5, -radius - 0.5)
    shown = axes.imshow(values / top, cmap="magma", norm=PowerNorm(0.35, 0, 1), extent=extent)
    figure.colorbar(shown, ax=axes, label="size of the gradient, of its largest [1]")
    for name, style in (("r50", "-"), ("r95", "--")):
        if np.isfinite(radii[name]):
            label = f"{name} {sign} {radii[name]:.0f} px"
            axes.add_patch(
                Circle((0, 0), radii[name], fill=False, color="white", ls=style, label=label)
            )
    limit = min(radius, 1.6 * max(radii["r95"] if np.isfinite(radii["r95"]) else radius, 8))
    if theoretical_px <= 2 * limit + 1:
        half = theoretical_px / 2
        axes.add_patch(
            Rectangle(
                (-half, -half), 2 * half, 2 * half, fill=False, color=SKY, label="theoretical field"
            )
        )
    axes.set(
        xlim=(-limit, limit),
        ylim=(limit, -limit),
        xlabel="columns from the pixel [px]",
        ylabel="rows from the pixel [px]",
        title="effective field: what moves the pixel's logit",
    )
    if axes.patches:
        axes.legend(loc="upper right", fontsize=8, facecolor="dimgrey", labelcolor="white")
