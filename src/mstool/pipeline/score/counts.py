"""Confusion matrices of masks, and of Otsu regions, read from files in bands of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.errors import InputError, LabelError
from mstool.io.images import open_micrograph
from mstool.labels.legend import IGNORE_INDEX, Legend
from mstool.micrographs.label_maps import LabelMap, named, open_label_map
from mstool.pipeline.score.inputs import Pair
from mstool.reporting import Reporter
from mstool.scores.baselines import otsu_labels
from mstool.scores.confusion import confusion_matrix
from mstool.scores.frame_border import leave_out_border

_MOST_OTSU_PIXELS = 2**26


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Confusion matrices of one mask, int64 (C, C)."""

    mask: np.ndarray
    regions: np.ndarray | None  # columns Otsu regions; None where they are not wanted
    n_abstained: int  # labelled pixels that the mask leaves open


@dataclass(frozen=True, eq=False)
class Counts:
    """Confusion matrices of all micrographs, int64."""

    by_run: np.ndarray  # of masks in each run, (R, N, C, C)
    regions: np.ndarray | None  # columns Otsu regions, (N, C, C); None where they are not wanted
    n_abstained: np.ndarray  # labelled pixels that masks leave open, all runs together, (N,)

    @property
    def masks(self) -> np.ndarray:
        """Of masks, all runs together, (N, C, C)."""
        return self.by_run.sum(axis=0)


def gather_counts(images: Sequence[Sequence[PairCounts]]) -> Counts:
    """Counts of all micrographs from those of each run of each; regions are of the first run."""
    regions = [runs[0].regions for runs in images]
    return Counts(
        np.array([[run.mask for run in runs] for runs in images]).swapaxes(0, 1),
        None if regions[0] is None else np.stack(regions),
        np.array([sum(run.n_abstained for run in runs) for runs in images]),
    )


def count_pairs(
    pairs: Sequence[Pair],
    mask_legend: Legend,
    label_legend: Legend,
    ignore_border: int,
    report: Reporter,
    may_abstain: bool = False,
    with_regions: bool = False,
) -> list[PairCounts]:
    """Compare every mask, and the Otsu regions of its micrograph, with the truth.

    The two legends have the same classes in the same order. Of each label map a rim of
    `ignore_border` pixels is left out, and what a mask leaves without a class where it
    `may_abstain`. Regions are wanted only where `can_threshold` says so.

    Raises
    ------
    InputError
        If two files differ in size, or cannot be read, or the rim is all there is.
    LabelError
        If a value means nothing, or a mask has no class where its label map has one and may not
        abstain.
    """
    found = []
    with report.progress("scoring", len(pairs)) as advance:
        for pair in pairs:
            report.detail(f"comparing {pair.mask} with {pair.labels}")
            truth = open_label_map(pair.labels, label_legend)
            mask = open_label_map(pair.mask, mask_legend)
            check_same_size(mask.path, mask.shape, truth)
            _check_border(truth, ignore_border)
            counts, region_counts, n_open = _count(pair, truth, mask, ignore_border, with_regions)
            if n_open.n_pixels and not may_abstain:
                n_open.refuse()
            found.append(PairCounts(counts, region_counts, n_open.n_pixels))
            advance(1, pair.name)
    return found


def can_threshold(pairs: Sequence[Pair], report: Reporter) -> bool:
    """Whether all micrographs are at hand, and none is too large to be thresholded whole."""
    if any(pair.image is None for pair in pairs):
        return False
    for pair in pairs:
        image = open_micrograph(pair.image)
        if image.height * image.width > _MOST_OTSU_PIXELS:
            report.note(
                f"no Otsu baseline, since {pair.image} is too large to be thresholded whole"
            )
            return False
    return True


def _count(
    pair: Pair, truth: LabelMap, mask: LabelMap, ignore_border: int, with_regions: bool
) -> tuple[np.ndarray, np.ndarray | None, "_Gaps"]:
    """Confusion matrices of the mask and of Otsu regions, summed over bands, and open pixels."""
    n_classes = len(truth.legend.classes)
    regions = _read_regions(pair, truth, n_classes) if with_regions else None
    counts = np.zeros((2, n_classes, n_classes), np.int64)
    gaps = _Gaps(pair)
    for window in truth.bands():
        truth_band, mask_band = truth.read(window), mask.read(window)
        truth_band = leave_out_border(truth_band, window.row, truth.shape[0], ignore_border)
        is_gap = gaps.find(truth_band, mask_band, window.row)
        closed = np.where(is_gap, IGNORE_INDEX, truth_band) if is_gap.any() else truth_band
        counts[0] += confusion_matrix(closed, mask_band, n_classes)
        if regions is not None:  # a baseline is of the pixels that the mask is scored on
            counts[1] += confusion_matrix(closed, regions[window.slices], n_classes)
    return counts[0], counts[1] if with_regions else None, gaps


class _Gaps:
    """Pixels where the truth has a class and the mask has none."""

    def __init__(self, pair: Pair):
        self.pair = pair
        self.n_pixels = 0
        self.first: tuple[int, int] | None = None

    def find(self, truth: np.ndarray, mask: np.ndarray, row: int) -> np.ndarray:
        """Where they are in a band that begins at `row`, bool."""
        is_gap = (truth != IGNORE_INDEX) & (mask == IGNORE_INDEX)
        if is_gap.any():
            self.n_pixels += np.count_nonzero(is_gap)
            down, across = np.unravel_index(np.argmax(is_gap), is_gap.shape)
            self.first = self.first or (row + int(down), int(across))
        return is_gap

    def refuse(self) -> None:
        """Raise LabelError about them."""
        n_pixels = "1 pixel" if self.n_pixels == 1 else f"{self.n_pixels} pixels"
        raise LabelError(
            f"{self.pair.mask}: has no class in {n_pixels}, first at row {self.first[0]}, "
            f"column {self.first[1]}, where {self.pair.labels} has one; segment these too, or "
            "set them to an ignored value in the label map"
        )


def _read_regions(pair: Pair, truth: LabelMap, n_classes: int) -> np.ndarray:
    image = open_micrograph(pair.image)
    check_same_size(image.path, (image.height, image.width), truth)
    with named(pair.image):
        return otsu_labels(image.read(), n_classes)


def check_same_size(path: Path, shape: tuple[int, int], truth: LabelMap) -> None:
    """See that what `path` holds, of `shape` (rows, columns), covers its label map.

    Raises
    ------
    InputError
        If it does not.
    """
    if shape != truth.shape:
        raise InputError(
            f"{path}: is {shape[0]} x {shape[1]} pixels, its label map {truth.path} is "
            f"{truth.shape[0]} x {truth.shape[1]}; give both in the same size"
        )


def _check_border(truth: LabelMap, ignore_border: int) -> None:
    if 2 * ignore_border >= min(truth.shape):
        raise InputError(
            f"{truth.path}: is {truth.shape[0]} x {truth.shape[1]} pixels, of which "
            f"--ignore-border {ignore_border} leaves none; take a narrower one"
        )
