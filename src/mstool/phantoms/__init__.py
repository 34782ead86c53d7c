"""Synthetic complex-phase steel micrographs whose every parameter is known."""

from mstool.phantoms.greys import MAX_HISTOGRAM_KS, quantise
from mstool.phantoms.micrograph import Phantom, make_phantom
from mstool.phantoms.raters import RaterHabits, Rating, draw_habits, rate_labels
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
