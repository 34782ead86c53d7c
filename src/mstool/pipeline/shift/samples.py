"""Two sets of micrographs as samples of fields of view, read alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.io.records import relative_to
from mstool.labels.legend import IGNORE_INDEX, Legend
from mstool.micrographs.find import Naming, SetFiles, find_set
from mstool.micrographs.grey_range import describe_greys, sample_greys
from mstool.micrographs.label_sets import open_label_maps
from mstool.micrographs.needs import Needs, check_needs, is_same_size
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.micrographs.sets import Member, MicrographSet, Reading, open_set
from mstool.reporting import Reporter
from mstool.shift.grey_levels import extent_of

_LEAST_PX = 32


@dataclass(frozen=True)
class Sample:
    """A micrograph: the unit of all statistics, unless several are of one specimen."""

    name: str
    group: str
    sha256: str  # of the content
    fields: tuple[np.ndarray, ...]  # of view, in stored values: float32 (h, w, C)
    truths: tuple[np.ndarray | None, ...]  # labels of each field
    extent: tuple[float, float]  # from `extent_of`, over the whole micrograph
    shape: tuple[int, int]  # of the micrograph as it is read, or of its tiles [px]

    @property
    def is_whole(self) -> bool:
        """Whether a field is all of the micrograph, or all of a tile."""
        return self.fields[0].shape[:2] == self.shape

    @property
    def has_truth(self) -> bool:
        """Whether every field has labels."""
        return all(truth is not None for truth in self.truths)


@dataclass(frozen=True)
class SampledSet:
    """A set, and its micrographs as samples, of which there is at least one."""

    name: str  # source or target
    opened: MicrographSet  # where it comes from
    samples: tuple[Sample, ...]

    @property
    def dtype(self) -> str:
        """Of stored pixel values."""
        return self.opened.dtype

    @property
    def pixel_size_um(self) -> float | None:
        """Of the fields [um/px]; None where files do not say, or say different things."""
        return self.opened.pixel_size_um

    @property
    def groups(self) -> list[str]:
        """Group of each sample."""
        return [sample.group for sample in self.samples]

    @property
    def names(self) -> list[str]:
        """File name of each sample."""
        return [sample.name for sample in self.samples]

    @property
    def fields(self) -> list[np.ndarray]:
        """Fields of view of all samples."""
        return [field for sample in self.samples for field in sample.fields]

    @property
    def has_all_truths(self) -> bool:
        """Whether every sample has labels."""
        return all(sample.has_truth for sample in self.samples)


def find_sets(
    operands: tuple[Path, Path],
    labels: tuple[Sequence[Path] | None, Sequence[Path] | None],
    naming: Naming,
    report: Reporter,
) -> tuple[SetFiles, SetFiles]:
    """Files of both sets.

    Raises
    ------
    UsageError
        If both are the same.
    """
    if operands[0].resolve() == operands[1].resolve():
        raise UsageError(f"{operands[1]}: is the source too; name another folder as the target")
    first, second = (
        find_set([operand], own, naming, report, f"--{name}-labels")
        for name, operand, own in zip(("source", "target"), operands, labels, strict=True)
    )
    return first, second


def name_sides(files: tuple[SetFiles, SetFiles], out: Path) -> dict[str, list[str]]:
    """Micrographs and label maps of either side, by paths relative to `out`.

    They are a part of what is asked: swapped sides have the same files, and another answer.
    """
    sides = {}
    for name, one in zip(("source", "target"), files, strict=True):
        labels = list(one.labels.values())
        micrographs = one.images or one.files()
        for key, paths in ((name, micrographs), (f"{name}_labels", labels)):
            sides[key] = [relative_to(path, out) for path in paths]
    return sides


def read_sets(
    files: tuple[SetFiles, SetFiles],
    legend: Legend | None,
    reading: Reading,
    needs: Sequence[Needs],
    size: int,
    most: int,
    report: Reporter,
) -> tuple[SampledSet, SampledSet]:
    """Read both sets; the target at the pixel size of the source where both are known.

    Parameters
    ----------
    files, reading
        Where and how.
    legend : Legend or None
        Of the label maps; None for one that the values of all of them tell.
    needs : sequence of Needs
        Of the network, if there is one.
    size, most : int
        Edge of a field of view [px], and fields of each micrograph at most.

    Raises
    ------
    InputError
        If their pixels are of different kinds, or such that the network cannot take them.
    """
    maps = [path for one in files for path in one.labels.values()]
    if legend is None and maps:
        legend = open_label_maps(maps, None, Reporter()).legend
    source, target = (
        open_set(one, reading, legend, report, f"the {name}")
        for one, name in zip(files, ("source", "target"), strict=True)
    )
    target = _match_pixel_size(source, target, report)
    _check_alike(source, target)
    sets = _sample(source, size, most, report), _sample(target, size, most, report)
    for one in sets:
        greys = describe_greys(map(sample_greys, one.fields))
        check_needs(needs, one.opened.given(greys), report)
    return sets


def _match_pixel_size(
    source: MicrographSet, target: MicrographSet, report: Reporter
) -> MicrographSet:
    """Target magnified to the pixel size of the source, where both are known and differ."""
    ours, theirs = source.pixel_size_um, target.pixel_size_um
    if not ours or not theirs or is_same_size(ours, theirs):
        return target
    factor = theirs / ours
    if target.tiles is not None:
        raise InputError(
            f"{target.tiles.path}: has another pixel size than the source; tile again with "
            f"--scale {target.scale * factor:.4g}"
        )
    report.note(
        f"the target has {theirs:.4g} um/px, the source {ours:.4g}: the target is magnified "
        f"{factor:.3g} times"
    )
    magnified = replace(target.reading, scale=target.reading.scale * factor)
    return replace(target, reading=magnified, pixel_size_um=ours)


def _check_alike(source: MicrographSet, target: MicrographSet) -> None:
    if source.dtype != target.dtype:
        raise InputError(
            f"the source has {source.dtype} pixels, the target {target.dtype}; mstool tile --bits "
            f"{8 if source.dtype == 'uint8' else 16} makes them alike"
        )
    if source.has_own_greys != target.has_own_greys:
        one, other = (source, target) if source.has_own_greys else (target, source)
        raise InputError(
            f"{one.name} has greys by mstool tile --rescale-greys {OWN_GREYS}, {other.name} has "
            "not; tile both alike"
        )
    if source.n_channels != target.n_channels:
        raise InputError(
            f"the source has {source.n_channels} channels, the target {target.n_channels}; give "
            "--grey"
        )
    ours, theirs = source.legend, target.legend
    if ours is not None and theirs is not None and ours.names != theirs.names:
        raise InputError(
            f"the source has the classes {', '.join(ours.names)}, the target "
            f"{', '.join(theirs.names)}; read both through one legend (--legend or --classes), "
            "tiles when they are cut"
        )


def _sample(opened: MicrographSet, size: int, most: int, report: Reporter) -> SampledSet:
    samples = []
    with report.progress(f"reading {opened.name}", len(opened.members)) as advance:
        for member in opened.members:
            samples.append(_sample_member(opened, member, size, most))
            advance(1, member.name)
    truths = [truth for sample in samples for truth in sample.truths if truth is not None]
    if truths and all((truth == IGNORE_INDEX).all() for truth in truths):
        raise InputError(
            f"the label maps of {opened.name} leave every pixel out; give the legend that names "
            "their values, or compare without labels"
        )
    return SampledSet(opened.name.removeprefix("the "), opened, tuple(samples))


def _sample_member(opened: MicrographSet, member: Member, size: int, most: int) -> Sample:
    fields = list(opened.views(member, size, most))
    if min(fields[0].image.shape[:2]) < _LEAST_PX:
        raise InputError(
            f"{member.name}: is smaller than {_LEAST_PX} pixels, of which nothing can be said; "
            "leave it out"
        )
    if opened.dtype == "uint8":
        extent = 0.0, 255.0
    elif opened.tiles is not None:
        extent = extent_of(np.concatenate([field.image.ravel() for field in fields]))
    else:
        extent = extent_of(opened.open(member).micrograph.read())
    return Sample(
        member.name,
        member.group,
        opened.content_sha256(member),
        tuple(field.image for field in fields),
        tuple(field.truth for field in fields),
        extent,
        fields[0].image.shape[:2] if opened.tiles is not None else opened.open(member).shape,
    )
