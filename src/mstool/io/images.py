"""Micrographs and label maps from files, whole or by window."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mstool.errors import InputError, MissingInputError
from mstool.io.arrays import open_array
from mstool.io.conversions import to_grey
from mstool.io.damage import reading
from mstool.io.decoded import open_decoded
from mstool.io.greys import as_micrograph
from mstool.io.label_values import as_label_map
from mstool.io.micrograph import Micrograph
from mstool.io.sidecars import size_from_sidecar
from mstool.io.stored import Stored
from mstool.io.tiff import open_tiff, starts_like_tiff

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")


def open_micrograph(
    path: Path, pixel_size_um: float | None = None, grey: bool = False
) -> Micrograph:
    """Open an image file for reading by window.

    Uncompressed TIFF is mapped into memory and compressed TIFF is decoded tile by tile (or strip
    by strip); other formats, and TIFF with separate planes, are decoded whole on opening.

    An image that is stored turned, with an orientation in EXIF or TIFF tags, is refused: some
    programs turn it and some do not, so nothing says which way its label map was drawn.

    Parameters
    ----------
    path : Path
        TIFF, PNG, JPEG or BMP.
    pixel_size_um : float, optional
        Replaces what the file says [um/px].
    grey : bool
        Whether to turn colour into luminance (ITU-R BT.601).

    Returns
    -------
    Micrograph
        An alpha channel is left out. Signed integers and integers of 32 bits and more are float32;
        colours of a table are grey where all its entries are.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If the file is empty, damaged, or not one upright image of a kind that can be used.
    OSError
        If the system refuses to read it.
    """
    with reading(path):
        micrograph = as_micrograph(_open(path, is_label=False))
    if pixel_size_um is not None:
        micrograph = replace(micrograph, pixel_size_um=pixel_size_um, doubt=None)
    elif micrograph.pixel_size_um is None:
        size, doubt = size_from_sidecar(path, micrograph.width)
        doubt = None if size else doubt or micrograph.doubt
        micrograph = replace(micrograph, pixel_size_um=size, doubt=doubt)
    return to_grey(micrograph) if grey else micrograph


def open_label_values(path: Path, expand_palette: bool = False) -> Micrograph:
    """Open a label map (also ``.npy``), values or colours as stored, for reading by window.

    Parameters
    ----------
    expand_palette : bool
        Whether values are wanted as they are seen: indexed colour gives its colours rather than its
        indices, 1 to 4 bits are spread to 0..255, and greys with white as zero are turned.

    Returns
    -------
    Micrograph
        Of any type of pixel; booleans are 0 and 1. Alpha is the last channel, 0..255, and is left
        out where it is opaque everywhere. Colours of 16 bits are given with 8 where both bytes of
        every channel are equal.

    Raises
    ------
    MissingInputError, InputError, OSError
        As `open_micrograph`; also for files whose compression changes labels.
    """
    with reading(path):
        return as_label_map(_open(path, is_label=True), expand_palette)


def read_values(path: Path) -> np.ndarray:
    """Read a label map whole, palette indices staying indices; see `open_label_values`."""
    return open_label_values(path).read()


def _open(path: Path, is_label: bool) -> Stored:
    if not path.exists():
        raise MissingInputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder where an image is needed")
    if not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is a pipe or a device, not a regular file; save it as a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")
    if is_label and path.suffix.lower() == ".npy":
        return open_array(path)
    if starts_like_tiff(path):
        return open_tiff(path, is_label)
    return open_decoded(path, is_label)
