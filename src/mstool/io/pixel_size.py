"""Pixel size: units of length, and which statements of a file count."""

import html
import math
import re
from typing import NamedTuple

# Written to the tag Software beside a pixel size, which tells it from a setting for print.
WRITER = "mstool"

_UM_PER_UNIT = {
    "pm": 1e-6,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "in": 25400.0,
    "inch": 25400.0,
    "inche": 25400.0,  # what is left of inches
    "m": 1e6,
    "meter": 1e6,
    "å": 1e-4,
    "angstrom": 1e-4,
}
_NO_UNITS = ("", "pixel", "px", "reference frame", "none", "null")

# Screens, printers and scanners reach 4800 dots per inch, 5.3 um, and programs write such numbers
# without knowing any pixel size; the finest electron micrographs have 0.01 nm per pixel.
_COARSEST_UM, FINEST_UM = 5.0, 1e-5
# With pixels of 1 mm, what is seen is no microstructure: the unit is another than was thought.
COARSEST_STATED_UM = 1e3
_MOST_UNEQUAL = 1.01


class StatedSize(NamedTuple):
    """Pixel size of a file [um/px], None where there is none to be relied on.

    `doubt` is why what is said was not taken: a clause without the name of the file.
    """

    um: float | None = None
    doubt: str | None = None


NOTHING_STATED = StatedSize()


def um_per_unit(unit: str) -> float | None:
    """Micrometres in a unit of length, in any usual spelling; None for what is no such unit.

    Examples
    --------
    >>> um_per_unit("microns"), um_per_unit("&#181;m"), um_per_unit("furlong")
    (1.0, 1.0, None)
    """
    text = re.sub(r"\\u00b5|[µμ]", "u", html.unescape(unit).strip(), flags=re.IGNORECASE)
    if re.match("[MP]m$", text):  # mega and peta, which in small letters are milli and pico
        return None
    text = text.lower().replace("\u212b", "å").replace("metre", "meter")
    return _UM_PER_UNIT.get(text) or _UM_PER_UNIT.get(text.removesuffix("s"))


def is_no_unit(unit: str) -> bool:
    """Whether a unit says that lengths are counted in pixels."""
    return unit.strip().lower().removesuffix("s") in _NO_UNITS


def split_unit(text: str, unit: str) -> tuple[str, str]:
    """A number, and the unit after it, by default `unit`; the number is empty if there is none.

    Examples
    --------
    >>> split_unit("4.1e-008", "m"), split_unit("50 nm", "m")
    (('4.1e-008', 'm'), ('50', 'nm'))
    """
    found = re.match(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([^\s\0]*)", text)
    return (found[1], found[2] or unit) if found else ("", unit)


def stated_size(
    width: object, height: object, unit: str, is_own: bool = False
) -> StatedSize | None:
    """Judge the edges of a pixel that a microscope or its program wrote, as numbers or text.

    A height that is not stated is None. Gives None where nothing is said: no number above 0, or no
    unit of length. Sizes that no micrograph has, above 1 mm or below 0.01 nm, are not taken, unless
    mstool wrote them (`is_own`), as it was told to.
    """
    edges = _positive(width), _positive(width if height is None else height)
    if None in edges or is_no_unit(unit):
        return None
    factor = um_per_unit(unit)
    if factor is None:
        shown = " ".join(unit.split())[:20]
        return StatedSize(doubt=f"states its pixel size in {shown!r}, which is no known unit")
    size_um = edges[0] * factor
    if not (is_own or FINEST_UM <= size_um <= COARSEST_STATED_UM):
        return StatedSize(doubt=f"states pixels of {size_um:.4g} um, which no micrograph has")
    return _if_square(size_um, edges[1] * factor)


def size_from_density(across: object, down: object, unit: str) -> StatedSize | None:
    """Judge pixels per inch or centimetre, which most programs write without knowing a scale.

    Gives a size only between 0.01 nm and 5 um per pixel, where no screen, printer or scanner lies,
    and None where nothing is said.
    """
    per_x, per_y, factor = _positive(across), _positive(down), um_per_unit(unit)
    if per_x is None or per_y is None or factor is None:
        return None
    said = f"states {per_x:.6g} pixels per {unit}"
    if factor / per_x > _COARSEST_UM:
        what = "which is what programs write that know no pixel size"
        return StatedSize(doubt=f"{said}, {what}")
    if factor / per_x < FINEST_UM:
        return StatedSize(doubt=f"{said}, which is finer than any microscope")
    return _if_square(factor / per_x, factor / per_y)


def resolution_tags(pixel_size_um: float | None) -> dict:
    """Keyword arguments for tifffile that store a pixel size [um/px]; empty for None."""
    if pixel_size_um is None:
        return {}
    per_cm = 1e4 / pixel_size_um
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER", "software": WRITER}


def _positive(number: object) -> float | None:
    try:
        value = float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if 0 < value < math.inf else None


def _if_square(width_um: float, height_um: float) -> StatedSize:
    if max(width_um, height_um) > _MOST_UNEQUAL * min(width_um, height_um):
        return StatedSize(
            doubt=f"states pixels of {width_um:.4g} x {height_um:.4g} um, which are not square"
        )
    return StatedSize(float(f"{width_um:.12g}"))  # metres in micrometres leave a rest
