"""Class probabilities of tiles, by one model or several."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mstool.errors import InputError, UsageError
from mstool.io.outputs import OutputFolder
from mstool.io.records import Run, hash_inputs, read_record, relative_to, require_keys
from mstool.io.tiles import (
    MANIFEST,
    PREDICT_RECORD,
    TILES_RECORD,
    SourceImage,
    Tile,
    check_windows,
    probabilities_path,
    read_manifest,
    read_sources,
    read_tile_image,
    write_manifest,
    write_probabilities,
)
from mstool.nn.checkpoint import (
    LoadedModel,
    check_same_classes,
    deciding_sources,
    load_checkpoint,
)
from mstool.nn.dataset import to_tensor
from mstool.nn.device import Compute
from mstool.nn.infer import predict_probabilities
from mstool.pipeline.label_maps import read_legend
from mstool.reporting import Advance, Reporter


@dataclass(frozen=True)
class PredictSettings:
    """How to predict.

    Attributes
    ----------
    select : str
        ``train``, ``val``, ``test``, by the checkpoint's own record, or ``all``.
    tta : str
        ``none``, ``flips`` or ``d4``.
    probs : str
        ``uint8`` or ``float16``.
    precision : str
        As resolved.
    """

    select: str
    tta: str
    probs: str
    precision: str


def predict_tiles(
    tiles: Path,
    model_paths: Sequence[Path],
    settings: PredictSettings,
    batch_size: int,
    compute: Compute,
    out: Path,
    overwrite: bool,
    run: Run,
    report: Reporter,
) -> None:
    """Predict the tiles of a folder and write a folder of probabilities.

    Parameters
    ----------
    tiles : Path
        Tile folder.
    model_paths : sequence of Path
        Checkpoints, or model folders; several are an ensemble.
    settings : PredictSettings
        How.
    batch_size : int
        Tiles at a time.
    compute : Compute
        Where.
    out : Path
        Folder to fill.
    overwrite : bool
        Whether to start afresh where it holds other probabilities.
    run : Run
        For the record.
    report : Reporter
        Where notes and progress go.
    """
    models = [load_checkpoint(path) for path in model_paths]
    check_same_classes(models)
    tile_record = read_record(tiles / TILES_RECORD)
    require_keys(
        tile_record,
        tiles / TILES_RECORD,
        *("settings", "halo", "pixel_size_um", "dtype", "n_channels"),
    )
    sources = read_sources(tiles / TILES_RECORD)
    manifest = read_manifest(tiles)
    check_windows(manifest, sources, tiles / MANIFEST)
    _check_fit(tiles, tile_record, models, report)
    chosen = choose_tiles(manifest, sources, models, settings.select, tiles)
    folder = OutputFolder(out, PREDICT_RECORD, (MANIFEST, "probs"))
    inputs = hash_inputs(
        [tiles / TILES_RECORD, tiles / MANIFEST, *(model.path for model in models)], out
    )
    pieces = [out / MANIFEST, *(probabilities_path(out, tile) for tile in chosen)]
    if folder.claim(asdict(settings), inputs, overwrite, lambda: pieces) == "done":
        report.note(f"{out}: nothing left to do")
        return
    # a damaged tile takes nothing back: with it mended, the same command goes on
    todo = [tile for tile in chosen if not probabilities_path(out, tile).exists()]
    with report.progress("predicting", len(chosen)) as advance:
        advance(len(chosen) - len(todo))
        _predict_all(todo, tiles, models, settings, batch_size, compute, out, advance)
    write_manifest(out, chosen)
    names = {tile.source for tile in chosen}
    megapixels = sum(np.prod(sources[name].scaled_shape) for name in names) / 1e6
    predicted = sum(tile.height * tile.width for tile in todo) / 1e6
    facts = run.facts(compute.name, torch.get_num_threads())
    record = {
        "mstool": facts,
        "status": "done",
        "inputs": inputs,
        "settings": asdict(settings),
        "n_tiles": len(chosen),
        "n_predicted": len(todo),
        "megapixels": megapixels,
        "tile_megapixels_predicted": predicted,
        "s_per_tile_megapixel": facts["elapsed_s"] / predicted if predicted else None,
        "classes": models[0].checkpoint.classes,
        "label_legend": models[0].checkpoint.legend,
        "models": [{"name": model.path.name, "sha256": model.sha256} for model in models],
        "trained_on": trained_on(models),
        "tiles": {"settings": tile_record["settings"], "halo": tile_record["halo"]},
        "sources": [
            asdict(_move(source, tiles, out)) for name, source in sources.items() if name in names
        ],
    }
    folder.finish(record)
    report.note(f"{out}: {len(chosen)} tiles of {len(names)} micrographs, {len(todo)} of them now")


def choose_tiles(
    manifest: Sequence[Tile],
    sources: dict[str, SourceImage],
    models: Sequence[LoadedModel],
    select: str,
    tiles: Path,
) -> list[Tile]:
    """Tiles of the micrographs that every model knows in the same role.

    Micrographs are told by their pixels, so renaming one changes nothing.

    Raises
    ------
    UsageError
        If there are none.
    """
    if select == "all":
        return list(manifest)
    hashes = [{source["sha256"] for source in model.checkpoint.sources[select]} for model in models]
    wanted = set.intersection(*hashes)
    chosen = [tile for tile in manifest if sources[tile.source].sha256 in wanted]
    if not chosen:
        raise UsageError(
            f"--select {select}: {tiles} holds no micrograph that the models know as {select}; use "
            "--select all for new micrographs"
        )
    return chosen


def trained_on(models: Sequence[LoadedModel]) -> list[dict[str, str]]:
    """Micrographs that decided the weights of any model: those of training and validation."""
    seen = {
        source["sha256"]: source
        for model in models
        for source in deciding_sources(model.checkpoint)
    }
    return sorted(seen.values(), key=lambda source: source["name"])


def _check_fit(
    tiles: Path, record: dict[str, Any], models: Sequence[LoadedModel], report: Reporter
) -> None:
    checkpoint = models[0].checkpoint
    if record["n_channels"] != checkpoint.spec.n_channels:
        remedy = "tile with --grey" if checkpoint.spec.n_channels == 1 else "give colour ones"
        raise InputError(
            f"{tiles}: micrographs have {record['n_channels']} channels, {models[0].path} takes "
            f"{checkpoint.spec.n_channels}; {remedy}"
        )
    if (tiles / "legend.toml").is_file():
        names = read_legend(tiles / "legend.toml").names
        if names != checkpoint.classes:
            raise InputError(
                f"{models[0].path}: has classes {', '.join(checkpoint.classes)}, {tiles} has "
                f"{', '.join(names)}; tile with the legend that the model was trained with"
            )
    for model in models:
        if record["dtype"] != model.checkpoint.dtype:
            raise InputError(
                f"{tiles}: pixels are {record['dtype']}, {model.path} was trained on "
                f"{model.checkpoint.dtype}; save the micrographs alike"
            )
        theirs, ours = model.checkpoint.pixel_size_um, record["pixel_size_um"]
        if theirs and ours and abs(ours / theirs - 1) > 0.02:
            report.note(
                f"{model.path}: was trained at {theirs:.4g} um/px, the tiles have {ours:.4g}; "
                f"mstool tile --scale {record['settings']['scale'] * ours / theirs:.4g} makes them "
                "alike"
            )


def _predict_all(
    todo: Sequence[Tile],
    tiles: Path,
    models: Sequence[LoadedModel],
    settings: PredictSettings,
    batch_size: int,
    compute: Compute,
    out: Path,
    advance: Advance,
) -> None:
    (out / "probs").mkdir(exist_ok=True)
    segmenters = [compute.place(model.segmenter) for model in models]
    for batch in _batches(todo, batch_size):
        images = torch.stack([to_tensor(read_tile_image(tiles, tile)) for tile in batch])
        probabilities = predict_probabilities(segmenters, images, compute, settings.tta)
        for tile, values in zip(batch, probabilities.numpy(), strict=True):
            write_probabilities(probabilities_path(out, tile), quantise(values, settings.probs))
        advance(len(batch))


def quantise(probabilities: np.ndarray, probs: str) -> np.ndarray:
    """Probabilities as they are stored: ``p * 255`` rounded (uint8), or float16."""
    if probs == "float16":
        return probabilities.astype(np.float16)
    return np.rint(probabilities * 255).astype(np.uint8)


def _batches(tiles: Sequence[Tile], size: int) -> Iterator[Sequence[Tile]]:
    for start in range(0, len(tiles), size):
        yield tiles[start : start + size]


def _move(source: SourceImage, tiles: Path, out: Path) -> SourceImage:
    """Source with its path as seen from another folder."""
    return replace(source, path=relative_to(tiles / source.path, out))
