"""Which of the scored micrographs, or of their specimens, the model has seen before."""

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from typing import Any

from mstool.errors import UsageError
from mstool.io.tiles import SourceImage
from mstool.micrographs.group_pattern import find_group
from mstool.pipeline.score.inputs import MaskSet, Pair
from mstool.reporting import Reporter
from mstool.splits.leaks import all_searched, list_names
from mstool.splits.roles import UNLABELLED
from mstool.splits.seen import Rows, find_named_alike, find_same_group, find_seen

_KINDS = ("trained_on", "named_alike", "same_group", "transductive")


def describe_leak(
    runs: Sequence[tuple[Sequence[Pair], MaskSet]], group_by: str | None, report: Reporter
) -> dict[str, Any]:
    """Scored micrographs that decided the weights of any run, or whose specimen did.

    Where each micrograph was predicted by the models without it, it is held against these alone.
    All runs have the same micrographs in the same order, which the first names. The pattern
    `group_by` finds specimens in file names that no model may know of.

    Returns
    -------
    dict
        ``checked``; ``trained_on``, names of micrographs that decided the weights with their
        labels; ``named_alike``, names of others that have name and group of such; ``same_group``,
        names of others from a group of which some did; ``transductive``, names of those that were
        seen in pretraining without labels; ``allowed``, what train --allow-leak let pass;
        ``searched``, whether train looked for fields that its roles share, None if unknown. A group
        that is the file name is none.
    """
    names = [pair.name for pair in runs[0][0]]
    found = [_find_leaks(pairs, mask_set, group_by, names) for pairs, mask_set in runs]
    leak: dict[str, Any] = {"checked": all(is_checked for is_checked, _ in found)}
    trained_on = {name for _, lists in found for name in lists["trained_on"]}
    for kind in _KINDS:
        hit = {name for _, lists in found for name in lists[kind]}
        milder = () if kind == "trained_on" else trained_on
        leak[kind] = [name for name in names if name in hit and name not in milder]
    leak["allowed"] = sorted({words for _, mask_set in runs for words in mask_set.leaks})
    leak["searched"] = all_searched(mask_set.searched for _, mask_set in runs)
    _report(leak, len(names), report)
    return leak


def _find_leaks(
    pairs: Sequence[Pair], mask_set: MaskSet, group_by: str | None, names: Sequence[str]
) -> tuple[bool, dict[str, list[str]]]:
    """Whether it is known what the models of a run have seen, and `names` by kind of leak."""
    sources = {pair.name: mask_set.sources.get(pair.mask.stem) for pair in pairs}
    known = {name: source for name, source in sources.items() if source}
    lists: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for some, seen in _by_models(known, mask_set):
        labelled = [row for row in seen if row["part"] != UNLABELLED]
        unlabelled = [row for row in seen if row["part"] == UNLABELLED]
        lists["trained_on"] += find_seen(some, labelled)
        lists["named_alike"] += find_named_alike(some, labelled)
        lists["same_group"] += find_same_group(some, labelled)
        if group_by is not None:
            lists["same_group"] += _find_grouped(pairs, some, labelled, group_by)
        lists["transductive"] += find_seen(some, unlabelled)
    name_of = {pair.name: name for pair, name in zip(pairs, names, strict=True)}
    is_checked = mask_set.trained_on is not None and None not in sources.values()
    return is_checked, {kind: [name_of[name] for name in found] for kind, found in lists.items()}


def _find_grouped(
    pairs: Sequence[Pair], some: Container[str], rows: Rows, group_by: str
) -> list[str]:
    """Names of those of whose group, as a pattern finds it, another micrograph is among `rows`."""
    members: dict[str, set[str]] = {}
    for row in rows:
        with suppress(UsageError):  # of another set, where names are not as the pattern has them
            members.setdefault(find_group(row["name"], group_by), set()).add(row["name"])
    return [p.name for p in pairs if p.name in some and members.get(p.group, set()) - {p.name}]


def _by_models(
    known: dict[str, SourceImage], mask_set: MaskSet
) -> Iterator[tuple[dict[str, SourceImage], Rows]]:
    """Micrographs with what the models that predicted them have seen."""
    if mask_set.folds is None:
        yield known, mask_set.trained_on or ()
        return
    for fold in mask_set.folds:
        yield {name: known[name] for name in fold.sources if name in known}, fold.trained_on


def _report(leak: dict[str, Any], n_pairs: int, report: Reporter) -> None:
    if allowed := leak["allowed"]:
        report.note(
            f"warning: the model was trained with --allow-leak, though {allowed[0]}; the score "
            "says nothing about new micrographs"
        )
    if trained_on := leak["trained_on"]:
        report.note(
            f"warning: {len(trained_on)} of {n_pairs} scored micrographs were trained on: "
            f"{list_names(trained_on, 5)}; the score says nothing about new ones"
        )
    if named_alike := leak["named_alike"]:
        report.note(
            f"warning: {len(named_alike)} of {n_pairs} scored micrographs are named alike with "
            f"ones that were trained on, and of other content: {list_names(named_alike, 5)}; if "
            "they are the same, as after a crop or a conversion, the score says nothing about new "
            "ones"
        )
    if same_group := leak["same_group"]:
        report.note(
            f"{len(same_group)} of {n_pairs} scored micrographs are new, but of groups that were "
            f"trained on: {list_names(same_group, 5)}; the score says nothing about new groups"
        )
    if not leak["checked"]:
        report.note("not checked whether the model was trained on these: no record says so")
    if leak["searched"] is False:
        report.note(
            "not checked whether micrographs of training and test share fields of view: they were "
            "too many for train; run mstool split --audit"
        )
    if transductive := leak["transductive"]:
        report.note(
            f"transductive: {len(transductive)} of {n_pairs} scored micrographs were seen in "
            f"pretraining, without labels: {list_names(transductive, 5)}; the score is not that of "
            "new ones"
        )
