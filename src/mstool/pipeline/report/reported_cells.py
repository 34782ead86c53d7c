"""Which cells a report is of: those of records that were named, or those of a plan."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mstool.design.cells import Cell
from mstool.design.jobs import list_jobs
from mstool.errors import InputError, UsageError
from mstool.io.records import read_record
from mstool.io.tiles import STITCH_RECORD, TILES_RECORD
from mstool.pipeline.report.origins import Origins, Step, trace_origins
from mstool.pipeline.report.planned_commands import Parse, list_others
from mstool.pipeline.study.plan_file import Study
from mstool.reports.scored_cell import ScoredCell, scored_cell

KINDS = {  # what tells the records apart that a report reads
    "score": ("pooled", "per_image", "classes", "baselines"),
    "explain": ("verdict", "methods", "sanity"),
    "domain-shift": ("verdict", "estimates", "chosen"),
}


@dataclass(frozen=True)
class FoundRecord:
    """A record of explain or domain-shift, and the cell that it is of."""

    path: Path
    record: dict[str, Any]
    cell: str


@dataclass(frozen=True)
class ReportedCell:
    """A cell, and its score where there is one.

    Attributes
    ----------
    name, data : str
        Of the cell, and of its data set; of records without a plan the data set has no name.
    levels : dict
        Level by factor.
    differs : tuple of str
        Factors in which it differs from the base of the plan.
    path : Path
        Its score record.
    record : dict or None
        What that says; None where it is missing.
    scored : ScoredCell or None
        The same as arrays.
    origins : Origins or None
        What it was made from.
    others : tuple of Path
        Records among these, or of its tiles, that are of other commands than the plan has now.
    """

    name: str
    data: str
    levels: dict[str, str]
    differs: tuple[str, ...]
    path: Path
    record: dict[str, Any] | None
    scored: ScoredCell | None = None
    origins: Origins | None = None
    others: tuple[Path, ...] = ()

    def differs_from(self, base: "ReportedCell") -> tuple[str, ...]:
        """Factors in which it differs from the base of the report, which may not be the plan's."""
        return tuple(name for name, level in self.levels.items() if level != base.levels[name])

    def label_beside(self, base: "ReportedCell") -> str:
        """What the report calls it, within its data set: how it differs from the base there."""
        if not self.levels:
            return self.name
        told = self.differs if self is base else self.differs_from(base)
        return ", ".join(f"{name} {self.levels[name]}" for name in told) or "base"


@dataclass(frozen=True)
class Findings:
    """Everything that a report reads."""

    cells: tuple[ReportedCell, ...]
    explanations: tuple[FoundRecord, ...] = ()
    shifts: tuple[FoundRecord, ...] = ()
    factors: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)  # that were read, and decide the report


def find_study(study: Study, parse: Parse | None = None) -> Findings:
    """Cells of a plan, with the records that are there.

    Parameters
    ----------
    parse : callable, optional
        Reads command lines, so that those of the records are held against those of the plan.

    Raises
    ------
    InputError
        If a record is damaged.
    """
    files = [study.path]
    cells = tuple(_planned_cell(cell, study.folder, files) for cell in study.cells)
    if parse is not None:
        cells = tuple(
            _with_others(found, study, cell, parse)
            for found, cell in zip(cells, study.cells, strict=True)
        )
    explanations = _beside(study.cells, study.folder, "explain", files)
    shifts = _beside(study.cells, study.folder, "domain-shift", files)
    factors = tuple(factor.name for factor in study.plan.factors)
    return Findings(cells, explanations, shifts, factors, files)


def find_records(paths: Sequence[Path]) -> Findings:
    """Cells of score records, each named by as much of its path as tells it from the others.

    Raises
    ------
    UsageError
        If none of them is a score record, or one is named twice.
    InputError
        If one is of no kind that a report reads, or damaged.
    MissingInputError
        If one is not there.
    """
    known = [(path, *_read(path)) for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError("a record is named twice; name each once")
    names = dict(zip(paths, short_names(paths), strict=True))
    cells = tuple(
        _scored(names[path], "", {}, (), path, record)
        for path, kind, record in known
        if kind == "score"
    )
    if not cells:
        raise UsageError("no score record is named; give what mstool score wrote")
    others = {
        wanted: tuple(
            FoundRecord(path, record, names[path]) for path, kind, record in known if kind == wanted
        )
        for wanted in ("explain", "domain-shift")
    }
    return Findings(cells, others["explain"], others["domain-shift"], (), [*paths])


def short_names(paths: Sequence[Path]) -> list[str]:
    """Last parts of paths, without suffix, as many as tell them apart.

    Examples
    --------
    >>> short_names([Path("a/score.json"), Path("b/score.json")])
    ['a/score', 'b/score']
    """
    parts = [Path(os.path.normpath(path.absolute())).with_suffix("").parts for path in paths]
    for n_parts in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-n_parts:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [path.as_posix() for path in paths]


def _planned_cell(cell: Cell, folder: Path, files: list[Path]) -> ReportedCell:
    path = folder / cell.score
    settled = cell.name, cell.data, dict(cell.levels), cell.differs, path
    if not path.is_file():
        return ReportedCell(*settled, None)
    files.append(path)
    kind, record = _read(path)
    if kind != "score":
        raise InputError(f"{path}: no record of mstool score; make it again")
    if record.get("calibration") is None and len(cell.seeds) > 1:
        record = record | {"calibration": _calibration_of_first(cell, folder, record, files)}
    return _scored(*settled, record)


def _with_others(found: ReportedCell, study: Study, cell: Cell, parse: Parse) -> ReportedCell:
    """The same cell, with the records behind it that are not of the plan as it is now."""
    if found.record is None or found.origins is None:
        return found
    steps = [*found.origins.steps, Step("score", found.path, found.record, 0)]
    for folder in dict.fromkeys((cell.tiles, cell.whole_tiles)):
        path = study.folder / folder / TILES_RECORD
        if path.is_file():
            steps.append(Step("tile", path, read_record(path, "tile"), 0))
    return replace(found, others=list_others(list_jobs(study.plan, [cell]), steps, parse))


def _calibration_of_first(
    cell: Cell, folder: Path, record: Mapping[str, Any], files: list[Path]
) -> dict[str, Any] | None:
    """Calibration of the first seed, since probabilities are scored seed by seed.

    None if the masks of that score are no longer those of the record of all seeds.
    """
    path = folder / cell.seed_score(cell.seeds[0])
    if not path.is_file():
        return None
    found = read_record(path)
    if not _masks_behind(found) or not _masks_behind(found) <= _masks_behind(record):
        return None
    files.append(path)
    return found.get("calibration")


def _masks_behind(record: Mapping[str, Any]) -> set[str]:
    inputs = record.get("inputs") or {}
    return {sha256 for name, sha256 in inputs.items() if Path(name).name == STITCH_RECORD}


def _scored(
    name: str,
    data: str,
    levels: dict[str, str],
    differs: tuple[str, ...],
    path: Path,
    record: dict[str, Any],
) -> ReportedCell:
    try:
        scored = scored_cell(name, record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not what mstool score writes ({error}); score again, and see report --check"
        ) from None
    origins = trace_origins(path, record)
    return ReportedCell(name, data, levels, differs, path, record, scored, origins)


def _beside(
    cells: Sequence[Cell], folder: Path, verb: str, files: list[Path]
) -> tuple[FoundRecord, ...]:
    """Records of a verb that runs after scoring, each once, with the first cell that it is of."""
    found: dict[Path, FoundRecord] = {}
    for cell in cells:
        name = cell.explanation if verb == "explain" else cell.shift
        path = folder / name / ("explain.json" if verb == "explain" else "shift.json")
        if path.is_file() and path not in found:
            kind, record = _read(path)
            if kind != verb:
                raise InputError(f"{path}: no record of mstool {verb}; make it again")
            files.append(path)
            found[path] = FoundRecord(path, record, cell.name)
    return tuple(found.values())


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Verb of a record, and what it says."""
    record = read_record(path)
    for kind, keys in KINDS.items():
        if set(keys) <= set(record):
            return kind, record
    raise InputError(
        f"{path}: no record that a report is of; give those of mstool score, explain or "
        "domain-shift, or the plan of a study"
    )
