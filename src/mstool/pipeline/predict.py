"""Class probabilities of tiles, by one model or several."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import UsageError
from mstool.io.tiles import (
    MANIFEST,
    PREDICT_RECORD,
    SourceImage,
    Tile,
    probabilities_path,
    read_tile_image,
    to_stored,
    write_manifest,
    write_probabilities,
)
from mstool.micrographs.needs import check_needs
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.nn.checkpoint import LoadedModel, check_ensemble, load_checkpoint
from mstool.nn.device import Compute
from mstool.nn.graph_folder import user_graph_folder
from mstool.nn.infer import predict_images
from mstool.nn.model import Segmenter
from mstool.pipeline.engine_choice import TRIAL_TILES, EngineRequest, engine_of_job
from mstool.pipeline.fold_models import (
    Part,
    divide_out_of_fold,
    find_models,
    know_specimens,
    trained_on,
)
from mstool.pipeline.job import Job, Work
from mstool.pipeline.made_with import describe_making
from mstool.reporting import Reporter
from mstool.splits.leaks import all_searched

OUT_OF_FOLD = "out-of-fold"


@dataclass(frozen=True)
class PredictSettings:
    """How to predict."""

    select: str  # "train", "val", "test", by the checkpoint's own record, `OUT_OF_FOLD`, or "all"
    tta: str  # "none", "flips" or "d4"
    probs: str  # "uint8" or "float16"
    precision: str  # as resolved
    engine: str  # "auto" until it is chosen


def predict_tiles(
    tiles: Path,
    model_paths: Sequence[Path],
    settings: PredictSettings,
    batch_size: int,
    compute: Compute,
    job: Job,
) -> None:
    """Predict the tiles of a folder, some at a time, and write a folder of probabilities.

    Models are checkpoints, model folders, or folders of a cross-validation; several are an
    ensemble.
    """
    out = job.out
    tile_folder = open_tile_folder(tiles)
    sources, models = know_specimens(tile_folder.sources, load_models(model_paths))
    tile_folder = replace(tile_folder, sources=sources)
    check_needs([model.needs for model in models], tile_folder.given(), job.report)
    parts = _divide(tile_folder, models, settings.select)
    _note_seen(parts, models, sources, settings.select, job.report)
    asked = _ask_engine(tile_folder, parts, models, settings.engine, compute, job.report)
    engine = engine_of_job(asked, PREDICT_RECORD, job)
    settings = replace(settings, engine=engine.name)
    # whole batches, since rounding depends on what else is in one
    batches = job.share(
        list(_batches(parts, batch_size, compute)), f"batches of {batch_size} tiles"
    )
    wanted = {tile.id for batch in batches for tile in batch.tiles}
    chosen = [tile for tile in tile_folder.tiles if tile.id in wanted]
    inputs = [*tile_folder.files, *(model.path for model in models)]
    pieces = [out / MANIFEST, *(probabilities_path(out, tile) for tile in chosen)]
    contents = (MANIFEST, "probs")
    work = job.claim(PREDICT_RECORD, contents, asdict(settings), inputs, lambda: pieces)
    if work is None:
        return
    facts = {
        "n_tiles": len(chosen),
        "batch_size": batch_size,
        "engine": engine.as_entry(),
        **describe_models(models),
        "folds": _describe_folds(parts, settings.select),
        **_describe_tiles(chosen, tile_folder, models, parts, settings, out),
    }
    if job.is_merge:
        _merge(chosen, facts, work, job)
        return
    run_by = {id(model): one for model, one in zip(models, engine.segmenters, strict=True)}
    # a damaged tile takes nothing back: with it mended, the same command goes on
    todo = [tile for tile in chosen if not probabilities_path(out, tile).exists()]
    (out / "probs").mkdir(exist_ok=True)
    with job.report.progress("predicting", len(chosen)) as advance:
        for batch in batches:
            segmenters = [run_by[id(model)] for model in batch.models]
            _predict_batch(batch.tiles, tiles, segmenters, settings, compute, out)
            advance(len(batch.tiles))
    write_manifest(out, chosen)
    begun = work.describe(compute.name, compute.n_threads)
    predicted = sum(tile.height * tile.width for tile in todo) / 1e6
    work.finish(begun | _describe_pace(len(todo), predicted, begun["mstool"]["elapsed_s"]) | facts)
    n_sources = len(facts["sources"])
    job.report.note(
        f"{out}: {len(chosen)} tiles of {n_sources} micrographs, {len(todo)} of them now"
    )


def _describe_tiles(
    chosen: Sequence[Tile],
    folder: TileFolder,
    models: Sequence[LoadedModel],
    parts: Sequence[Part],
    settings: PredictSettings,
    out: Path,
) -> dict[str, Any]:
    """Entries of the record on what was predicted."""
    names = {tile.source for tile in chosen}
    return {
        "megapixels": sum(np.prod(folder.sources[name].scaled_shape) for name in names) / 1e6,
        "made_with": describe_making(
            settings.tta,
            folder.settings,
            [model.checkpoint for model in models],
            [len(part.models) for part in parts],
        ),
        "tiles": {"settings": folder.settings, "halo": folder.halo},
        "sources": [
            source.as_entry(folder.path, out)
            for name, source in folder.sources.items()
            if name in names
        ],
    }


def _batches(parts: Sequence[Part], batch_size: int, compute: Compute) -> Iterator[Part]:
    """Tiles that are predicted at a time, with the models that do.

    On a CPU, where it costs nothing, they are those of one micrograph, as in `segment`: torch has
    other kernels for one tile than for several, which round otherwise.
    """
    on_cpu = compute.device.type == "cpu"
    for part in parts:
        for _, same in groupby(part.tiles, key=lambda tile: tile.source if on_cpu else None):
            tiles = tuple(same)
            for start in range(0, len(tiles), batch_size):
                yield replace(part, tiles=tiles[start : start + batch_size])


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
            "--select all for new micrographs, or out-of-fold for those of a cross-validation"
        )
    return chosen


def _divide(folder: TileFolder, models: Sequence[LoadedModel], select: str) -> list[Part]:
    """Tiles to predict, with the models that do."""
    if select == OUT_OF_FOLD:
        return divide_out_of_fold(folder, models)
    chosen = choose_tiles(folder.tiles, folder.sources, models, select, folder.path)
    return [Part(tuple(models), tuple(chosen))]


def _merge(chosen: Sequence[Tile], facts: dict[str, Any], work: Work, job: Job) -> None:
    """Join the tiles that shards have predicted."""
    with work.filling():
        shards = work.open_parts()
        shards.check_same("batch_size", "--batch-size")
        write_manifest(job.out, chosen)
        work.gather(shards, ["probs"])
    pace = _describe_pace(
        int(shards.total("n_predicted")),
        shards.total("tile_megapixels_predicted"),
        shards.elapsed_s(),
    )
    known = {"engine": shards.engine, "batch_size": shards.parts[0].record.get("batch_size")}
    work.finish_merge(work.describe() | pace | facts | known, shards)
    job.report.note(f"{job.out}: {len(chosen)} tiles of {len(shards.parts)} shards")


def _describe_pace(n_predicted: int, megapixels: float, elapsed_s: float) -> dict[str, Any]:
    return {
        "n_predicted": n_predicted,
        "tile_megapixels_predicted": megapixels,
        "s_per_tile_megapixel": elapsed_s / megapixels if megapixels else None,
    }


def _note_seen(
    parts: Sequence[Part],
    models: Sequence[LoadedModel],
    sources: dict[str, SourceImage],
    select: str,
    report: Reporter,
) -> None:
    """Say that an ensemble predicts micrographs that decided its weights."""
    if select != "all" or len(models) == 1:
        return
    known = {row["sha256"] for row in trained_on(models)}
    names = {tile.source for part in parts for tile in part.tiles}
    if n_seen := sum(sources[name].sha256 in known for name in names):
        report.note(
            f"{n_seen} of {len(names)} micrographs were trained or validated on by some of the "
            f"models; --select out-of-fold leaves these models out, micrograph by micrograph"
        )


def _ask_engine(
    folder: TileFolder,
    parts: Sequence[Part],
    models: Sequence[LoadedModel],
    asked: str,
    compute: Compute,
    report: Reporter,
) -> EngineRequest:
    chosen = [tile for part in parts for tile in part.tiles]
    return EngineRequest(
        asked,
        models,
        folder.size,
        lambda: len(chosen) * folder.size**2,
        lambda: [read_tile_image(folder.path, tile) for tile in chosen[:TRIAL_TILES]],
        compute,
        lambda: user_graph_folder(report),
    )


def _describe_folds(parts: Sequence[Part], select: str) -> list[dict[str, Any]] | None:
    if select != OUT_OF_FOLD:
        return None
    return [part.as_fold().as_entry() for part in parts]


def _refuse_repeated(models: Sequence[LoadedModel]) -> None:
    """Refuse a model that is there twice, and would count twice in the mean."""
    known: dict[str, Path] = {}
    for model in models:
        if model.sha256 in known:
            raise UsageError(
                f"--model {model.path}: is the same model as {known[model.sha256]}; name each once"
            )
        known[model.sha256] = model.path


def describe_models(models: Sequence[LoadedModel]) -> dict[str, Any]:
    """Entries of a record on the models of an ensemble."""
    return {
        "classes": models[0].checkpoint.classes,
        "label_legend": models[0].checkpoint.legend,
        "models": [{"name": model.path.name, "sha256": model.sha256} for model in models],
        "trained_on": trained_on(models),
        "leaks": leaks_of(models),
        "searched": all_searched(_was_searched(model) for model in models),
    }


def load_models(paths: Sequence[Path]) -> list[LoadedModel]:
    """Models that can be averaged.

    Raises
    ------
    UsageError, InputError
        If one is there twice, or they are not alike; as `find_models` and `load_checkpoint`.
    """
    models = [load_checkpoint(path) for path in find_models(paths)]
    _refuse_repeated(models)
    check_ensemble(models)
    return models


def leaks_of(models: Sequence[LoadedModel]) -> list[str]:
    """What the roles of any model shared, and was let pass in training."""
    leaks = [model.checkpoint.training.get("leak") or {} for model in models]
    return sorted({words for leak in leaks for words in leak.get("found", ())})


def _was_searched(model: LoadedModel) -> bool | None:
    """Whether training compared micrographs of different roles; None where it is not known."""
    return (model.checkpoint.training.get("leak") or {}).get("searched")


def _predict_batch(
    batch: Sequence[Tile],
    tiles: Path,
    segmenters: Sequence[Segmenter],
    settings: PredictSettings,
    compute: Compute,
    out: Path,
) -> None:
    """Write what is missing of a batch, all of which is computed, see `_batches`."""
    paths = [probabilities_path(out, tile) for tile in batch]
    if all(path.exists() for path in paths):
        return
    images = [read_tile_image(tiles, tile) for tile in batch]
    probabilities = predict_images(segmenters, images, compute, settings.tta)
    for path, values in zip(paths, probabilities, strict=True):
        if not path.exists():  # a piece that an interrupted run has finished
            write_probabilities(path, to_stored(values, settings.probs))
