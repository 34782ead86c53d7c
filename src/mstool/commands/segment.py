"""The verb ``segment``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, emit_plan, make_reporter
from mstool.commands.predict import BatchSize, Engine, Models, Probs, Views
from mstool.commands.sharding import Merge, Shard, divide, resolve_precision
from mstool.commands.stitch import Abstain, Blend, Confidence, Overlay
from mstool.commands.tile import Overlap, Size
from mstool.errors import UsageError


def segment(
    images: Annotated[
        list[Path] | None,
        operand(metavar="IMAGES...", help="Micrographs, or folders with micrographs."),
    ] = None,
    model: Models = None,
    tta: Views = "none",
    size: Size = 512,
    overlap: Overlap = 64,
    blend: Blend = "hann",
    recursive: options.Recursive = False,
    image_suffix: options.ImageSuffix = "",
    group_by: options.GroupBy = None,
    scale: Annotated[
        float | None,
        Group.INPUT(
            "--scale",
            metavar="F",
            help="Magnify micrographs by F first; by default as the tiles of the model were.",
            callback=options.check_scale,
        ),
    ] = None,
    grey: options.Grey = False,
    bits: options.Bits = None,
    rescale_greys: options.RescaleGreys = None,
    pixel_size_um: options.PixelSize = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    keep_going: Annotated[
        bool,
        Group.INPUT(
            "--keep-going",
            help="Leave out micrographs that cannot be read, and end with 1; once they are mended, "
            "the same command goes on with them alone.",
        ),
    ] = False,
    batch_size: BatchSize = 4,
    max_mem: Annotated[
        float | None,
        Group.RUNNING(
            "--max-mem",
            metavar="SIZE",
            help="Most memory that the process may take, such as 2G: fewer tiles at a time, or an "
            "error that names the least.",
            parser=options.parse_memory,
        ),
    ] = None,
    probs: Probs = "uint8",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: Engine = "auto",
    threads: options.Threads = "auto",
    shard: Shard = None,
    merge: Merge = False,
    abstain: Abstain = 0.0,
    confidence: Confidence = False,
    overlay: Overlay = False,
    out: options.OutFolder = Path("masks"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    estimate: Annotated[
        bool,
        Group.CHECKS(
            "--estimate",
            help="Write no masks; try a few tiles and print what all would take, as JSON.",
        ),
    ] = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Turn micrographs into masks in one go, by a trained model.

    This is tile, predict and stitch in one stream, for daily work: on a CPU and with the same
    --batch-size the masks are the same, byte for byte, and nothing lies on disk in between. Several
    models are an ensemble. Memory grows with the width of a micrograph, not with its area;
    --max-mem bounds it.

    Several processes share the micrographs with --shard 0/3, 1/3 and 2/3, on one machine or on many
    that see the same folders; the same command with --merge then makes what one process would have
    made, byte for byte.

    --estimate tells time and memory beforehand: time by the clock and of all cores, on this machine
    as busy as it is now, without overlays; memory is null where engines were tried for the first
    time.

    Example: mstool segment new/ --model model/ --overlay
    """
    given = locals()
    if estimate and (merge or dry_run):
        raise UsageError("--estimate: tries what --merge and --dry-run leave undone; give one flag")
    from mstool.io.records import pick
    from mstool.io.tiles import STITCH_RECORD
    from mstool.micrographs.sets import Reading, open_set
    from mstool.nn.device import make_deterministic, reuse_freed_memory
    from mstool.nn.threads import use_threads
    from mstool.pipeline import segment as pipeline
    from mstool.pipeline.job import Job
    from mstool.pipeline.mask_files import MaskSettings
    from mstool.pipeline.predict import load_models

    job = Job(out, overwrite, make_reporter("segment", quiet, verbose))
    job = divide(job, shard, merge, out / STITCH_RECORD)
    masks = pick(MaskSettings, given)
    files = _find(options.read_operands(images, files_from, null), given, job)
    models = load_models(model or [Path("model")])
    make_deterministic()
    reuse_freed_memory()
    use_threads(threads, job.report)
    compute, found = resolve_precision(job, STITCH_RECORD, device, precision)
    greys = options.parse_greys(rescale_greys) or pipeline.greys_of(models)
    reading = pick(Reading, given | {"greys": greys, "scale": scale or pipeline.scale_of(models)})
    resolved = {"reading": reading, "precision": found}
    settings = pick(pipeline.SegmentSettings, given | resolved)
    if dry_run:
        inputs = [*files.files(), *(one.path for one in models)]
        emit_plan("segment", settings.as_record() | asdict(masks), inputs, job.out)
        return
    running = pipeline.Running(batch_size, max_mem, keep_going, files.images)
    if keep_going:
        files = pipeline.leave_out_unreadable(files, job.report)
    micrographs = open_set(files, reading, None, job.report)
    arguments = micrographs, models, settings, masks, running, compute, job
    if estimate:
        _estimate(arguments, max_mem, job)
        return
    pipeline.segment_images(*arguments)


def _estimate(arguments: tuple, max_mem: float | None, job: Any) -> None:
    """Print what the masks will take."""
    from mstool.io.records import to_json
    from mstool.pipeline.segment import open_stream
    from mstool.pipeline.segment_estimate import estimate_segment

    estimate = estimate_segment(lambda: open_stream(*arguments).within(max_mem), job.run)
    emit(to_json(asdict(estimate)))


def _find(operands: list[Path], given: dict[str, Any], job: Any) -> Any:
    """Micrographs that the operands name."""
    from mstool.io.records import pick
    from mstool.micrographs.find import Naming, find_set

    files = find_set(operands, None, pick(Naming, given), job.report)
    if files.tiles is not None:
        raise UsageError(f"{files.tiles}: is a tile folder; give micrographs, or use predict")
    return files
