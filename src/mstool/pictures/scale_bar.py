"""Scale bars."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

_NICE = (1, 2, 5)


def draw_scale_bar(axes: Axes, width: int, height: int, pixel_size_um: float) -> None:
    """Draw a bar of round length into the upper left corner of a micrograph.

    Parameters
    ----------
    axes : Axes
        Shows the micrograph, a unit a pixel.
    width, height : int
        Of the micrograph [px].
    pixel_size_um : float
        Edge of a pixel [um/px].
    """
    length_um = nice_length(width * pixel_size_um)
    length = length_um / pixel_size_um
    # at the top, since microscopes write their own bar at the bottom
    left, bottom, thick = 0.04 * width, 0.115 * height, 0.015 * height
    box = (left - 0.015 * width, bottom - 0.085 * height)
    axes.add_patch(
        Rectangle(box, length + 0.03 * width, 0.11 * height, facecolor="black", alpha=0.65)
    )
    axes.add_patch(Rectangle((left, bottom - thick), length, thick, facecolor="white"))
    text = f"{length_um:g} µm" if length_um >= 1 else f"{length_um * 1000:g} nm"
    axes.text(
        left + length / 2,
        bottom - 1.4 * thick,
        text,
        color="white",
        ha="center",
        va="bottom",
        fontsize=9,
    )


def nice_length(width_um: float) -> float:
    """Round length near a fifth of a width: 1, 2 or 5 times a power of ten [um]."""
    wanted = width_um / 5
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(factor * power for factor in _NICE if factor * power <= wanted))
