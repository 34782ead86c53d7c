"""What a comparison makes for use: micrographs, tiles, a network, ranges for training."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import OutputExistsError
from mstool.io.atomic import sweep_beside, write_text
from mstool.io.masks import write_indexed_png
from mstool.io.plain import from_plain
from mstool.io.records import read_record, relative_to, write_record
from mstool.io.tiles import (
    MANIFEST,
    TILES_RECORD,
    read_manifest,
    read_sources,
    read_tile_image,
    write_tile_image,
)
from mstool.nn.augment import Augmentation, augmentation_to_toml
from mstool.nn.checkpoint import LoadedModel, save_checkpoint
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.mitigate import Repair
from mstool.pipeline.shift.plan import MODEL_REPAIRS
from mstool.pipeline.shift.samples import SampledSet
from mstool.shift.choice import NONE
from mstool.shift.dosing import Piece, dose_piece
from mstool.shift.grey_levels import to_stored

IMAGES, MODEL, SIMULATED = "repaired", "model", "simulated"

Write = Callable[[Path, np.ndarray, float | None, str], str]


def write_repair(c: Comparison, repair: Repair) -> tuple[str, ...]:
    """Write what a repair makes, in place of what an earlier run has chosen.

    Every micrograph of the target, whole; a tile folder with the same labels, that ``predict``
    reads, where the target is one; or the network that was fitted to the target.

    Returns
    -------
    tuple of str
        Files, relative to the folder of the comparison; none for ``none``.
    """
    for name in (IMAGES, MODEL):
        shutil.rmtree(c.out / name, ignore_errors=True)
    if repair.name == NONE or c.model is None:
        return ()
    if repair.name in MODEL_REPAIRS:
        return _write_model(c.model, c.target, repair, c.out)
    changes = {one.name: repair.for_sample(one, c.target.dtype) for one in c.target.samples}

    def write(path: Path, stored: np.ndarray, pixel_size_um: float | None, source: str) -> str:
        values = stored[..., None] if stored.ndim == 2 else stored
        changed = changes[source](values.astype(np.float32))
        _write_stored(path, changed, c.target.dtype, pixel_size_um)
        return path.relative_to(c.out).as_posix()

    target = c.target.opened
    if target.tiles is not None:
        return _write_tiles(target.tiles.path, c.out / IMAGES, repair.name, write)
    names = []
    for member in target.members:
        micrograph = target.open(member).micrograph
        path = c.out / IMAGES / f"{member.path.stem}.tif"
        names.append(write(path, micrograph.read(), micrograph.pixel_size_um, member.name))
    return tuple(names)


def write_simulated(c: Comparison, pieces: Sequence[Piece], colours: np.ndarray | None) -> None:
    """Write every piece of the source under every dose, and where `colours` are given its labels.

    Files are ``simulated/FAMILY/DOSE/images/NAME.tif`` and ``.../labels/NAME.png``.
    """
    doses = [(name, dose) for name, row in c.settings.doses.items() for dose in row]
    n_written = 0
    for family, dose in c.parts.budget.paced(doses):
        n_written += 1
        place = c.out / SIMULATED / family / f"{dose:g}"
        for piece in pieces:
            changed, stem = dose_piece(piece, family, dose, c.settings.seed), Path(piece.name).stem
            stored = to_stored(changed.image, c.levels, c.source.dtype)
            path = place / "images" / f"{stem}.tif"
            _write_stored(path, stored, c.source.dtype, c.source.pixel_size_um)
            if colours is not None:
                (place / "labels").mkdir(exist_ok=True)
                write_indexed_png(place / "labels" / f"{stem}.png", changed.labels, colours)
    if n_written < len(doses):
        c.parts.left_out.append(f"files of {len(doses) - n_written} simulated doses")


def check_free(path: Path | None, overwrite: bool, record: Path) -> None:
    """Refuse a place for ranges that is taken, before the work that makes them.

    Where the work is done already, `write_augmentation` tells whether the file says the same.

    Raises
    ------
    OutputExistsError
        If there is a folder, or a file and no record yet.
    """
    if path is None:
        return
    if path.is_dir():
        raise OutputExistsError(f"{path}: is a folder; name a file for --derive-augmentation")
    if path.exists() and not overwrite and not record.exists():
        raise OutputExistsError(f"{path}: exists; name another file, or give --overwrite")


def write_augmentation(record: Mapping[str, Any], path: Path, overwrite: bool) -> None:
    """Write the ranges of a record for ``train --augment``, with what they were derived from.

    Raises
    ------
    OutputExistsError
        If another file is there.
    """
    text = _describe_ranges(record)
    if path.exists() and not overwrite and path.read_bytes() != text.encode():
        raise OutputExistsError(
            f"{path}: exists and says something else; name another file, or give --overwrite"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep_beside(path)
    write_text(path, text)


def _write_stored(path: Path, stored: np.ndarray, dtype: str, pixel_size_um: float | None) -> None:
    """Write stored values (H, W, C) as TIFF; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = stored.astype(dtype)
    write_tile_image(path, values[..., 0] if values.shape[2] == 1 else values, pixel_size_um)


def _write_model(
    model: LoadedModel, target: SampledSet, repair: Repair, out: Path
) -> tuple[str, ...]:
    """Write the network that was fitted to the target, and what it was made from."""
    provenance = {
        "repair": repair.name,
        "repaired_from": model.sha256,
        "fitted_to": [sample.sha256 for sample in target.samples],
    }
    checkpoint = model.checkpoint
    adapted = replace(
        checkpoint,
        training=checkpoint.training | provenance,
        metrics=checkpoint.metrics | {"before_repair": True},
    )
    (out / MODEL).mkdir(parents=True)
    save_checkpoint(out / MODEL / "model.safetensors", repair.network.segmenter, adapted)
    write_record(out / MODEL / "repair.json", provenance)
    return (f"{MODEL}/model.safetensors",)


def _write_tiles(tiles: Path, folder: Path, repair: str, write: Write) -> tuple[str, ...]:
    """Write a tile folder; its record says where the micrographs lie that the tiles are of."""
    record = read_record(tiles / TILES_RECORD)
    names = []
    for tile in read_manifest(tiles):
        path, values = folder / "images" / f"{tile.id}.tif", read_tile_image(tiles, tile)
        names.append(write(path, values, record["pixel_size_um"], tile.source))
    for part in (MANIFEST, "legend.toml"):
        if (tiles / part).is_file():
            shutil.copyfile(tiles / part, folder / part)
    if (tiles / "labels").is_dir():
        shutil.copytree(tiles / "labels", folder / "labels")
    moved = {
        "inputs": {relative_to(tiles / k, folder): v for k, v in record["inputs"].items()},
        "sources": [
            source.as_entry(tiles, folder) for source in read_sources(tiles / TILES_RECORD).values()
        ],
    }
    write_record(folder / TILES_RECORD, record | moved | {"repair": repair, "levels": None})
    return tuple(names)


def _describe_ranges(record: Mapping[str, Any]) -> str:
    fit = record["fit"]
    moved = ", ".join(fit["moved"]) or "nothing"
    head = (
        f"# derived from {record['n']['target']} target micrographs; moved: {moved}\n"
        "# look at it: mstool train TILES --augment THIS --preview FOLDER\n"
    )
    signs = {"sharper": fit["blur_px"], "less noisy": fit["noise"]}
    lacking = " and ".join(words for words, value in signs.items() if value < 0)
    if lacking:
        head += f"# the target is {lacking}, which no augmentation makes of the source\n"
    return head + augmentation_to_toml(from_plain(Augmentation, record["augmentation"]))
