"""Pixel size as makers of electron microscopes write it into TIFF."""

import re

import tifffile

from mstool.io.pixel_size import StatedSize, stated_size

_FEI = (34680, 34682)
_ZEISS = 34118
_TESCAN = 50431


def size_from_vendor(page: tifffile.TiffPage) -> StatedSize | None:
    """Pixel size from the private tags of FEI (Thermo Fisher), Zeiss or TESCAN; None without."""
    return _from_fei(page) or _from_zeiss(page) or _from_tescan(page)


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
    """Pixel size from the text that TESCAN writes into tag 50431 and beside images, in metres."""
    edges = [re.search(rf"PixelSize{axis}\s*=\s*([^\s\0]+)", text) for axis in "XY"]
    return stated_size(*(edge and edge[1] for edge in edges), unit="m")


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
