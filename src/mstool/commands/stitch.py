"""The verb ``stitch``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group, operand
from mstool.commands.output import emit_plan, make_reporter
from mstool.errors import UsageError

Blend = Annotated[
    str,
    Group.TILES(
        "--blend",
        metavar="HOW",
        help="Weights where tiles overlap: crop (each pixel from the tile it lies deepest in), "
        "flat, hann or gaussian.",
        callback=options.one_of("crop", "flat", "hann", "gaussian"),
    ),
]
Abstain = Annotated[
    float,
    Group.OUTPUT(
        "--abstain",
        metavar="P",
        help="Leave pixels whose largest probability is below P without a class (255), for a "
        "person to look at; 0 for none.",
    ),
]
Confidence = Annotated[
    bool,
    Group.OUTPUT(
        "--confidence", help="Also write the largest probability of each pixel (0 to 255)."
    ),
]
Overlay = Annotated[
    bool,
    Group.OUTPUT(
        "--overlay",
        help="Also draw micrograph, prediction and, with --labels, errors into overlays/.",
    ),
]


def stitch(
    probs: Annotated[
        Path, operand(metavar="PROBS", help="Folder written by mstool predict.")
    ] = Path("probs"),
    blend: Blend = "hann",
    abstain: Abstain = 0.0,
    confidence: Confidence = False,
    overlay: Overlay = False,
    images: options.Images = None,
    image_suffix: options.ImageSuffix = "",
    labels: options.Labels = None,
    label_suffix: options.LabelSuffix = "",
    legend: options.LegendFile = None,
    classes: options.Classes = None,
    out: options.OutFolder = Path("masks"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Blend tiles back into whole label maps.

    Writes one indexed-colour TIFF a micrograph, in its own size and pixel size. A missing tile is
    an error, and so is a pixel that no tile covers. Memory grows with the width of a micrograph,
    not with its area.

    Example: mstool stitch probs/ --overlay --labels labels/
    """
    given = locals()
    options.require_labels(given)
    if not overlay and (images or labels):
        raise UsageError("--images and --labels: are for pictures; give --overlay too")
    from mstool.io.records import pick
    from mstool.micrographs.find import Naming
    from mstool.micrographs.label_maps import choose_legend
    from mstool.pipeline.job import Job
    from mstool.pipeline.mask_files import MaskSettings
    from mstool.pipeline.mask_pictures import find_overlay_inputs
    from mstool.pipeline.stitch import stitch_masks

    job = Job(out, overwrite, make_reporter("stitch", quiet, verbose))
    settings = MaskSettings(blend, abstain, confidence, overlay)
    if dry_run:
        emit_plan("stitch", asdict(settings), [probs, *(labels or [])], out)
        return
    naming, given_legend = pick(Naming, given), choose_legend(legend, classes)
    inputs = find_overlay_inputs(probs, images, labels, naming, given_legend, job.report)
    stitch_masks(probs, settings, inputs, job)
