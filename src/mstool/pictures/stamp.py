"""What a picture says about itself when it is not to be trusted yet."""

from matplotlib.figure import Figure


def stamp_figure(figure: Figure, stamp: str) -> Figure:
    """Write a word boldly into the corner of a figure; nothing if it is empty."""
    if stamp:
        figure.text(
            0.995,
            0.995,
            stamp.upper(),
            ha="right",
            va="top",
            fontsize=11,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "black", "boxstyle": "round"},
        )
    return figure
