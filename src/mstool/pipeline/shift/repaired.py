"""What the chosen repair makes: micrographs, tiles, or a network, never over what was there."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mstool.io.images import open_micrograph
from mstool.io.records import read_record, write_record
from mstool.io.tiles import MANIFEST, TILES_RECORD, read_manifest, read_tile_image
from mstool.nn.checkpoint import LoadedModel, save_checkpoint
from mstool.pipeline.shift.mitigate import Repair, own_statistics
from mstool.pipeline.shift.sets import MicrographSet, SetInputs, to_unit, write_image

IMAGES, MODEL = "repaired", "model"


def write_repaired_images(
    inputs: SetInputs,
    target: MicrographSet,
    repair: Repair,
    levels: tuple[float, float],
    pixel_size_um: float | None,
    grey: bool,
    out: Path,
) -> list[str]:
    """Write every micrograph of the target, whole, as the repair changes it.

    A tile folder becomes a tile folder, with the same labels, that ``predict`` reads.

    Parameters
    ----------
    inputs : SetInputs
        Files of the target.
    target : MicrographSet
        As it was read.
    repair : Repair
        Of images.
    levels : tuple of float
        Stored values of black and white.
    pixel_size_um : float or None
        Instead of what files say [um/px].
    grey : bool
        Whether colour is turned to grey.
    out : Path
        Folder in which ``repaired/`` is made.

    Returns
    -------
    list of str
        Files, relative to `out`.
    """
    by_name = {sample.name: own_statistics(sample, levels) for sample in target.samples}

    def write(path: Path, stored: np.ndarray, pixel_size: float | None, source: str) -> str:
        values = stored[..., None] if stored.ndim == 2 else stored
        image = repair.change(to_unit(values.astype(np.float32), levels), by_name[source])
        write_image(path, image, levels, target.dtype, pixel_size)
        return path.relative_to(out).as_posix()

    if inputs.tiles is not None:
        return _write_tiles(inputs.tiles, repair, write, out)
    names = []
    for path in inputs.images:
        micrograph = open_micrograph(path, pixel_size_um, grey)
        name = out / IMAGES / f"{path.stem}.tif"
        names.append(write(name, micrograph.read(), micrograph.pixel_size_um, path.name))
    return names


def write_repaired_model(
    model: LoadedModel, target: MicrographSet, repair: Repair, out: Path
) -> list[str]:
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
    (out / MODEL).mkdir(parents=True, exist_ok=True)
    save_checkpoint(out / MODEL / "model.safetensors", repair.segmenter, adapted)
    write_record(out / MODEL / "repair.json", provenance)
    return [f"{MODEL}/model.safetensors"]


def _write_tiles(tiles: Path, repair: Repair, write: Callable[..., str], out: Path) -> list[str]:
    folder, record = out / IMAGES, read_record(tiles / TILES_RECORD)
    names = []
    for tile in read_manifest(tiles):
        path, values = folder / "images" / f"{tile.id}.tif", read_tile_image(tiles, tile)
        names.append(write(path, values, record["pixel_size_um"], tile.source))
    for part in (MANIFEST, "legend.toml"):
        if (tiles / part).is_file():
            shutil.copyfile(tiles / part, folder / part)
    if (tiles / "labels").is_dir():
        shutil.copytree(tiles / "labels", folder / "labels", dirs_exist_ok=True)
    write_record(folder / TILES_RECORD, record | {"repair": repair.name})
    return names
