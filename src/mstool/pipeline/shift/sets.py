"""Two sets of micrographs, read alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.io.images import open_micrograph
from mstool.io.records import read_record
from mstool.io.tiles import (
    MANIFEST,
    TILES_RECORD,
    read_manifest,
    read_sources,
    read_tile_image,
    read_tile_labels,
)
from mstool.labels.legend import IGNORE_INDEX, Legend
from mstool.pipeline.inputs import list_images, pair_labels
from mstool.pipeline.label_maps import read_legend
from mstool.pipeline.windows import windows_of
from mstool.reporting import Reporter
from mstool.shift.grey_levels import extent_of
from mstool.splits.groups import group_of

_SAME_SIZE = 0.02  # pixel sizes closer than this are the same


@dataclass(frozen=True)
class SetInputs:
    """Where a set comes from.

    Attributes
    ----------
    name : str
        ``source`` or ``target``.
    images : tuple of Path
        Micrographs; empty for a tile folder.
    tiles : Path or None
        Tile folder.
    labels : dict of Path to Path
        Label map of each micrograph; empty without.
    """

    name: str
    images: tuple[Path, ...]
    tiles: Path | None
    labels: dict[Path, Path]

    def files(self) -> list[Path]:
        """Every file that decides the result."""
        if self.tiles is not None:
            return [self.tiles / TILES_RECORD, self.tiles / MANIFEST]
        return [*self.images, *self.labels.values()]


@dataclass(frozen=True)
class Sample:
    """A micrograph: the unit of all statistics, unless several are of one specimen.

    Attributes
    ----------
    name, group : str
        File name, and what it shares with others of the same specimen.
    sha256 : str
        Of the content.
    fields : tuple of ndarray of float32, shape (h, w, C)
        Fields of view, in stored pixel values.
    truths : tuple of ndarray of uint8, shape (h, w), or None
        Of each field: class indices, 255 ignored.
    extent : tuple of float
        Stored values that all but a ten-thousandth of the pixels lie above and below, over the
        whole micrograph.
    """

    name: str
    group: str
    sha256: str
    fields: tuple[np.ndarray, ...]
    truths: tuple[np.ndarray | None, ...]
    extent: tuple[float, float]

    @property
    def has_truth(self) -> bool:
        """Whether every field has labels."""
        return all(truth is not None for truth in self.truths)


@dataclass(frozen=True)
class MicrographSet:
    """A set as it was read.

    Attributes
    ----------
    name : str
        ``source`` or ``target``.
    samples : tuple of Sample
        At least one.
    dtype : str
        Of stored pixel values.
    pixel_size_um : float or None
        Of the fields [um/px]; None where files do not say, or say different things.
    """

    name: str
    samples: tuple[Sample, ...]
    dtype: str
    pixel_size_um: float | None

    @property
    def groups(self) -> list[str]:
        """Group of each sample."""
        return [sample.group for sample in self.samples]


@dataclass(frozen=True)
class ReadPlan:
    """How sets are read.

    Attributes
    ----------
    size : int
        Edge of a field of view [px].
    fields : int
        Fields of each micrograph, at most.
    scale : float
        Magnification of both sets.
    group_by : str or None
        Regular expression that finds the specimen in a file name.
    grey : bool
        Whether colour is turned to grey.
    pixel_size_um : float or None
        Of both, instead of what files say [um/px].
    """

    size: int
    fields: int
    scale: float
    group_by: str | None
    grey: bool
    pixel_size_um: float | None


def find_set(
    name: str,
    operand: Path,
    labels: Sequence[Path] | None,
    label_suffix: str,
    report: Reporter,
) -> SetInputs:
    """Files of a set: a folder of micrographs, a single one, or a tile folder.

    Raises
    ------
    UsageError
        If labels are given for a tile folder, which has its own.
    MissingInputError, InputError
        If there are none.
    """
    if (operand / TILES_RECORD).is_file():
        if labels:
            raise UsageError(f"--{name}-labels: {operand} is a tile folder, which has its own")
        return SetInputs(name, (), operand, {})
    paths = list_images([operand], report)
    pairs = pair_labels(paths, labels, label_suffix, report) if labels else {}
    return SetInputs(name, tuple(paths), None, pairs)


def read_sets(
    source: SetInputs, target: SetInputs, legend: Legend | None, how: ReadPlan, report: Reporter
) -> tuple[MicrographSet, MicrographSet]:
    """Read both sets; the target at the pixel size of the source where both are known.

    Raises
    ------
    InputError
        If their pixels are of different kinds.
    """
    first = _read_set(source, legend, how, 1.0, report)
    factor = 1.0
    theirs = _pixel_size(target, how)
    if how.pixel_size_um is None and first.pixel_size_um and theirs:
        wanted = theirs / how.scale / first.pixel_size_um
        if abs(wanted - 1) > _SAME_SIZE:
            factor = wanted
            report.note(
                f"the target has {theirs / how.scale:.4g} um/px, the source "
                f"{first.pixel_size_um:.4g}: the target is magnified {factor:.3g} times"
            )
    second = _read_set(target, legend, how, factor, report)
    _check_alike(first, second)
    return first, second


def _read_set(
    inputs: SetInputs, legend: Legend | None, how: ReadPlan, factor: float, report: Reporter
) -> MicrographSet:
    samples, dtypes, sizes = [], set(), set()
    found = _from_tiles(inputs, how, factor) if inputs.tiles else _from_images(
        inputs, legend, how, factor
    )  # fmt: skip
    total = len(inputs.images) or 1
    with report.progress(f"reading the {inputs.name}", total) as advance:
        for sample, dtype, pixel_size_um in found:
            samples.append(sample)
            dtypes.add(dtype)
            sizes.add(pixel_size_um)
            advance(1)
    if len(dtypes) > 1:
        raise InputError(
            f"the {inputs.name} mixes pixels of {', '.join(sorted(dtypes))}; save them alike"
        )
    if len({sample.fields[0].shape[2] for sample in samples}) > 1:
        raise InputError(f"the {inputs.name} mixes grey and colour; give --grey")
    pixel_size = _common_size(sizes)
    if pixel_size is None and sizes != {None}:
        report.note(f"the {inputs.name} has several pixel sizes; they are left as they are")
    _check_labelled(inputs, samples)
    return MicrographSet(inputs.name, tuple(samples), dtypes.pop(), pixel_size)


def _common_size(sizes: set[float | None]) -> float | None:
    """Mean of pixel sizes that are nearly the same; None where one is missing or they differ."""
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes) or max(known) > min(known) * (1 + _SAME_SIZE):
        return None
    return float(np.mean(sorted(known)))


def _check_labelled(inputs: SetInputs, samples: Sequence[Sample]) -> None:
    truths = [truth for sample in samples for truth in sample.truths if truth is not None]
    if truths and all((truth == IGNORE_INDEX).all() for truth in truths):
        raise InputError(
            f"the label maps of the {inputs.name} leave every pixel out; give the legend that "
            "names their values, or compare without labels"
        )


def _from_images(
    inputs: SetInputs, legend: Legend | None, how: ReadPlan, factor: float
) -> Iterator[tuple[Sample, str, float | None]]:
    for path in inputs.images:
        micrograph = open_micrograph(path, how.pixel_size_um, how.grey)
        scale = how.scale * factor
        rows = list(
            windows_of(micrograph, inputs.labels.get(path), legend, how.size, scale, how.fields)
        )
        sample = Sample(
            path.name,
            group_of(path.name, how.group_by),
            micrograph.content_sha256(),
            tuple(row[0] for row in rows),
            tuple(row[1] for row in rows),
            (0, 255) if micrograph.dtype == np.uint8 else extent_of(micrograph.read()),
        )
        _check_edge(sample)
        yield sample, micrograph.dtype.name, rows[0][3]


def _from_tiles(
    inputs: SetInputs, how: ReadPlan, factor: float
) -> Iterator[tuple[Sample, str, float | None]]:
    folder = inputs.tiles or Path("tiles")
    record = read_record(folder / TILES_RECORD)
    if how.scale != 1 or how.grey:
        raise UsageError(f"{folder}: tiles are used as they are; tile again with --scale or --grey")
    if factor != 1:
        raise InputError(
            f"{folder}: has another pixel size than the source; tile again with "
            f"--scale {record['settings']['scale'] * factor:.4g}"
        )
    sources = read_sources(folder / TILES_RECORD)
    tiles: dict[str, list] = {}
    for tile in read_manifest(folder):
        tiles.setdefault(tile.source, []).append(tile)
    if not tiles:
        raise InputError(f"{folder}: holds no tiles; tile again")
    for name, rows in tiles.items():
        spread = np.linspace(0, len(rows) - 1, min(len(rows), how.fields)).round().astype(int)
        chosen = [rows[index] for index in spread]
        cuts = [(slice(0, tile.height), slice(0, tile.width)) for tile in chosen]
        images = [
            read_tile_image(folder, tile)[cut] for tile, cut in zip(chosen, cuts, strict=True)
        ]
        truths = [
            None if tile.counts is None else read_tile_labels(folder, tile)[cut]
            for tile, cut in zip(chosen, cuts, strict=True)
        ]
        fields = tuple(
            (image[..., None] if image.ndim == 2 else image).astype(np.float32) for image in images
        )
        group = sources[name].group if how.group_by is None else group_of(name, how.group_by)
        extent = extent_of(np.concatenate([field.ravel() for field in fields]))
        sample = Sample(name, group, sources[name].sha256, fields, tuple(truths), extent)
        _check_edge(sample)
        yield sample, record["dtype"], how.pixel_size_um or record["pixel_size_um"]


def _pixel_size(inputs: SetInputs, how: ReadPlan) -> float | None:
    """Pixel size that the files of a set agree on, before scaling [um/px]."""
    if inputs.tiles is not None:
        return read_record(inputs.tiles / TILES_RECORD)["pixel_size_um"]
    sizes = {open_micrograph(path, None, how.grey).pixel_size_um for path in inputs.images}
    return _common_size(sizes)


def _check_edge(sample: Sample) -> None:
    if min(sample.fields[0].shape[:2]) < 32:
        raise InputError(
            f"{sample.name}: is smaller than 32 pixels, of which nothing can be said; leave it out"
        )


def _check_alike(source: MicrographSet, target: MicrographSet) -> None:
    if source.dtype != target.dtype:
        raise InputError(
            f"the source has {source.dtype} pixels, the target {target.dtype}; save them alike"
        )
    ours, theirs = (one.samples[0].fields[0].shape[2] for one in (source, target))
    if ours != theirs:
        raise InputError(f"the source has {ours} channels, the target {theirs}; give --grey")


def check_labels_fit(inputs: Sequence[SetInputs], classes: Sequence[str], legend: Legend | None):
    """Refuse labels whose classes are not those of the model.

    Raises
    ------
    InputError
        Naming both.
    """
    for one in inputs:
        path = (one.tiles or Path()) / "legend.toml"
        own = read_legend(path) if one.tiles and path.is_file() else legend
        if own is not None and (one.labels or one.tiles) and tuple(own.names) != tuple(classes):
            remedy = "tile again with --legend, that" if one.tiles else "give the legend that"
            raise InputError(
                f"the {one.name} has classes {', '.join(own.names)}, the model has "
                f"{', '.join(classes)}; {remedy} it was trained with"
            )
