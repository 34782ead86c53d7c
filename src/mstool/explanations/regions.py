"""Regions that maps are checked on: drawn from fields of view, with what lies around them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.explanations.field_of_view import Field

LEAST_PX = 60  # regions below are specks
# How far around a region maps are compared. Further out, knowing where the region lies is nearly
# all there is to know, and the distance control wins against any map.
MARGIN_PX = 8


@dataclass(frozen=True)
class Region:
    """A region in a window, (h, w), of a field of view."""

    field: str  # name of the field of view
    micrograph: str
    unit: str  # group of micrographs that it belongs to: the sampling unit
    row: int  # where the window lies in the field [px]
    col: int
    image: np.ndarray
    labels: np.ndarray  # truth if there is one, else prediction
    inside: np.ndarray  # pixels asked about: of one component, near the middle
    near: np.ndarray  # pixels on which maps are compared: the region and what lies close to it


@dataclass(frozen=True)
class Sample:
    """How much the checks rest on."""

    n_micrographs: int
    n_units: int  # each micrograph is one where nothing else is known
    n_regions: int
    n_overlapping: int  # whose window shares pixels with that of an earlier one
    margin_px: int = MARGIN_PX  # how far around a region maps are compared


def describe_sample(regions: Sequence[Region]) -> Sample:
    """Count micrographs, units, regions and overlaps."""
    overlapping = sum(
        any(_overlap(region, other) for other in regions[:number])
        for number, region in enumerate(regions)
    )
    n_micrographs = len({region.micrograph for region in regions})
    return Sample(n_micrographs, count_units(regions), len(regions), overlapping)


def count_units(regions: Sequence[Region]) -> int:
    """Groups of micrographs that regions come from."""
    return len({region.unit for region in regions})


def surroundings(inside: np.ndarray, distance_px: float) -> np.ndarray:
    """Pixels of a mask, and those no further from it than a distance; none for an empty mask."""
    if not inside.any():
        return inside
    return ndimage.distance_transform_edt(~inside) <= distance_px


def draw_regions(
    fields: Sequence[Field], n: int, edge: int, seed: int, min_px: int = LEAST_PX
) -> list[Region]:
    """Draw regions from all groups, micrographs and fields of view in turn; at least one.

    Windows that share no pixel come first, from whatever field still has one; only when there are
    none left anywhere are windows taken that overlap, the least so first.

    Parameters
    ----------
    fields : sequence of Field
        Where from; each has a region.
    n : int
        At most so many.
    edge : int
        Of the window around each [px].
    seed : int
        Of the draws.
    min_px : int
        Smallest region [px]; in a field that has none so large, its largest.
    """
    rng = np.random.default_rng(seed)
    in_turn = _alternate(_alternate(fields, "micrograph"), "group")
    sources = [_Source(field, edge, min_px) for field in in_turn]
    regions: list[Region] = []
    for may_overlap in (False, True):
        left = list(sources)
        while left and len(regions) < n:
            for source in list(left):
                region = source.draw(rng, may_overlap) if len(regions) < n else None
                if region is None:
                    left.remove(source)
                else:
                    regions.append(region)
    return regions


def _alternate(fields: Sequence[Field], kind: str) -> list[Field]:
    """Fields with the first of each micrograph, or group, in front, then the second of each, ..."""
    seen: Counter[str] = Counter()
    ranks = []
    for field in fields:
        ranks.append(seen[getattr(field, kind)])
        seen[getattr(field, kind)] += 1
    return [fields[place] for place in np.argsort(ranks, kind="stable")]


class _Source:
    """What is left to draw from a field of view."""

    def __init__(self, field: Field, edge: int, min_px: int):
        self.field, self.edge = field, edge
        self.components, n = ndimage.label(field.region)
        areas = np.bincount(self.components.ravel(), minlength=n + 1)
        areas[0] = 0
        self.least_px = min(min_px, int(areas.max()))
        self.left = (areas >= self.least_px)[self.components]
        height, width = self.left.shape
        # how far the window around each pixel is moved from the nearest that was taken [px]
        self.gap = np.full(self.left.shape, edge)
        self.tops = _starts(height, edge)
        self.lefts = _starts(width, edge)

    def draw(self, rng: np.random.Generator, may_overlap: bool) -> Region | None:
        """Next region; None if there is none, without overlap if that is asked."""
        for row, col in self._places(rng, may_overlap):
            top, left = self.tops[row], self.lefts[col]
            cut = (slice(top, top + self.edge), slice(left, left + self.edge))
            own = self.left[cut] & (self.components[cut] == self.components[row, col])
            radius = min(own.shape) / 3  # a field may be smaller than the window asked for
            inside = own & _disc(own.shape, row - top, col - left, radius)
            self.left[cut][inside] = False
            # a line is longer than the disc that a piece of it must fit in
            if inside.sum() >= min(self.least_px, radius):
                down, across = np.abs(self.tops - top), np.abs(self.lefts - left)
                self.gap = np.minimum(self.gap, np.maximum(down[:, None], across))
                return self._cut(inside, int(top), int(left), cut)
        return None

    def _places(self, rng: np.random.Generator, may_overlap: bool) -> Iterator[tuple[int, int]]:
        while self.left.any():
            widest = self.gap[self.left].max()
            if widest < self.edge and not may_overlap:
                return
            pixels = np.flatnonzero(self.left & (self.gap == widest))
            yield divmod(int(rng.choice(pixels)), self.left.shape[1])

    def _cut(self, inside: np.ndarray, top: int, left: int, cut: tuple[slice, slice]) -> Region:
        field = self.field
        return Region(
            field.name,
            field.micrograph,
            field.group,
            top,
            left,
            np.ascontiguousarray(field.image[cut]),
            field.labels[cut],
            inside,
            surroundings(inside, MARGIN_PX),
        )


def _starts(length: int, edge: int) -> np.ndarray:
    """Where the window around each pixel of an axis begins, inside the image."""
    return np.clip(np.arange(length) - edge // 2, 0, max(0, length - edge))


def _disc(shape: tuple[int, ...], row: int, col: int, radius: float) -> np.ndarray:
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (cols - col) ** 2 <= radius**2


def _overlap(first: Region, second: Region) -> bool:
    height, width = first.inside.shape
    is_close = abs(first.row - second.row) < height and abs(first.col - second.col) < width
    return first.field == second.field and is_close
