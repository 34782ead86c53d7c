"""Make synthetic micrographs with their label maps, raters and true parameters."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import UsageError
from mstool.io.atomic import write_text
from mstool.io.masks import write_indexed_png
from mstool.io.records import pick
from mstool.io.tiles import write_tile_image
from mstool.labels.legend import Legend, legend_to_toml, palette, parse_classes
from mstool.phantoms import (
    Phantom,
    PhantomSettings,
    draw_habits,
    make_phantom,
    quantise,
    rate_labels,
)
from mstool.pipeline.job import Job
from mstool.reporting import Reporter

RECORD = "phantom.json"

_BIT_DEPTHS = (8, 16)
_FLAGS = {  # how the command line names what the settings of one phantom call otherwise
    "height": "--size: the height",
    "width": "--size: the width",
    "n_classes": "--classes",
    "dose": "--etch",
    "pixel_size_um": "--pixel-size",
    "foreground_fraction": "--foreground",
    "grain_size_um": "--grain-size",
    "region_size_um": "--region-size",
    "boundary_width_um": "--boundary-width",
    "lath_width_um": "--lath-width",
    "lath_edge_um": "--lath-edge",
    "lamella_spacing_um": "--lamella-spacing",
    "blur_um": "--blur",
    "noise": "--noise",
    "precipitates_per_um2": "--precipitates",
    "precipitate_radius_um": "--precipitate-radius",
    "n_scratches": "--scratches",
    "cue": "--cue",
}


@dataclass(frozen=True)
class PhantomSetSettings:
    """What a set of phantoms is made of."""

    n_images: int
    n_raters: int  # annotators of each image
    bit_depth: int  # of a grey level, 8 or 16
    seed: int
    phantom: PhantomSettings

    def __post_init__(self):
        if self.bit_depth not in _BIT_DEPTHS:
            raise UsageError(f"--bit-depth {self.bit_depth}: use 8 or 16")

    def as_record(self) -> dict[str, Any]:
        """Give the settings as one flat table."""
        fields = {name: value for name, value in vars(self).items() if name != "phantom"}
        return fields | asdict(self.phantom)


def parse_size(text: str) -> tuple[int, int]:
    """Height and width [px] from ``512``, the edge of a square, or ``384x512``.

    Raises
    ------
    UsageError
        If the text is neither.

    Examples
    --------
    >>> parse_size("384x512")
    (384, 512)
    """
    match = re.fullmatch(r"([0-9]{1,9})(?:[xX]([0-9]{1,9}))?", text.strip())
    if match is None:
        raise UsageError(f"--size {text}: give an edge such as 512, or a size such as 384x512")
    return int(match[1]), int(match[2] or match[1])


def resolve_settings(**values: Any) -> PhantomSetSettings:
    """Settings from the values of flags; those that are no field are left aside.

    Raises
    ------
    UsageError
        If a value cannot be drawn; the message names its flag.
    """
    try:
        phantom = pick(PhantomSettings, values)
    except UsageError as error:
        names = "|".join(_FLAGS)
        message = re.sub(rf"\b({names})\b", lambda match: _FLAGS[match[0]], str(error))
        raise UsageError(message) from None
    return pick(PhantomSetSettings, values | {"phantom": phantom})


def make_phantoms(settings: PhantomSetSettings, job: Job) -> None:
    """Make a set of phantoms in a folder."""
    contents = ("images", "labels", "raters", "legend.toml")
    work = job.claim(RECORD, contents, settings.as_record(), [], lambda: _pieces(settings, job.out))
    if work is None:
        return
    with work.filling():
        images = list(_make_all(settings, job.out, job.report))
    job.report.note(
        f"{job.out}: {settings.n_images} micrographs of {settings.phantom.height} x "
        f"{settings.phantom.width} pixels, with label maps"
    )
    raters = [
        {"name": _rater_name(rater), **asdict(draw_habits(settings.seed, rater))}
        for rater in range(settings.n_raters)
    ]
    work.finish(work.describe() | {"images": images, "raters": raters})


def _make_all(
    settings: PhantomSetSettings, out: Path, report: Reporter
) -> Iterator[dict[str, Any]]:
    """Write every phantom; give the true parameters of each."""
    legend = _legend(settings.phantom)
    write_text(out / "legend.toml", legend_to_toml(legend))
    raters = [f"raters/{_rater_name(rater)}" for rater in range(settings.n_raters)]
    for name in ("images", "labels", *raters):
        (out / name).mkdir(parents=True, exist_ok=True)
    with report.progress("phantoms", settings.n_images) as advance:
        for index, stem in enumerate(_stems(settings)):
            report.detail(f"drawing {stem}")
            phantom = make_phantom(settings.phantom, settings.seed, index)
            _write_phantom(phantom, stem, settings, palette(legend), out)
            ratings = _rate(phantom, stem, settings, palette(legend), out)
            yield {"name": f"{stem}.tif", **phantom.parameters, "raters": ratings}
            advance(1, stem)


def _stems(settings: PhantomSetSettings) -> list[str]:
    n_digits = max(3, len(str(settings.n_images - 1)))
    return [f"phantom_{index:0{n_digits}d}" for index in range(settings.n_images)]


def _pieces(settings: PhantomSetSettings, out: Path) -> Iterator[Path]:
    """Files that finished phantoms consist of."""
    yield out / "legend.toml"
    raters = [f"raters/{_rater_name(rater)}" for rater in range(settings.n_raters)]
    for stem in _stems(settings):
        yield out / "images" / f"{stem}.tif"
        yield from (out / name / f"{stem}.png" for name in ("labels", *raters))


def _write_phantom(
    phantom: Phantom, stem: str, settings: PhantomSetSettings, colours: np.ndarray, out: Path
) -> None:
    """Write a micrograph and its label map, unless an interrupted run has done so."""
    path = out / "images" / f"{stem}.tif"
    if not path.exists():
        greys = quantise(phantom.image, settings.bit_depth)
        write_tile_image(path, greys, settings.phantom.pixel_size_um)
    path = out / "labels" / f"{stem}.png"
    if not path.exists():
        write_indexed_png(path, phantom.labels, colours)


def _rate(
    phantom: Phantom, stem: str, settings: PhantomSetSettings, colours: np.ndarray, out: Path
) -> list[dict[str, Any]]:
    """Write the label map of each rater; give what each did to this image."""
    ratings = []
    for rater in range(settings.n_raters):
        rating = rate_labels(
            phantom.labels,
            settings.phantom.pixel_size_um,
            draw_habits(settings.seed, rater),
            seed=settings.seed,
            index=phantom.parameters["index"],
            rater=rater,
        )
        path = out / "raters" / _rater_name(rater) / f"{stem}.png"
        if not path.exists():
            write_indexed_png(path, rating.labels, colours)
        ratings.append({"name": _rater_name(rater), **rating.parameters})
    return ratings


def _rater_name(rater: int) -> str:
    return f"rater_{rater + 1}"


def _legend(settings: PhantomSettings) -> Legend:
    names = enumerate(settings.class_names)
    return parse_classes(",".join(f"{name}={index}" for index, name in names))
