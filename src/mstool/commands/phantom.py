"""The verb ``phantom``."""

from pathlib import Path
from typing import Annotated

import typer

from mstool.commands import options
from mstool.commands.output import emit_plan, make_reporter


def phantom(
    images: Annotated[
        int, typer.Option("--images", metavar="N", min=1, help="Micrographs to make.")
    ] = 12,
    size: Annotated[
        str,
        typer.Option("--size", metavar="PX|HxW", help="Edge, or height x width, in pixels."),
    ] = "512",
    classes: Annotated[
        int,
        typer.Option(
            "--classes", metavar="2|3", help="2: ferrite and lath-bainite; 3: pearlite too."
        ),
    ] = 2,
    etch: Annotated[
        float,
        typer.Option(
            "--etch", metavar="DOSE", help="Over-etching: 0 nominal, 1 clearly over-etched, 2 most."
        ),
    ] = 0.0,
    raters: Annotated[
        int,
        typer.Option(
            "--raters",
            metavar="N",
            min=0,
            help="Simulated annotators, who shift boundaries and miss small regions.",
        ),
    ] = 0,
    pixel_size: Annotated[
        float, typer.Option("--pixel-size", metavar="UM", help="Pixel size in um/px.")
    ] = 0.1,
    bit_depth: Annotated[
        int, typer.Option("--bit-depth", metavar="8|16", help="Bits of a grey level.")
    ] = 8,
    foreground: Annotated[
        tuple[float, float],
        typer.Option(
            "--foreground",
            metavar="LOW HIGH",
            help="Least and largest fraction of all classes but ferrite, drawn for each image; "
            "with --cue it may stay lower.",
        ),
    ] = (0.30, 0.55),
    grain_size: Annotated[
        float,
        typer.Option(
            "--grain-size", metavar="UM", help="Size of ferrite grains and of packets, in um."
        ),
    ] = 5.0,
    region_size: Annotated[
        float,
        typer.Option(
            "--region-size",
            metavar="UM",
            help="Size of prior austenite grains, which hold the packets, in um.",
        ),
    ] = 12.0,
    boundary_width: Annotated[
        float,
        typer.Option("--boundary-width", metavar="UM", help="Of etched grain boundaries, in um."),
    ] = 0.25,
    lath_width: Annotated[
        float, typer.Option("--lath-width", metavar="UM", help="Mean width of laths in um.")
    ] = 0.8,
    lath_edge: Annotated[
        float,
        typer.Option(
            "--lath-edge", metavar="UM", help="Thickness of the dark edge between laths in um."
        ),
    ] = 0.22,
    lamella_spacing: Annotated[
        float,
        typer.Option(
            "--lamella-spacing", metavar="UM", help="Interlamellar spacing of pearlite in um."
        ),
    ] = 0.4,
    blur: Annotated[
        float,
        typer.Option(
            "--blur", metavar="UM", help="Standard deviation of the microscope's blur in um."
        ),
    ] = 0.06,
    noise: Annotated[
        float,
        typer.Option(
            "--noise",
            metavar="F",
            help="Standard deviation of the camera's noise; 1 is the range from black to white.",
        ),
    ] = 0.03,
    precipitates: Annotated[
        float,
        typer.Option("--precipitates", metavar="DENSITY", help="Precipitates per square um."),
    ] = 0.0,
    precipitate_radius: Annotated[
        float,
        typer.Option("--precipitate-radius", metavar="UM", help="Their mean radius in um."),
    ] = 0.15,
    scratches: Annotated[
        int, typer.Option("--scratches", metavar="N", help="Scratches on each micrograph.")
    ] = 0,
    scale_bar: Annotated[
        bool, typer.Option("--scale-bar", help="Burn a scale bar in; the truth below it stays.")
    ] = False,
    info_bar: Annotated[
        bool,
        typer.Option(
            "--info-bar", help="Cover the bottom with an information bar; it is ignored in labels."
        ),
    ] = False,
    cue: Annotated[
        str | None,
        typer.Option(
            "--cue",
            metavar="CUE",
            help="What alone tells lath-bainite, as lone grains, from ferrite: rim, grey, texture, "
            "or lath; by default structure at equal greys. For 2 classes without --etch.",
        ),
    ] = None,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = Path("phantom"),
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
    from mstool.io.records import Run
    from mstool.pipeline.phantom import make_phantoms, parse_size, resolve_settings

    run, report = Run(), make_reporter("phantom", quiet, verbose)
    height, width = parse_size(size)
    settings = resolve_settings(
        n_images=images,
        n_raters=raters,
        bit_depth=bit_depth,
        seed=seed,
        height=height,
        width=width,
        n_classes=classes,
        dose=etch,
        pixel_size_um=pixel_size,
        foreground_fraction=foreground,
        grain_size_um=grain_size,
        region_size_um=region_size,
        boundary_width_um=boundary_width,
        lath_width_um=lath_width,
        lath_edge_um=lath_edge,
        lamella_spacing_um=lamella_spacing,
        blur_um=blur,
        noise=noise,
        precipitates_per_um2=precipitates,
        precipitate_radius_um=precipitate_radius,
        n_scratches=scratches,
        scale_bar=scale_bar,
        info_bar=info_bar,
        cue=cue,
    )
    if dry_run:
        emit_plan("phantom", settings.as_record(), [], out)
        return
    make_phantoms(settings, out, overwrite, run, report)
