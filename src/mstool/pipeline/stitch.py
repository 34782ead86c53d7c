"""Tile probabilities back into whole label maps."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mstool.errors import UsageError
from mstool.geometry.blend import Blend
from mstool.io.atomic import write_text
from mstool.io.masks import write_indexed_tiff, write_strips
from mstool.io.records import sha256_of_file
from mstool.io.tiles import PREDICT_RECORD, STITCH_RECORD, SourceImage, read_sources
from mstool.labels.legend import IGNORE_INDEX, index_legend, legend_to_toml, palette
from mstool.pipeline.job import Job
from mstool.pipeline.mask_pictures import OverlayInputs, write_overlay
from mstool.pipeline.out_of_fold import read_folds
from mstool.pipeline.stitched import ProbabilityFolder, open_probabilities
from mstool.reporting import Reporter
from mstool.scores.calibration import ROUNDING

_N_UNSURE = 3  # micrographs that are named


@dataclass(frozen=True)
class StitchSettings:
    """How to stitch."""

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


def stitch_masks(probs: Path, settings: StitchSettings, overlay: OverlayInputs, job: Job) -> None:
    """Blend the tiles of each micrograph, as predict wrote them, into a folder of label maps."""
    out = job.out
    folder = open_probabilities(probs)
    sources = folder.sources
    read_folds(folder.record, [*sources], probs / PREDICT_RECORD)  # refuse damage before any work
    masks = [out / _mask_name(name) for name in sources]
    work = job.claim(
        STITCH_RECORD,
        ("legend.toml", "confidence", "overlays", *_masks(sources, out)),
        asdict(settings) | overlay.as_record(),
        [*folder.files, *overlay.paths()],
        lambda: masks,
    )
    if work is None:
        return
    doubts = {}
    with work.filling():
        write_text(out / "legend.toml", legend_to_toml(index_legend(folder.legend)))
        with job.report.progress("stitching", len(sources)) as advance:
            for name, source in sources.items():
                doubts[name] = _write_source(folder, source, settings, out)
                if settings.overlay:
                    write_overlay(source, probs, overlay, folder.legend, out)
                advance(1, name)
    moved = [source.as_entry(probs, out) for source in sources.values()]
    record = folder.record
    kept = {key: record[key] for key in ("classes", "label_legend", "models", "trained_on")}
    kept["leaks"] = record.get("leaks", [])
    kept |= {key: record.get(key) for key in ("searched", "folds", "made_with")}
    written = {mask.name: sha256_of_file(mask) for mask in masks}
    doubtful = [{"image": name} | asdict(doubt) for name, doubt in doubts.items()]
    facts = {"sources": moved, "mask_sha256": written, "doubt": doubtful}
    work.finish(work.describe() | {"n_masks": len(sources)} | kept | facts)
    job.report.note(f"{out}: {len(sources)} masks; tiles cover every pixel")
    _note_doubts(doubts, sources, settings, job.report)


def _masks(sources: dict[str, SourceImage], out: Path) -> list[str]:
    """Names of the masks to write, and of those that an earlier run has written."""
    record = out / STITCH_RECORD
    earlier = read_sources(record) if record.is_file() else {}
    return [_mask_name(name) for name in {**earlier, **sources}]


def _write_source(
    folder: ProbabilityFolder, source: SourceImage, settings: StitchSettings, out: Path
) -> Doubt:
    path = out / _mask_name(source.name)
    tally = _Tally(settings.abstain)
    labels = (tally.label(band) for band in folder.bands(source.name, settings.blend))
    if path.exists():  # a piece that an interrupted run has finished
        for _ in labels:
            pass
    else:
        colours = palette(folder.legend)
        write_indexed_tiff(path, labels, source.shape, colours, source.pixel_size_um)
    if settings.confidence:
        (out / "confidence").mkdir(exist_ok=True)
        # blended a second time: two files from one pass would hold one of them in memory
        highest = _highest(folder.bands(source.name, settings.blend))
        path = out / "confidence" / path.name
        write_strips(path, highest, source.shape, np.uint8, source.pixel_size_um)
    return tally.doubt()


class _Tally:
    """Label maps of bands, and how sure they were."""

    def __init__(self, least: float):
        self.least = least
        self.n_pixels, self.n_unsure, self.missing = 0, 0, 0.0

    def label(self, band: np.ndarray) -> np.ndarray:
        """Class of each pixel of a band of probabilities (C, rows, W), uint8."""
        labels, highest = band.argmax(axis=0).astype(np.uint8), band.max(axis=0)
        is_unsure = highest < self.least - ROUNDING
        labels[is_unsure] = IGNORE_INDEX
        self.n_pixels += labels.size
        self.n_unsure += np.count_nonzero(is_unsure)
        self.missing += labels.size - highest.sum(dtype=np.float64)
        return labels

    def doubt(self) -> Doubt:
        """Of all bands."""
        return Doubt(self.missing / self.n_pixels, self.n_unsure / self.n_pixels)


def _highest(bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    return (np.rint(band.max(axis=0) * 255).astype(np.uint8) for band in bands)


def _note_doubts(
    doubts: dict[str, Doubt],
    sources: dict[str, SourceImage],
    settings: StitchSettings,
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


def _mask_name(source_name: str) -> str:
    return f"{Path(source_name).stem}.tif"
