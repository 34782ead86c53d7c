"""What every part of an explanation shares: the network, the question, the units, the clock."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from mstool.explanations.verdicts import Thresholds
from mstool.nn.attribution import LIGHT_EFFORT, Effort, Method, attribute
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.target import Contrast, Subject, Target, class_probability
from mstool.pipeline.explain.fields import Field
from mstool.pipeline.explain.settings import ExplainSettings
from mstool.reporting import Reporter

LEAST_PX = 60  # regions below are specks
# How far around a region maps are compared. Further out, knowing where the region lies is nearly
# all there is to know, and the distance control wins against any map.
MARGIN_PX = 8


@dataclass(frozen=True)
class Unit:
    """A region in a window of a field: the sampling unit of the checks.

    Attributes
    ----------
    field : str
        Name of the field.
    row, col : int
        Where the window lies in it [px].
    image : ndarray of float32, shape (h, w, C)
        Greys in the window.
    labels : ndarray of uint8, shape (h, w)
        Truth if there is one, else prediction.
    region : ndarray of bool, shape (h, w)
        Pixels asked about: of one component, near the middle.
    window : ndarray of bool, shape (h, w)
        Pixels on which maps are compared: the region and what lies close to it.
    """

    field: str
    row: int
    col: int
    image: np.ndarray
    labels: np.ndarray
    region: np.ndarray
    window: np.ndarray


@dataclass(frozen=True)
class Study:
    """One question to one network.

    Attributes
    ----------
    segmenter : Segmenter
        At rest, on the device.
    compute : Compute
        Device.
    settings : ExplainSettings
        How.
    limits : Thresholds
        For verdicts.
    methods : tuple of Method
        With layers.
    classes : tuple of str
        Names.
    class_index : int
        The class that is explained.
    contrast : {"rest", "none"} or int
        Against what.
    fields : tuple of Field
        What is looked at.
    out : Path
        Folder for pictures and arrays.
    report : Reporter
        Where notes and progress go.
    limits_grey : tuple of float
        Least and largest grey that a patch may have.
    deadline : float
        Reading of the monotonic clock at which to stop [s].
    left_out : list of str
        What there was no time for; parts of the work add to it.
    """

    segmenter: Segmenter
    compute: Compute
    settings: ExplainSettings
    limits: Thresholds
    methods: tuple[Method, ...]
    classes: tuple[str, ...]
    class_index: int
    contrast: Contrast
    fields: tuple[Field, ...]
    out: Path
    report: Reporter
    limits_grey: tuple[float, float]
    deadline: float = float("inf")
    left_out: list[str] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        """Whether the budget is spent."""
        return time.monotonic() > self.deadline

    def ask(self, image: np.ndarray, region: np.ndarray) -> Subject:
        """Put the question of this study to another image."""
        target = Target(self.class_index, region, self.contrast)
        return Subject(self.segmenter, image, target, self.compute)

    def explain(self, subject: Subject, effort: Effort | None = None) -> dict[str, np.ndarray]:
        """Map of each method for a subject, by label."""
        maps = attribute(subject, self.methods, effort)
        return {label: found.values for label, found in maps.items()}

    def explain_unit(self, segmenter: Segmenter, unit: Unit) -> dict[str, np.ndarray]:
        """Map of each method for a region, by label, in any network and with little effort."""
        target = self.ask(unit.image, unit.region).target
        return self.explain(Subject(segmenter, unit.image, target, self.compute), LIGHT_EFFORT)


def probability_of(subject: Subject):
    """Callable that gives the probability of the class for changed images (N, H, W, C)."""
    return lambda images: class_probability(subject, images)


def finite_mean(values: Iterable[float]) -> float | None:
    """Mean of what is a number; None if nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def draw_units(
    fields: Sequence[Field], n: int, edge: int, margin_px: int, seed: int, min_px: int = LEAST_PX
) -> list[Unit]:
    """Draw regions from all fields in turn, none twice.

    Parameters
    ----------
    fields : sequence of Field
        Where from.
    n : int
        At most so many.
    edge : int
        Of the window around each [px].
    margin_px : int
        How far around a region maps are compared [px].
    seed : int
        Of the draws.
    min_px : int
        Smallest region [px], if the field has any that large.

    Returns
    -------
    list of Unit
        At least one.
    """
    rng = np.random.default_rng(seed)
    left = [field.region.copy() for field in fields]
    components = [ndimage.label(field.region)[0] for field in fields]
    units: list[Unit] = []
    specks: list[Unit] = []
    while len(units) < n and any(mask.any() for mask in left):
        for field_, mask, component in zip(fields, left, components, strict=True):
            if len(units) == n or not mask.any():
                continue
            pixels = np.flatnonzero(mask)
            row, col = np.unravel_index(rng.choice(pixels), mask.shape)
            inside = (component == component[row, col]) & mask
            inside &= _disc(mask.shape, row, col, edge / 3)
            mask[inside] = False
            unit = _cut(field_, inside, int(row), int(col), edge, margin_px)
            (units if inside.sum() >= min_px else specks).append(unit)
    return units or specks[:n]


def _disc(shape: tuple[int, ...], row: int, col: int, radius: float) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def _cut(field_: Field, inside: np.ndarray, row: int, col: int, edge: int, margin_px: int) -> Unit:
    height, width = inside.shape
    top = min(max(0, row - edge // 2), max(0, height - edge))
    left = min(max(0, col - edge // 2), max(0, width - edge))
    cut = (slice(top, top + edge), slice(left, left + edge))
    labels = field_.prediction if field_.truth is None else field_.truth
    near = ndimage.distance_transform_edt(~inside[cut]) <= margin_px
    return Unit(
        field_.name,
        top,
        left,
        np.ascontiguousarray(field_.image[cut]),
        labels[cut],
        inside[cut],
        near,
    )
