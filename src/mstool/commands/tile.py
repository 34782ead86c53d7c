"""The verb ``tile``."""

from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError

Size = Annotated[int, Group.TILES("--size", min=1, help="Edge of a tile in pixels.")]
Overlap = Annotated[
    int, Group.TILES("--overlap", min=0, help="Least pixels that neighbouring tiles share.")
]


def tile(
    images: Annotated[
        list[Path] | None,
        operand(metavar="IMAGES...", help="Micrographs, or folders with micrographs."),
    ] = None,
    size: Size = 512,
    overlap: Overlap = 64,
    recursive: options.Recursive = False,
    image_suffix: options.ImageSuffix = "",
    labels: options.Labels = None,
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    group_by: options.GroupBy = None,
    scale: options.Scale = 1.0,
    discard_ignored: Annotated[
        float | None,
        Group.LABELS(
            "--discard-ignored",
            metavar="FRACTION",
            help="Leave out tiles with a larger share of ignored pixels.",
        ),
    ] = None,
    grey: options.Grey = False,
    bits: options.Bits = None,
    rescale_greys: options.RescaleGreys = None,
    pixel_size_um: options.PixelSize = None,
    out: options.OutFolder = Path("tiles"),
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
    Colour with equal channels is stored as grey; bit depth is kept unless --bits is given. Images
    may be far larger than memory. Labels are optional.

    Example: mstool tile raw/ --labels labels/ --size 512 --overlap 64
    """
    given = locals()
    options.require_labels(given)
    from mstool.io.records import pick
    from mstool.micrographs.find import Naming, find_set
    from mstool.micrographs.label_maps import choose_legend
    from mstool.micrographs.sets import Reading, open_set
    from mstool.pipeline.job import Job
    from mstool.pipeline.tile import TileSettings, cut_tiles

    job = Job(out, overwrite, make_reporter("tile", quiet, verbose))
    operands = options.read_operands(images, files_from, null)
    _refuse_repeated(operands)
    files = find_set(operands, labels, pick(Naming, given), job.report)
    if files.tiles is not None:
        raise UsageError(f"{files.tiles}: is a tile folder; give the micrographs")
    reading = pick(Reading, given | {"greys": options.parse_greys(rescale_greys)})
    settings = pick(TileSettings, given | {"reading": reading})
    micrographs = open_set(files, reading, choose_legend(legend, classes), job.report)
    if dry_run:
        emit_plan("tile", settings.as_record(micrographs.legend), files.files(), out)
        return
    cut_tiles(micrographs, settings, job)


def _refuse_repeated(operands: list[Path]) -> None:
    seen: set[Path] = set()
    for path in operands:
        if path.resolve() in seen:
            raise UsageError(f"{path}: is named twice; name it once")
        seen.add(path.resolve())
