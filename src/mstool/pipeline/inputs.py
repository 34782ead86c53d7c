"""Which files a verb reads."""

import os
from collections.abc import Sequence
from pathlib import Path

from mstool.errors import InputError, MissingInputError
from mstool.io.images import SUFFIXES
from mstool.io.records import sha256_of_file
from mstool.io.tiles import SourceImage
from mstool.reporting import Reporter

LABEL_SUFFIXES = (*SUFFIXES, ".npy")


def list_images(operands: Sequence[Path], report: Reporter) -> list[Path]:
    """Image files named by operands: files as they are, folders by what lies directly in them.

    Parameters
    ----------
    operands : sequence of Path
        Files and folders.
    report : Reporter
        Told how many other files were left out.

    Returns
    -------
    list of Path
        Sorted by name.

    Raises
    ------
    MissingInputError
        If an operand is not there, or no image is in it.
    InputError
        If two images have the same name but for the suffix, so that outputs would collide, or a
        name cannot be written into records.
    """
    paths = []
    for operand in operands:
        found = _expand(operand, SUFFIXES, report)
        if not found:
            raise MissingInputError(f"{operand}: no micrographs; give TIFF, PNG, JPEG or BMP files")
        paths += found
    for path in paths:
        if "\\" in path.name:  # a separator elsewhere: tile folders may not name such files
            raise InputError(f"{path}: has a backslash in its name; rename it")
    return _unique_stems(paths)


def pair_labels(
    images: Sequence[Path],
    folders: Sequence[Path],
    suffix: str,
    report: Reporter,
    noun: str = "image",
) -> dict[Path, Path]:
    """Label map of each image, by name.

    Parameters
    ----------
    images : sequence of Path
        Micrographs, or masks.
    folders : sequence of Path
        Folders with label maps, or label maps.
    suffix : str
        What the name of a label map adds to that of its image, such as ``_mask``.
    report : Reporter
        Told how many label maps have no image.
    noun : str, default "image"
        What messages call `images`.

    Returns
    -------
    dict of Path to Path
        By image.

    Raises
    ------
    InputError
        If an image has no label map, or two.
    """
    by_stem = {path.stem: path for path in list_labels(folders, report)}
    pairs = {}
    for image in images:
        label = by_stem.pop(image.stem + suffix, None)
        if label is None:
            where = ", ".join(str(folder) for folder in folders)
            raise InputError(
                f"{image}: no label map {image.stem}{suffix}.* in {where}; add it, leave the "
                f"{noun} out, or set --label-suffix"
            )
        pairs[image] = label
    if by_stem:
        are = "label map has" if len(by_stem) == 1 else "label maps have"
        left = "is left out" if len(by_stem) == 1 else "are left out"
        report.note(f"{len(by_stem)} {are} no {noun} and {left}")
    return pairs


def list_labels(folders: Sequence[Path], report: Reporter) -> list[Path]:
    """Label maps in folders, sorted by name; names are unique but for the file type."""
    return _unique_stems(
        [path for folder in folders for path in _expand(folder, LABEL_SUFFIXES, report)]
    )


def find_micrograph(source: SourceImage, folder: Path, images: Path | None) -> Path | None:
    """File of a micrograph: in a folder that was named, else where a record says it lay.

    Parameters
    ----------
    source : SourceImage
        From the record in `folder`.
    folder : Path
        Folder of that record.
    images : Path or None
        Folder that the user named.

    Returns
    -------
    Path or None
        None if it is not there. A recorded path is used only if the bytes have the recorded hash:
        a record from elsewhere must not make mstool read any other file of this machine.
    """
    if images is not None:
        path = images / source.name
        return path if path.is_file() else None
    path = folder / source.path
    is_it = path.is_file() and sha256_of_file(path) == source.file_sha256
    return path if is_it else None


def _expand(operand: Path, suffixes: Sequence[str], report: Reporter) -> list[Path]:
    if not operand.exists():
        raise MissingInputError(f"{operand}: no such file or folder")
    if not operand.is_dir():
        return [_checked(operand)]
    found, n_other = [], 0
    for path in sorted(operand.iterdir()):
        if path.name[0] == ".":
            continue
        is_named_so = path.suffix.lower() in suffixes
        if is_named_so and not path.exists():
            raise MissingInputError(
                f"{path}: links to {os.readlink(path)}, which is not there; mend or remove the link"
            )
        if is_named_so and path.is_file():
            found.append(_checked(path))
        else:
            n_other += is_named_so or not path.is_dir()
    if n_other:
        entries = (
            "1 entry of another type is"
            if n_other == 1
            else f"{n_other} entries of other types are"
        )
        report.note(f"{operand}: {entries} left out")
    return found


def _checked(path: Path) -> Path:
    """Give `path` back if it can be read, and recorded as text."""
    if not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is a pipe or a device, not a regular file; save it as a file")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: has a name that is not UTF-8; rename it") from None
    return path


def _unique_stems(paths: list[Path]) -> list[Path]:
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen and path.samefile(seen[path.stem]):
            raise InputError(f"{path}: is named twice; name it once")
        if path.stem in seen:
            raise InputError(
                f"{path}: has the same name as {seen[path.stem]}; rename one, since outputs are "
                "named after it"
            )
        seen[path.stem] = path
    return sorted(paths, key=lambda path: path.name)
