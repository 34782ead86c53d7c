"""Folds of whole groups, with the classes spread as evenly over them as the groups allow."""

from collections.abc import Sequence

import numpy as np

from mstool.errors import UsageError

_SWAPS_PER_GROUP = 50
_MOST_SWAPS = 20_000


def assign_folds(
    groups: Sequence[str], class_counts: np.ndarray | None, n_folds: int, seed: int
) -> dict[str, int]:
    """Folds for k-fold cross-validation, whatever the order of the images.

    The folds' numbers of groups differ by one at most. Groups are placed largest first, each where
    the folds' shares of every class come nearest to even in squares; then pairs of groups are
    swapped at random as long as that helps.

    Raises
    ------
    UsageError
        If there are fewer than two folds, or more folds than groups.
    """
    names, shares = _group_shares(groups, class_counts)
    if n_folds < 2:
        raise UsageError(f"{n_folds} folds asked for; ask for 2 or more")
    if n_folds > len(names):
        raise UsageError(
            f"{n_folds} folds asked for, but there are only {len(names)} groups; ask for at most "
            f"{len(names)} folds or divide the images into smaller groups"
        )
    small, n_larger = divmod(len(names), n_folds)
    # The largest groups go to the first folds, so these get the fewer groups.
    sizes = [small] * (n_folds - n_larger) + [small + 1] * n_larger
    folds = _balance(shares, sizes, np.full(n_folds, 1 / n_folds), seed)
    return dict(zip(names, folds, strict=True))


def leave_one_out(groups: Sequence[str]) -> dict[str, int]:
    """Folds 0, 1, ... that hold out every group in turn.

    Raises
    ------
    UsageError
        If there are fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise UsageError(
            f"leaving one group out needs 2 or more groups, and there are {len(names)}; divide the "
            "images into smaller groups"
        )
    return {name: fold for fold, name in enumerate(names)}


def folds_of_folders(groups: Sequence[str], folders: Sequence[str]) -> dict[str, int]:
    """Folds of a set that comes divided into folders, given the name of that of each image.

    Folders whose names begin with ``test``, ``val`` and ``train`` come in this order, as in
    `holdout`, others after them in order of names.

    Raises
    ------
    UsageError
        If there is but one folder, or a group is in two.

    Examples
    --------
    >>> folds_of_folders(["a", "b", "c"], ["train", "val", "test"])
    {'a': 2, 'b': 1, 'c': 0}
    """
    known = ("test", "val", "train")

    def place(name: str) -> tuple[int, str]:
        begins = [name.lower().startswith(word) for word in known]
        return (begins.index(True) if any(begins) else len(known), name)

    order = {name: fold for fold, name in enumerate(sorted(set(folders), key=place))}
    if len(order) < 2:
        raise UsageError(f"all micrographs came from one folder, {folders[0]}; use --folds K")
    folds: dict[str, int] = {}
    for group, folder in zip(groups, folders, strict=True):
        if folds.setdefault(group, order[folder]) != order[folder]:
            raise UsageError(
                f"group {group!r} is in {folder} and in another folder; divide it with --folds K"
            )
    return folds


def holdout(
    groups: Sequence[str], class_counts: np.ndarray | None, fraction: float, seed: int
) -> dict[str, int]:
    """Single split: fold 0 is for test, fold 1 for validation, fold 2 for training.

    Test and validation get a `fraction` [1] of the groups each, rounded, but one group at least.

    Raises
    ------
    UsageError
        If `fraction` is not between 0 and 0.5, or no group would be left for training.
    """
    if not 0 < fraction < 0.5:
        raise UsageError(f"held-out fraction is {fraction:g}; give one between 0 and 0.5")
    names, shares = _group_shares(groups, class_counts)
    n_held_out = max(1, round(fraction * len(names)))
    sizes = [n_held_out, n_held_out, len(names) - 2 * n_held_out]
    if sizes[2] < 1:
        raise UsageError(
            f"a fraction of {fraction:g} of {len(names)} groups for test and for validation leaves "
            "none for training; give more groups or a smaller fraction"
        )
    folds = _balance(shares, sizes, np.array(sizes) / len(names), seed)
    return dict(zip(names, folds, strict=True))


def _group_shares(groups: Sequence[str], class_counts) -> tuple[list[str], np.ndarray]:
    """Group names in order, and the share of all pixels of each class that each group holds."""
    names, where = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    if class_counts is None:
        return names.tolist(), np.zeros((len(names), 1))
    counts = np.asarray(class_counts, float)
    if counts.ndim != 2 or len(counts) != len(groups):
        raise ValueError(f"class_counts has shape {counts.shape}; give {len(groups)} rows")
    totals = np.zeros((len(names), counts.shape[1]))
    np.add.at(totals, where, counts)
    # Shares, not pixels: a rare class weighs as much as a common one.
    return names.tolist(), totals / np.maximum(totals.sum(axis=0), 1)


def _balance(shares: np.ndarray, sizes, targets: np.ndarray, seed: int) -> list[int]:
    """Fold of each group: fold f gets sizes[f] groups and about targets[f] of every class."""
    n_groups, rng = len(shares), np.random.default_rng(seed)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-shares[order].sum(axis=1).round(12), kind="stable")]
    free = np.array(sizes)
    excess = np.repeat(-targets[:, None], shares.shape[1], axis=1)
    folds = np.empty(n_groups, int)
    for group in order:
        cost = (shares[group] * (2 * excess + shares[group])).sum(axis=1)
        # Rounding lets equal costs be equal, so that the emptiest, then the first, fold wins.
        best = np.lexsort((-free, np.where(free > 0, cost.round(12), np.inf)))[0]
        folds[group] = best
        free[best] -= 1
        excess[best] += shares[group]
    _swap(folds, shares, excess, rng)
    return folds.tolist()


def _swap(folds: np.ndarray, shares: np.ndarray, excess: np.ndarray, rng) -> None:
    """Swap random pairs of groups where that lowers the squared excess; changes its arguments."""
    n_swaps = min(_SWAPS_PER_GROUP * len(folds), _MOST_SWAPS)
    for one, other in rng.integers(len(folds), size=(n_swaps, 2)):
        if folds[one] == folds[other]:
            continue
        pair = [folds[one], folds[other]]
        moved = shares[other] - shares[one]
        swapped = excess[pair] + np.stack([moved, -moved])
        if (swapped**2).sum() < (excess[pair] ** 2).sum() - 1e-12:
            excess[pair] = swapped
            folds[one], folds[other] = folds[other], folds[one]
