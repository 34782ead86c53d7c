"""Divide micrographs into folds, group by group."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mstool.errors import LeakError, UsageError
from mstool.io.images import open_micrograph
from mstool.io.split_csv import SplitRow, split_to_csv
from mstool.micrographs.find import SetFiles, folder_name
from mstool.micrographs.group_pattern import find_group
from mstool.micrographs.tile_folder import open_tile_folder
from mstool.reporting import Reporter
from mstool.splits.folds import assign_folds, folds_of_folders, holdout, leave_one_out
from mstool.splits.groups import join_groups
from mstool.splits.leaks import Source, find_leaks


@dataclass(frozen=True)
class SplitSettings:
    """How to divide; one of the first four is set."""

    folds: int | None  # number of folds
    loo: bool  # whether every group is a fold
    holdout: float | None  # share [1] of the groups for test, and for validation
    by_folder: bool  # whether the folder that a micrograph came from is its fold
    group_by: str | None
    seed: int
    join_overlaps: bool = False  # whether micrographs of one field become one group

    def __post_init__(self):
        n_ways = (self.folds is not None) + self.loo + (self.holdout is not None) + self.by_folder
        if n_ways != 1:
            raise UsageError("give one of --folds K, --loo, --holdout F and --by-folder")


@dataclass(frozen=True)
class Candidate:
    """A micrograph to place in a fold."""

    name: str
    group: str
    sha256: str  # of its content
    counts: dict[str, int] | None  # labelled pixels by class name, over all tiles, if known
    folder: str  # name of that which it lay in


def split_micrographs(files: SetFiles, settings: SplitSettings, report: Reporter) -> str:
    """Fold of each micrograph, as CSV: ``source,group,fold``, sorted by source.

    Raises
    ------
    LeakError
        If the same picture is in two groups.
    UsageError
        If the groups are too few, or the pattern does not fit the names.
    """
    if files.tiles is not None:
        candidates = _read_tile_folder(files.tiles, settings.group_by)
    else:
        candidates = _read_images(files.images, settings.group_by, report)
    candidates = sorted(candidates, key=lambda candidate: candidate.name)
    if settings.join_overlaps:
        candidates = _join_overlaps(candidates, files, report)
    _refuse_twins(candidates)
    folds = _divide(candidates, settings)
    rows = [SplitRow(each.name, each.group, folds[each.group]) for each in candidates]
    _describe(candidates, folds, settings, report)
    return split_to_csv(rows)


def _read_tile_folder(path: Path, group_by: str | None) -> list[Candidate]:
    folder = open_tile_folder(path)
    counts = folder.count_labels()
    return [
        Candidate(
            name=name,
            group=find_group(name, group_by) if group_by else source.group,
            sha256=source.sha256,
            counts=counts and counts[name],
            folder=source.folder or Path(source.path).parent.name,
        )
        for name, source in folder.sources.items()
    ]


def _read_images(paths: Sequence[Path], group_by: str | None, report: Reporter) -> list[Candidate]:
    groups = [find_group(path.name, group_by) for path in paths]
    candidates = []
    with report.progress("reading", len(paths)) as advance:
        for path, group in zip(paths, groups, strict=True):
            sha256 = open_micrograph(path).content_sha256()
            candidates.append(Candidate(path.name, group, sha256, None, folder_name(path)))
            advance(1, path.name)
    return candidates


def _join_overlaps(
    candidates: Sequence[Candidate], files: SetFiles, report: Reporter
) -> list[Candidate]:
    """Bring micrographs that show the same field into one group."""
    # 0.2 s that a split without the search does not need
    from mstool.micrographs.field_files import open_fields
    from mstool.pipeline.shared_fields import describe_pair, find_pairs

    pairs = find_pairs(open_fields(files, lambda *_: None), report)
    places = {each.name: place for place, each in enumerate(candidates)}
    for pair in pairs:
        report.note(f"{describe_pair(pair)}; they stay together")
    joined = join_groups(
        [each.group for each in candidates],
        [(places[pair.first.name], places[pair.second.name]) for pair in pairs],
    )
    return [replace(each, group=group) for each, group in zip(candidates, joined, strict=True)]


def _refuse_twins(candidates: Sequence[Candidate]) -> None:
    by_group: dict[str, list[Source]] = {}
    for each in candidates:
        by_group.setdefault(each.group, []).append(Source(each.name, None, each.sha256))
    for leak in find_leaks(by_group):
        (group, names), (other_group, other_names), *_ = leak.members
        raise LeakError(
            f"{names[0]} and {other_names[0]}: the same picture in two groups ({group}, "
            f"{other_group}); remove one, or bring both into one group with --group-by or "
            "--join-overlaps"
        )


def _divide(candidates: Sequence[Candidate], settings: SplitSettings) -> dict[str, int]:
    groups = [candidate.group for candidate in candidates]
    if settings.loo:
        return leave_one_out(groups)
    if settings.by_folder:
        return folds_of_folders(groups, [candidate.folder for candidate in candidates])
    counts = [candidate.counts for candidate in candidates]
    table = None if None in counts else np.array([[*row.values()] for row in counts])
    if settings.holdout is not None:
        return holdout(groups, table, settings.holdout, settings.seed)
    return assign_folds(groups, table, settings.folds, settings.seed)


def _describe(
    candidates: Sequence[Candidate],
    folds: dict[str, int],
    settings: SplitSettings,
    report: Reporter,
) -> None:
    n_folds = len(set(folds.values()))
    roles = "" if settings.holdout is None else ": 0 for test, 1 for validation, 2 for training"
    if settings.by_folder:
        names = {folds[each.group]: each.folder for each in candidates}
        roles = ": " + ", ".join(f"{fold} for {names[fold]}" for fold in sorted(names))
    report.note(f"{len(candidates)} micrographs in {len(folds)} groups, {n_folds} folds{roles}")
    if any(candidate.counts is None for candidate in candidates):
        return
    present = {name for each in candidates for name, n in each.counts.items() if n}
    if len(present) < 2:
        report.note("warning: all labels are of one class, or of none; there is nothing to learn")
        return
    for name in candidates[0].counts:
        present = {folds[each.group] for each in candidates if each.counts[name]}
        if absent := sorted({*folds.values()} - present):
            numbers = ", ".join(map(str, absent))
            where = f"fold {numbers}" if len(absent) == 1 else f"folds {numbers}"
            report.note(f"warning: class {name!r} is absent from {where}, where it has no score")
