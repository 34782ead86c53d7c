"""The verb ``explain``."""

from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit, emit_plan, make_reporter
from mstool.commands.sharding import Merge, Shard, divide
from mstool.errors import UsageError


def explain(
    images: Annotated[
        list[Path] | None,
        operand(metavar="IMAGES|TILES", help="Micrographs, folders, or one tile folder."),
    ] = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    model: options.Model = Path("model"),
    class_name: Annotated[
        str | None, Group.QUESTION("--class", metavar="NAME", help="Class to explain.")
    ] = None,
    contrast: Annotated[
        str,
        Group.QUESTION(
            "--contrast",
            metavar="rest|none|CLASS",
            help="Explain the class against the rest, against nothing, or against one class.",
        ),
    ] = "rest",
    region: Annotated[
        str,
        Group.QUESTION(
            "--region",
            metavar="REGION",
            help="Pixels asked about: class (as predicted), component:K (the K-th largest of a "
            "field), "
            "mask:FILE (as large as the micrograph, before or after --scale), "
            "box:ROW,COL,HEIGHT,WIDTH, point:ROW,COL, errors (needs labels), uncertain, "
            "or boundary (of the prediction).",
        ),
    ] = "class",
    methods: Annotated[
        str,
        Group.METHODS(
            "--methods",
            metavar="NAME,...",
            help="integrated-gradients, integrated-gradients-blurred, gradient-x-input, saliency, "
            "smoothgrad, guided-backprop, occlusion, region-ablation, gradcam, hirescam, layercam, "
            "seg-gradcam, or all.",
        ),
    ] = "integrated-gradients,hirescam",
    layers: Annotated[
        list[str] | None,
        Group.METHODS(
            "--layers",
            metavar="PATTERN",
            help="Layers of the CAMs, as 'decoder.*'; by default the shallowest encoder stage.",
        ),
    ] = None,
    list_layers: Annotated[
        bool, Group.NETWORK("--list-layers", help="Print the layers of the model as CSV, and stop.")
    ] = False,
    recursive: options.Recursive = False,
    image_suffix: options.ImageSuffix = "",
    labels: options.Labels = None,
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    scale: options.Scale = 1.0,
    grey: options.Grey = False,
    bits: options.Bits = None,
    group_by: options.GroupBy = None,
    pixel_size_um: options.PixelSize = None,
    size: Annotated[
        int,
        Group.INPUT(
            "--size",
            metavar="PX",
            min=64,
            help="Field of view; of a larger micrograph, the field with most of the region, or "
            "with the region nearest to its middle.",
        ),
    ] = 512,
    checks: Annotated[
        str,
        Group.CHECKS(
            "--checks",
            metavar="NAME,...",
            help="sanity (random weights), faithfulness (removed pixels), patch (known cause), "
            "and, if asked for, labels (random labels).",
        ),
    ] = "sanity,faithfulness,patch",
    quick: Annotated[
        bool, Group.CHECKS("--quick", help="No checks; everything is stamped 'not checked'.")
    ] = False,
    regions: Annotated[
        int, Group.CHECKS("--regions", metavar="N", min=1, help="Regions to check on, at most.")
    ] = 8,
    window: Annotated[
        int, Group.CHECKS("--window", metavar="PX", min=64, help="Edge of what is cut around each.")
    ] = 192,
    reinit: Annotated[
        str,
        Group.CHECKS(
            "--reinit",
            metavar="he|shuffle",
            help="Random weights: he (drawn anew) or shuffle (the same in another order).",
            callback=options.one_of("he", "shuffle"),
        ),
    ] = "he",
    thresholds: Annotated[
        str,
        Group.CHECKS(
            "--thresholds",
            metavar="NAME=VALUE,...",
            help="Where measurements turn into verdicts; the record lists all of them.",
        ),
    ] = "",
    boundary: Annotated[
        bool,
        Group.QUESTION(
            "--boundary",
            help="Ask what decides: grain boundaries, grey level or texture, by removing each.",
        ),
    ] = False,
    receptive_field: Annotated[
        bool,
        Group.QUESTION(
            "--receptive-field", help="Measure how far the network looks, against the phases."
        ),
    ] = False,
    features: Annotated[
        list[str] | None,
        Group.METHODS(
            "--dump-features", metavar="PATTERN", help="Write the channels of these layers."
        ),
    ] = None,
    max_time_s: options.MaxTime = None,
    fail_on: Annotated[
        list[str] | None,
        Group.CHECKS(
            "--fail-on",
            metavar="VERDICT",
            help="Exit with 1 if any method is not_supported, inconclusive, degenerate or "
            "not_checked.",
            callback=options.one_of("not_supported", "inconclusive", "degenerate", "not_checked"),
        ),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = "auto",
    seed: options.Seed = 0,
    shard: Shard = None,
    merge: Merge = False,
    out: options.OutFolder = Path("explain"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show why the network decides for a class, and whether the explanation can be believed.

    Maps are drawn beside controls that know nothing of the network, and checked: random weights
    must change them, pixels that they name must matter, and a patch made to change the decision
    must show. Each method gets a verdict: trustworthy, not_supported, inconclusive or degenerate.

    Several processes share the checks, and the maps by micrograph, with --shard 0/3, 1/3 and 2/3;
    the same command with --merge then makes what one process would have made, all but its times
    byte for byte, and gives the verdicts.

    Example: mstool explain raw/ --model model/ --class 1 --quick
    """
    given = locals()
    options.require_labels(given)
    from mstool.nn.checkpoint import load_checkpoint
    from mstool.nn.device import choose_compute, make_deterministic, reuse_freed_memory
    from mstool.pipeline.explain.features import layers_as_csv

    if list_layers:
        emit(layers_as_csv(load_checkpoint(model)))
        return
    if not class_name:
        raise UsageError("--class: name the class to explain")
    from mstool.io.records import pick
    from mstool.micrographs.find import Naming, find_set
    from mstool.micrographs.label_maps import choose_legend
    from mstool.micrographs.sets import Reading
    from mstool.nn.threads import use_threads
    from mstool.pipeline.explain.conclusion import check_verdicts
    from mstool.pipeline.explain.explanation import RECORD, explain_images
    from mstool.pipeline.explain.request import (
        ExplainSettings,
        parse_checks,
        parse_methods,
        parse_region,
        parse_thresholds,
    )
    from mstool.pipeline.job import Job

    job = Job(out, overwrite, make_reporter("explain", quiet, verbose))
    job = divide(job, shard, merge, out / RECORD)
    parse_region(region)
    parse_thresholds(thresholds)
    parsed = {
        "methods": parse_methods(methods),
        "layers": tuple(layers or ()),
        "checks": parse_checks(checks, quick),
        "features": tuple(features or ()),
    }
    settings = pick(ExplainSettings, given | parsed)
    operands = options.read_operands(images or [], files_from, null)
    files = find_set(operands, labels, pick(Naming, given), job.report)
    if dry_run:
        emit_plan("explain", vars(settings), [*files.files(), model], job.out)
        return
    loaded = load_checkpoint(model)
    make_deterministic()
    reuse_freed_memory()
    use_threads(threads, job.report)
    compute = choose_compute("cpu" if merge else device, "fp32")
    reading, read_through = pick(Reading, given), choose_legend(legend, classes)
    record = explain_images(files, read_through, reading, loaded, settings, compute, job)
    if record is not None:
        check_verdicts(record, fail_on or [])
