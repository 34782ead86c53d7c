"""Pixel size as image files state it."""

import re

import tifffile

_UM_PER_UNIT = {
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "\\u00b5m": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "inch": 25400.0,
    "m": 1e6,
}

# Printers' and screens' settings, which cameras write without knowing the magnification.
_DISPLAY_DPI = (72, 75, 90, 96, 100, 120, 150, 200, 240, 300, 400, 600, 1200)


def pixel_size_of_tiff(tiff: tifffile.TiffFile) -> float | None:
    """Edge length of a pixel of the first page [um/px].

    Looks at OME metadata, ImageJ metadata, then the resolution tags.

    Returns
    -------
    float or None
        None where the file does not say, or gives only a resolution meant for printing.
    """
    return _from_ome(tiff.ome_metadata) or _from_imagej(tiff) or _from_tags(tiff.pages[0])


def resolution_tags(pixel_size_um: float | None) -> dict:
    """Keyword arguments for tifffile that store a pixel size [um/px]; empty for None."""
    if pixel_size_um is None:
        return {}
    per_cm = 1e4 / pixel_size_um
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def _from_ome(xml: str | None) -> float | None:
    if not xml:
        return None
    size = re.search(r'PhysicalSizeX="([^"]+)"', xml)
    unit = re.search(r'PhysicalSizeXUnit="([^"]+)"', xml)
    return _in_um(size and size.group(1), unit.group(1) if unit else "um")


def _from_imagej(tiff: tifffile.TiffFile) -> float | None:
    unit = (tiff.imagej_metadata or {}).get("unit")
    per_unit = _x_resolution(tiff.pages[0])
    return _in_um(1 / per_unit, unit) if unit and per_unit else None


def _from_tags(page: tifffile.TiffPage) -> float | None:
    per_unit = _x_resolution(page)
    unit = {2: "inch", 3: "cm"}.get(int(page.resolutionunit or 1))
    if not per_unit or not unit:
        return None
    dpi = per_unit * (2.54 if unit == "cm" else 1)
    if any(abs(dpi - usual) < 0.5 for usual in _DISPLAY_DPI):
        return None
    return _in_um(1 / per_unit, unit)


def _x_resolution(page: tifffile.TiffPage) -> float | None:
    tag = page.tags.get("XResolution")
    if tag is None:
        return None
    numerator, denominator = tag.value
    return numerator / denominator if numerator and denominator else None


def _in_um(size: object, unit: str) -> float | None:
    factor = _UM_PER_UNIT.get(unit.strip().lower())
    try:
        value = float(size) * factor  # type: ignore[arg-type, operator]
    except (TypeError, ValueError):
        return None
    return value if value > 0 else None
