"""Synthetic complex-phase steel micrographs whose every parameter is known."""

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
