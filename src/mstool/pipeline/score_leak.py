"""Which of the scored micrographs, or of their specimens, the model has seen before."""

from collections.abc import Iterator, Sequence
from typing import Any

from mstool.io.tiles import SourceImage
from mstool.pipeline.score_inputs import MaskSet, Pair
from mstool.reporting import Reporter
from mstool.splits.leaks import list_names
from mstool.splits.roles import UNLABELLED
from mstool.splits.seen import Rows, find_same_group, find_seen


def describe_leak(pairs: Sequence[Pair], mask_set: MaskSet, report: Reporter) -> dict[str, Any]:
    """Scored micrographs that decided the weights, or whose specimen did.

    Returns
    -------
    dict
        ``checked``; ``trained_on``, names of micrographs that decided the weights; ``same_group``,
        names of others from a group of which some did; ``transductive``, names of those that were
        seen in pretraining without labels. A group that is the file name is none.
    """
    sources = {pair.name: mask_set.sources.get(pair.mask.stem) for pair in pairs}
    known = {name: source for name, source in sources.items() if source}
    trained_on, same_group, transductive = [], [], []
    for some, seen in _by_models(known, mask_set):
        labelled = [row for row in seen if row["part"] != UNLABELLED]
        trained_on += (found := find_seen(some, labelled))
        rest = {name: source for name, source in some.items() if name not in found}
        same_group += find_same_group(rest, labelled)
        transductive += find_seen(rest, [row for row in seen if row["part"] == UNLABELLED])
    is_checked = mask_set.trained_on is not None and None not in sources.values()
    _report(trained_on, same_group, is_checked, len(pairs), report)
    if transductive:
        report.note(
            f"transductive: {len(transductive)} of {len(pairs)} scored micrographs were seen in "
            f"pretraining, without labels: {list_names(transductive, 5)}; the score is not that of "
            "new ones"
        )
    return {
        "checked": is_checked,
        "trained_on": trained_on,
        "same_group": same_group,
        "transductive": transductive,
    }


def _by_models(
    known: dict[str, SourceImage], mask_set: MaskSet
) -> Iterator[tuple[dict[str, SourceImage], Rows]]:
    """Micrographs with what the models that predicted them have seen."""
    if mask_set.folds is None:
        yield known, mask_set.trained_on or ()
        return
    for fold in mask_set.folds:
        yield {name: known[name] for name in fold.sources if name in known}, fold.trained_on


def _report(
    trained_on: list[str], same_group: list[str], is_checked: bool, n_pairs: int, report: Reporter
) -> None:
    if trained_on:
        report.note(
            f"warning: {len(trained_on)} of {n_pairs} scored micrographs were trained on: "
            f"{list_names(trained_on, 5)}; the score says nothing about new ones"
        )
    if same_group:
        report.note(
            f"{len(same_group)} of {n_pairs} scored micrographs are new, but of groups that were "
            f"trained on: {list_names(same_group, 5)}; the score says nothing about new groups"
        )
    if not is_checked:
        report.note("not checked whether the model was trained on these: no record says so")
