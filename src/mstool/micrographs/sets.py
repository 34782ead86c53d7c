"""Sets of micrographs: opened with every check, read field of view by field of view."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.geometry.grid import plan_windows
from mstool.geometry.resample import axis_weights, resample_window, scaled_length
from mstool.geometry.window import Window
from mstool.io.conversions import (
    has_equal_channels,
    rescale_greys,
    rescale_to_own_greys,
    take_first_channel,
    to_bits,
    to_grey,
)
from mstool.io.images import open_micrograph
from mstool.io.micrograph import Micrograph
from mstool.labels.legend import Legend
from mstool.micrographs.find import SetFiles
from mstool.micrographs.grey_range import levels_as_read
from mstool.micrographs.group_pattern import find_group
from mstool.micrographs.label_maps import LabelMap
from mstool.micrographs.label_sets import LabelMaps, open_label_maps
from mstool.micrographs.needs import Given, GivenMicrograph, is_same_size
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.micrographs.tile_folder import TileFolder, open_tile_folder
from mstool.reporting import Reporter


@dataclass(frozen=True)
class Reading:
    """How the micrographs of a set are read, all alike.

    Attributes
    ----------
    scale : float
        Magnification.
    grey : bool
        Whether to turn colour into luminance.
    bits : int or None
        8 or 16 to convert to; None to keep what the files have.
    greys : tuple of float, or ``"each"``, or None
        Stored values that become black and white; ``"each"`` for those of each micrograph, as
        `mstool.io.conversions.rescale_to_own_greys` has them; None to keep all.
    pixel_size_um : float or None
        Replaces what the files say [um/px].
    group_by : str or None
        Pattern that finds the specimen in a file name.
    """

    scale: float = 1.0
    grey: bool = False
    bits: int | None = None
    greys: tuple[float, float] | Literal["each"] | None = None
    pixel_size_um: float | None = None
    group_by: str | None = None


@dataclass(frozen=True)
class View:
    """A field of view: a window of a micrograph, or a tile.

    Attributes
    ----------
    name : str
        Of the micrograph, or of the tile.
    source, group : str
        Name of the micrograph, and of what it stays together with.
    window : Window
        Where it lies in the scaled micrograph; a tile is a field of its own, at (0, 0).
    image : ndarray of float32, shape (h, w, C)
        Stored pixel values.
    truth : ndarray of uint8, shape (h, w), or None
        Class indices, 255 ignored.
    pixel_size_um : float or None
        After scaling [um/px].
    extent, stored : tuple of int
        H and W of the scaled micrograph, and of the file [px]; of a tile, both are its own.
    """

    name: str
    source: str
    group: str
    window: Window
    image: np.ndarray
    truth: np.ndarray | None
    pixel_size_um: float | None
    extent: tuple[int, int]
    stored: tuple[int, int]


@dataclass(frozen=True)
class ScaledMicrograph:
    """A micrograph and its label map, read by window at a magnification.

    Attributes
    ----------
    micrograph : Micrograph
        Opened, and converted.
    labels : LabelMap or None
        Of the same size.
    scale : float
        Magnification.
    """

    micrograph: Micrograph
    labels: LabelMap | None
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width after scaling [px]."""
        sides = self.micrograph.height, self.micrograph.width
        return scaled_length(sides[0], self.scale), scaled_length(sides[1], self.scale)

    @property
    def pixel_size_um(self) -> float | None:
        """After scaling [um/px]."""
        size = self.micrograph.pixel_size_um
        return None if size is None else size / self.scale

    def read(self, window: Window) -> np.ndarray:
        """Pixels of a window, (h, w[, C]), in the type of the micrograph."""
        micrograph, shape = self.micrograph, self.shape
        if shape == (micrograph.height, micrograph.width):
            return micrograph.read(window.row, window.col, window.height, window.width)
        rows = axis_weights(micrograph.height, shape[0])
        cols = axis_weights(micrograph.width, shape[1])
        values = resample_window(micrograph.read, window, rows, cols)
        if micrograph.dtype.kind == "f":
            return values
        return np.rint(values).astype(micrograph.dtype)  # means never leave the range

    def read_labels(self, window: Window) -> np.ndarray | None:
        """Class indices of a window: uint8, (h, w), 255 ignored; None without labels."""
        return None if self.labels is None else self.labels.read(window, self.shape)


@dataclass(frozen=True)
class Member:
    """One micrograph of a set.

    Attributes
    ----------
    path : Path
        The file, or where the record of a tile folder says it lay.
    name, group : str
        File name, and what it stays together with.
    pixel_size_um : float or None
        Before scaling [um/px].
    """

    path: Path
    name: str
    group: str
    pixel_size_um: float | None = None


@dataclass(frozen=True)
class MicrographSet:
    """Micrographs that are alike, or a tile folder.

    Attributes
    ----------
    name : str
        What messages call it.
    files : SetFiles
        Where it lies.
    reading : Reading
        How it is read.
    members : tuple of Member
        At least one, in order of names.
    dtype : str
        Of stored pixel values.
    n_channels : int
        1 for grey, 3 for colour.
    pixel_size_um : float or None
        After scaling [um/px]; None where files do not say, or say different things.
    labels : LabelMaps or None
        Of micrographs; None without, and for tiles.
    tiles : TileFolder or None
        For tiles.
    levels : tuple of float, or None
        Greys of the files that are black and white as they are read; None if that is not known.
    """

    name: str
    files: SetFiles
    reading: Reading
    members: tuple[Member, ...]
    dtype: str
    n_channels: int
    pixel_size_um: float | None
    labels: LabelMaps | None = None
    tiles: TileFolder | None = None
    levels: tuple[float, float] | None = None

    @property
    def legend(self) -> Legend | None:
        """Of the label maps; None without."""
        if self.tiles is not None:
            return self.tiles.legend
        return None if self.labels is None else self.labels.legend

    @property
    def scale(self) -> float:
        """Magnification of the fields against the stored micrographs."""
        return self.reading.scale * (1.0 if self.tiles is None else self.tiles.scale)

    @property
    def has_own_greys(self) -> bool:
        """Whether the greys of each micrograph are stretched by its own."""
        if self.tiles is not None:
            return self.tiles.has_own_greys
        return self.reading.greys == OWN_GREYS

    def given(self, greys: tuple[float, ...]) -> Given:
        """What a network is told of it; `greys` are quantiles of its fields."""
        classes = None if self.legend is None else self.legend.names
        return Given(
            self.name, self.n_channels, self.dtype, classes, greys, self.pixel_size_um, self.scale,
            tuple(GivenMicrograph(one.name, self._scaled(one)) for one in self.members),
            self.levels, self.has_own_greys,
        )  # fmt: skip

    def _scaled(self, member: Member) -> float | None:
        """Pixel size of a micrograph after scaling [um/px]."""
        return self.pixel_size_um or (member.pixel_size_um and member.pixel_size_um / self.scale)

    def open(self, member: Member) -> ScaledMicrograph:
        """Open a micrograph, not of a tile folder, for reading by window."""
        micrograph = _convert(open_micrograph(member.path), self.reading, self.n_channels == 1)
        path = self.files.labels.get(member.path)
        labels = None if path is None or self.labels is None else self.labels.open(path)
        return ScaledMicrograph(micrograph, labels, self.reading.scale)

    def views(self, member: Member, size: int, most: int | None = None) -> Iterator[View]:
        """Fields of view of a micrograph.

        Parameters
        ----------
        member : Member
            The micrograph.
        size : int
            Edge of a field [px]; smaller where the micrograph is, and that of tiles for tiles.
        most : int, optional
            So many at most, spread evenly over the micrograph.
        """
        if self.tiles is not None:
            yield from self._tiles(self.tiles, member, most)
            return
        opened = self.open(member)
        stored = opened.micrograph.height, opened.micrograph.width
        for window in _spread(plan_windows(*opened.shape, size, 0), most):
            yield View(
                member.name, member.name, member.group, window, _as_view(opened.read(window)),
                opened.read_labels(window), opened.pixel_size_um, opened.shape, stored,
            )  # fmt: skip

    def content_sha256(self, member: Member) -> str:
        """Hash of the pixels, not of the file."""
        if self.tiles is not None:
            return self.tiles.sources[member.name].sha256
        return self.open(member).micrograph.content_sha256()

    def _tiles(self, folder: TileFolder, member: Member, most: int | None) -> Iterator[View]:
        for tile in _spread([t for t in folder.tiles if t.source == member.name], most):
            image, truth = folder.read(tile)
            window = Window(0, 0, tile.height, tile.width)
            extent = image.shape[0], image.shape[1]
            yield View(
                tile.id, member.name, member.group, window, _as_view(image), truth,
                self.pixel_size_um, extent, extent,
            )  # fmt: skip


def open_set(
    files: SetFiles, reading: Reading, legend: Legend | None, report: Reporter, name: str = ""
) -> MicrographSet:
    """Open a set, with all checks that any verb needs.

    Parameters
    ----------
    files : SetFiles
        From `find_set`.
    reading : Reading
        How.
    legend : Legend or None
        Of the label maps; None for one that is told by their values.
    report : Reporter
        Told what is left open: pixel sizes, odd label maps.
    name : str
        What messages call the set; its folder by default.

    Raises
    ------
    InputError
        If micrographs are of different kinds, or a label map has another size than its micrograph.
    LabelError
        As `open_label_maps`.
    UsageError
        If tiles are to be read in another way than they were cut.
    """
    if files.tiles is not None:
        return _open_tiles(files, reading, name or str(files.tiles))
    facts = [replace(open_micrograph(path), _read_rows=_forget) for path in files.images]
    is_grey = _is_grey(facts, reading)
    kinds = {_type_of(fact, reading) for fact in facts}
    if len(kinds) > 1:
        raise _mixed_types(facts, reading)
    labels = None
    if files.labels:
        labels = open_label_maps(list(files.labels.values()), legend, report)
        _check_sizes(facts, files.labels, labels)
    sizes = _note_pixel_sizes(facts, reading, report)
    return MicrographSet(
        name or str(files.images[0].parent),
        files,
        reading,
        tuple(
            Member(
                fact.path,
                fact.path.name,
                find_group(fact.path.name, reading.group_by),
                reading.pixel_size_um or fact.pixel_size_um,
            )
            for fact in facts
        ),
        kinds.pop(),
        1 if is_grey else 3,
        None if sizes is None else sizes / reading.scale,
        labels,
        levels=levels_as_read({fact.dtype.name for fact in facts}, reading.bits, reading.greys),
    )


def common_pixel_size(sizes: Sequence[float | None]) -> float | None:
    """Mean of pixel sizes that are nearly the same; None where one is missing or they differ."""
    known = sorted(size for size in sizes if size is not None)
    if not known or len(known) < len(sizes) or not is_same_size(known[-1], known[0]):
        return None
    return known[0] if known[0] == known[-1] else float(np.mean(known))


def _open_tiles(files: SetFiles, reading: Reading, name: str) -> MicrographSet:
    folder = open_tile_folder(files.tiles or Path())
    changes = (reading.scale, reading.grey, reading.bits, reading.greys)
    if changes != (1.0, False, None, None):
        raise UsageError(
            f"{folder.path}: tiles are used as they are; tile again with --scale, --grey, --bits "
            "or --rescale-greys"
        )
    if not folder.tiles:
        raise InputError(f"{folder.path}: holds no tiles; tile again")
    pattern = reading.group_by
    members = tuple(
        Member(
            folder.path / source.path,
            source.name,
            source.group if pattern is None else find_group(source.name, pattern),
            source.pixel_size_um,
        )
        for source, _ in folder.by_source()
    )
    size = reading.pixel_size_um or folder.pixel_size_um
    return MicrographSet(
        name, files, reading, members, folder.dtype, folder.n_channels, size, tiles=folder,
        levels=folder.levels,
    )  # fmt: skip


def _forget(*_) -> np.ndarray:
    raise RuntimeError("opened for its facts alone")


def _is_grey(facts: Sequence[Micrograph], reading: Reading) -> bool:
    """Whether the set is grey: as stored, as asked for, or in colour with equal channels."""
    in_colour = [fact for fact in facts if len(fact.shape) == 3]
    if reading.grey or not in_colour:
        return True
    for fact in in_colour:
        if not has_equal_channels(open_micrograph(fact.path)):
            grey = next((one for one in facts if len(one.shape) == 2), None)
            if grey is not None:
                raise InputError(
                    f"{fact.path}: is colour, {grey.path} is grey; use --grey to turn all into grey"
                )
            return False
    return True


def _convert(micrograph: Micrograph, reading: Reading, is_grey: bool) -> Micrograph:
    if len(micrograph.shape) == 3 and is_grey:
        micrograph = to_grey(micrograph) if reading.grey else take_first_channel(micrograph)
    if reading.greys == OWN_GREYS:
        micrograph = rescale_to_own_greys(micrograph, reading.bits)
    elif reading.greys is not None:
        micrograph = rescale_greys(micrograph, *reading.greys, reading.bits)
    elif reading.bits is not None:
        micrograph = to_bits(micrograph, reading.bits)
    if reading.pixel_size_um is not None:
        micrograph = replace(micrograph, pixel_size_um=reading.pixel_size_um)
    return micrograph


def _type_of(fact: Micrograph, reading: Reading) -> str:
    return fact.dtype.name if reading.bits is None else f"uint{reading.bits}"


def _mixed_types(facts: Sequence[Micrograph], reading: Reading) -> InputError:
    first = facts[0]
    other = next(fact for fact in facts if fact.dtype != first.dtype)
    bits = 16 if "uint16" in (first.dtype.name, other.dtype.name) else 8
    return InputError(
        f"{other.path}: pixels are {other.dtype}, those of {first.path} are {first.dtype}; give "
        f"--bits {bits} to make them alike, or tile them apart"
    )


def _check_sizes(facts: Sequence[Micrograph], pairs: dict[Path, Path], labels: LabelMaps) -> None:
    for fact in facts:
        height, width = labels.census[pairs[fact.path]].shape
        if (height, width) != (fact.height, fact.width):
            raise InputError(
                f"{pairs[fact.path]}: is {height} x {width} pixels, its micrograph "
                f"{fact.path.name} is {fact.height} x {fact.width}; save the label map in the same "
                "size"
            )


def _note_pixel_sizes(
    facts: Sequence[Micrograph], reading: Reading, report: Reporter
) -> float | None:
    """Pixel size before scaling that all share; says so where files say something else."""
    if reading.pixel_size_um is not None:
        return reading.pixel_size_um
    doubtful = [fact for fact in facts if fact.doubt]
    if doubtful:
        more = f" (and {len(doubtful) - 1} more)" if len(doubtful) > 1 else ""
        report.note(
            f"{doubtful[0].path}{more}: {doubtful[0].doubt}; give --pixel-size if it matters"
        )
    sizes = [fact.pixel_size_um for fact in facts]
    size = common_pixel_size(sizes)
    if size is None and any(sizes):
        known = sorted({f"{one:.4g}" for one in sizes if one})
        lack = " or none" if None in sizes else ""
        report.note(f"pixel sizes differ ({', '.join(known[:3])}{lack} um/px); left as they are")
    return size


def _spread(items: Sequence, most: int | None) -> Sequence:
    """At most so many, spread evenly."""
    if most is None or len(items) <= most:
        return items
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _as_view(values: np.ndarray) -> np.ndarray:
    return (values[..., None] if values.ndim == 2 else values).astype(np.float32)
