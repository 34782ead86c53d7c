"""The verb ``export``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter


def export(
    model: Annotated[Path, operand(metavar="MODEL", help="Model that mstool train wrote.")] = Path(
        "model"
    ),
    kind: Annotated[
        str,
        Group.OUTPUT(
            "--format",
            metavar="onnx|bioimageio",
            help="A graph for ONNX, with test arrays beside it, or a package for the BioImage "
            "Model Zoo with all of that in one file.",
            callback=options.one_of("onnx", "bioimageio"),
        ),
    ] = "onnx",
    size: Annotated[
        int | None,
        Group.TILES(
            "--size",
            min=1,
            help="Edge in pixels of the tiles that the graph takes; by default as in training.",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        Group.CHECKS(
            "--image",
            metavar="FILE",
            help="Image, such as a tile of the training, whose middle is the test image; by "
            "default a random texture with the greys of the training set.",
        ),
    ] = None,
    author: Annotated[
        list[str] | None,
        Group.OUTPUT(
            "--author",
            metavar="NAME",
            help="Author that the package of --format bioimageio names; may be given again.",
            callback=options.refuse_empty,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        Group.OUTPUT(
            "--license",
            metavar="SPDX",
            help="Licence that the package of --format bioimageio names, such as CC-BY-4.0.",
            callback=options.refuse_empty,
        ),
    ] = None,
    threads: options.Threads = "auto",
    out: options.OutFolder = Path("export"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Write a model for other programs, and check that it gives the same labels there.

    The graph takes one tile of stored pixel values, float32 (1, channels, size, size), and gives
    class probabilities of the same size: normalisation, padding, temperature and softmax are
    inside. What is left to the other program is in export.json, and in the package: pixel size,
    tile, halo, classes and colours. An image is part of the export, with the probabilities that are
    expected for it. ONNX Runtime is run on it before anything is written, and a model whose labels
    are not those of mstool in 99.99 % of its pixels is refused with 65, as is one whose operations
    ONNX lacks. This needs pip install 'mstool[fast]'.

    The package is model.zip, whose rdf.yaml follows the BioImage.IO model specification 0.5.

    Example: mstool export model/ -o export/

    Example: mstool export model/ --format bioimageio --author 'A. Martens' --license CC-BY-4.0
    """
    from mstool.nn.threads import use_threads
    from mstool.nn.whole_graph import check_can_export
    from mstool.pipeline.export import ExportSettings, export_model, open_model
    from mstool.pipeline.job import Job

    job = Job(out, overwrite, make_reporter("export", quiet, verbose))
    loaded = open_model(model)
    edge = size or loaded.checkpoint.tile_size
    settings = ExportSettings(kind, edge, tuple(author or ()), licence)
    if dry_run:
        emit_plan("export", asdict(settings), [loaded.path, *([image] if image else [])], out)
        return
    check_can_export()
    export_model(loaded, settings, image, use_threads(threads, job.report), job)
