"""Proof that the roles share no field of view, before anything is learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mstool.micrographs.field_files import fields_of_tiles
from mstool.micrographs.tile_folder import TileFolder
from mstool.pipeline.shared_fields import FoundPair, describe_pair, find_pairs
from mstool.pipeline.train.training_data import TrainingData
from mstool.reporting import Reporter
from mstool.splits.audit.overlaps import UPRIGHT
from mstool.splits.roles import refuse_leak

_MOST_PAIRS = 4000  # which take some seconds
_MOST_TOLD = 10


@dataclass(frozen=True)
class LeakReport:
    """What the roles share; the key ``leak`` of the record of train.

    Attributes
    ----------
    searched : bool
        Whether micrographs of different roles were compared by what they show.
    allowed : bool
        Whether what was found was let pass.
    found : tuple of str
        What was found, in words.
    """

    searched: bool
    allowed: bool
    found: tuple[str, ...]


def report_leaks(data: TrainingData, split: Path, allow_leak: bool, report: Reporter) -> LeakReport:
    """Compare micrographs of different roles, the cheap way: upright, and not too many.

    Raises
    ------
    LeakError
        If two show the same field, unless that is allowed.
    """
    role_of = {name: role for role, names in data.roles.as_dict().items() for name in names}
    shared = _search(data.folder, role_of, report)
    searched = shared is not None
    if not searched:
        report.note(
            "pairs of micrographs are too many to look for shared fields now; run mstool split "
            f"--audit {data.folder.path} --split {split}"
        )
    found = [*data.leaks, *(shared or ())]
    if found and not allow_leak:
        refuse_leak(str(split), found, " --join-overlaps")
    if found:
        report.note(f"warning: --allow-leak: {found[0]}; no score of this model can be believed")
    more = [f"{len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    return LeakReport(searched, allow_leak, (*found[:_MOST_TOLD], *more))


def refuse_shared_folds(
    folder: TileFolder, fold_of: Mapping[str, int], split: Path, report: Reporter
) -> None:
    """Compare micrographs of different folds, each of which is the test in turn, once for all.

    Raises
    ------
    LeakError
        If two show the same field.
    """
    found = _search(folder, {name: f"fold {fold}" for name, fold in fold_of.items()}, report)
    if found:
        refuse_leak(str(split), found, " --join-overlaps")


def _search(folder: TileFolder, role_of: Mapping[str, str], report: Reporter) -> list[str] | None:
    """What micrographs of different roles share, in words; None if they are too many to look."""
    fields = [field for field in fields_of_tiles(folder) if field.name in role_of]
    roles = [role_of[field.name] for field in fields]
    pairs = [
        pair for pair in combinations(range(len(fields)), 2) if len({roles[k] for k in pair}) > 1
    ]
    if len(pairs) > _MOST_PAIRS:
        return None
    return _in_words(find_pairs(fields, report, pairs, UPRIGHT), role_of)


def _in_words(pairs: Sequence[FoundPair], role_of: Mapping[str, str]) -> list[str]:
    return [
        f"{describe_pair(pair)}, in {role_of[pair.first.name]} and in {role_of[pair.second.name]}"
        for pair in pairs
    ]
