"""Cut micrographs and label maps into tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.geometry.grid import check_tile_size, plan_windows
from mstool.geometry.padding import pad_by_reflection
from mstool.geometry.resample import axis_weights, resample_window, scaled_length
from mstool.geometry.window import Window
from mstool.io.atomic import write_text
from mstool.io.images import Micrograph, open_micrograph
from mstool.io.masks import write_indexed_png
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs, relative_to
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
    legend_from_toml,
    legend_to_toml,
    palette,
)
from mstool.pipeline.label_maps import open_labels, read_label_window
from mstool.reporting import Reporter
from mstool.splits.groups import group_of

# A network takes no larger tile, and an image smaller than a tile is filled up to it.
_MOST_SIZE = 16384


@dataclass(frozen=True)
class TileSettings:
    """How to cut.

    Attributes
    ----------
    size, overlap : int
        Tile edge, and least number of pixels that neighbours share [px].
    scale : float
        Magnification before cutting.
    group_by : str or None
        Pattern that finds the specimen in a file name.
    discard_ignored : float or None
        Tiles with a larger share of ignored pixels are left out.
    grey : bool
        Whether to turn colour into luminance.
    pixel_size_um : float or None
        Replaces what the files say [um/px].
    legend : str or None
        Legend of the label maps, as TOML; None without labels.
    """

    size: int
    overlap: int
    scale: float
    group_by: str | None
    discard_ignored: float | None
    grey: bool
    pixel_size_um: float | None
    legend: str | None

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


def cut_tiles(
    images: Sequence[Path],
    labels: dict[Path, Path],
    settings: TileSettings,
    out: Path,
    overwrite: bool,
    run: Run,
    report: Reporter,
) -> None:
    """Cut micrographs, and label maps where there are any, into a tile folder.

    Parameters
    ----------
    images : sequence of Path
        Micrographs.
    labels : dict of Path to Path
        Label map of each; empty without labels.
    settings : TileSettings
        How.
    out : Path
        Folder to fill.
    overwrite : bool
        Whether to start afresh where it holds other tiles.
    run : Run
        For the record.
    report : Reporter
        Where notes and progress go.
    """
    folder = OutputFolder(out, TILES_RECORD, (MANIFEST, "images", "labels", "legend.toml"))
    inputs = hash_inputs([*images, *labels.values()], out)
    state = folder.claim(asdict(settings), inputs, overwrite, lambda: _pieces(out, settings))
    if state == "done":
        report.note(f"{out}: nothing left to do")
        return
    with folder.filling(state):
        tiles, sources, first = _cut_all(images, labels, settings, inputs, out, report)
        write_manifest(out, tiles)
    report.note(
        f"{out}: {len(tiles)} tiles of {settings.size} x {settings.size} pixels from "
        f"{len(sources)} micrographs{'' if labels else ', without labels'}"
    )
    folder.finish(
        {
            "mstool": run.facts(),
            "status": "done",
            "inputs": inputs,
            "settings": asdict(settings),
            "n_tiles": len(tiles),
            "halo": settings.halo,
            "pixel_size_um": _tile_pixel_size(sources, settings),
            "dtype": first.dtype.name,
            "n_channels": 1 if len(first.shape) == 2 else first.shape[2],
            "sources": [asdict(source) for source in sources],
        }
    )


def _pieces(out: Path, settings: TileSettings) -> Iterator[Path]:
    """Files that finished tiles consist of."""
    yield out / MANIFEST
    if not (out / MANIFEST).is_file():
        return
    for tile in read_manifest(out):
        yield out / "images" / f"{tile.id}.tif"
        if settings.legend is not None:
            yield out / "labels" / f"{tile.id}.png"


def _cut_all(
    images: Sequence[Path],
    labels: dict[Path, Path],
    settings: TileSettings,
    inputs: dict[str, str],
    out: Path,
    report: Reporter,
) -> tuple[list[Tile], list[SourceImage], Micrograph]:
    legend = None if settings.legend is None else legend_from_toml(settings.legend)
    (out / "images").mkdir(exist_ok=True)
    if legend is not None:
        (out / "labels").mkdir(exist_ok=True)
        write_text(out / "legend.toml", legend_to_toml(index_legend(legend)))
    tiles, sources, first = [], [], None
    with report.progress("tiling", len(images)) as advance:
        for path in images:
            report.detail(f"cutting {path}")
            micrograph = open_micrograph(path, settings.pixel_size_um, settings.grey)
            first = first or micrograph
            _check_same_kind(micrograph, first)
            source = _describe(micrograph, settings, inputs, out)
            cut = _cut_source(micrograph, labels.get(path), source, settings, legend, out)
            if settings.discard_ignored is not None and not cut:
                report.note(f"{path}: all its tiles are left out by --discard-ignored")
            tiles += cut
            sources.append(source)
            advance(1, path.name)
    if not tiles:
        raise InputError(f"{images[0].parent}: no tile is left; raise --discard-ignored")
    return tiles, sources, first


def _describe(
    micrograph: Micrograph, settings: TileSettings, inputs: dict[str, str], out: Path
) -> SourceImage:
    path, recorded = micrograph.path, relative_to(micrograph.path, out)
    return SourceImage(
        name=path.name,
        group=group_of(path.name, settings.group_by),
        sha256=micrograph.content_sha256(),
        path=recorded,
        file_sha256=inputs[recorded],
        shape=(micrograph.height, micrograph.width),
        scaled_shape=(
            scaled_length(micrograph.height, settings.scale),
            scaled_length(micrograph.width, settings.scale),
        ),
        pixel_size_um=micrograph.pixel_size_um,
    )


def _cut_source(
    micrograph: Micrograph,
    label_path: Path | None,
    source: SourceImage,
    settings: TileSettings,
    legend: Legend | None,
    out: Path,
) -> list[Tile]:
    read_image = _image_reader(micrograph, source.scaled_shape)
    read_labels = label_path and _label_reader(label_path, source, legend)
    colours = None if legend is None else palette(legend)
    tiles = []
    for window in plan_windows(*source.scaled_shape, settings.size, settings.overlap):
        tile = _name_tile(source, window, settings.size)
        if read_labels is not None:
            labels = _pad_ignored(read_labels(window), settings.size)
            tile = replace(tile, counts=_count(labels, legend))
            if _is_discarded(labels, settings.discard_ignored):
                continue
            write_indexed_png(out / "labels" / f"{tile.id}.png", labels, colours)
        path = out / "images" / f"{tile.id}.tif"
        if not path.exists():  # a piece that an interrupted run has finished
            image = pad_by_reflection(read_image(window), settings.size, settings.size)
            write_tile_image(path, image)
        tiles.append(tile)
    return tiles


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


def _image_reader(
    micrograph: Micrograph, scaled_shape: tuple[int, int]
) -> Callable[[Window], np.ndarray]:
    if scaled_shape == (micrograph.height, micrograph.width):
        return lambda window: micrograph.read(window.row, window.col, window.height, window.width)
    rows = axis_weights(micrograph.height, scaled_shape[0])
    cols = axis_weights(micrograph.width, scaled_shape[1])

    def read(window: Window) -> np.ndarray:
        values = resample_window(micrograph.read, window, rows, cols)
        if micrograph.dtype.kind == "f":
            return values
        return np.rint(values).astype(micrograph.dtype)  # means never leave the range

    return read


def _label_reader(
    path: Path, source: SourceImage, legend: Legend
) -> Callable[[Window], np.ndarray]:
    labels = open_labels(path, legend)
    if (labels.height, labels.width) != source.shape:
        raise InputError(
            f"{path}: is {labels.height} x {labels.width} pixels, its micrograph {source.name} is "
            f"{source.shape[0]} x {source.shape[1]}; save the label map in the same size"
        )
    return lambda window: read_label_window(labels, legend, window, source.scaled_shape)


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


def _check_same_kind(micrograph: Micrograph, first: Micrograph) -> None:
    if len(micrograph.shape) != len(first.shape):
        kinds = ["grey", "colour"]
        raise InputError(
            f"{micrograph.path}: is {kinds[len(micrograph.shape) - 2]}, {first.path} is "
            f"{kinds[len(first.shape) - 2]}; use --grey to turn all into grey"
        )
    if micrograph.dtype != first.dtype:
        raise InputError(
            f"{micrograph.path}: pixels are {micrograph.dtype}, those of {first.path} are "
            f"{first.dtype}; tile them apart, or save all alike"
        )


def _tile_pixel_size(sources: list[SourceImage], settings: TileSettings) -> float | None:
    """Pixel size of the tiles; None unless all micrographs have one and the same."""
    sizes = {source.pixel_size_um for source in sources}
    size = sizes.pop() if len(sizes) == 1 else None
    return None if size is None else size / settings.scale
