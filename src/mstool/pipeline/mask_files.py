"""The mask of one micrograph, written as its probabilities arrive."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import UsageError
from mstool.geometry.blend import Blend
from mstool.io.masks import write_indexed_tiff, write_strips
from mstool.io.records import sha256_of_file
from mstool.io.tiles import SourceImage
from mstool.labels.legend import IGNORE_INDEX, Legend, palette
from mstool.pipeline.streaming import write_beside
from mstool.reporting import Reporter
from mstool.scores.calibration import ROUNDING

CONFIDENCE, OVERLAYS = "confidence", "overlays"

_N_UNSURE = 3  # micrographs that are named


@dataclass(frozen=True)
class MaskSettings:
    """How probabilities become masks."""

    blend: Blend
    abstain: float  # largest probability [1] below which a pixel has no class; 0 for none
    confidence: bool  # whether to write the largest probability of each pixel too
    overlay: bool  # whether to draw pictures

    def __post_init__(self):
        if not 0 <= self.abstain < 1:
            raise UsageError(f"--abstain {self.abstain}: must be at least 0 and below 1")


@dataclass(frozen=True)
class Doubt:
    """How sure the masks are of a micrograph: shares of its pixels [1]."""

    expected_error: float  # mean of 1 - largest probability
    abstained: float  # without a class


def mask_name(source_name: str) -> str:
    """Name of the mask of a micrograph."""
    return f"{Path(source_name).stem}.tif"


def picture_of_mask(name: str, out: Path) -> Path:
    """Picture of the mask of a micrograph of a name, if one is drawn."""
    return out / OVERLAYS / f"{Path(name).stem}.png"


def files_of_mask(name: str, settings: MaskSettings, out: Path) -> list[Path]:
    """All that is written of the micrograph of a name."""
    mask = out / mask_name(name)
    files = [mask]
    if settings.confidence:
        files.append(out / CONFIDENCE / mask.name)
    if settings.overlay:
        files.append(picture_of_mask(name, out))
    return files


def write_mask(
    out: Path,
    bands: Iterable[np.ndarray],
    source: SourceImage,
    legend: Legend,
    settings: MaskSettings,
) -> Doubt:
    """Write the mask of a micrograph, and its confidence if asked for; what is there already stays.

    Parameters
    ----------
    out : Path
        Folder of the masks.
    bands : iterable of ndarray of float32, shape (C, rows, W)
        Probabilities from the top down; taken once, while earlier bands are written.
    """
    path, tally = out / mask_name(source.name), _Tally(settings.abstain)
    writers = {path: partial(_write_labels, legend)}
    if settings.confidence:
        (out / CONFIDENCE).mkdir(exist_ok=True)
        writers[out / CONFIDENCE / path.name] = _write_confidence
    with ExitStack() as files:
        hands = [
            files.enter_context(write_beside(partial(write, target, source)))
            for target, write in writers.items()
            if not target.exists()  # else a piece that an interrupted run has finished
        ]
        for band in bands:
            rows = tally.label(band)  # bytes alone may wait, not probabilities
            for hand in hands:
                hand(rows)
    return tally.doubt()


def describe_masks(out: Path, doubts: Mapping[str, Doubt]) -> dict[str, Any]:
    """Entries of the record on the masks of a folder, by name of the micrograph."""
    masks = [out / mask_name(name) for name in doubts]
    return {
        "n_masks": len(masks),
        "mask_sha256": {mask.name: sha256_of_file(mask) for mask in masks},
        "doubt": [{"image": name} | asdict(doubt) for name, doubt in doubts.items()],
    }


def note_doubts(
    doubts: dict[str, Doubt],
    sources: dict[str, SourceImage],
    settings: MaskSettings,
    report: Reporter,
) -> None:
    """Name the micrographs that a person should look at, or annotate, first."""
    if settings.abstain:
        n_pixels = [np.prod(sources[name].shape) for name in doubts]
        share = np.average([doubt.abstained for doubt in doubts.values()], weights=n_pixels)
        report.note(
            f"{share:.1%} of the pixels are left without a class (255): their largest probability "
            f"is below {settings.abstain:g}"
        )
    if len(doubts) > 1:
        report.note(f"least sure, to be annotated next: {_name_unsure(doubts)}")


def _name_unsure(doubts: dict[str, Doubt]) -> str:
    order: Sequence[str] = sorted(doubts, key=lambda name: -doubts[name].expected_error)
    words = [f"{name} (expected error {doubts[name].expected_error:.1%})" for name in order]
    return ", ".join(words[:_N_UNSURE])


def _write_labels(legend: Legend, path: Path, source: SourceImage, rows: Iterator["_Rows"]) -> None:
    bands = (row.labels for row in rows)
    write_indexed_tiff(path, bands, source.shape, palette(legend), source.pixel_size_um)


def _write_confidence(path: Path, source: SourceImage, rows: Iterator["_Rows"]) -> None:
    bands = (row.confidence for row in rows)
    write_strips(path, bands, source.shape, np.uint8, source.pixel_size_um)


@dataclass(frozen=True)
class _Rows:
    """Class and largest probability x 255 of each pixel of a band, uint8 (rows, W) both."""

    labels: np.ndarray
    confidence: np.ndarray


class _Tally:
    """Label maps of bands, and how sure they were."""

    def __init__(self, least: float):
        self.least = least
        self.n_pixels, self.n_unsure, self.missing = 0, 0, 0.0

    def label(self, band: np.ndarray) -> _Rows:
        """Label a band of probabilities (C, rows, W)."""
        labels, highest = _highest(band)
        is_unsure = highest < self.least - ROUNDING
        labels[is_unsure] = IGNORE_INDEX
        self.n_pixels += labels.size
        self.n_unsure += np.count_nonzero(is_unsure)
        self.missing += labels.size - highest.sum(dtype=np.float64)
        return _Rows(labels, np.rint(highest * 255).astype(np.uint8))

    def doubt(self) -> Doubt:
        """Of all bands."""
        return Doubt(self.missing / self.n_pixels, self.n_unsure / self.n_pixels)


def _highest(band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class, uint8, and value of the largest of each pixel of a band (C, rows, W).

    The same as argmax, the first of equals, and max, in little more than half the time.
    """
    labels, highest = np.zeros(band.shape[1:], np.uint8), band[0].copy()
    for index, plane in enumerate(band[1:], 1):
        np.putmask(labels, plane > highest, index)
        np.maximum(highest, plane, out=highest)
    return labels, highest
