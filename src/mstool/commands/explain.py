"""The verb ``explain``."""

from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError

FAIL_ON = ("not_supported", "inconclusive", "degenerate", "not_checked")


def explain(
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGES|TILES", help="Micrographs, folders, or one tile folder."),
    ] = None,
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    model: Annotated[
        Path, typer.Option("--model", metavar="FILE|DIR", help="Model; by default model/.")
    ] = Path("model"),
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Class to explain.")
    ] = None,
    contrast: Annotated[
        str,
        typer.Option(
            "--contrast",
            metavar="rest|none|CLASS",
            help="Explain the class against the rest, against nothing, or against one class.",
        ),
    ] = "rest",
    region: Annotated[
        str,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Pixels asked about: class (as predicted), component:K (the K-th largest), "
            "mask:FILE, box:ROW,COL,HEIGHT,WIDTH, point:ROW,COL, errors (needs labels), uncertain, "
            "or boundary (of the prediction).",
        ),
    ] = "class",
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            metavar="NAME,...",
            help="integrated-gradients, integrated-gradients-blurred, gradient-x-input, saliency, "
            "smoothgrad, guided-backprop, occlusion, region-ablation, gradcam, hirescam, layercam, "
            "seg-gradcam, or all.",
        ),
    ] = "integrated-gradients,hirescam",
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layers",
            metavar="PATTERN",
            help="Layers of the CAMs, as 'decoder.*'; by default the shallowest encoder stage.",
        ),
    ] = None,
    list_layers: Annotated[
        bool,
        typer.Option("--list-layers", help="Print the layers of the model as CSV, and stop."),
    ] = False,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", metavar="DIR", help="Label maps of the micrographs."),
    ] = None,
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="F", help="Magnify micrographs, as for tile.")
    ] = 1.0,
    pixel_size: options.PixelSize = None,
    size: Annotated[
        int,
        typer.Option(
            "--size",
            metavar="PX",
            min=64,
            help="Field of view; of a larger micrograph, the field with most of the region.",
        ),
    ] = 512,
    checks: Annotated[
        str,
        typer.Option(
            "--checks",
            metavar="NAME,...",
            help="sanity (random weights), faithfulness (removed pixels), patch (known cause), "
            "and, if asked for, labels (random labels).",
        ),
    ] = "sanity,faithfulness,patch",
    quick: Annotated[
        bool, typer.Option("--quick", help="No checks; everything is stamped 'not checked'.")
    ] = False,
    regions: Annotated[
        int, typer.Option("--regions", metavar="N", min=1, help="Regions to check on, at most.")
    ] = 8,
    window: Annotated[
        int,
        typer.Option("--window", metavar="PX", min=64, help="Edge of what is cut around each."),
    ] = 192,
    reinit: Annotated[
        str,
        typer.Option(
            "--reinit",
            metavar="he|shuffle",
            help="Random weights: he (drawn anew) or shuffle (the same in another order).",
        ),
    ] = "he",
    thresholds: Annotated[
        str,
        typer.Option(
            "--thresholds",
            metavar="NAME=VALUE,...",
            help="Where measurements turn into verdicts; the record lists all of them.",
        ),
    ] = "",
    boundary: Annotated[
        bool,
        typer.Option(
            "--boundary",
            help="Ask what decides: grain boundaries, grey level or texture, by removing each.",
        ),
    ] = False,
    receptive_field: Annotated[
        bool,
        typer.Option(
            "--receptive-field", help="Measure how far the network looks, against the phases."
        ),
    ] = False,
    dump_features: Annotated[
        list[str] | None,
        typer.Option(
            "--dump-features", metavar="PATTERN", help="Write the channels of these layers."
        ),
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option(
            "--max-time", metavar="TIME", help="Budget such as 20m; what is left out is said."
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="VERDICT",
            help="Exit with 1 if any method is not_supported, inconclusive, degenerate or "
            "not_checked.",
        ),
    ] = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = Path("explain"),
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

    Example: mstool explain raw/ --model model/ --class 1 --quick
    """
    options.require_choice("--reinit", reinit, ("he", "shuffle"))
    for verdict in fail_on or []:
        options.require_choice("--fail-on", verdict, FAIL_ON)
    max_time_s = options.parse_duration("--max-time", max_time)
    from mstool.nn.checkpoint import load_checkpoint
    from mstool.nn.device import choose_compute, make_deterministic
    from mstool.pipeline.explain.inputs import find_inputs, layers_as_csv

    if list_layers:
        typer.echo(layers_as_csv(load_checkpoint(model)), nl=False)
        return
    if not class_name:
        raise UsageError("--class: name the class to explain")
    from mstool.io.records import Run
    from mstool.pipeline.explain.explanation import check_verdicts, explain_images
    from mstool.pipeline.explain.request import (
        ExplainSettings,
        parse_checks,
        parse_methods,
        parse_region,
        parse_thresholds,
    )

    run, report = Run(), make_reporter("explain", quiet, verbose)
    parse_region(region)
    parse_thresholds(thresholds)
    settings = ExplainSettings(
        class_name,
        contrast,
        region,
        parse_methods(methods),
        tuple(layers or ()),
        parse_checks(checks, quick),
        boundary,
        receptive_field,
        tuple(dump_features or ()),
        size,
        window,
        regions,
        scale,
        reinit,
        thresholds,
        max_time_s,
        seed,
    )
    operands = options.read_operands(images or [], files_from, null)
    found = find_inputs(operands, labels, label_suffix, legend, classes, pixel_size, scale, report)
    if dry_run:
        emit_plan("explain", vars(settings), [*found.files(), model], out)
        return
    loaded = load_checkpoint(model)
    make_deterministic()
    compute = choose_compute(device, "fp32")
    record = explain_images(found, loaded, settings, compute, out, overwrite, run, report)
    check_verdicts(record, fail_on or [])
