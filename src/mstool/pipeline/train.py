"""Fit a segmentation network to tiles."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mstool.errors import InputError, Interrupted, UsageError
from mstool.io.atomic import write_text
from mstool.io.plain import to_plain
from mstool.io.records import pick
from mstool.io.split_csv import read_split
from mstool.io.tables import to_csv
from mstool.io.tiles import MANIFEST, TILES_RECORD, LabelledTileReader, SourceImage, Tile
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.nn.augment import Augmentation, load_augmentation
from mstool.nn.checkpoint import Checkpoint, save_checkpoint, versions
from mstool.nn.dataset import (
    CropSet,
    Normalisation,
    TileStore,
    balanced_weights,
    derive_seed,
    epoch_batches,
    fit_normalisation,
)
from mstool.nn.device import Compute, available_cores
from mstool.nn.finetune import freeze, parse_finetune
from mstool.nn.fit import Fit, FitSettings
from mstool.nn.losses import build_loss, parse_loss
from mstool.nn.model import (
    DEFAULT_ENCODER,
    PLAIN,
    POOLING_ARCHITECTURES,
    ModelSpec,
    Segmenter,
    build_network,
    build_segmenter,
    count_parameters,
)
from mstool.nn.receptive_field import theoretical_receptive_field
from mstool.nn.unet_plain import check_depth
from mstool.nn.validate import whole_image_confusions
from mstool.nn.weights import LoadedWeights, load_weights
from mstool.pictures.curves import draw_curves
from mstool.pictures.save import save_figure
from mstool.pipeline.job import Job
from mstool.scores.metrics import compute_metrics
from mstool.splits.roles import Roles, choose_roles, keep_first_images, refuse_inherited_leak

RECORD = "train.json"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class TrainSettings:
    """What to train and how.

    Attributes
    ----------
    arch, encoder, depth, width, padding
        See `ModelSpec`.
    weights, finetune, loss
        As the flags have them.
    class_weights : str or tuple of float
        ``none``, ``balanced`` or one a class.
    augmentation : Augmentation
        Ranges.
    crop : int or None
        Edge of training crops [px]; None for that of the tiles.
    test_fold, val_fold : int or None
        See `choose_roles`.
    max_images : int or None
        Training micrographs to keep.
    fit : FitSettings
        Of the loop.
    precision : str
        As resolved.
    """

    arch: str
    encoder: str | None
    depth: int
    width: int
    padding: str
    weights: str
    finetune: str
    loss: str
    class_weights: str | tuple[float, ...]
    augmentation: Augmentation
    crop: int | None
    test_fold: int | None
    val_fold: int | None
    max_images: int | None
    fit: FitSettings
    precision: str

    def as_record(self) -> dict[str, Any]:
        """All that decides the weights; not how many processes help."""
        record = asdict(self)
        del record["fit"]["workers"]
        return record


@dataclass(frozen=True)
class TrainFlags:
    """What the flags of the command line say, one field each; None where nothing is said."""

    arch: str
    encoder: str | None
    weights: str | None
    depth: int | None
    width: int | None
    padding: str | None
    finetune: str
    loss: str
    class_weights: str
    augment: str
    crop: int | None
    test_fold: int | None
    val_fold: int | None
    max_images: int | None
    epochs: int
    batch_size: int
    lr: float
    encoder_lr_factor: float | None
    weight_decay: float
    ema: float
    patience: int
    validate_every: int
    max_time_s: float | None
    workers: int | None
    seed: int


def resolve_settings(flags: TrainFlags, compute: Compute) -> TrainSettings:
    """Check flags and fill in what they leave open.

    Raises
    ------
    UsageError
        If a value is wrong, or an option does not belong to the architecture.
    """
    _check_network(flags)
    parse_loss(flags.loss)
    parse_finetune(flags.finetune)
    _check_numbers(flags)
    values = vars(flags) | _choose_network(flags)
    if flags.encoder_lr_factor is None:
        values["encoder_lr_factor"] = 1.0 if values["weights"] == "none" else 0.3
    if flags.workers is None:
        is_cpu = compute.device.type == "cpu"
        values["workers"] = 0 if is_cpu else min(8, max(1, available_cores() - 1))
    values |= {
        "class_weights": _parse_class_weights(flags.class_weights),
        "augmentation": load_augmentation(flags.augment),
        "fit": pick(FitSettings, values),
        "precision": compute.precision,
    }
    return pick(TrainSettings, values)


def _check_network(flags: TrainFlags) -> None:
    """Refuse options that the architecture would not look at, or has not."""
    is_plain = flags.arch == PLAIN
    for name in ("encoder", "depth", "width", "padding"):
        value = getattr(flags, name)
        if value is not None and is_plain == (name == "encoder"):
            wanted = "another --arch" if is_plain else f"--arch {PLAIN}"
            raise UsageError(f"--{name} {value}: needs {wanted}")
    if flags.depth is not None:
        check_depth(flags.depth)


def _choose_network(flags: TrainFlags) -> dict[str, Any]:
    is_plain = flags.arch == PLAIN
    return {
        "encoder": None if is_plain else flags.encoder or DEFAULT_ENCODER,
        "depth": flags.depth or 4,
        "width": flags.width or 32,
        "padding": flags.padding or "same",
        "weights": flags.weights or ("none" if is_plain else "imagenet"),
    }


def _check_numbers(flags: TrainFlags) -> None:
    limits = {"lr": 10, "weight_decay": 10, "encoder_lr_factor": 10, "ema": 1}
    for name, limit in limits.items():
        value = getattr(flags, name) or 0.0
        if not 0 <= value < limit:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} {value}: must be at least 0 and below {limit}")


def _parse_class_weights(text: str) -> str | tuple[float, ...]:
    if text in ("none", "balanced"):
        return text
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        weights = ()
    is_usable = weights and all(0 <= weight < 1e6 for weight in weights) and max(weights) > 0
    if not is_usable:
        raise UsageError(f"--class-weights {text}: use none, balanced, or numbers such as 1,2,5")
    return weights


@dataclass(frozen=True)
class TrainingData:
    """A tile folder, divided.

    Attributes
    ----------
    train, val : TileStore
        Tiles with labels; `val` may be empty.
    roles : Roles
        Names of the micrographs.
    folder : TileFolder
        What is known of all tiles.
    """

    train: TileStore
    val: TileStore
    roles: Roles
    folder: TileFolder

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in order."""
        return self.folder.legend.names


def train_model(
    tiles: Path,
    split: Path,
    settings: TrainSettings,
    compute: Compute,
    cache: Path,
    job: Job,
    stop_requested: Callable[[], int | None],
) -> None:
    """Train a network and write a model folder.

    Parameters
    ----------
    tiles : Path
        Tile folder with labels.
    split : Path
        Split CSV.
    settings : TrainSettings
        What and how.
    compute : Compute
        On what.
    cache : Path
        For downloaded weights.
    job : Job
        Where to.
    stop_requested : callable
        Gives the exit code to stop with, or None to go on.

    Raises
    ------
    Interrupted
        If stopped; the same command goes on.
    """
    out, report = job.out, job.report
    data = read_training_data(tiles, split, settings)
    weights = Path(settings.weights)
    work = job.claim(
        RECORD,
        (MODEL, "history.csv", "curves.png", "resume"),
        settings.as_record(),
        [tiles / TILES_RECORD, tiles / MANIFEST, split, *([weights] if weights.is_file() else [])],
        lambda: [out / MODEL],
    )
    if work is None:
        return
    with work.filling():
        fit, segmenter, normalisation, loaded = _prepare(data, settings, compute, cache, job)
        if work.state == "unfinished" and fit.resume():
            report.note(f"going on at epoch {fit.state.epoch + 1}, step {fit.state.n_steps}")
    if not fit.run(report, lambda: stop_requested() is not None):
        raise Interrupted(
            f"{out}: stopped at epoch {fit.state.epoch + 1}; run the same command to go on",
            stop_requested() or 75,
        )
    _write_model(out, fit, segmenter, normalisation, data, settings, loaded)
    begun = work.describe(compute.name, compute.n_threads)
    work.finish(begun | _facts(fit, data, loaded, segmenter))
    shutil.rmtree(out / "resume", ignore_errors=True)
    report.note(_closing_words(out, fit))


def read_training_data(tiles: Path, split: Path, settings: TrainSettings) -> TrainingData:
    """Open a tile folder, read the split, and prove the roles apart."""
    folder = open_tile_folder(tiles)
    if folder.legend is None:
        raise InputError(f"{tiles}: was cut without labels; run mstool tile with --labels")
    rows = read_split(split)
    roles = choose_roles(rows, folder.sources, settings.test_fold, settings.val_fold, str(split))
    roles = keep_first_images(roles, settings.max_images, settings.fit.seed)
    decode = LabelledTileReader(tiles, len(folder.legend.classes))
    stores = {
        role: TileStore([tile for tile in folder.tiles if tile.source in names], decode)
        for role, names in roles.as_dict().items()
    }
    for role in ("train", "val"):
        if not len(stores[role]):
            raise InputError(
                f"{tiles}: holds no tile of the micrographs to {role}; tile with a higher "
                "--discard-ignored"
            )
    _refuse_one_class(stores["train"].tiles, tiles)
    return TrainingData(stores["train"], stores["val"], roles, folder)


def _refuse_one_class(train: Sequence[Tile], folder: Path) -> None:
    """Refuse tiles from which no difference can be learnt, though the loss would fall."""
    remedy = "look at the label maps and their legend, or train on other folds"
    found = {name for tile in train for name, n in (tile.counts or {}).items() if n}
    found.discard("ignored")
    if not found:
        raise InputError(f"{folder}: the tiles to train on have no labelled pixel; {remedy}")
    if len(found) == 1:
        raise InputError(
            f'{folder}: the tiles to train on hold one class only, "{found.pop()}"; {remedy}'
        )


def _prepare(
    data: TrainingData,
    settings: TrainSettings,
    compute: Compute,
    cache: Path,
    job: Job,
) -> tuple[Fit, Segmenter, Normalisation, LoadedWeights | None]:
    report, normalisation = job.report, fit_normalisation(data.train)
    spec = _spec(settings, data)
    seed = derive_seed(settings.fit.seed, 0)
    segmenter = build_segmenter(spec, list(normalisation.mean), list(normalisation.std), seed)
    loaded = load_weights(segmenter.network, spec, settings.weights, cache)
    if loaded is not None:
        report.note(
            f"weights: {loaded.n_matched} of {loaded.n_encoder} tensors of the encoder and "
            f"{loaded.n_rest} others from {loaded.origin}, sha256 "
            f"{loaded.sha256 or 'checked by the hub'}; {loaded.n_random} begin at random"
        )
        refuse_inherited_leak(loaded.inherited, data.roles, data.folder.sources, settings.weights)
    freeze(segmenter.network, parse_finetune(settings.finetune))
    if not data.roles.test:
        report.note("no --test-fold: nothing is left for a test, and the validation score flatters")
    crop = settings.crop or data.folder.size
    _check_batches(settings, segmenter, crop, len(data.train))
    report.note(
        f"{count_parameters(segmenter)} weights to train on {len(data.train)} tiles of "
        f"{len(data.roles.train)} micrographs, crops of {crop} pixels; {len(data.roles.val)} "
        f"micrographs to validate; {compute.name}, {compute.precision}"
    )
    fit = Fit(
        compute.place(segmenter),
        CropSet(data.train, crop, settings.augmentation, normalisation, settings.fit.seed),
        build_loss(settings.loss, _class_weights(settings.class_weights, data)),
        _validator(data, settings, compute),
        settings.fit,
        compute,
        job.out / "resume",
        job.run.clock,
    )
    return fit, segmenter, normalisation, loaded


def _spec(settings: TrainSettings, data: TrainingData) -> ModelSpec:
    return ModelSpec(
        settings.arch,
        settings.encoder,
        data.folder.n_channels,
        len(data.classes),
        settings.depth,
        settings.width,
        settings.padding,
    )


def _check_batches(settings: TrainSettings, segmenter: Segmenter, crop: int, n_tiles: int) -> None:
    """Refuse crops and batches with which the first step would fail."""
    segmenter.check_crop(crop)
    batches = epoch_batches(n_tiles, settings.fit.batch_size, 0, 0)
    if settings.arch in POOLING_ARCHITECTURES and min(map(len, batches)) == 1:
        raise UsageError(
            f"--batch-size {settings.fit.batch_size}: leaves a batch of one tile of {n_tiles}, "
            f"which --arch {settings.arch} cannot normalise; use another"
        )


def _validator(
    data: TrainingData, settings: TrainSettings, compute: Compute
) -> Callable[[Segmenter], dict[str, Any]]:
    names = data.classes

    def validate(segmenter: Segmenter) -> dict[str, Any]:
        confusions = whole_image_confusions(
            segmenter,
            data.val,
            data.folder.sources,
            len(names),
            settings.fit.batch_size,
            compute,
        )
        metrics = compute_metrics(confusions.sum(axis=0))
        by_class = {f"iou_{name}": value for name, value in zip(names, metrics.iou, strict=True)}
        return {"mean_iou": metrics.mean_iou, "accuracy": metrics.accuracy, **by_class}

    return validate


def _class_weights(choice: str | tuple[float, ...], data: TrainingData) -> list[float] | None:
    names = data.classes
    if choice == "none":
        return None
    if choice == "balanced":
        counts = [sum(tile.counts[name] for tile in data.train.tiles) for name in names]
        return balanced_weights(counts)
    if len(choice) != len(names):
        raise UsageError(
            f"--class-weights: {len(choice)} numbers for {len(names)} classes ({', '.join(names)})"
        )
    return list(choice)


def _write_model(
    out: Path,
    fit: Fit,
    segmenter: Segmenter,
    normalisation: Normalisation,
    data: TrainingData,
    settings: TrainSettings,
    loaded: LoadedWeights | None,
) -> None:
    segmenter = segmenter.cpu().eval()
    spec = _spec(settings, data)
    checkpoint = Checkpoint(
        spec=spec,
        classes=data.classes,
        legend=data.folder.label_legend,
        mean=normalisation.mean,
        std=normalisation.std,
        dtype=data.folder.dtype,
        pixel_size_um=data.folder.pixel_size_um,
        tile_size=settings.crop or data.folder.size,
        receptive_field_px=theoretical_receptive_field(
            # unpadded convolutions look as far as padded ones
            build_network(replace(spec, padding="same")).eval(),
            data.folder.n_channels,
        ),
        sources={
            role: [_describe_source(data.folder.sources[name]) for name in names]
            for role, names in data.roles.as_dict().items()
        }
        | {"inherited": list(loaded.inherited if loaded else ())},
        metrics=_kept_row(fit),
        training={
            "settings": settings.as_record(),
            "weights": None if loaded is None else asdict(loaded),
            "versions": versions(),
        },
        greys=normalisation.greys,
    )
    save_checkpoint(out / MODEL, segmenter, checkpoint)
    write_text(out / "history.csv", _history_csv(fit.state.history))
    title = f"{settings.arch}, {settings.encoder or f'depth {settings.depth}'}"
    figure = draw_curves(fit.state.history, fit.state.best_epoch, title)
    save_figure(out / "curves.png", figure)


def _describe_source(source: SourceImage) -> dict[str, str]:
    return {"name": source.name, "group": source.group, "sha256": source.sha256}


def _kept_row(fit: Fit) -> dict[str, Any]:
    """Validation scores of the weights that were kept: the best, or the last without."""
    kept = fit.state.best_epoch or fit.state.epoch
    (row,) = (row for row in fit.state.history if row["epoch"] == kept)
    return {key: value for key, value in row.items() if key.startswith("val_")}


def _history_csv(history: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in history for key in row))
    # undefined cells stay empty
    return to_csv(columns, ([row.get(key) for key in columns] for row in to_plain(history)))


def _facts(
    fit: Fit, data: TrainingData, loaded: LoadedWeights | None, segmenter: Segmenter
) -> dict[str, Any]:
    return {
        "n_parameters": count_parameters(segmenter),
        "n_steps": fit.state.n_steps,
        "train_s": round(fit.state.elapsed_s, 1),
        "best_epoch": fit.state.best_epoch,
        "validation": _kept_row(fit),
        "weights": None if loaded is None else asdict(loaded),
        "sources": {role: list(names) for role, names in data.roles.as_dict().items()},
        "versions": versions(),
    }


def _closing_words(out: Path, fit: Fit) -> str:
    if fit.state.best_epoch is None:
        return (
            f"warning: {out}: nothing could be validated, since no pixel of the micrographs to "
            f"validate is labelled; the weights of the last epoch, {fit.state.epoch}, are kept"
        )
    return (
        f"{out}: best validation mean IoU {fit.state.best_score:.4f} at epoch "
        f"{fit.state.best_epoch} of {fit.state.epoch}"
    )
