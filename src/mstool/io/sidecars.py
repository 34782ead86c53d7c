"""Pixel size from the text that a microscope writes beside an image."""

import codecs
import re
from contextlib import suppress
from pathlib import Path

from mstool.io.pixel_size import NOTHING_STATED, StatedSize, split_unit, stated_size
from mstool.io.tiff_pixel_size import ini_sections, size_from_tescan

_MOST_BYTES = 2**16


def size_from_sidecar(path: Path, width: int) -> StatedSize:
    """Pixel size from a text of the same stem: JEOL or Hitachi ``.txt``, TESCAN ``.hdr``.

    A text of an image of another `width` [px] says nothing of this one.
    """
    for sidecar in _sidecars_of(path):
        try:
            size, their_width = _read(sidecar)
        except OSError as error:
            return StatedSize(
                doubt=f"has {sidecar.name} beside it, which cannot be read ({error.strerror})"
            )
        if size is not None and their_width not in (None, width):
            return StatedSize(
                doubt=f"is {width} pixels wide, and {sidecar.name} beside it is of an image of "
                f"{their_width}"
            )
        if size is not None and size.doubt:
            return StatedSize(doubt=f"has {sidecar.name} beside it, which {size.doubt}")
        if size is not None:
            return size
    return NOTHING_STATED


def find_sidecar(path: Path) -> Path | None:
    """Text beside an image that states a pixel size, as `size_from_sidecar` takes it; or None."""
    for sidecar in _sidecars_of(path):
        with suppress(OSError):
            if _read(sidecar)[0] is not None:
                return sidecar
    return None


def _sidecars_of(path: Path) -> list[Path]:
    tescan = f"{path.stem}-{path.suffix[1:]}"
    names = [f"{path.stem}{suffix}" for suffix in (".txt", ".TXT", ".Txt")]
    names += [f"{stem}.hdr" for stem in (tescan, path.stem)]
    return [path.with_name(name) for name in names if path.with_name(name).is_file()]


def _read(sidecar: Path) -> tuple[StatedSize | None, int | None]:
    """Size that a text states, and the width of the image it speaks of."""
    return _parse(_decoded(sidecar.read_bytes()[:_MOST_BYTES]))


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parse(text: str) -> tuple[StatedSize | None, int | None]:
    if "$CM_" in text or "$SM_" in text:
        return _parse_jeol(text)
    if re.search(r"\[[ST]emImageFile\]", text):
        return _parse_hitachi(text)
    return size_from_tescan(text), None


def _parse_jeol(text: str) -> tuple[StatedSize | None, int | None]:
    """The length of the scale bar, divided by its pixels."""
    bar = re.search(r"^\$+SM_MICRON_BAR\s+(\d+(?:\.\d+)?)", text, re.MULTILINE)
    marker = re.search(r"^\$+SM_MICRON_MARKER\s+(\d+(?:\.\d+)?)\s*(\S+)", text, re.MULTILINE)
    width = re.search(r"^\$+CM_FULL_SIZE\s+(\d+)", text, re.MULTILINE)
    size = None
    if bar and marker and float(bar[1]) > 0:
        size = stated_size(float(marker[1]) / float(bar[1]), None, marker[2])
    return size, width and int(width[1])


def _parse_hitachi(text: str) -> tuple[StatedSize | None, int | None]:
    """Nanometres, unless another unit stands after the number."""
    entries = {key: value for part in ini_sections(text).values() for key, value in part.items()}
    number, unit = split_unit(entries.get("PixelSize", ""), "nm")
    width = re.match(r"\d+", entries.get("DataSize", ""))
    return stated_size(number, None, unit), width and int(width[0])
