"""Fit a segmentation network to tiles, and write a model folder."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mstool.io.atomic import write_text
from mstool.io.tables import history_to_csv
from mstool.io.tiles import MANIFEST, TILES_RECORD
from mstool.nn.calibrate import Calibration, calibrate
from mstool.nn.checkpoint import MODEL, Checkpoint, save_checkpoint, versions
from mstool.nn.device import Compute
from mstool.nn.fit import Fit
from mstool.nn.model import PIXEL, build_network, count_parameters
from mstool.nn.pixel_bank import PixelBank
from mstool.nn.receptive_field import theoretical_receptive_field
from mstool.nn.team import ALONE, Team
from mstool.nn.weights import weight_inputs
from mstool.pictures.curves import draw_curves
from mstool.pictures.save import save_figure
from mstool.pipeline.fitting import begin_threads, go_on, kept_views, run_to_end
from mstool.pipeline.job import Job, Work
from mstool.pipeline.train.learner import Learner, network_spec, prepare_learner
from mstool.pipeline.train.shared_views import LeakReport, report_leaks
from mstool.pipeline.train.train_flags import TrainSettings
from mstool.pipeline.train.training_data import TrainingData, read_training_data
from mstool.scores.temperature import MOST_SHARPENED

RECORD = "train.json"


def train_model(
    tiles: Path,
    split: Path,
    settings: TrainSettings,
    compute: Compute,
    cache: Path | None,
    job: Job,
    stop_requested: Callable[[], int | None],
    team: Team = ALONE,
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
    cache : Path or None
        For downloaded weights; None for the usual folders.
    job : Job
        Where to.
    stop_requested : callable
        Gives the exit code to stop with, or None to go on.
    team : Team
        Processes that train together, all of which are to call this.

    Raises
    ------
    Interrupted
        If stopped; the same command goes on.
    """
    if team.is_first:
        job.refuse_busy()
    data = read_training_data(tiles, split, settings)
    leak, work = _claim(data, tiles, split, settings, job) if team.is_first else (None, None)
    state = team.follow(work and work.state)
    if state is None:
        return
    with nullcontext() if work is None else work.filling():
        # the steps of a pixel classifier take no time beside its features, which threads help
        may_try = compute.device.type == "cpu" and settings.arch != PIXEL and team.size == 1
        threads = begin_threads(settings.threads, may_try, state, job)
        n_views = kept_views(state, job)
        learner = prepare_learner(
            data, settings, compute, threads, cache, job, stop_requested, n_views, team
        )
        go_on(learner.fit, state, job)
    run_to_end(learner.fit, job, stop_requested)
    if work is not None:
        leak = replace(leak, found=(*leak.found, *learner.leaks))
        _finish(learner, data, settings, compute, leak, work, job)


def _claim(
    data: TrainingData, tiles: Path, split: Path, settings: TrainSettings, job: Job
) -> tuple[LeakReport | None, Work | None]:
    """Look for leaks, and take the folder; no work where the model is there already."""
    is_done = all((job.out / name).is_file() for name in (RECORD, MODEL)) and not job.overwrite
    leak = None if is_done else report_leaks(data, split, settings.allow_leak, job.report)
    work = job.claim(
        RECORD,
        (MODEL, "history.csv", "curves.png"),
        settings.as_record(),
        training_inputs(tiles, split, settings),
        lambda: [job.out / MODEL],
        ("resume",),
    )
    return leak, work


def _finish(
    learner: Learner,
    data: TrainingData,
    settings: TrainSettings,
    compute: Compute,
    leak: LeakReport,
    work: Work,
    job: Job,
) -> None:
    """Write the model and its record."""
    out, fit = job.out, learner.fit
    calibration = _calibrate(learner, data, settings, compute, job) if settings.calibrate else None
    _write_model(out, learner, data, settings, leak)
    begun = work.describe(compute.name, compute.n_threads)
    work.finish(
        begun
        | _facts(learner, data)
        | {
            "leak": asdict(leak),
            "threads": fit.threads.describe(settings.threads),
            "processes": fit.team.size,
            "calibration": None if calibration is None else asdict(calibration),
        }
    )
    job.report.note(_closing_words(out, fit))


def training_inputs(tiles: Path, split: Path, settings: TrainSettings) -> list[Path]:
    """Files that decide the weights."""
    return [tiles / TILES_RECORD, tiles / MANIFEST, split, *weight_inputs(settings.weights)]


def _write_model(
    out: Path, learner: Learner, data: TrainingData, settings: TrainSettings, leak: LeakReport
) -> None:
    fit, loaded, normalisation = learner.fit, learner.loaded, learner.normalisation
    segmenter = learner.segmenter.cpu().eval()
    spec = network_spec(settings, data)
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
            role: [source.identity() | {"specimen": source.specimen} for source in some]
            for role, some in data.sources_by_role().items()
        }
        | {"inherited": list(loaded.inherited if loaded else ())},
        metrics=_kept_row(fit),
        training={
            "settings": settings.as_record(),
            "weights": None if loaded is None else asdict(loaded),
            "versions": versions(),
            "leak": asdict(leak),
        },
        greys=normalisation.greys,
        temperature=segmenter.temperature,
        tile_scale=data.folder.scale,
        has_own_greys=data.folder.has_own_greys,
    )
    save_checkpoint(out / MODEL, segmenter, checkpoint)
    write_text(out / "history.csv", history_to_csv(fit.state.history))
    title = f"{settings.arch}, {settings.features or settings.encoder or f'depth {settings.depth}'}"
    figure = draw_curves(fit.state.history, fit.state.best_epoch, title)
    save_figure(out / "curves.png", figure)


def _calibrate(
    learner: Learner, data: TrainingData, settings: TrainSettings, compute: Compute, job: Job
) -> Calibration | None:
    """Fit a temperature to the micrographs of validation, and say what it is."""
    seed, batch_size = settings.fit.seed, settings.fit.batch_size
    found = calibrate(learner.segmenter.eval(), data.val, batch_size, compute, seed)
    if found is None:
        job.report.note("warning: not calibrated: no pixel of the validation is labelled")
    else:
        job.report.note(
            f"calibrated: logits are divided by {found.temperature:.3f}; log loss of the "
            f"validation {found.nll_before:.4f} before, {found.nll_after:.4f} after"
        )
        if not 1.05 / MOST_SHARPENED < found.temperature < 0.95 * MOST_SHARPENED:
            job.report.note(
                "warning: that is as far as a temperature goes; the network tells little, or the "
                "validation too little: train longer, or with more micrographs"
            )
    return found


def _kept_row(fit: Fit) -> dict[str, Any]:
    """Validation scores of the weights that were kept: the best, or the last without."""
    kept = fit.state.best_epoch or fit.state.epoch
    (row,) = (row for row in fit.state.history if row["epoch"] == kept)
    return {key: value for key, value in row.items() if key.startswith("val_")}


def _facts(learner: Learner, data: TrainingData) -> dict[str, Any]:
    fit, loaded = learner.fit, learner.loaded
    return {
        "n_parameters": count_parameters(learner.segmenter),
        "n_steps": fit.state.n_steps,
        "n_views": fit.state.n_views,
        "n_pixels": len(fit.crops.labels) if isinstance(fit.crops, PixelBank) else None,
        **fit.spent(),
        "best_epoch": fit.state.best_epoch,
        "validation": _kept_row(fit),
        "weights": None if loaded is None else asdict(loaded),
        "sources": {role: list(names) for role, names in data.roles.as_dict().items()},
        "transductive": learner.transductive,
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
