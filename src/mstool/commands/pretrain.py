"""The verb ``pretrain``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError
from mstool.stopping import stop_between_steps


def pretrain(
    tiles: Annotated[
        list[Path] | None,
        operand(metavar="TILES...", help="Tile folders, with or without labels; by default tiles."),
    ] = None,
    split: Annotated[
        Path | None,
        Group.INPUT(
            "--split", metavar="CSV", help="Split made by mstool split, where a fold is left out."
        ),
    ] = None,
    test_fold: Annotated[
        int | None,
        Group.INPUT(
            "--test-fold",
            metavar="K",
            help="Fold that is not looked at, nor any micrograph of its specimens.",
        ),
    ] = None,
    encoder: Annotated[
        str,
        Group.NETWORK(
            "--encoder", metavar="NAME", help="Encoder, as segmentation-models-pytorch names it."
        ),
    ] = "efficientnet-lite0",
    weights: Annotated[
        str,
        Group.NETWORK(
            "--weights",
            metavar="NAME|FILE",
            help="Weights to begin with: none, imagenet, micronet, a file, or a folder that "
            "pretrain or train wrote.",
        ),
    ] = "imagenet",
    method: Annotated[
        str,
        Group.TRAINING(
            "--method",
            metavar="masked|contrast",
            help="masked rebuilds hidden blocks from what is around them; contrast makes the "
            "features of a place the same in two views of it.",
            callback=options.one_of("masked", "contrast"),
        ),
    ] = "contrast",
    augment: Annotated[
        str,
        Group.AUGMENTATION(
            "--augment",
            metavar="NAME|FILE",
            help="Random changes of crops: none, spatial, intensity, default, or a TOML file; "
            "grey levels of two views are changed apart.",
        ),
    ] = "default",
    crop: Annotated[
        int | None,
        Group.AUGMENTATION(
            "--crop",
            min=16,
            help="Least edge of crops, by default that of tiles; it becomes a multiple of 32, or "
            "one more, as the encoder needs.",
        ),
    ] = None,
    batch_size: Annotated[int, Group.TRAINING("--batch-size", min=1, help="Crops a step.")] = 4,
    epochs: Annotated[int, Group.TRAINING("--epochs", min=1, help="Passes over the tiles.")] = 40,
    lr: Annotated[
        float,
        Group.TRAINING(
            "--lr", help="Highest learning rate; of an encoder that begins with weights 0.3 times."
        ),
    ] = 1e-3,
    max_time_s: options.MaxTime = None,
    cache: options.Cache = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = "auto",
    out: options.OutFolder = Path("pretrained"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Learn encoder weights from tiles without labels.

    What comes out is for train --weights. Micrographs that nobody has annotated do as well as
    others. It does not always help: compare with train --weights imagenet. A test on micrographs
    that were seen here, though without labels, is not one of new ones: train and score say so,
    and --split with --test-fold leaves them out. Ctrl-C, SIGTERM, SIGUSR1 and the other signals
    that batch queues send save what is needed to go on; the same command goes on, and ends with
    the same weights.

    Example: mstool pretrain tiles/ --split split.csv --test-fold 0
    """
    given = locals()
    from mstool.io.records import pick
    from mstool.nn.device import choose_compute, make_deterministic, reuse_freed_memory
    from mstool.pipeline.job import Job
    from mstool.pipeline.pretrain.pretrain import pretrain_encoder
    from mstool.pipeline.pretrain.pretrain_flags import PretrainFlags, resolve_pretraining

    job = Job(out, overwrite, make_reporter("pretrain", quiet, verbose))
    if (split is None) != (test_fold is None):
        missing, there = ("--split", "--test-fold") if split is None else ("--test-fold", "--split")
        raise UsageError(f"{there}: needs {missing}; give both, or neither")
    make_deterministic()
    reuse_freed_memory()
    compute = choose_compute(device, precision)
    settings = resolve_pretraining(pick(PretrainFlags, given), compute)
    folders = tiles or [Path("tiles")]
    if dry_run:
        inputs = folders if split is None else [*folders, split]
        emit_plan("pretrain", asdict(settings), inputs, out)
        return
    with stop_between_steps() as stop_requested:
        pretrain_encoder(folders, split, settings, compute, cache, job, stop_requested)
