"""A length that may be in pixels or in micrometres."""

import re
from dataclasses import dataclass

from mstool.errors import UsageError


@dataclass(frozen=True)
class Length:
    """A length, and its unit: ``px`` or ``um``."""

    value: float
    unit: str

    def __str__(self):
        return f"{self.value:g} {self.unit}"

    def in_pixels(self, pixel_size_um: float | None) -> float | None:
        """Length [px] in an image of that pixel size; None if that is needed and unknown."""
        if self.unit == "px":
            return self.value
        # 0.3 um over 0.1 um/px, a last digit short of 3, would leave out what is 3 pixels away
        return None if pixel_size_um is None else round(self.value / pixel_size_um, 9)


def parse_length(text: str, flag: str) -> Length:
    """Length above 0 of ``2``, ``2px`` or ``0.5um``; `flag` is what it was given to.

    Raises
    ------
    UsageError
        If `text` is none of them.

    Examples
    --------
    >>> parse_length("0.5um", "--boundary-tolerance")
    Length(value=0.5, unit='um')
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(px|um|µm|μm)?\s*", text)
    if not found or not 0 < float(found[1]) < 1e6:
        raise UsageError(f"{flag} {text}: give a length above 0, such as 2px or 0.5um")
    return Length(float(found[1]), "px" if found[2] in (None, "px") else "um")
