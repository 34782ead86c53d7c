"""Scale bars."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


def draw_scale_bar(axes: Axes, pixel_size_um: float | None) -> None:
    """Draw a bar of round length into the upper left corner of the micrograph that is shown."""
    if pixel_size_um is None:
        return
    height, width = axes.images[0].get_array().shape[:2]
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
    style = {"color": "white", "ha": "center", "va": "bottom", "fontsize": 9}
    axes.text(left + length / 2, bottom - 1.4 * thick, text, **style)


def nice_length(width_um: float) -> float:
    """Round length near a fifth of a width: 1, 2 or 5 times a power of ten [um]."""
    most = width_um / 5 * (1 + 1e-9)  # width x pixel size may be a last digit below a round length
    power = 10.0 ** np.floor(np.log10(most))
    # the power below too, since just below a power of ten the logarithm is rounded up to it
    lengths = (factor * one for one in (power / 10, power) for factor in (1, 2, 5))
    return float(max(length for length in lengths if length <= most))
