"""What a set of phantoms is made from."""

from dataclasses import dataclass

import numpy as np

from mstool.errors import UsageError

CLASS_NAMES = ("ferrite", "lath-bainite", "pearlite")
FERRITE, BAINITE, PEARLITE = range(3)
CUES = ("rim", "grey", "texture", "lath")


@dataclass(frozen=True)
class PhantomSettings:
    """All that a set of phantoms is made from, except the seed.

    Pairs are the least and the largest of what is drawn for each image. Without a `cue`, the one
    thing that the class of a grain shows in, classes have equal grey histograms and differ in
    structure.
    """

    height: int = 512  # [px], at least 64
    width: int = 512  # [px], at least 64
    pixel_size_um: float = 0.1  # [um/px]
    n_classes: int = 2  # 2: ferrite and lath-bainite; 3: pearlite too
    foreground_fraction: tuple[float, float] = (0.30, 0.55)  # of all classes but ferrite [1]
    pearlite_share: tuple[float, float] = (0.30, 0.45)  # of the foreground, with 3 classes [1]
    grain_size_um: float = 5.0  # between the centres of neighbouring ferrite grains, or packets
    region_size_um: float = 12.0  # the same for prior austenite grains, which hold the packets
    boundary_width_um: float = 0.25  # of an etched grain boundary
    lath_width_um: float = 0.8  # mean
    lath_edge_um: float = 0.22  # thickness of the dark edge between laths
    lath_waviness: float = 0.2  # rms, as a share of the lath width [1]
    lamella_spacing_um: float = 0.4  # of pearlite
    cementite_share: float = 0.4  # dark part of a lamella pair [1]
    mottle: float = 0.35  # rms texture in ferrite, as a share of that in the other classes [1]
    blur_um: float = 0.06  # standard deviation of the microscope's blur
    noise: float = 0.03  # standard deviation of the camera noise [1]
    dose: float = 0.0  # over-etching: 0 nominal, 1 clearly over-etched, at most 2 [1]
    precipitates_per_um2: float = 0.0  # number density [1/um^2]
    precipitate_radius_um: float = 0.15  # mean
    n_scratches: int = 0
    scale_bar: bool = False  # burned into the lower right corner; the truth below it stays
    info_bar: bool = False  # covers the bottom, which the truth ignores
    cue: str | None = None  # of `CUES`

    def __post_init__(self):
        """Refuse values that cannot be drawn."""
        for name in _WHOLE:
            if not isinstance(getattr(self, name), int):
                raise UsageError(f"{name} is {getattr(self, name)}; it must be a whole number")
        for name, (least, most) in _LIMITS.items():
            _check_range(name, getattr(self, name), least, most)
        for name, (least, most) in _SPANS.items():
            span = getattr(self, name)
            for value in span:
                _check_range(name, value, least, most)
            if span[0] > span[1]:
                raise UsageError(f"{name} is {span}; give the smaller value first")
        for name, least_px in _RESOLVED_PX.items():
            if name != "lamella_spacing_um" or self.n_classes == 3:
                _check_resolved(name, getattr(self, name), self.pixel_size_um, least_px)
        if self.cue is not None:
            _check_cue(self)

    @property
    def shape(self):
        """(H, W) [px]."""
        return self.height, self.width

    @property
    def class_names(self):
        """Class names, in index order."""
        return CLASS_NAMES[: self.n_classes]

    def to_px(self, length_um):
        """Length in pixels [px]."""
        return length_um / self.pixel_size_um


_LIMITS = {  # least and largest value
    "height": (64, 32768),
    "width": (64, 32768),
    "pixel_size_um": (1e-4, 100.0),
    "n_classes": (2, 3),
    "boundary_width_um": (1e-4, 1e3),
    "lath_edge_um": (1e-4, 1e3),
    "lath_waviness": (0.0, 1.0),
    "cementite_share": (0.1, 0.9),
    "mottle": (0.0, 2.0),
    "blur_um": (0.0, 1e3),
    "noise": (0.0, 0.2),
    "dose": (0.0, 2.0),
    "precipitates_per_um2": (0.0, 100.0),
    "precipitate_radius_um": (1e-4, 1e3),
    "n_scratches": (0, 1000),
}
_WHOLE = ("height", "width", "n_classes", "n_scratches")
_SPANS = {"foreground_fraction": (0.05, 0.95), "pearlite_share": (0.05, 0.95)}
_RESOLVED_PX = {  # what must span so many pixels to be seen at all
    "grain_size_um": 8.0,
    "region_size_um": 8.0,
    "lath_width_um": 3.0,
    "lamella_spacing_um": 3.0,
}


def _check_range(name, value, least, most):
    """Raise unless the value lies between two limits; NaN does not."""
    if not least <= value <= most:
        raise UsageError(f"{name} is {value}; it must lie between {least:g} and {most:g}")


def _check_resolved(name, length_um, pixel_size_um, least_px):
    """Raise unless a length spans enough pixels."""
    if not least_px * pixel_size_um <= length_um * (1 + 1e-9) < np.inf:
        msg = (
            f"{name} is {length_um:g} um, {length_um / pixel_size_um:.3g} px; it must span at "
            f"least {least_px:g} px, so raise it or lower pixel_size_um"
        )
        raise UsageError(msg)


def _check_cue(settings):
    """Raise unless the settings can be drawn with the cue that they name."""
    if settings.cue not in CUES:
        raise UsageError(f"cue is {settings.cue}; it must be one of {', '.join(CUES)}")
    if settings.n_classes != 2:
        raise UsageError(f"cue {settings.cue} tells two phases apart; n_classes must be 2")
    if settings.dose > 0:
        raise UsageError(f"cue {settings.cue} cannot be over-etched; dose must be 0")
    shorter_um = min(settings.shape) * settings.pixel_size_um
    if settings.grain_size_um > shorter_um:
        msg = (
            f"grain_size_um is {settings.grain_size_um:g} um; with a cue it must be at most the "
            f"shorter edge of the image, {shorter_um:g} um"
        )
        raise UsageError(msg)
