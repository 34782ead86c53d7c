"""The verb ``train``."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError
from mstool.stopping import stop_between_steps


def train(
    tiles: Annotated[Path, operand(metavar="TILES", help="Tile folder with labels.")] = Path(
        "tiles"
    ),
    split: Annotated[
        Path | None,
        Group.INPUT("--split", metavar="CSV", help="Split made by mstool split; needed."),
    ] = None,
    test_fold: Annotated[
        str | None,
        Group.INPUT(
            "--test-fold",
            metavar="K|all",
            help="Fold that is left untouched for the test; all trains one model a fold, each into "
            "a folder fold-K.",
            parser=options.parse_fold,
        ),
    ] = None,
    val_fold: Annotated[
        int | None,
        Group.INPUT(
            "--val-fold",
            metavar="J",
            help="Fold that decides which weights to keep; by default the one after --test-fold.",
        ),
    ] = None,
    arch: Annotated[
        str,
        Group.NETWORK(
            "--arch",
            metavar="NAME",
            help="unet-plain (the U-Net of 2015), pixel-classifier (a small network that reads "
            "frozen features of one pixel at a time; minutes, few labels), or unet, unetplusplus, "
            "manet, linknet, fpn, "
            "pspnet, deeplabv3, deeplabv3plus, pan, upernet, segformer, dpt.",
        ),
    ] = "unet",
    encoder: Annotated[
        str | None,
        Group.NETWORK(
            "--encoder",
            metavar="NAME",
            help="Encoder, as segmentation-models-pytorch names it; by default "
            "efficientnet-lite0. For pixel-classifier also a vision transformer: dinov2-small, "
            "dinov3-small, or tu- and a name of timm. Not for unet-plain.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        Group.NETWORK(
            "--weights",
            metavar="NAME|FILE",
            help="Weights to begin with: none, imagenet, micronet, a file, or a folder that "
            "pretrain or train wrote; by default imagenet, and none for unet-plain. For a vision "
            "transformer, imagenet is what its name says and comes from the Hugging Face hub.",
        ),
    ] = None,
    depth: Annotated[
        int | None, Group.NETWORK("--depth", help="Poolings of unet-plain, 2 to 5; by default 4.")
    ] = None,
    width: Annotated[
        int | None,
        Group.NETWORK(
            "--width",
            min=1,
            help="First channels of unet-plain, by default 32; hidden units of pixel-classifier, "
            "by default 128.",
        ),
    ] = None,
    decoder_width: Annotated[
        str | None,
        Group.NETWORK(
            "--decoder-width",
            metavar="FACTOR|LIST",
            help="Channels of the decoder: a factor of the usual ones, such as 0.5, or a list, "
            "deepest first, such as 64,48,32,16,8; by default the usual ones, which are "
            "256,128,64,32,16 for unet. Not for unet-plain, pixel-classifier, linknet and dpt.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        Group.NETWORK(
            "--features",
            metavar="SUM",
            help="What pixel-classifier reads: filters, encoder@S (feature maps of the frozen "
            "encoder, the image magnified S times), or a sum; by default "
            "filters+encoder@1+encoder@2.",
        ),
    ] = None,
    padding: Annotated[
        str | None,
        Group.NETWORK(
            "--padding",
            metavar="same|valid",
            help="Convolutions of unet-plain; valid invents no pixels, and the output is smaller "
            "than the input. By default same.",
            callback=options.one_of("same", "valid"),
        ),
    ] = None,
    finetune: Annotated[
        str | None,
        Group.TRAINING(
            "--finetune",
            metavar="WHAT",
            help="full; decoder (encoder frozen); or top-N (the N deepest encoder stages too). By "
            "default full; a pixel-classifier is always decoder.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        Group.TRAINING(
            "--loss",
            metavar="LOSS",
            help="ce, focal, dice, jaccard, lovasz, or a sum such as ce+0.3*dice. Probabilities of "
            "focal are less extreme than frequencies (0.90 of two classes becomes 0.69); for "
            "calibrated ones use ce. By default ce+dice, and ce for pixel-classifier.",
        ),
    ] = None,
    class_weights: Annotated[
        str,
        Group.TRAINING(
            "--class-weights",
            metavar="WEIGHTS",
            help="Of classes in the loss ce: none, balanced, or numbers such as 1,2,5.",
        ),
    ] = "none",
    augment: Annotated[
        str,
        Group.AUGMENTATION(
            "--augment",
            metavar="NAME|FILE",
            help="Random changes of crops: none, spatial, intensity, default, or a TOML file.",
        ),
    ] = "default",
    preview: Annotated[
        Path | None,
        Group.AUGMENTATION(
            "--preview",
            metavar="DIR",
            help="Draw training crops with their random changes into DIR, and train nothing.",
        ),
    ] = None,
    crop: Annotated[
        int | None,
        Group.AUGMENTATION(
            "--crop", min=16, help="Edge of training crops; by default that of tiles."
        ),
    ] = None,
    pixels: Annotated[
        int | None,
        Group.TRAINING(
            "--pixels",
            min=1,
            help="Labelled pixels that a pixel-classifier learns from, spread evenly over the "
            "tiles; by default 200000.",
        ),
    ] = None,
    views: Annotated[
        int | None,
        Group.AUGMENTATION(
            "--views",
            min=1,
            help="Times that a pixel-classifier looks at each tile: as it is, then changed at "
            "random; by default 3. With --max-time as many as half of it allows.",
        ),
    ] = None,
    batch_size: Annotated[
        int,
        Group.TRAINING(
            "--batch-size", min=1, help="Crops a step; of pixel-classifier, times 256 pixels."
        ),
    ] = 4,
    epochs: Annotated[
        int | None,
        Group.TRAINING(
            "--epochs",
            min=1,
            help="Passes over the tiles, by default 40; over the pixels of pixel-classifier, by "
            "default 10.",
        ),
    ] = None,
    lr: Annotated[
        float | None,
        Group.TRAINING(
            "--lr",
            help="Highest learning rate; by default 0.001, and 0.003 for pixel-classifier.",
        ),
    ] = None,
    encoder_lr_factor: Annotated[
        float | None,
        Group.TRAINING(
            "--encoder-lr-factor",
            help="Times --lr for the encoder; by default 0.3, and 1 for --weights none.",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        Group.TRAINING(
            "--weight-decay", help="Of AdamW; by default 0.01, and 0.1 for pixel-classifier."
        ),
    ] = None,
    ema: Annotated[
        float,
        Group.TRAINING(
            "--ema", help="Decay a step of the running mean of weights that is kept; 0 for none."
        ),
    ] = 0.99,
    patience: Annotated[
        int,
        Group.TRAINING(
            "--patience", min=0, help="Stop after so many validations without gain; 0 for never."
        ),
    ] = 0,
    validate_every: Annotated[
        int | None,
        Group.TRAINING(
            "--validate-every",
            min=1,
            help="Epochs between validations; by default 1, and at the end for pixel-classifier.",
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        Group.TRAINING(
            "--calibrate",
            help="In the end fit one temperature to the micrographs of validation, so that "
            "probabilities are frequencies: of 100 pixels with 0.8, 80 are right.",
        ),
    ] = False,
    max_time_s: options.MaxTime = None,
    max_images: Annotated[
        int | None,
        Group.INPUT("--max-images", help="Train on so many micrographs, drawn with --seed."),
    ] = None,
    allow_leak: Annotated[
        bool,
        Group.CHECKS(
            "--allow-leak",
            help="Train although training, validation and test share something, to show what that "
            "does; the records of train, predict, stitch and score say so.",
        ),
    ] = False,
    cache: options.Cache = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    workers: Annotated[
        int | None,
        Group.RUNNING(
            "--workers",
            min=0,
            help="Processes that cut crops; by default none on a CPU, all cores but one on a GPU.",
        ),
    ] = None,
    threads: options.Threads = "auto",
    out: options.OutFolder = Path("model"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Fit a segmentation network.

    Trains on the folds of the split that are neither for the test nor for validation. No group and
    no micrograph, told by its pixels, may be on two sides, and no field of view either, which is
    searched for as by mstool split --audit, but upright alone. Validation is on whole micrographs,
    and the weights with the best mean IoU over the classes in them are kept. Ctrl-C, SIGTERM,
    SIGUSR1 and the other signals that batch queues send save what is needed to go on; the same
    command goes on, and ends with the same weights.

    Where --max-time ends the training while the score on the validation still rises, it says so. To
    go on from there, begin another one with these weights: --weights model/model.safetensors -o
    longer/. All of the network that fits is taken over, the decoder too; the schedule of the
    learning rate begins anew, so that a lower --lr may do better, and what the weights have seen is
    kept in the new model, so that score still knows it.

    With --threads auto on a CPU the first steps are timed with many threads and with one, and the
    quicker goes on; that may depend on what else the machine does, and so may the rounding of the
    weights, whereas with --threads N they are the same bytes on a busy machine too.

    With --test-fold all, for cross-validation, every fold is the test of one model, which is the
    same as --test-fold K makes it; predict --select out-of-fold uses them. --max-time is for all of
    them: each fold gets a like share of what is left. Where a fold fails the others go on, and the
    run ends with 1 and names it; the same command then trains what is missing.

    Under torchrun several processes train one network, each with a share of every batch, of which
    --batch-size is the size: torchrun --nproc-per-node 4 -m mstool train ... On a machine with
    GPUs each process has its own. Losses and batch normalisation are those of the whole batch, so
    that one process would end with the same weights, but for rounding. The first process writes,
    into a folder that all can read. Where a process dies the others end with one line and 75, and
    torchrun itself with 1; the same command goes on from what was saved, at most two minutes
    before. Networks with dropout draw other numbers in each process.

    Example: mstool train tiles/ --split split.csv --test-fold 0

    Example: mstool train tiles/ --split split.csv --test-fold all -o cv/
    """
    given = locals()
    from mstool.io.records import pick
    from mstool.nn.device import make_deterministic, reuse_freed_memory
    from mstool.nn.team import assemble
    from mstool.pipeline.job import Job
    from mstool.pipeline.train.train_flags import TrainFlags

    if split is None:
        raise UsageError("--split: not given; make one with mstool split")
    make_deterministic()
    reuse_freed_memory()
    with assemble(os.environ) as team:
        report = make_reporter("train", quiet or not team.is_first, verbose)
        flags = pick(TrainFlags, given)
        _train(tiles, split, flags, given, Job(out, overwrite, report), team)


def _train(
    tiles: Path, split: Path, flags: Any, given: dict[str, Any], job: Any, team: Any
) -> None:
    """Train, or show what would be done, in one process of a team."""
    from mstool.nn.device import choose_compute
    from mstool.nn.team import device_of
    from mstool.pipeline.train.cross_validation import train_folds
    from mstool.pipeline.train.train import train_model
    from mstool.pipeline.train.train_flags import ALL_FOLDS, resolve_settings

    compute = choose_compute(device_of(given["device"], os.environ), given["precision"])
    settings = resolve_settings(flags, compute)
    if given["dry_run"]:
        if team.is_first:
            emit_plan("train", asdict(settings), [tiles, split], job.out)
        return
    is_every_fold = settings.test_fold == ALL_FOLDS
    if given["preview"] is not None:
        if is_every_fold:
            raise UsageError("--preview: shows the crops of one training; give one --test-fold")
        from mstool.pipeline.crop_preview import preview_crops

        if team.is_first:
            preview_crops(tiles, split, settings, given["preview"], job.report)
        return
    _refuse_in_team(settings, is_every_fold, team)
    arguments = tiles, split, settings, compute, given["cache"], job
    with stop_between_steps() as stop_requested:
        if is_every_fold:
            train_folds(*arguments, stop_requested)
        else:
            train_model(*arguments, stop_requested, team)


def _refuse_in_team(settings: Any, is_every_fold: bool, team: Any) -> None:
    """Refuse what one process does alone.

    Raises
    ------
    UsageError
        If torchrun has started several for it.
    """
    if team.size == 1:
        return
    if is_every_fold:
        raise UsageError("--test-fold all: trains fold by fold; under torchrun give one fold a run")
    if settings.arch == "pixel-classifier":
        raise UsageError("--arch pixel-classifier: is trained by one process; leave torchrun out")
