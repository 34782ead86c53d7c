"""Folds of whole groups, with the classes spread as evenly over them as the groups allow."""

from collections.abc import Sequence

import numpy as np

from mstool.errors import UsageError

_SWAPS_PER_GROUP = 50
_MOST_SWAPS = 20_000


def assign_folds(
    groups: Sequence[str], class_counts: np.ndarray | None, n_folds: int, seed: int
) -> dict[str, int]:
    """Fold of each group, for k-fold cross-validation.

    The folds' numbers of groups differ by one at most. Groups are placed largest first, each where
    the folds' shares of every class come nearest to even in squares; then pairs of groups are
    swapped at random as long as that helps.

    Parameters
    ----------
    groups : sequence of str, length N
        Group of each image; a group may occur many times.
    class_counts : ndarray, shape (N, C), or None
        Labelled pixels of each class in each image. Without it only numbers of groups are evened.
    n_folds : int
        Number of folds.
    seed : int
        Decides between groups of equal size, and which swaps are tried.

    Returns
    -------
    dict of str to int
        Fold, 0 .. n_folds - 1, of each group, in order of names. It does not depend on the order
        of the images.

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
    folds = _balance(shares, sizes, np.full(n_folds, 1 / n_folds), np.random.default_rng(seed))
    return dict(zip(names, folds.tolist(), strict=True))


def leave_one_out(groups: Sequence[str]) -> dict[str, int]:
    """Fold of each group when every group is held out in turn.

    Parameters
    ----------
    groups : sequence of str, length N
        Group of each image.

    Returns
    -------
    dict of str to int
        Folds 0, 1, ... in order of group names.

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
    """Fold of each group of a set that comes divided into folders.

    Parameters
    ----------
    groups, folders : sequence of str, length N
        Group of each image, and name of the folder that it came from.

    Returns
    -------
    dict of str to int
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

    Parameters
    ----------
    groups : sequence of str, length N
        Group of each image; a group may occur many times.
    class_counts : ndarray, shape (N, C), or None
        Labelled pixels of each class in each image; the folds get like shares of every class.
    fraction : float
        Share [1] of the groups that test and validation get each, rounded, but one group at least.
    seed : int
        As in `assign_folds`.

    Returns
    -------
    dict of str to int
        Fold of each group, in order of names.

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
    targets = np.array(sizes) / len(names)
    folds = _balance(shares, sizes, targets, np.random.default_rng(seed))
    return dict(zip(names, folds.tolist(), strict=True))


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


def _balance(shares: np.ndarray, sizes, targets: np.ndarray, rng) -> np.ndarray:
    """Fold of each group: fold f gets sizes[f] groups and about targets[f] of every class."""
    n_groups = len(shares)
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
    return folds


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
