"""Images that are stored turned, and say so."""

from pathlib import Path

from mstool.errors import InputError

ORIENTATION = 0x0112  # tag of TIFF and EXIF


def refuse_turned(orientation: object, path: Path) -> None:
    """Raise `InputError` for an orientation other than upright."""
    if orientation in range(2, 9):
        raise InputError(f"{path}: is stored turned (orientation {orientation}); save it upright")
