"""Synthetic complex-phase steel micrographs whose every parameter is known.

What these modules call by the same name is the same thing, and is described here alone:

shape : tuple of int
    (H, W) of the image [px].
image : ndarray of float, shape (H, W)
    Greys [1], 0 (black) to 1.
labels : ndarray of uint8, shape (H, W)
    Class of each pixel, 255 where it is ignored.
cell : ndarray of int, shape (H, W)
    Cell of each pixel, ``0 .. N - 1``.
settings : PhantomSettings
    What is drawn.
cells : Tessellation
    Where it lies.
texture : Texture
    What fills the cells.
pixel_size_um : float
    Pixel size [um/px].
seed, index : int
    Seed of the set, and number of the image, at least 0.
rng : numpy.random.Generator
    Where the draws come from.
"""

from mstool.phantoms.grey_values import MAX_HISTOGRAM_KS, quantise
from mstool.phantoms.raters import RaterHabits, Rating, draw_habits, rate_labels
from mstool.phantoms.rendering import Phantom, make_phantom
from mstool.phantoms.settings import CLASS_NAMES, CUES, PhantomSettings

__all__ = [
    "CLASS_NAMES",
    "CUES",
    "MAX_HISTOGRAM_KS",
    "Phantom",
    "PhantomSettings",
    "RaterHabits",
    "Rating",
    "draw_habits",
    "make_phantom",
    "quantise",
    "rate_labels",
]
