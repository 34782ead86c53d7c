"""What learns, from what, and how it is judged."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstool.errors import InputError, Interrupted, LeakError, UsageError
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import (
    CropSet,
    Normalisation,
    balanced_weights,
    derive_seed,
    fit_normalisation,
)
from mstool.nn.device import Compute
from mstool.nn.finetune import freeze, parse_finetune
from mstool.nn.fit import Fit
from mstool.nn.input_size import refuse_fixed_size
from mstool.nn.losses import build_loss
from mstool.nn.model import (
    PIXEL,
    ModelSpec,
    Segmenter,
    build_segmenter,
    count_parameters,
)
from mstool.nn.norms import list_norms, refuse_lonely_crops
from mstool.nn.pixel_bank import PixelBank, fill_bank, head_of, views_in_time
from mstool.nn.spilling_rows import SpillingRows
from mstool.nn.team import ALONE, Team, refuse_small_batches
from mstool.nn.threads import ThreadTrial
from mstool.nn.validate import expect_validation_s, whole_image_confusions
from mstool.nn.weights import LoadedWeights, describe_loaded, load_weights
from mstool.pipeline.fitting import note_large_crop
from mstool.pipeline.job import Job
from mstool.pipeline.train.brightness_note import note_other_brightness
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.pipeline.train.training_data import TrainingData, list_missing_labels
from mstool.reporting import Reporter
from mstool.scores.metrics import accuracy, iou, mean_iou_of_truth
from mstool.splits.inherited import find_transductive, list_inherited_leaks
from mstool.splits.leaks import list_names


@dataclass(frozen=True)
class Learner:
    """A network that is about to learn."""

    segmenter: Segmenter  # the whole of it
    fit: Fit  # which trains it, or its head
    normalisation: Normalisation
    loaded: LoadedWeights | None  # None for weights that begin at random
    leaks: tuple[str, ...]  # what its first weights know of what is to judge them, if allowed
    transductive: dict[str, list[str]]  # what it has seen without labels, by role


def prepare_learner(
    data: TrainingData,
    settings: TrainSettings,
    compute: Compute,
    threads: ThreadTrial,
    cache: Path | None,
    job: Job,
    stop_requested: Callable[[], int | None],
    n_views: int | None = None,
    team: Team = ALONE,
) -> Learner:
    """Build a network with its first weights, and all that training it takes.

    A pixel classifier looks at `n_views` of its tiles, as a run did that goes on; None for as many
    as there is time for.

    Raises
    ------
    Interrupted
        If stopped while features are computed; nothing of them is kept.
    """
    report, normalisation = job.report, fit_normalisation(data.train, data.folder.path)
    spec = network_spec(settings, data)
    seed = derive_seed(settings.fit.seed, 0)
    segmenter = build_segmenter(spec, list(normalisation.mean), list(normalisation.std), seed)
    with team.in_turn():  # one download for all
        loaded = load_weights(segmenter.network, spec, settings.weights, cache)
    if loaded is not None:
        report.note(describe_loaded(loaded))
    leaks = _check_inherited(loaded, data, settings, report)
    transductive = find_transductive(
        () if loaded is None else loaded.inherited, data.roles, data.folder.sources
    )
    _note_transductive(transductive, job)
    for line in list_missing_labels(data):
        report.note(line)
    if settings.arch != PIXEL:
        freeze(segmenter.network, parse_finetune(settings.finetune))
    if not data.roles.test:
        report.note("no --test-fold: nothing is left for a test, and the validation score flatters")
    crop = settings.crop or data.folder.size
    refuse_fixed_size(segmenter, settings.encoder, crop, data.folder.size)
    _check_batches(settings, segmenter, crop, len(data.train))
    refuse_small_batches(len(data.train), settings.fit.batch_size, team.size)
    _note_lone_crops(settings, segmenter, len(data.train), report)
    note_large_crop(settings.crop, data.folder.size, report)
    report.note(
        f"{count_parameters(segmenter)} weights to train on {len(data.train)} tiles of "
        f"{len(data.roles.train)} micrographs, crops of {crop} pixels; {len(data.roles.val)} "
        f"micrographs to validate; {compute.name}, {compute.precision}"
    )
    note_other_brightness(data, report)
    segmenter = compute.place(segmenter)
    crops = CropSet(data.train, crop, settings.augmentation, normalisation, settings.fit.seed)
    validate = _validator(data, settings, compute, team)
    validation_s = _expect_validation_s(segmenter, data, settings, compute, team)
    learning, examples, judge = segmenter, crops, validate
    if settings.arch == PIXEL:
        views = _choose_views(segmenter, crops, settings, compute, job, n_views, team)
        examples = _fill_bank(segmenter, views, data, settings, compute, job, stop_requested)
        learning, judge = head_of(segmenter), lambda _: validate(segmenter.eval())
    weights = _class_weights(settings.class_weights, data, examples)
    fit = Fit(
        learning,
        examples,
        build_loss(settings.loss, weights),
        judge,
        settings.fit,
        compute,
        job.out / "resume",
        job.run,
        threads,
        team,
        validation_s,
    )
    if isinstance(examples, PixelBank):
        fit.state.n_views = examples.n_views
    return Learner(segmenter, fit, normalisation, loaded, leaks, transductive)


def _check_inherited(
    loaded: LoadedWeights | None, data: TrainingData, settings: TrainSettings, report: Reporter
) -> tuple[str, ...]:
    """What the first weights know of the test and of the validation; nothing, unless allowed."""
    if loaded is None:
        return ()
    leaks = list_inherited_leaks(loaded.inherited, data.roles, data.folder.sources)
    if leaks and not settings.allow_leak:
        raise LeakError(
            f"{settings.weights}: {leaks[0]}; use other --weights, or the split that they were "
            "trained with"
        )
    if leaks:
        report.note(f"warning: --allow-leak: {settings.weights} {leaks[0]}")
    return tuple(f"{settings.weights} {leak}" for leak in leaks)


def _note_transductive(transductive: dict[str, list[str]], job: Job) -> None:
    for role, names in transductive.items():
        if names:
            job.report.note(
                f"transductive: {len(names)} micrographs of {role} were seen in pretraining, "
                f"without labels: {list_names(names, 5)}; the score is not that of new ones"
            )


def network_spec(settings: TrainSettings, data: TrainingData) -> ModelSpec:
    """What the network is built from."""
    return ModelSpec(
        settings.arch,
        settings.encoder,
        data.folder.n_channels,
        len(data.classes),
        settings.depth,
        settings.width,
        settings.padding,
        settings.features,
        settings.decoder_channels,
    )


def _choose_views(
    segmenter: Segmenter,
    crops: CropSet,
    settings: TrainSettings,
    compute: Compute,
    job: Job,
    n_views: int | None,
    team: Team,
) -> list[CropSet]:
    """Tiles as they are, then changed ones, as often as half of the budget allows."""
    as_they_are = CropSet(crops.store, crops.size, PRESETS["none"], crops.normalisation, crops.seed)
    views = [as_they_are, *[crops] * (settings.views - 1)]
    budget = settings.fit.max_time_s
    if n_views is None and budget is not None:
        left_s = budget / 2 - (time.monotonic() - job.run.clock)
        n_views = team.follow(views_in_time(segmenter, views[-1], compute, left_s))
    if n_views is not None and n_views < len(views):
        job.report.note(
            f"--max-time: half of it is enough for {n_views} of {len(views)} views of the tiles; "
            "the others are left out"
        )
    return views[:n_views]


def _fill_bank(
    segmenter: Segmenter,
    views: Sequence[CropSet],
    data: TrainingData,
    settings: TrainSettings,
    compute: Compute,
    job: Job,
    stop_requested: Callable[[], int | None],
) -> PixelBank:
    """Compute the features of sampled pixels."""
    with job.report.progress("features", len(views) * len(views[0])) as advance:

        def step() -> None:
            advance(1)
            if (code := stop_requested()) is not None:
                raise Interrupted(f"{job.out}: stopped; run the same command to go on", code)

        with closing(SpillingRows(segmenter.network.n_features, job.out)) as rows:
            bank = fill_bank(segmenter, views, settings.pixels, compute, rows, step)
    counts = bank.count_classes(len(data.classes))
    _refuse_poor_bank(counts, data, settings)
    words = ", ".join(f"{name} {n:,}" for name, n in zip(data.classes, counts, strict=True))
    job.report.note(f"{bank.n_features} features of {len(bank.labels):,} pixels: {words}")
    return bank


def _refuse_poor_bank(counts: list[int], data: TrainingData, settings: TrainSettings) -> None:
    """Refuse crops that show no more than one class, though the tiles have more."""
    shown = [name for name, n in zip(data.classes, counts, strict=True) if n]
    if len(shown) > 1:
        return
    what = f'of one class only, "{shown[0]}"' if shown else "none that is labelled"
    raise InputError(
        f"{data.folder.path}: the pixels to learn from are {what}; use a larger --crop, more "
        "--views or more --pixels"
    )


def _check_batches(settings: TrainSettings, segmenter: Segmenter, crop: int, n_tiles: int) -> None:
    """Refuse crops and batches with which the first step would fail."""
    segmenter.check_crop(crop)
    if settings.arch != PIXEL:  # whose batches are of pixels
        refuse_lonely_crops(
            segmenter, crop, n_tiles, settings.fit.batch_size, f"--arch {settings.arch}"
        )


def _note_lone_crops(
    settings: TrainSettings, segmenter: Segmenter, n_tiles: int, report: Reporter
) -> None:
    """Say what batches of one crop do, unless the network keeps no statistics of batches."""
    is_alone = min(settings.fit.batch_size, n_tiles) == 1
    if settings.arch != PIXEL and is_alone and list_norms(segmenter):
        why, remedy = "a single tile", "cut smaller or more tiles"
        if n_tiles > 1:
            why = "--batch-size 1"
            remedy = "use a larger --batch-size, if need be with a smaller --crop"
        report.note(
            f"{why}: batch normalisation learns from one crop at a time, after which new "
            f"micrographs are often segmented badly; {remedy}"
        )


def _validator(
    data: TrainingData, settings: TrainSettings, compute: Compute, team: Team
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
            team,
        )
        pooled = confusions.sum(axis=0)
        by_class = {f"iou_{name}": value for name, value in zip(names, iou(pooled), strict=True)}
        chosen_by = float(mean_iou_of_truth(pooled))
        return {"mean_iou": chosen_by, "accuracy": float(accuracy(pooled)), **by_class}

    return validate


def _expect_validation_s(
    segmenter: Segmenter, data: TrainingData, settings: TrainSettings, compute: Compute, team: Team
) -> float:
    """Time that a validation will take [s]; 0 without a budget, which alone needs to know."""
    if settings.fit.max_time_s is None:
        return 0.0
    return expect_validation_s(segmenter, data.val, settings.fit.batch_size, compute) / team.size


def _class_weights(
    choice: str | tuple[float, ...], data: TrainingData, examples: CropSet | PixelBank
) -> list[float] | None:
    names = data.classes
    if choice == "none":
        return None
    if choice == "balanced":
        if isinstance(examples, PixelBank):  # where tiles of few labels count for more
            return balanced_weights(examples.count_classes(len(names)))
        return balanced_weights(
            [sum(tile.counts[name] for tile in data.train.tiles) for name in names]
        )
    if len(choice) != len(names):
        raise UsageError(
            f"--class-weights: {len(choice)} numbers for {len(names)} classes ({', '.join(names)})"
        )
    return list(choice)
