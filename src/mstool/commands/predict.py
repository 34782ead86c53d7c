"""The verb ``predict``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.commands.sharding import Merge, Shard, divide, resolve_precision

Models = Annotated[
    list[Path] | None,
    Group.NETWORK(
        "--model",
        metavar="FILE|DIR",
        help="Model, or the models of a cross-validation; give it several times for an "
        "ensemble. By default model/.",
    ),
]
Views = Annotated[
    str,
    Group.NETWORK(
        "--tta",
        metavar="VIEWS",
        help="Average over none, flips (4 views) or d4 (8 views) of each tile.",
        callback=options.one_of("none", "flips", "d4"),
    ),
]
Probs = Annotated[
    str,
    Group.OUTPUT(
        "--probs",
        metavar="TYPE",
        help="Store probabilities as uint8 or float16.",
        callback=options.one_of("uint8", "float16"),
    ),
]
Engine = Annotated[
    str,
    Group.RUNNING(
        "--engine",
        metavar="ENGINE",
        help="Program that runs the network on a CPU: torch, openvino, onnxruntime, or auto, the "
        "fastest of those installed that gives the same labels.",
        callback=options.one_of("auto", "torch", "openvino", "onnxruntime"),
    ),
]
BatchSize = Annotated[
    int,
    Group.RUNNING(
        "--batch-size",
        min=1,
        help="Tiles at a time. With 1, or with 16 and more, a few probabilities may be rounded "
        "otherwise.",
    ),
]


def predict(
    tiles: Annotated[Path, operand(metavar="TILES", help="Tile folder.")] = Path("tiles"),
    model: Models = None,
    select: Annotated[
        str,
        Group.INPUT(
            "--select",
            metavar="PART",
            help="Micrographs that the model's own record knows as train, val or test; "
            "out-of-fold, each by the models that have not seen it; or all.",
            callback=options.one_of("train", "val", "test", "out-of-fold", "all"),
        ),
    ] = "all",
    tta: Views = "none",
    probs: Probs = "uint8",
    batch_size: BatchSize = 4,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: Engine = "auto",
    threads: options.Threads = "auto",
    shard: Shard = None,
    merge: Merge = False,
    out: options.OutFolder = Path("probs"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Predict class probabilities for each tile.

    Several models are an ensemble: the mean of their probabilities. --select test takes the
    micrographs that no model has seen, told by their pixels and not by their names.

    --select out-of-fold is for cross-validation: each micrograph is predicted by the models of
    which it is in the test fold, and by no others. A model has seen what it was trained on, what
    chose its weights in validation, and all other micrographs of these specimens. A micrograph that
    all models have seen is refused; one that none of them knows is predicted by all.

    Several processes share the work with --shard 0/3, 1/3 and 2/3, on one machine or on many that
    see the same folders; the same command with --merge then makes what one process would have made,
    byte for byte.

    --engine auto tries OpenVINO and ONNX Runtime, which pip install 'mstool[fast]' brings, beside
    torch on a few tiles of a large task, remembers the outcome, and takes the fastest whose labels
    are those of torch in 99.99 % of pixels. A shard takes the engine of one that was begun before.

    Example: mstool predict tiles/ --model model/ --select test

    Example: mstool predict tiles/ --model cv/ --select out-of-fold
    """
    from mstool.io.tiles import PREDICT_RECORD
    from mstool.nn.device import make_deterministic, reuse_freed_memory
    from mstool.nn.threads import use_threads
    from mstool.pipeline.job import Job
    from mstool.pipeline.predict import PredictSettings, predict_tiles

    job = Job(out, overwrite, make_reporter("predict", quiet, verbose))
    job = divide(job, shard, merge, out / PREDICT_RECORD)
    make_deterministic()
    reuse_freed_memory()
    use_threads(threads, job.report)
    compute, resolved = resolve_precision(job, PREDICT_RECORD, device, precision)
    settings = PredictSettings(select, tta, probs, resolved, engine)
    models = model or [Path("model")]
    if dry_run:
        emit_plan("predict", asdict(settings), [tiles, *models], job.out)
        return
    predict_tiles(tiles, models, settings, batch_size, compute, job)
