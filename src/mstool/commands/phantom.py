"""The verb ``phantom``."""

from pathlib import Path
from typing import Annotated

from mstool.commands import options
from mstool.commands.option_groups import Group
from mstool.commands.output import emit_plan, make_reporter


def phantom(
    n_images: Annotated[
        int, Group.MICROGRAPHS("--images", metavar="N", min=1, help="Micrographs to make.")
    ] = 12,
    size: Annotated[
        str,
        Group.MICROGRAPHS("--size", metavar="PX|HxW", help="Edge, or height x width, in pixels."),
    ] = "512",
    n_classes: Annotated[
        int,
        Group.MICROSTRUCTURE(
            "--classes", metavar="2|3", help="2: ferrite and lath-bainite; 3: pearlite too."
        ),
    ] = 2,
    dose: Annotated[
        float,
        Group.IMAGING(
            "--etch", metavar="DOSE", help="Over-etching: 0 nominal, 1 clearly over-etched, 2 most."
        ),
    ] = 0.0,
    n_raters: Annotated[
        int,
        Group.LABELS(
            "--raters",
            metavar="N",
            min=0,
            help="Simulated annotators, who shift boundaries and miss small regions.",
        ),
    ] = 0,
    pixel_size_um: Annotated[
        float, Group.MICROGRAPHS("--pixel-size", metavar="UM", help="Pixel size in um/px.")
    ] = 0.1,
    bit_depth: Annotated[
        int, Group.MICROGRAPHS("--bit-depth", metavar="8|16", help="Bits of a grey level.")
    ] = 8,
    foreground_fraction: Annotated[
        tuple[float, float],
        Group.MICROSTRUCTURE(
            "--foreground",
            metavar="LOW HIGH",
            help="Least and largest fraction of all classes but ferrite, drawn for each image; "
            "with --cue it may stay lower.",
        ),
    ] = (0.30, 0.55),
    grain_size_um: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--grain-size", metavar="UM", help="Size of ferrite grains and of packets, in um."
        ),
    ] = 5.0,
    region_size_um: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--region-size",
            metavar="UM",
            help="Size of prior austenite grains, which hold the packets, in um.",
        ),
    ] = 12.0,
    boundary_width_um: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--boundary-width", metavar="UM", help="Of etched grain boundaries, in um."
        ),
    ] = 0.25,
    lath_width_um: Annotated[
        float, Group.MICROSTRUCTURE("--lath-width", metavar="UM", help="Mean width of laths in um.")
    ] = 0.8,
    lath_edge_um: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--lath-edge", metavar="UM", help="Thickness of the dark edge between laths in um."
        ),
    ] = 0.22,
    lamella_spacing_um: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--lamella-spacing", metavar="UM", help="Interlamellar spacing of pearlite in um."
        ),
    ] = 0.4,
    blur_um: Annotated[
        float,
        Group.IMAGING(
            "--blur", metavar="UM", help="Standard deviation of the microscope's blur in um."
        ),
    ] = 0.06,
    noise: Annotated[
        float,
        Group.IMAGING(
            "--noise",
            metavar="F",
            help="Standard deviation of the camera's noise; 1 is the range from black to white.",
        ),
    ] = 0.03,
    precipitates_per_um2: Annotated[
        float,
        Group.MICROSTRUCTURE(
            "--precipitates", metavar="DENSITY", help="Precipitates per square um."
        ),
    ] = 0.0,
    precipitate_radius_um: Annotated[
        float,
        Group.MICROSTRUCTURE("--precipitate-radius", metavar="UM", help="Their mean radius in um."),
    ] = 0.15,
    n_scratches: Annotated[
        int, Group.IMAGING("--scratches", metavar="N", help="Scratches on each micrograph.")
    ] = 0,
    scale_bar: Annotated[
        bool, Group.IMAGING("--scale-bar", help="Burn a scale bar in; the truth below it stays.")
    ] = False,
    info_bar: Annotated[
        bool,
        Group.IMAGING(
            "--info-bar", help="Cover the bottom with an information bar; it is ignored in labels."
        ),
    ] = False,
    cue: Annotated[
        str | None,
        Group.MICROSTRUCTURE(
            "--cue",
            metavar="CUE",
            help="What alone tells lath-bainite, as lone grains, from ferrite: rim, grey, texture, "
            "or lath; by default structure at equal greys. For 2 classes without --etch.",
        ),
    ] = None,
    seed: options.Seed = 0,
    out: options.OutFolder = Path("phantom"),
    overwrite: options.Overwrite = False,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Make synthetic complex-phase micrographs with exact label maps.

    Ferrite grains, packets of lath-bainite and, if wished, pearlite, all with the same grey-level
    histogram, so that structure must be learnt. The record phantom.json holds every true parameter.
    The same seed gives the same bytes, and an image does not depend on how many are made.

    Example: mstool phantom --images 12 --size 512 --raters 2 --seed 7
    """
    given = locals()
    from mstool.pipeline.job import Job
    from mstool.pipeline.phantom import make_phantoms, parse_size, resolve_settings

    job = Job(out, overwrite, make_reporter("phantom", quiet, verbose))
    height, width = parse_size(size)
    settings = resolve_settings(**given | {"height": height, "width": width})
    if dry_run:
        emit_plan("phantom", settings.as_record(), [], out)
        return
    make_phantoms(settings, job)
