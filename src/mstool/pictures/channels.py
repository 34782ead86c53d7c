"""Channels of a layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

_PER_ROW = 6


def draw_features(activations: np.ndarray, channels: Sequence[int], title: str) -> Figure:
    """Draw channels in a grid, each with its own colour bar limits.

    Parameters
    ----------
    activations : ndarray of float, shape (K, h, w)
        Channels.
    channels : sequence of int
        Their numbers in the layer.
    """
    n_cols = min(_PER_ROW, len(channels))
    n_rows = -(-len(channels) // n_cols)
    height, width = activations.shape[1:]
    figure = Figure(
        figsize=(2.1 * n_cols, 2.1 * n_rows * height / width + 0.35 * n_rows + 0.5),
        layout="constrained",
    )
    figure.suptitle(title, fontsize=10)
    places = figure.subplots(n_rows, n_cols, squeeze=False).ravel()
    for axes in places[len(channels) :]:
        axes.set_visible(False)
    for axes, channel, values in zip(places, channels, activations, strict=False):
        axes.imshow(values, cmap="viridis")
        axes.set(xticks=[], yticks=[])
        low, high = float(np.min(values)), float(np.max(values))
        axes.set_title(f"{channel}: {low:.2g} to {high:.2g}", fontsize=7)
    return figure
