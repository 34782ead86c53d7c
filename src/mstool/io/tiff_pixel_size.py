"""Pixel size as TIFF files state it, makers of electron microscopes each in their own way."""

import re
from xml.parsers import expat

import tifffile

from mstool.io.pixel_size import (
    NOTHING_STATED,
    WRITER,
    StatedSize,
    is_no_unit,
    size_from_density,
    split_unit,
    stated_size,
    um_per_unit,
)

_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "um"}  # of the tag ResolutionUnit; the last two are rare
_OF_PRINT = ("inch", "cm")  # which ImageJ copies from the tags of any program
_FEI, _ZEISS, _TESCAN = (34680, 34682), 34118, 50431  # private tags; the first of Thermo Fisher


def pixel_size_of_tiff(tiff: tifffile.TiffFile) -> StatedSize:
    """Pixel size of the first page, and why none was taken.

    Looks at the private tags of microscopes, OME metadata, ImageJ metadata, then the resolution
    tags; the first that speaks decides.
    """
    page = tiff.pages[0]
    return (
        _from_fei(page)
        or _from_zeiss(page)
        or _from_tescan(page)
        or _from_ome(tiff.ome_metadata)
        or _from_imagej(tiff, page)
        or _from_tags(page)
        or NOTHING_STATED
    )


def _from_ome(xml: str | None) -> StatedSize | None:
    """Size that the first Pixels element states; entities that the text defines are refused."""
    if not xml:
        return None
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "Pixels":
            found.append(attributes)

    def refuse(*_: object) -> None:
        raise ValueError("defines entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = start, refuse
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError) as error:
        return StatedSize(doubt=f"has OME metadata that cannot be read ({error})")
    pixels = found[0] if found else {}
    unit = pixels.get("PhysicalSizeXUnit", "um")
    height = pixels.get("PhysicalSizeY")
    if pixels.get("PhysicalSizeYUnit", unit) != unit:
        height = _in_unit(height, pixels["PhysicalSizeYUnit"], unit)
    return stated_size(pixels.get("PhysicalSizeX"), height, unit)


def _in_unit(number: str | None, unit: str, other: str) -> float | None:
    factors = um_per_unit(unit), um_per_unit(other)
    try:
        return float(number or "") * factors[0] / factors[1]  # type: ignore[operator]
    except (TypeError, ValueError):
        return None


def _from_imagej(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> StatedSize | None:
    unit = (tiff.imagej_metadata or {}).get("unit")
    per_x, per_y = _resolution(page)
    if unit is None or not per_x or not per_y:
        return None
    unit = str(unit)
    if is_no_unit(unit):
        return NOTHING_STATED
    if um_per_unit(unit) in [um_per_unit(name) for name in _OF_PRINT]:
        return size_from_density(per_x, per_y, unit)
    return stated_size(1 / per_x, 1 / per_y, unit)


def _from_tags(page: tifffile.TiffPage) -> StatedSize | None:
    unit = _UNITS.get(int(page.resolutionunit or 1))
    per_x, per_y = _resolution(page)
    if not per_x or not per_y or unit is None:
        return None
    if page.software == WRITER:
        return stated_size(1 / per_x, 1 / per_y, unit, is_own=True)
    return size_from_density(per_x, per_y, unit)


def _resolution(page: tifffile.TiffPage) -> tuple[float | None, float | None]:
    """Pixels per unit across and down; the latter like the former where it is not stated."""
    across = _ratio(page.tags.valueof("XResolution"))
    down = _ratio(page.tags.valueof("YResolution")) if "YResolution" in page.tags else across
    return across, down


def _ratio(value: object) -> float | None:
    try:
        numerator, denominator = value  # type: ignore[misc]
        return numerator / denominator
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def ini_sections(text: str) -> dict[str, dict[str, str]]:
    """Sections of a text of ``[Section]`` and ``key=value`` lines; what is neither is left out."""
    section: dict[str, str] = {}
    sections = {"": section}
    for line in text.splitlines():
        heading = re.fullmatch(r"\s*\[(.*)\]\s*", line)
        key, equals, value = line.partition("=")
        if heading:
            section = sections.setdefault(heading[1], {})
        elif equals:
            section[key.strip()] = value.strip()
    return sections


def size_from_tescan(text: str) -> StatedSize | None:
    """Pixel size from the text that TESCAN writes into tag 50431 and beside images.

    It is in metres; a unit after the number, as others write it, counts instead.
    """
    lines = [re.search(rf"PixelSize{axis}\s*=([^\r\n\0]*)", text) for axis in "XY"]
    width, height = (split_unit(line[1], "m") if line else None for line in lines)
    if width is None:
        return None
    return stated_size(width[0], height and _in_unit(*height, width[1]), width[1])


def _from_fei(page: tifffile.TiffPage) -> StatedSize | None:
    for code in _FEI:
        value = page.tags.valueof(code)
        sections = value if isinstance(value, dict) else ini_sections(_as_text(value))
        # Scan holds what the image was taken with, the others what each beam was set to.
        active = (sections.get("Beam") or {}).get("Scan", "EScan")
        for name in ("Scan", active, "EScan", "IScan"):
            scan = sections.get(name) or {}
            size = stated_size(scan.get("PixelWidth"), scan.get("PixelHeight"), "m")
            if size is not None:
                return size
    return None


def _from_zeiss(page: tifffile.TiffPage) -> StatedSize | None:
    """The size in the image, else that on the screen, which differ where it was stored larger."""
    values = page.tags.valueof(_ZEISS)
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        entry = values.get(name, ()) if isinstance(values, dict) else ()
        size = stated_size(entry[1], None, entry[2]) if len(entry) == 3 else None
        if size is not None:
            return size
    return None


def _from_tescan(page: tifffile.TiffPage) -> StatedSize | None:
    return size_from_tescan(_as_text(page.tags.valueof(_TESCAN)))


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""
