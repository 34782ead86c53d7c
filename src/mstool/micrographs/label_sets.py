"""Label maps of a set: counted once, and refused where they contradict each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mstool.errors import LabelError
from mstool.io.images import open_label_values
from mstool.labels.encode import encode_labels, erased_pixels
from mstool.labels.legend import (
    IGNORE_INDEX,
    Legend,
    legend_from_values,
    parse_classes,
)
from mstool.micrographs.label_maps import LabelMap, named, open_label_map
from mstool.reporting import Reporter

_ANY_VALUE = parse_classes("any=*")


@dataclass(frozen=True)
class Census:
    """Pixels of one label map.

    Attributes
    ----------
    shape : tuple of int
        Height and width [px].
    counts : tuple of int
        Of each class.
    n_ignored : int
        Left out.
    n_erased : int
        Transparent, which are among the class ``"*"``.
    """

    shape: tuple[int, int]
    counts: tuple[int, ...]
    n_ignored: int
    n_erased: int


@dataclass(frozen=True)
class LabelMaps:
    """A set of label maps that agree with each other.

    Attributes
    ----------
    legend : Legend
        That all are read through.
    census : dict of Path to Census
        By file.
    """

    legend: Legend
    census: dict[Path, Census]

    def open(self, path: Path) -> LabelMap:
        """Open one of them."""
        return open_label_map(path, self.legend)


def open_label_maps(
    paths: Sequence[Path], legend: Legend | None, report: Reporter, beside: Sequence[Path] = ()
) -> LabelMaps:
    """Read a set of label maps once, and refuse what would be read wrongly in silence.

    Parameters
    ----------
    paths : sequence of Path
        Label maps.
    legend : Legend or None
        None for one that is told by the values that occur.
    report : Reporter
        Told what counts in a way that one might not expect.
    beside : sequence of Path
        More label maps that must agree with these, such as masks to be scored.

    Raises
    ------
    LabelError
        If a value means nothing; if 255 is left out by custom, and a map looks like a yes/no mask;
        if colour tables, or whether zero is black or white, differ between maps that are read by
        value.
    """
    both = [*paths, *beside]
    surveys = [_survey(path, legend) for path in both]
    if legend is None:
        legend = _legend_of(surveys)
    if not legend.is_colour:
        _refuse_other_tables(surveys)
        legend = _keep_grain_255(surveys, legend, report)
    census = {one.path: _count(one, legend) for one in surveys}
    _refuse_yes_no(census, legend, set(paths))
    _note_erased(census, legend, report)
    return LabelMaps(legend, {path: census[path] for path in paths})


def list_class_lines(maps: LabelMaps) -> list[str]:
    """A line a class: its pixels, its share, and the label maps it is in; then what is left out."""
    counts = np.array([one.counts for one in maps.census.values()])
    n_labelled = max(1, int(counts.sum()))
    lines = [
        f"{name}: {column.sum()} pixels ({column.sum() / n_labelled:.1%}) in "
        f"{np.count_nonzero(column)} of {len(counts)} label maps"
        for name, column in zip(maps.legend.names, counts.T, strict=True)
    ]
    if n_ignored := sum(one.n_ignored for one in maps.census.values()):
        lines.append(f"left out: {n_ignored} pixels")
    return lines


def list_class_doubts(maps: LabelMaps) -> list[str]:
    """What is odd about label maps to learn from: classes without a pixel, or one class alone."""
    doubts = list_absent_classes(maps)
    if len(maps.legend.classes) - len(doubts) < 2:
        doubts.append("warning: all label maps hold one class, or none; there is nothing to learn")
    return doubts


def list_absent_classes(maps: LabelMaps) -> list[str]:
    """A warning for each class without a pixel, whose value may be mistyped."""
    totals = np.array([one.counts for one in maps.census.values()]).sum(axis=0)
    return [
        f"warning: class {phase.name!r} is in no label map; is its value {phase.value} right?"
        for phase, n in zip(maps.legend.classes, totals, strict=True)
        if not n
    ]


def list_map_lines(maps: LabelMaps) -> list[str]:
    """A line for each label map that lacks a class, or in which pixels are left out."""
    lines = []
    for path, one in maps.census.items():
        pairs = list(zip(maps.legend.names, one.counts, strict=True))
        absent = [name for name, n in pairs if not n]
        words = []
        if len(pairs) - len(absent) == 1:
            words.append(f"holds {next(name for name, n in pairs if n)} alone")
        elif absent:
            words.append(f"holds no {', no '.join(absent)}")
        if one.n_ignored:
            words.append(f"{one.n_ignored} pixels are left out")
        if words:
            lines.append(f"{path}: {'; '.join(words)}")
    return lines


@dataclass(frozen=True)
class _Survey:
    """What one pass over a label map has shown.

    `counts` are pixels by value; None for colours, and for values with alpha.
    """

    path: Path
    counts: dict[int, int] | None
    largest: float
    is_in_colour: bool
    palette: np.ndarray | None
    is_white_zero: bool


def _survey(path: Path, legend: Legend | None) -> _Survey:
    is_colour = legend is not None and legend.is_colour
    values = open_label_values(path, expand_palette=is_colour)
    counts: dict[int, int] | None = None
    largest = 0.0
    if len(values.shape) == 2 and not is_colour:
        counts = {}
        n_rows = 0
        for band in values.bands():
            for value, n in _count_values(band, path, n_rows):
                counts[value] = counts.get(value, 0) + n
            n_rows += len(band)
        largest = max(counts, default=0)
    return _Survey(
        path, counts, largest, len(values.shape) == 3 and values.shape[2] > 2,
        values.palette, values.is_white_zero,
    )  # fmt: skip


def _count_values(band: np.ndarray, path: Path, row: int) -> Iterator[tuple[int, int]]:
    """Values of whole rows, the first at `row`, and their pixels."""
    if band.dtype in (np.uint8, np.uint16):
        counts = np.bincount(band.ravel())
        distinct = np.flatnonzero(counts)
        counts = counts[distinct]
    else:
        distinct, counts = np.unique(band, return_counts=True)
    if band.dtype.kind == "f":
        with named(path):  # refuses fractions, naming the place
            encode_labels(band, _ANY_VALUE, (row, 0))
    return zip(map(int, distinct), map(int, counts), strict=True)


def _legend_of(surveys: Sequence[_Survey]) -> Legend:
    for one in surveys:
        if one.counts is None:
            kind, phase = "is in colours", "#0000ff"
            if not one.is_in_colour:
                kind, phase = "has transparent pixels, which count as the rest", "1"
            raise LabelError(
                f"{one.path}: {kind}; name the classes, e.g. --classes 'rest=*,phase={phase}'"
            )
    with named(max(surveys, key=lambda one: one.largest).path):
        return legend_from_values(set().union(*(one.counts for one in surveys)))


def _refuse_other_tables(surveys: Sequence[_Survey]) -> None:
    """Refuse values that look different in different files: they may not mean the same."""
    seen: dict[int, tuple[tuple[int, ...], Path]] = {}
    for one in surveys:
        if one.palette is None or one.counts is None:
            continue
        for value in (value for value in one.counts if value < len(one.palette)):
            colour = tuple(one.palette[value].tolist())
            other_colour, other = seen.setdefault(value, (colour, one.path))
            if colour != other_colour:
                raise LabelError(
                    f"{one.path}: value {value} has the colour {_hex(colour)}, and in {other} "
                    f"{_hex(other_colour)}; name the classes by colour, e.g. --classes "
                    f"a={_hex(other_colour)},b={_hex(colour)}"
                )
    by_zero = {one.is_white_zero: one.path for one in surveys if one.palette is None}
    if len(by_zero) == 2:
        raise LabelError(
            f"{by_zero[True]}: zero is white, and in {by_zero[False]} black; save all label maps "
            "alike"
        )


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + bytes(colour).hex()


def _keep_grain_255(surveys: Sequence[_Survey], legend: Legend, report: Reporter) -> Legend:
    """Where values go beyond 255 they are numbers of grains, and so is 255, unless it is named."""
    beyond = [one for one in surveys if one.largest > IGNORE_INDEX]
    if legend.is_ignore_given or IGNORE_INDEX not in legend.ignore or not beyond:
        return legend
    if any(one.counts is not None and IGNORE_INDEX in one.counts for one in surveys):
        report.note(
            f"{beyond[0].path}: values go up to {beyond[0].largest}, so 255 is taken for one of "
            "them and not left out; add ignore=255 to --classes if it is to be"
        )
    return replace(legend, ignore=())


def _count(survey: _Survey, legend: Legend) -> Census:
    """Pixels of each class; by value where they are counted, else through the legend."""
    label_map = open_label_map(survey.path, legend)
    counts, n_erased = np.zeros(256, np.int64), 0
    if survey.counts is not None:
        try:
            codes = encode_labels(np.array([list(survey.counts)]), legend)[0]
        except LabelError:
            codes = []
        for code, n in zip(codes, survey.counts.values(), strict=False):
            counts[code] += n
    if not counts.any():  # colours, or a value that means nothing, whose place is told
        for window in label_map.bands():
            counts += np.bincount(label_map.read(window).ravel(), minlength=256)
            raw = label_map.values.read(window.row, window.col, window.height, window.width)
            is_erased = erased_pixels(raw)
            n_erased += 0 if is_erased is None else int(np.count_nonzero(is_erased))
    by_class = tuple(counts[: len(legend.classes)].tolist())
    return Census(label_map.shape, by_class, int(counts[IGNORE_INDEX]), n_erased)


def _refuse_yes_no(census: dict[Path, Census], legend: Legend, paths: set[Path]) -> None:
    """Refuse a map of one class and 255 where 255 is left out by custom: it may be the phase."""
    is_by_custom = legend.ignore == (IGNORE_INDEX,) and not legend.is_ignore_given
    if legend.is_colour or not is_by_custom or len(legend.classes) > 2:
        return
    n_present = {path: sum(n > 0 for n in one.counts) for path, one in census.items()}
    others = [path for path, n in n_present.items() if n > 1]
    for path, one in census.items():
        is_blank = n_present[path] == 0 and not paths.isdisjoint(others)
        if one.n_ignored and (n_present[path] == 1 or is_blank):
            remedy = "name its classes, e.g. --classes background=0,phase=255"
            if others:
                remedy = f"save it like {others[0]}"
            raise LabelError(
                f"{path}: looks like a yes/no mask whose 255 would be left out; {remedy}, or add "
                "ignore=255 to --classes if it is meant so"
            )


def _note_erased(census: dict[Path, Census], legend: Legend, report: Reporter) -> None:
    for path, one in census.items():
        if one.n_erased == one.shape[0] * one.shape[1]:
            raise LabelError(f"{path}: is transparent all over; save it without transparency")
    erased = [path for path, one in census.items() if one.n_erased]
    if erased:
        n_pixels = sum(one.n_erased for one in census.values())
        report.note(
            f"{n_pixels} transparent pixels in {len(erased)} label maps count as "
            f"{legend.names[legend.rest]!r}, whatever colour they keep: {erased[0].name} ..."
        )
