"""Learn encoder weights from tiles without labels, and write them with what they come from."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mstool.io.atomic import write_text
from mstool.io.tables import history_to_csv
from mstool.nn.checkpoint import save_checkpoint, versions
from mstool.nn.dataset import CropSet, derive_seed, fit_normalisation
from mstool.nn.device import Compute
from mstool.nn.fit import Fit
from mstool.nn.masking import MaskedSet, Rebuilder, masked_error
from mstool.nn.model import ModelSpec, count_parameters
from mstool.nn.norms import refuse_lonely_crops
from mstool.nn.pretrained import ENCODER_FILE, PretrainedEncoder
from mstool.nn.pretrainer import Pretrainer, build_stage_sum, crop_edge, settle_norms
from mstool.nn.threads import ThreadTrial
from mstool.nn.views import N_EMBEDDED, Matcher, ViewSet, disagreement
from mstool.nn.weights import LoadedWeights, describe_loaded, load_weights, weight_inputs
from mstool.pictures.curves import draw_loss
from mstool.pictures.save import save_figure
from mstool.pipeline.fitting import begin_threads, go_on, note_large_crop, run_to_end
from mstool.pipeline.job import Job
from mstool.pipeline.pretrain.pretrain_flags import PretrainSettings
from mstool.pipeline.pretrain.unlabelled_pool import Pool, open_pool

RECORD = "pretrain.json"


@dataclass(frozen=True)
class Pretraining:
    """An encoder that is about to learn."""

    fit: Fit
    crops: CropSet
    loaded: LoadedWeights | None  # None for weights that begin at random


def pretrain_encoder(
    tiles: Sequence[Path],
    split: Path | None,
    settings: PretrainSettings,
    compute: Compute,
    cache: Path | None,
    job: Job,
    stop_requested: Callable[[], int | None],
) -> None:
    """Learn encoder weights and write them into a folder.

    Parameters
    ----------
    tiles : sequence of Path
        Tile folders; their labels, if they have any, are not looked at.
    split : Path or None
        Split CSV, where a fold is left out.
    settings : PretrainSettings
        What and how.
    compute : Compute
        On what.
    cache : Path or None
        For downloaded weights; None for the usual folders.
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
    pool = open_pool(tiles, split, settings.test_fold)
    others = [*([split] if split else []), *weight_inputs(settings.weights)]
    work = job.claim(
        RECORD,
        (ENCODER_FILE, "history.csv", "curves.png"),
        settings.as_record(),
        [*pool.files, *others],
        lambda: [out / ENCODER_FILE],
        ("resume",),
    )
    if work is None:
        return
    with work.filling():
        threads = begin_threads(settings.threads, compute.device.type == "cpu", work.state, job)
        learning = _prepare(pool, settings, compute, threads, cache, job)
        fit = learning.fit
        go_on(fit, work.state, job)
    run_to_end(fit, job, stop_requested)
    settle_norms(fit.segmenter, learning.crops, settings.fit.batch_size, compute)
    _write_encoder(out, learning, pool, settings)
    begun = work.describe(compute.name, compute.n_threads)
    facts = _facts(learning, pool) | {"threads": fit.threads.describe(settings.threads)}
    work.finish(begun | facts)
    report.note(f"{out / ENCODER_FILE}: mstool train --weights {out} begins with it")


def _prepare(
    pool: Pool,
    settings: PretrainSettings,
    compute: Compute,
    threads: ThreadTrial,
    cache: Path | None,
    job: Job,
) -> Pretraining:
    """Build an encoder with its first weights, and all that training it takes."""
    normalisation = fit_normalisation(pool.store, pool.folders[0].path)
    n_channels = pool.folders[0].n_channels
    n_outputs = n_channels if settings.method == "masked" else N_EMBEDDED
    seed = derive_seed(settings.fit.seed, 0)
    network = build_stage_sum(settings.encoder, n_channels, n_outputs, seed)
    edge = crop_edge(network, settings.crop or pool.folders[0].size)
    spec = ModelSpec("unet", settings.encoder, n_channels, n_outputs)
    loaded = load_weights(network, spec, settings.weights, cache)
    if loaded is not None:
        job.report.note(describe_loaded(loaded))
    crops = CropSet(pool.store, edge, settings.augmentation, normalisation, settings.fit.seed)
    examples, kind, loss = _choose_method(settings.method, crops)
    learner = kind(network, normalisation.mean, normalisation.std)
    named = f"--encoder {settings.encoder}"
    refuse_lonely_crops(learner, edge, len(pool.store), settings.fit.batch_size, named)
    learner = compute.place(learner)
    _note_begin(pool, learner, edge, settings.test_fold, compute, job)
    note_large_crop(settings.crop, pool.folders[0].size, job.report)
    fit = Fit(
        learner,
        examples,
        loss,
        None,
        settings.fit,
        compute,
        job.out / "resume",
        job.run,
        threads,
    )
    return Pretraining(fit, crops, loaded)


def _choose_method(
    method: str, crops: CropSet
) -> tuple[MaskedSet | ViewSet, type[Pretrainer], Callable]:
    """Give what is looked at, what answers, and what its answers cost."""
    if method == "masked":
        return MaskedSet(crops), Rebuilder, masked_error
    return ViewSet(crops), Matcher, disagreement


def _say_what_is_left_out(pool: Pool, test_fold: int | None) -> str:
    if pool.left_out:
        return f"{len(pool.left_out)} micrographs of the test are not looked at"
    words = "no micrograph is left out; train says which of its test were seen"
    if test_fold is None:
        return f"{words}. --split and --test-fold leave them out"
    return f"warning: {words}. None is known to --split as one of --test-fold {test_fold}"


def _note_begin(
    pool: Pool,
    learner: Pretrainer,
    edge: int,
    test_fold: int | None,
    compute: Compute,
    job: Job,
) -> None:
    job.report.note(_say_what_is_left_out(pool, test_fold))
    job.report.note(
        f"{count_parameters(learner.network.encoder)} weights of the encoder to learn from "
        f"{len(pool.store)} tiles of {len(pool.sources)} micrographs, crops of {edge} pixels; "
        f"{compute.name}, {compute.precision}"
    )


def _write_encoder(
    out: Path, learning: Pretraining, pool: Pool, settings: PretrainSettings
) -> None:
    fit, loaded, crops = learning.fit, learning.loaded, learning.crops
    description = PretrainedEncoder(
        method=settings.method,
        encoder=settings.encoder,
        n_channels=pool.folders[0].n_channels,
        crop=crops.size,
        mean=crops.normalisation.mean,
        std=crops.normalisation.std,
        dtype=pool.folders[0].dtype,
        pixel_size_um=pool.pixel_size_um,
        sources={
            "unlabelled": [source.identity() for source in pool.sources],
            "inherited": list(loaded.inherited if loaded else ()),
        },
        training={
            "settings": settings.as_record(),
            "weights": None if loaded is None else asdict(loaded),
            "versions": versions(),
        },
    )
    save_checkpoint(out / ENCODER_FILE, fit.segmenter.network.encoder, description)
    write_text(out / "history.csv", history_to_csv(fit.state.history))
    figure = draw_loss(fit.state.history, f"{settings.method}, {settings.encoder}")
    save_figure(out / "curves.png", figure)


def _facts(learning: Pretraining, pool: Pool) -> dict[str, Any]:
    fit, loaded = learning.fit, learning.loaded
    return {
        "n_parameters": count_parameters(fit.segmenter.network.encoder),
        "n_tiles": len(pool.store),
        "crop_px": learning.crops.size,
        "n_steps": fit.state.n_steps,
        **fit.spent(),
        "loss": fit.state.history[-1]["train_loss"],
        "weights": None if loaded is None else asdict(loaded),
        "sources": {
            "unlabelled": [source.name for source in pool.sources],
            "left_out": [source.name for source in pool.left_out],
        },
        "versions": versions(),
    }
