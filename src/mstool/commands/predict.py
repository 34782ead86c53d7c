"""The verb ``predict``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.output import emit_plan, make_reporter


def predict(
    tiles: Annotated[Path, typer.Argument(metavar="TILES", help="Tile folder.")] = Path("tiles"),
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            metavar="FILE|DIR",
            help="Model; give it several times for an ensemble. By default model/.",
        ),
    ] = None,
    select: Annotated[
        str,
        typer.Option(
            "--select",
            metavar="PART",
            help="Micrographs that the model's own record knows as train, val or test; or all.",
        ),
    ] = "all",
    tta: Annotated[
        str,
        typer.Option(
            "--tta",
            metavar="VIEWS",
            help="Average over none, flips (4 views) or d4 (8 views) of each tile.",
        ),
    ] = "none",
    probs: Annotated[
        str,
        typer.Option("--probs", metavar="TYPE", help="Store probabilities as uint8 or float16."),
    ] = "uint8",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Tiles at a time.")] = 4,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = Path("probs"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Predict class probabilities for each tile.

    Several models are an ensemble: the mean of their probabilities. --select test takes the
    micrographs that no model has seen, told by their pixels and not by their names.

    Example: mstool predict tiles/ --model model/ --select test
    """
    options.require_choice("--select", select, ("train", "val", "test", "all"))
    options.require_choice("--tta", tta, ("none", "flips", "d4"))
    options.require_choice("--probs", probs, ("uint8", "float16"))
    from mstool.io.records import Run
    from mstool.nn.device import choose_compute, make_deterministic
    from mstool.pipeline.predict import PredictSettings, predict_tiles

    run, report = Run(), make_reporter("predict", quiet, verbose)
    make_deterministic()
    compute = choose_compute(device, precision)
    settings = PredictSettings(select, tta, probs, compute.precision)
    models = model or [Path("model")]
    if dry_run:
        emit_plan("predict", asdict(settings), [tiles, *models], out)
        return
    predict_tiles(tiles, models, settings, batch_size, compute, out, overwrite, run, report)
