"""Which files are micrographs, and which label map belongs to which."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path, PurePath
from unicodedata import normalize

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.io.images import SUFFIXES
from mstool.io.outputs import is_unfinished
from mstool.io.records import sha256_of_file
from mstool.io.sidecars import find_sidecar
from mstool.io.tiles import MANIFEST, TILES_RECORD, SourceImage
from mstool.reporting import Reporter

LABEL_SUFFIXES = (*SUFFIXES, ".npy")

# Outputs add to the name of a micrograph where a tile lies, or what a picture shows; file systems
# allow 255 bytes.
_MOST_NAME_BYTES = 200


@dataclass(frozen=True)
class Naming:
    """What names of files add to the name that a micrograph and its label map share.

    Attributes
    ----------
    image_suffix : str
        Such as ``_img`` or ``_0000``; files without it are no micrographs.
    label_suffix : str
        Such as ``_mask``; files without it are no label maps.
    recursive : bool
        Whether folders are searched with all that lies below them.
    """

    image_suffix: str = ""
    label_suffix: str = ""
    recursive: bool = False


@dataclass(frozen=True)
class SetFiles:
    """Files of a set of micrographs, or a tile folder.

    Attributes
    ----------
    images : tuple of Path
        Micrographs; empty for a tile folder.
    labels : dict of Path to Path
        Label map of each micrograph; empty without, and for a tile folder.
    tiles : Path or None
        Tile folder.
    """

    images: tuple[Path, ...]
    labels: dict[Path, Path] = field(default_factory=dict)
    tiles: Path | None = None

    def files(self) -> list[Path]:
        """Every file that decides what is read, texts with pixel sizes beside images too."""
        if self.tiles is not None:
            return [self.tiles / TILES_RECORD, self.tiles / MANIFEST]
        return [*self.images, *self.labels.values(), *filter(None, map(find_sidecar, self.images))]


def find_set(
    operands: Sequence[Path],
    labels: Sequence[Path] | None,
    naming: Naming,
    report: Reporter,
    flag: str = "--labels",
) -> SetFiles:
    """Micrographs with their label maps, or a tile folder.

    Raises
    ------
    UsageError
        If a tile folder is mixed with other operands, labels are given for one, or tiles are given
        as if they were micrographs.
    MissingInputError, InputError
        As `list_images` and `pair_labels`.
    """
    folders = [path for path in operands if _is_tile_folder(path)]
    if folders and len(operands) > 1:
        raise UsageError(f"{folders[0]}: is a tile folder; give it alone")
    if folders and labels:
        raise UsageError(f"{flag}: {folders[0]} is a tile folder, which has its own labels")
    if folders:
        return SetFiles((), tiles=folders[0])
    paths = list_images(operands, report, naming)
    for path in paths:
        if path.parent.name == "images" and _is_tile_folder(path.absolute().parent.parent):
            raise UsageError(
                f"{path}: is a tile, and tiles of one micrograph must stay together; give the tile "
                f"folder {path.parent.parent}"
            )
    if not naming.recursive:
        _note_subfolders(operands, labels or (), report)
    pairs = pair_labels(paths, labels, naming, report) if labels else {}
    return SetFiles(tuple(paths), pairs)


def _is_tile_folder(path: Path) -> bool:
    return (path / TILES_RECORD).is_file() or is_unfinished(path, TILES_RECORD)


def stem_of(name: str | PurePath) -> str:
    """File name without its type, ``.ome.tif`` being one, in Unicode's composed form (NFC).

    Examples
    --------
    >>> stem_of("a.ome.tif"), stem_of("b.1.png")
    ('a', 'b.1')
    """
    path = PurePath(name)
    is_ome = path.suffix.lower() in (".tif", ".tiff") and path.stem.lower().endswith(".ome")
    return normalize("NFC", path.stem[: -len(".ome")] if is_ome else path.stem)


def list_images(
    operands: Sequence[Path], report: Reporter, naming: Naming | None = None
) -> list[Path]:
    """Micrographs named by operands: files as they are, folders by what lies in them.

    Parameters
    ----------
    operands : sequence of Path
        Files and folders.
    report : Reporter
        Told how many other files were left out.
    naming : Naming, optional
        What tells micrographs from label maps beside them.

    Returns
    -------
    list of Path
        Sorted by name.

    Raises
    ------
    MissingInputError
        If an operand is not there, or no image is in it.
    InputError
        If two images have the same name but for the type, so that outputs would collide, or a
        name cannot be written into records or is too long.
    """
    naming = naming or Naming()
    paths = []
    for operand in operands:
        found = _images_among(_expand(operand, SUFFIXES, naming.recursive, report), naming)
        if not found:
            raise _no_images(operand, naming)
        paths += found
    for path in paths:
        _check_name(path)
    return unique_names(paths)


def pair_labels(
    images: Sequence[Path],
    folders: Sequence[Path],
    naming: Naming,
    report: Reporter,
    noun: str = "image",
    micrographs: Mapping[Path, str] | None = None,
) -> dict[Path, Path]:
    """Label map of each image, by name.

    Parameters
    ----------
    images : sequence of Path
        Micrographs, or masks.
    folders : sequence of Path
        Folders with label maps, or label maps.
    naming : Naming
        What the names of both add.
    report : Reporter
        Told how many label maps have no image.
    noun : str, default "image"
        What messages call `images`.
    micrographs : mapping of Path to str, optional
        SHA-256 of the micrograph's file of each of `images`, where these are not the micrographs.

    Returns
    -------
    dict of Path to Path
        By image.

    Raises
    ------
    InputError
        If an image has no label map, two, or the micrograph itself.
    """
    micrographs = micrographs or {}
    paths = list_labels(folders, report, naming.recursive)
    labels = [path for path in paths if stem_of(path).endswith(naming.label_suffix)]
    by_name = {
        stem_of(path).removesuffix(naming.label_suffix): path for path in unique_names(labels)
    }
    known = {path.resolve() for path in images}
    names = {image: stem_of(image).removesuffix(naming.image_suffix) for image in images}

    def is_spare(path: Path) -> bool:
        owner = stem_of(path).removesuffix(naming.label_suffix)
        return path.resolve() not in known and owner not in names.values()

    pairs = {}
    for image, name in names.items():
        label = by_name.pop(name, None)
        other = "" if label is None else _what_else(label, image, micrographs.get(image), noun)
        if label is None or other:
            wanted, where = f"{name}{naming.label_suffix}.*", ", ".join(map(str, folders))
            spare = [path for path in paths if is_spare(path)]
            remedy = _remedy(image, name, folders, spare, naming, noun)
            raise InputError(f"{image}: no label map {wanted} in {where}{other}; {remedy}")
        pairs[image] = label
    if unpaired := [path for path in by_name.values() if path.resolve() not in known]:
        are = "label map has" if len(unpaired) == 1 else "label maps have"
        left = "is left out" if len(unpaired) == 1 else "are left out"
        report.note(f"{len(unpaired)} {are} no {noun} and {left}")
    return pairs


def list_labels(folders: Sequence[Path], report: Reporter, recursive: bool = False) -> list[Path]:
    """Label maps in folders, or where a folder itself has none in the folders within it."""
    found = []
    for folder in folders:
        is_deep = recursive or not _expand(folder, LABEL_SUFFIXES, False, Reporter())
        found += _expand(folder, LABEL_SUFFIXES, is_deep, report)
    return found


def folder_name(path: Path) -> str:
    """Name of the folder that a micrograph was found in, also where it is a link to another."""
    return path.absolute().parent.name


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


def _images_among(paths: Sequence[Path], naming: Naming) -> list[Path]:
    """Leave out what lacks the suffix of images, and label maps of images that are there too."""
    wanted = [path for path in paths if stem_of(path).endswith(naming.image_suffix)]
    if not naming.label_suffix:
        return wanted
    names = {stem_of(path).removesuffix(naming.image_suffix) for path in wanted}

    def is_label(path: Path) -> bool:
        stem = stem_of(path)
        return stem.endswith(naming.label_suffix) and (
            stem.removesuffix(naming.label_suffix) in names
        )

    return [path for path in wanted if not is_label(path)]


def _note_subfolders(operands: Sequence[Path], labels: Sequence[Path], report: Reporter) -> None:
    """Say which folders within the operands hold images that are not read."""
    named = {path.resolve() for path in (*operands, *labels)}
    for operand in operands:
        below = [path.name for path in _with_images(operand) if path.resolve() not in named]
        if below:
            report.note(
                f"{operand}: images in {', '.join(below[:6])} are left out; name these folders, or "
                "give --recursive"
            )


def _with_images(operand: Path) -> list[Path]:
    """Folders directly within an operand that hold images, at any depth."""
    folders = _subfolders(operand)
    return [path for path in folders if _expand(path, SUFFIXES, True, Reporter())]


def _no_images(operand: Path, naming: Naming) -> MissingInputError:
    if naming.image_suffix:
        return MissingInputError(
            f"{operand}: no micrograph whose name ends in {naming.image_suffix}; see --image-suffix"
        )
    below = [path.name for path in _with_images(operand)]
    if below:
        return MissingInputError(
            f"{operand}: no micrographs but in {', '.join(below[:6])}; name these folders, or give "
            "--recursive"
        )
    return MissingInputError(f"{operand}: no micrographs; give TIFF, PNG, JPEG or BMP files")


def _what_else(label: Path, image: Path, sha256: str | None, noun: str) -> str:
    """Words on what a file is if it is no label map of an image; none if it may be one."""
    if label.resolve() == image.resolve():
        return f" but the {noun} itself"
    is_micrograph = sha256 is not None and sha256_of_file(label) == sha256
    return " but the micrograph itself" if is_micrograph else ""


def _remedy(
    image: Path,
    name: str,
    folders: Sequence[Path],
    labels: Sequence[Path],
    naming: Naming,
    noun: str,
) -> str:
    """What would give a label map: a suffix or the folder beside, where that is so."""
    for path in sorted(labels, key=lambda path: len(path.name)):
        stem, base = stem_of(path), stem_of(path).removesuffix(naming.label_suffix)
        if stem != name and stem.startswith(name):
            return f"for {path.name}, give --label-suffix {stem.removeprefix(name)}"
        if base and base != name and name.startswith(base):
            return f"for {path.name}, give --image-suffix {name.removeprefix(base)}"
    if naming.label_suffix and (path := _label_map_beside(name + naming.label_suffix, folders)):
        above = path.parent.parent
        return f"{path.name} is in {path.parent}; name that folder, or {above} for all below it"
    return f"add it, leave the {noun} out, or set --label-suffix or --image-suffix"


def _label_map_beside(stem: str, folders: Sequence[Path]) -> Path | None:
    """Label map of this name in a folder that lies beside one of those that were named."""
    for folder in folders:
        for path in sorted(folder.parent.glob(f"*/{escape(stem)}.*")):
            if path.suffix.lower() in LABEL_SUFFIXES:
                return path
    return None


def _expand(
    operand: Path, suffixes: Sequence[str], recursive: bool, report: Reporter
) -> list[Path]:
    if not operand.exists():
        raise MissingInputError(f"{operand}: no such file or folder")
    if not operand.is_dir():
        return [_checked(operand)]
    found, n_other = [], 0
    for path in _entries(operand, recursive):
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


def _entries(folder: Path, recursive: bool) -> Iterable[Path]:
    """What lies in a folder, and below it if asked, but hidden names."""
    for path in sorted(folder.iterdir()):
        if path.name[0] == ".":
            continue
        if recursive and path.is_dir() and not path.is_symlink():
            yield from _entries(path, recursive)
        else:
            yield path


def _subfolders(folder: Path) -> list[Path]:
    is_folder = folder.is_dir()
    return [path for path in _entries(folder, False) if path.is_dir()] if is_folder else []


def _checked(path: Path) -> Path:
    """Give `path` back if it can be read, and recorded as text."""
    if not path.is_file():  # opening a pipe would wait for a writer
        raise InputError(f"{path}: is a pipe or a device, not a regular file; save it as a file")
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}: has a name that is not UTF-8; rename it") from None
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise InputError(
            f"{path}: has a name that this locale cannot show; set PYTHONUTF8=1, or LC_ALL=C.UTF-8"
        )
    return path


def _check_name(path: Path) -> None:
    if "\\" in path.name:  # a separator elsewhere: tile folders may not name such files
        raise InputError(f"{path}: has a backslash in its name; rename it")
    n_bytes = len(os.fsencode(path.stem))
    if n_bytes > _MOST_NAME_BYTES:
        raise InputError(
            f"{path}: has a name of {n_bytes} bytes, to which outputs add more; give it one of at "
            f"most {_MOST_NAME_BYTES}"
        )


def unique_names(paths: Sequence[Path]) -> list[Path]:
    """Paths sorted by name, none named twice or alike but for the type."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(stem_of(path), path)
        if other is not path and path.samefile(other):
            raise InputError(f"{path}: is named twice; name it once")
        if other is not path:
            raise InputError(
                f"{path}: has the same name as {other}; rename one, since outputs are named after "
                "it"
            )
    return sorted(paths, key=lambda path: path.name)
