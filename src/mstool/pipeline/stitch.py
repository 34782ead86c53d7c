"""Tile probabilities back into whole label maps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import InputError, MissingInputError
from mstool.geometry.bands import stitch_bands
from mstool.geometry.blend import Blend
from mstool.geometry.grid import plan_windows
from mstool.geometry.resample import resample_bands
from mstool.geometry.window import Window
from mstool.io.atomic import write_text
from mstool.io.masks import write_indexed_tiff, write_strips
from mstool.io.records import read_record, require_keys, sha256_of_file
from mstool.io.tiles import (
    MANIFEST,
    PREDICT_RECORD,
    STITCH_RECORD,
    SourceImage,
    Tile,
    check_windows,
    probabilities_path,
    read_manifest,
    read_probabilities,
    read_sources,
)
from mstool.labels.legend import Legend, index_legend, legend_from_toml, legend_to_toml, palette
from mstool.pipeline.job import Job
from mstool.pipeline.mask_pictures import OverlayInputs, write_overlay
from mstool.pipeline.out_of_fold import read_folds


@dataclass(frozen=True)
class StitchSettings:
    """How to stitch."""

    blend: Blend
    confidence: bool  # whether to write the largest probability of each pixel too
    overlay: bool  # whether to draw pictures


def stitch_masks(probs: Path, settings: StitchSettings, overlay: OverlayInputs, job: Job) -> None:
    """Blend the tiles of each micrograph, as predict wrote them, into a folder of label maps."""
    out = job.out
    record = read_record(probs / PREDICT_RECORD, "predict")
    needed = ("tiles", "classes", "label_legend", "models", "trained_on")
    tiles_table, *_ = require_keys(record, probs / PREDICT_RECORD, *needed)
    require_keys(tiles_table, probs / PREDICT_RECORD, "settings")
    sources = read_sources(probs / PREDICT_RECORD)
    read_folds(record, [*sources], probs / PREDICT_RECORD)  # refuse damage before any work
    tiles = read_manifest(probs)
    check_windows(tiles, sources, probs / MANIFEST)
    by_source = {
        name: sorted((t for t in tiles if t.source == name), key=lambda t: t.window)
        for name in sources
    }
    for name, source in sources.items():
        _check_complete(probs, source, by_source[name], record)
    legend = legend_from_toml(record["label_legend"])
    masks = [out / _mask_name(name) for name in sources]
    work = job.claim(
        STITCH_RECORD,
        ("legend.toml", "confidence", "overlays", *_masks(sources, out)),
        asdict(settings) | overlay.as_record(),
        [probs / PREDICT_RECORD, probs / MANIFEST, *overlay.paths()],
        lambda: masks,
    )
    if work is None:
        return
    with work.filling():
        write_text(out / "legend.toml", legend_to_toml(index_legend(legend)))
        with job.report.progress("stitching", len(sources)) as advance:
            for name, source in sources.items():
                stitcher = _stitcher(probs, source, by_source[name], record, settings, legend)
                _write_source(source, stitcher, settings, legend, out)
                if settings.overlay:
                    write_overlay(source, probs, overlay, legend, out)
                advance(1, name)
    moved = [source.as_entry(probs, out) for source in sources.values()]
    kept = {key: record[key] for key in ("classes", "label_legend", "models", "trained_on")}
    kept["folds"] = record.get("folds")
    written = {mask.name: sha256_of_file(mask) for mask in masks}
    work.finish(
        work.describe()
        | {"n_masks": len(sources), **kept, "sources": moved, "mask_sha256": written}
    )
    job.report.note(f"{out}: {len(sources)} masks; every pixel is covered")


def _masks(sources: dict[str, SourceImage], out: Path) -> list[str]:
    """Names of the masks to write, and of those that an earlier run has written."""
    record = out / STITCH_RECORD
    earlier = read_sources(record) if record.is_file() else {}
    return [_mask_name(name) for name in {**earlier, **sources}]


def _check_complete(
    probs: Path, source: SourceImage, tiles: Sequence[Tile], record: dict[str, Any]
) -> None:
    """Refuse a micrograph with a tile missing, naming the first one."""
    settings = record["tiles"]["settings"]
    there = {tile.window: tile for tile in tiles}
    for window in plan_windows(*source.scaled_shape, settings["size"], settings["overlap"]):
        if window not in there:
            raise InputError(
                f"{probs / MANIFEST}: {source.name} has no tile at row {window.row}, column "
                f"{window.col}; tile without --discard-ignored, and predict again"
            )
        path = probabilities_path(probs, there[window])
        if not path.is_file():
            raise MissingInputError(f"{path}: this tile is missing; run mstool predict again")


def _stitcher(
    probs: Path,
    source: SourceImage,
    tiles: Sequence[Tile],
    record: dict[str, Any],
    settings: StitchSettings,
    legend: Legend,
) -> Callable[[], Iterator[np.ndarray]]:
    """Function that gives the probabilities of a micrograph anew, in bands, in its geometry."""
    n_classes = len(legend.classes)

    def read_tiles() -> Iterator[tuple[Window, np.ndarray]]:
        for tile in tiles:
            values = read_probabilities(probabilities_path(probs, tile), n_classes, tile)
            yield tile.window, values[:, : tile.height, : tile.width]

    def stitch() -> Iterator[np.ndarray]:
        bands = stitch_bands(read_tiles(), *source.scaled_shape, settings.blend)
        if source.shape == source.scaled_shape:
            return bands
        return resample_bands(bands, source.scaled_shape, source.shape)

    return stitch


def _write_source(
    source: SourceImage,
    stitch: Callable[[], Iterator[np.ndarray]],
    settings: StitchSettings,
    legend: Legend,
    out: Path,
) -> None:
    path = out / _mask_name(source.name)
    if not path.exists():  # a piece that an interrupted run has finished
        labels = (band.argmax(axis=0).astype(np.uint8) for band in stitch())
        write_indexed_tiff(path, labels, source.shape, palette(legend), source.pixel_size_um)
    if settings.confidence:
        (out / "confidence").mkdir(exist_ok=True)
        # blended a second time: two files from one pass would hold one of them in memory
        highest = (np.rint(band.max(axis=0) * 255).astype(np.uint8) for band in stitch())
        path = out / "confidence" / path.name
        write_strips(path, highest, source.shape, np.uint8, source.pixel_size_um)


def _mask_name(source_name: str) -> str:
    return f"{Path(source_name).stem}.tif"
