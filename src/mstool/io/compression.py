"""Compression that changes labels."""

from pathlib import Path
from typing import NoReturn

import tifffile

from mstool.errors import InputError

# Compressions of TIFF; those of JPEG 2000 and WebP can also be lossless, and say so in the data.
JPEG = (6, 7, 33007, 34892)
_JPEG_2000 = (33003, 33004, 33005, 34712)
_WEBP = (34927, 50001)
_UNTOLD = {22610: "JPEG XR", 34934: "JPEG XR", 50002: "JPEG XL", 52546: "JPEG XL"}

_LOSSLESS_FRAME = 0xC3
_CODING_STYLE = b"\xff\x52"
_TRANSFORM = 13  # bytes from that marker to the kind of wavelet


def refuse_lossy(name: str, path: Path, what: str = "changes") -> NoReturn:
    """Raise `InputError` for a label map in a format whose compression changes labels."""
    raise InputError(f"{path}: is {name}, whose compression {what} labels; save label maps as PNG")


def refuse_lossy_tiff(page: tifffile.TiffPage, path: Path) -> None:
    """Raise `InputError` for a label map in TIFF whose first strip or tile is lossy.

    JPEG XR and XL are refused altogether, since their data do not say it plainly. JPEG 2000 counts
    as lossless with the reversible wavelet.
    """
    kind = int(page.compression)
    if kind in _UNTOLD:
        refuse_lossy(_UNTOLD[kind], path, "may change")
    if kind not in (*JPEG, *_JPEG_2000, *_WEBP):
        return
    stream = page.parent.filehandle
    stream.seek(page.dataoffsets[0])
    data = stream.read(page.databytecounts[0])
    if kind in JPEG and not _is_lossless_jpeg(data):
        refuse_lossy("JPEG", path)
    if kind in _JPEG_2000 and not _is_reversible(data):
        refuse_lossy("JPEG 2000", path)
    if kind in _WEBP and data[12:16] != b"VP8L":
        refuse_lossy("WebP", path)


def _is_lossless_jpeg(data: bytes) -> bool:
    """Whether the frame is of the lossless kind; markers before it are skipped by their length."""
    at = 2
    while data[at : at + 1] == b"\xff" and len(data) >= at + 4:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker == _LOSSLESS_FRAME
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _is_reversible(data: bytes) -> bool:
    at = data.find(_CODING_STYLE)
    return at >= 0 and data[at + _TRANSFORM : at + _TRANSFORM + 1] == b"\1"
