"""A field of view of a micrograph, and which of its pixels are asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

from mstool.geometry.window import Window
from mstool.labels.legend import IGNORE_INDEX

_UNCERTAIN = 0.2  # difference of the two largest probabilities below which a pixel is uncertain


@dataclass(frozen=True)
class Field:
    """A field of view of a micrograph, or a tile."""

    name: str
    micrograph: str  # that it is of; its name where nothing else is known
    group: str  # what must stay together with it; likewise
    image: np.ndarray  # stored pixel values
    truth: np.ndarray | None  # label map
    window: Window  # where it lies in the scaled micrograph, or in the tile
    pixel_size_um: float | None
    probabilities: np.ndarray  # what the network says, float32 (K, H, W)
    region: np.ndarray  # what is asked about, bool (H, W)

    @property
    def stem(self) -> str:
        """Name without the suffix of a file, which tiles have none of."""
        is_file = self.name == self.micrograph
        return (is_file and self.name.rpartition(".")[0]) or self.name

    @property
    def prediction(self) -> np.ndarray:
        """Class index of each pixel: uint8 (H, W)."""
        return self.probabilities.argmax(axis=0).astype(np.uint8)

    @property
    def labels(self) -> np.ndarray:
        """Truth if there is one, else prediction: uint8 (H, W)."""
        return self.prediction if self.truth is None else self.truth


def select_pixels(
    kind: str,
    numbers: Sequence[int],
    class_index: int,
    probabilities: np.ndarray,
    truth: np.ndarray | None,
    window: Window,
) -> np.ndarray:
    """Pixels that are asked about.

    Parameters
    ----------
    kind : str
        ``class`` (as predicted), ``component``, ``errors``, ``uncertain``, ``boundary`` (of the
        prediction), ``point`` or ``box``.
    numbers : sequence of int
        Number of the component, from 1, by falling area in the field; (row, col), or (row, col,
        height, width) in the scaled micrograph [px].
    probabilities : ndarray of float, shape (K, H, W)
        Of the field of view.
    truth : ndarray of uint8, shape (H, W), or None
        Label map; needed for ``errors``.
    window : Window
        Where the field lies in the scaled micrograph.

    Returns
    -------
    ndarray of bool, shape (H, W)
        May be empty.

    Examples
    --------
    >>> probabilities = np.array([[[0.9, 0.4, 0.1]], [[0.1, 0.6, 0.9]]])
    >>> select_pixels("class", (), 1, probabilities, None, Window(0, 0, 1, 3))
    array([[False,  True,  True]])
    """
    own = probabilities.argmax(axis=0) == class_index
    if kind == "component":
        return _component(own, numbers[0])
    if kind == "errors":
        return own & (truth != class_index) & (truth != IGNORE_INDEX)
    if kind == "uncertain":
        second, first = np.sort(probabilities, axis=0)[-2:]
        return own & (first - second < _UNCERTAIN)
    if kind == "boundary":
        return find_boundaries(own, mode="thick")
    if kind in ("point", "box"):
        return _box(numbers, window, own.shape)
    return own


def how_well_placed(region: np.ndarray) -> tuple[int, float]:
    """How much of what is asked about a field shows, and how near to its middle it lies.

    Returns
    -------
    n : int
        Pixels of the region, bool (H, W).
    nearness : float
        Distance of their mean place from the middle of the field, turned negative [px].

    Examples
    --------
    >>> how_well_placed(np.array([[False, False, True]]))
    (1, -1.0)
    """
    if not region.any():
        return 0, -np.inf
    means = np.mean(np.nonzero(region), axis=1)
    return int(region.sum()), -float(np.hypot(*(means - (np.array(region.shape) - 1) / 2)))


def _component(own: np.ndarray, number: int) -> np.ndarray:
    components, n = ndimage.label(own)
    areas = np.bincount(components.ravel(), minlength=n + 1)[1:]
    order = np.argsort(-areas, kind="stable")
    return components == order[number - 1] + 1 if number <= n else np.zeros_like(own)


def _box(numbers: Sequence[int], window: Window, shape: tuple[int, ...]) -> np.ndarray:
    """Box, or point, where it meets the field."""
    row, col = numbers[0] - window.row, numbers[1] - window.col
    height, width = numbers[2:] or (1, 1)
    region = np.zeros(shape, bool)
    region[max(0, row) : max(0, row + height), max(0, col) : max(0, col + width)] = True
    return region
