"""The verb ``tile``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError


def tile(
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGES...", help="Micrographs, or folders with micrographs."),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=1, help="Edge of a tile in pixels.")] = 512,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, help="Least pixels that neighbouring tiles share.")
    ] = 64,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            "--labels", metavar="DIR", help="Folder with label maps, named as the micrographs."
        ),
    ] = None,
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            "--group-by",
            metavar="REGEX",
            help="Finds the specimen in a file name (first group in brackets, or the whole match).",
            callback=options.refuse_empty,
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="F", help="Magnify by F before cutting.")
    ] = 1.0,
    discard_ignored: Annotated[
        float | None,
        typer.Option(
            "--discard-ignored",
            metavar="FRACTION",
            help="Leave out tiles with a larger share of ignored pixels.",
        ),
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Turn colour into luminance.")] = False,
    pixel_size: options.PixelSize = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = Path("tiles"),
    files_from: options.FilesFrom = None,
    null: options.Null = False,
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Cut micrographs and labels into overlapping tiles.

    Tiles are spread evenly and lie inside the image; neighbours share at least --overlap pixels.
    An image smaller than a tile is filled up by reflection, and its labels there are ignored.
    Bit depth is kept. Images may be far larger than memory. Labels are optional.

    Example: mstool tile raw/ --labels labels/ --size 512 --overlap 64
    """
    if not labels:
        _refuse_without_labels(
            {
                "--label-suffix": label_suffix,
                "--legend": legend,
                "--classes": classes,
                "--discard-ignored": discard_ignored is not None,
            }
        )
    from mstool.io.records import Run
    from mstool.labels.legend import legend_to_toml
    from mstool.pipeline.inputs import list_images, pair_labels
    from mstool.pipeline.label_maps import choose_legend
    from mstool.pipeline.tile import TileSettings, cut_tiles

    run, report = Run(), make_reporter("tile", quiet, verbose)
    operands = options.read_operands(images, files_from, null)
    _refuse_repeated(operands)
    paths = list_images(operands, report)
    pairs = pair_labels(paths, labels, label_suffix, report) if labels else {}
    legend_text = (
        legend_to_toml(choose_legend(legend, classes, list(pairs.values()))) if pairs else None
    )
    settings = TileSettings(
        size, overlap, scale, group_by, discard_ignored, grey, pixel_size, legend_text
    )
    if dry_run:
        emit_plan("tile", asdict(settings), [*paths, *pairs.values()], out)
        return
    cut_tiles(paths, pairs, settings, out, overwrite, run, report)


def _refuse_without_labels(flags: dict[str, object]) -> None:
    given = [flag for flag, value in flags.items() if value]
    if given:
        need = "needs" if len(given) == 1 else "need"
        raise UsageError(f"{', '.join(given)}: {need} --labels; name the folder, or leave out")


def _refuse_repeated(operands: list[Path]) -> None:
    seen: set[Path] = set()
    for path in operands:
        if path.resolve() in seen:
            raise UsageError(f"{path}: is named twice; name it once")
        seen.add(path.resolve())
