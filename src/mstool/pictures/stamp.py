"""What a picture says about itself when it is not to be trusted yet."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

_DPI = 120
_LETTER_IN, _LINE_IN = 0.11, 0.2  # room of a letter across, and of a line


def stamp_picture(pixels: np.ndarray, words: str) -> Figure:
    """Set words boldly in a strip above a picture, in lines where it is narrow.

    The picture, uint8 (H, W, 3 or 4), stays as it is, pixel for pixel. The figure is as wide at 120
    dots per inch, and higher by the strip.
    """
    height, width = pixels.shape[:2]
    lines = textwrap.wrap(words.upper(), max(8, int(width / _DPI / _LETTER_IN)))
    strip = round((_LINE_IN * len(lines) + 0.12) * _DPI)
    # a hundredth of a pixel more, so that rounding down loses no line
    figure = Figure(figsize=((width + 0.01) / _DPI, (height + strip + 0.01) / _DPI), dpi=_DPI)
    figure.figimage(pixels, 0, 0)
    figure.text(
        1 - 4 / width,
        1 - strip / 2 / (height + strip),
        "\n".join(lines),
        ha="right",
        va="center",
        fontsize=10,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "black", "boxstyle": "square,pad=0.2"},
    )
    return figure
