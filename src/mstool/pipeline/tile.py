"""Cut micrographs and label maps into tiles."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.geometry.grid import check_tile_size, plan_windows
from mstool.geometry.padding import pad_by_reflection
from mstool.geometry.window import Window
from mstool.io.atomic import write_text
from mstool.io.masks import write_indexed_png
from mstool.io.records import relative_to
from mstool.io.tiles import (
    MANIFEST,
    TILES_RECORD,
    SourceImage,
    Tile,
    read_manifest,
    write_manifest,
    write_tile_image,
)
from mstool.labels.legend import (
    IGNORE_INDEX,
    Legend,
    index_legend,
    legend_text,
    legend_to_toml,
    palette,
)
from mstool.micrographs.find import folder_name
from mstool.micrographs.grey_range import describe_greys, sample_greys
from mstool.micrographs.label_sets import (
    list_class_doubts,
    list_class_lines,
    list_map_lines,
)
from mstool.micrographs.sets import Member, MicrographSet, Reading, ScaledMicrograph
from mstool.micrographs.tile_folder import LEGEND
from mstool.pipeline.job import Job
from mstool.reporting import Reporter

# A network takes no larger tile, and an image smaller than a tile is filled up to it.
_MOST_SIZE = 16384


@dataclass(frozen=True)
class TileSettings:
    """How to cut."""

    size: int  # tile edge [px]
    overlap: int  # least number of pixels that neighbours share [px]
    reading: Reading
    discard_ignored: float | None  # tiles with a larger share of ignored pixels are left out

    def __post_init__(self):
        check_tile_size(self.size, self.overlap)
        if self.size > _MOST_SIZE:
            raise UsageError(f"--size {self.size}: must be at most {_MOST_SIZE}")
        if self.discard_ignored is not None and not 0 <= self.discard_ignored <= 1:
            raise UsageError(f"--discard-ignored {self.discard_ignored}: must be between 0 and 1")

    @property
    def halo(self) -> int:
        """Border that neighbours know better [px]."""
        return self.overlap // 2

    def as_record(self, legend: Legend | None) -> dict:
        """Settings and the legend that label maps are read through, as TOML; None without."""
        record = asdict(self)
        return record | record.pop("reading") | {"legend": legend_text(legend)}


def cut_tiles(micrographs: MicrographSet, settings: TileSettings, job: Job) -> None:
    """Cut micrographs, and label maps where there are any, into a tile folder."""
    out, report, has_labels = job.out, job.report, micrographs.legend is not None
    work = job.claim(
        TILES_RECORD,
        (MANIFEST, "images", "labels", LEGEND),
        settings.as_record(micrographs.legend),
        micrographs.files.files(),
        lambda: _pieces(out, has_labels),
    )
    if work is None:
        return
    with work.filling():
        tiles, sources, greys = _cut_all(micrographs, settings, work.inputs, out, report)
        write_manifest(out, tiles)
    report.note(
        f"{out}: {len(tiles)} tiles of {settings.size} x {settings.size} pixels from "
        f"{len(sources)} micrographs{'' if has_labels else ', without labels'}"
    )
    _describe_classes(micrographs, report)
    work.finish(
        work.describe()
        | {
            "n_tiles": len(tiles),
            "halo": settings.halo,
            "pixel_size_um": micrographs.pixel_size_um,
            "dtype": micrographs.dtype,
            "n_channels": micrographs.n_channels,
            "greys": greys,
            "levels": micrographs.levels,
            "sources": [source.as_row() for source in sources],
        },
        lambda: _files_of(tiles, out, has_labels),
    )


def _pieces(out: Path, has_labels: bool) -> list[Path]:
    """Files that finished tiles consist of; the manifest alone where there is none."""
    if not (out / MANIFEST).is_file():
        return [out / MANIFEST]
    return _files_of(read_manifest(out), out, has_labels)


def _files_of(tiles: Iterable[Tile], out: Path, has_labels: bool) -> list[Path]:
    """The manifest, the files of these tiles, and the legend of their labels."""
    found = [out / MANIFEST, *([out / LEGEND] if has_labels else [])]
    for tile in tiles:
        found.append(out / "images" / f"{tile.id}.tif")
        if has_labels:
            found.append(out / "labels" / f"{tile.id}.png")
    return found


def _cut_all(
    micrographs: MicrographSet,
    settings: TileSettings,
    inputs: dict[str, str],
    out: Path,
    report: Reporter,
) -> tuple[list[Tile], list[SourceImage], tuple[float, ...]]:
    legend = micrographs.legend
    (out / "images").mkdir(exist_ok=True)
    if legend is not None:
        (out / "labels").mkdir(exist_ok=True)
        write_text(out / LEGEND, legend_to_toml(index_legend(legend)))
    tiles, sources, sampled = [], [], []
    with report.progress("tiling", len(micrographs.members)) as advance:
        for member in micrographs.members:
            report.detail(f"cutting {member.path}")
            opened = micrographs.open(member)
            source = describe_source(member, opened, inputs, out)
            cut, greys = _cut_source(opened, source, settings, legend, out)
            if settings.discard_ignored is not None and not cut:
                report.note(f"{member.path}: all its tiles are left out by --discard-ignored")
            tiles += cut
            sources.append(source)
            sampled += greys
            advance(1, member.name)
    if not tiles:
        first = micrographs.members[0].path
        raise InputError(f"{first.parent}: no tile is left; raise --discard-ignored")
    return tiles, sources, describe_greys(sampled)


def describe_source(
    member: Member, opened: ScaledMicrograph, inputs: dict[str, str], out: Path
) -> SourceImage:
    """What the record of a folder says of a micrograph that was read; `inputs` are hashes."""
    micrograph, recorded = opened.micrograph, relative_to(member.path, out)
    return SourceImage(
        name=member.name,
        group=member.group,
        sha256=micrograph.content_sha256(),
        path=recorded,
        file_sha256=inputs[recorded],
        shape=(micrograph.height, micrograph.width),
        scaled_shape=opened.shape,
        pixel_size_um=micrograph.pixel_size_um,
        folder=folder_name(member.path),
    )


def _cut_source(
    opened: ScaledMicrograph,
    source: SourceImage,
    settings: TileSettings,
    legend: Legend | None,
    out: Path,
) -> tuple[list[Tile], list[np.ndarray]]:
    """Tiles of a micrograph, and some of its greys."""
    colours = None if legend is None else palette(legend)
    tiles, greys = [], []
    for window in plan_windows(*opened.shape, settings.size, settings.overlap):
        tile = _name_tile(source, window, settings.size)
        labels = opened.read_labels(window)
        if labels is not None:
            tile = replace(tile, counts=_count(labels, legend))
            if _is_discarded(labels, settings.discard_ignored):
                continue
            padded = _pad_ignored(labels, settings.size)
            write_indexed_png(out / "labels" / f"{tile.id}.png", padded, colours)
        image = opened.read(window)
        greys.append(sample_greys(image))
        path = out / "images" / f"{tile.id}.tif"
        if not path.exists():  # a piece that an interrupted run has finished
            write_tile_image(path, pad_by_reflection(image, settings.size, settings.size))
        tiles.append(tile)
    return tiles, greys


def _describe_classes(micrographs: MicrographSet, report: Reporter) -> None:
    """Say what the label maps hold, and what is odd about it."""
    if micrographs.labels is None:
        return
    for line in (*list_class_lines(micrographs.labels), *list_class_doubts(micrographs.labels)):
        report.note(line)
    for line in list_map_lines(micrographs.labels):
        report.detail(line)


def _name_tile(source: SourceImage, window: Window, size: int) -> Tile:
    return Tile(
        id=f"{Path(source.name).stem}_r{window.row:05d}_c{window.col:05d}",
        source=source.name,
        group=source.group,
        row=window.row,
        col=window.col,
        height=window.height,
        width=window.width,
        pad=(size - window.height, size - window.width),
    )


def _pad_ignored(labels: np.ndarray, size: int) -> np.ndarray:
    """Fill up to a whole tile; invented pixels count nowhere."""
    missing = [(0, size - length) for length in labels.shape]
    return np.pad(labels, missing, constant_values=IGNORE_INDEX)


def _count(labels: np.ndarray, legend: Legend) -> dict[str, int]:
    counts = np.bincount(labels.ravel(), minlength=256)
    named = {name: int(counts[index]) for index, name in enumerate(legend.names)}
    return named | {"ignored": int(counts[IGNORE_INDEX])}


def _is_discarded(labels: np.ndarray, most_ignored: float | None) -> bool:
    return most_ignored is not None and (labels == IGNORE_INDEX).mean() > most_ignored
