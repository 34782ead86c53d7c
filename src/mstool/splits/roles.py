"""Training, validation and test micrographs, proven apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from mstool.errors import InputError, LeakError, UsageError
from mstool.io.split_csv import SplitRow
from mstool.io.tiles import SourceImage
from mstool.splits.leaks import Source, find_leaks

# Part that a micrograph has played in weights that were learnt from its pixels alone.
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Roles:
    """Names of the micrographs in each role."""

    train: tuple[str, ...]
    val: tuple[str, ...]  # may be empty
    test: tuple[str, ...]

    def as_dict(self) -> dict[str, tuple[str, ...]]:
        """Names by role."""
        return {"train": self.train, "val": self.val, "test": self.test}


def choose_roles(
    rows: Sequence[SplitRow],
    sources: dict[str, SourceImage],
    test_fold: int | None,
    val_fold: int | None,
    split: str,
    allow_leak: bool = False,
) -> Roles:
    """Divide micrographs by fold, and prove that nothing leaks.

    Parameters
    ----------
    test_fold : int or None
        Fold that is not touched; None for none.
    val_fold : int or None
        Fold that decides when to stop; None for the one after `test_fold`, cyclically.
    allow_leak : bool
        Whether what leaks is let pass; see `list_leaks`.

    Raises
    ------
    UsageError
        If a fold does not exist, or none is left to train on.
    InputError
        If the split and the tile folder name different micrographs.
    LeakError
        If a group or the same pixels are on two sides.
    """
    folds = sorted({row.fold for row in rows})
    val_fold = _next_fold(folds, test_fold) if val_fold is None else val_fold
    _check_folds(folds, test_fold, val_fold, split)
    _check_names(rows, sources, split)
    by_fold = {fold: tuple(row.source for row in rows if row.fold == fold) for fold in folds}
    roles = Roles(
        train=tuple(row.source for row in rows if row.fold not in (test_fold, val_fold)),
        val=by_fold[val_fold],
        test=() if test_fold is None else by_fold[test_fold],
    )
    if not roles.train:
        raise UsageError(
            f"{split}: no fold is left to train on; use more folds, or another --val-fold"
        )
    leaks = list_leaks(roles, rows, sources)
    if leaks and not allow_leak:
        refuse_leak(split, leaks)
    return roles


def list_leaks(
    roles: Roles, rows: Sequence[SplitRow], sources: dict[str, SourceImage]
) -> list[str]:
    """Groups and contents that have two roles, in words.

    By the groups of the split; where these leak nothing, by those of the tile folder.
    """
    groups = {row.source: row.group for row in rows}
    for group_of in (groups.__getitem__, lambda name: sources[name].group):
        sides = {
            role: [Source(name, group_of(name), sources[name].sha256) for name in names]
            for role, names in roles.as_dict().items()
        }
        if leaks := find_leaks(sides):
            return [str(leak) for leak in leaks]
    return []


def refuse_leak(split: str, leaks: Sequence[str], option: str = "") -> NoReturn:
    """Refuse a split that leaks, for want of an `option` of split or not.

    Raises
    ------
    LeakError
        Naming the first leak.
    """
    more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
    raise LeakError(f"{split}: {leaks[0]}{more}; make the split again with mstool split{option}")


def leave_out_test(
    rows: Sequence[SplitRow], sources: Sequence[SourceImage], test_fold: int, split: str
) -> list[SourceImage]:
    """Micrographs that may be looked at without touching the test.

    Parameters
    ----------
    rows : sequence of SplitRow
        The split; `sources` may be others too.
    sources : sequence of SourceImage
        All that there are.
    test_fold : int
        Fold that is not touched.
    split : str
        Name of the split, for messages.

    Returns
    -------
    list of SourceImage
        Those that share neither name nor content nor group with a micrograph of the test.

    Raises
    ------
    UsageError
        If there is no such fold.
    """
    if test_fold not in (folds := sorted({row.fold for row in rows})):
        named = ", ".join(map(str, folds))
        raise UsageError(f"--test-fold {test_fold}: {split} has folds {named}")
    names = {row.source for row in rows if row.fold == test_fold}
    tested = [source for source in sources if source.name in names]
    contents = {source.sha256 for source in tested}
    groups = {row.group for row in rows if row.fold == test_fold}
    groups |= {source.group for source in tested}
    group_of = {row.source: row.group for row in rows}
    return [
        source
        for source in sources
        if source.name not in names
        and source.sha256 not in contents
        and not groups & {source.group, group_of.get(source.name, source.group)}
    ]


def keep_first_images(roles: Roles, n_images: int | None, seed: int) -> Roles:
    """Keep `n_images` training micrographs, drawn with a seed; nested for growing numbers.

    None keeps all.

    Raises
    ------
    UsageError
        If there are fewer.
    """
    if n_images is None:
        return roles
    if not 1 <= n_images <= len(roles.train):
        raise UsageError(f"--max-images {n_images}: there are {len(roles.train)} to train on")
    order = np.random.default_rng(seed).permutation(len(roles.train))
    kept = sorted(roles.train[index] for index in order[:n_images])
    return Roles(tuple(kept), roles.val, roles.test)


def _next_fold(folds: Sequence[int], test_fold: int | None) -> int:
    if test_fold not in folds:
        return folds[0]
    return folds[(folds.index(test_fold) + 1) % len(folds)]


def _check_folds(folds: Sequence[int], test_fold: int | None, val_fold: int, split: str) -> None:
    for flag, fold in (("--test-fold", test_fold), ("--val-fold", val_fold)):
        if fold is not None and fold not in folds:
            named = ", ".join(str(known) for known in folds)
            raise UsageError(f"{flag} {fold}: {split} has folds {named}")
    if test_fold == val_fold:
        raise UsageError(
            f"--val-fold {val_fold}: the same as --test-fold; the test must not decide anything"
        )


def _check_names(rows: Sequence[SplitRow], sources: dict[str, SourceImage], split: str) -> None:
    named = {row.source for row in rows}
    if unknown := sorted(named - set(sources)):
        raise InputError(
            f"{split}: {unknown[0]} is not in the tile folder; split the same micrographs"
        )
    if left_out := sorted(set(sources) - named):
        raise InputError(f"{split}: {left_out[0]} of the tile folder has no line; give it a fold")
