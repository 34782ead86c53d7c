"""Other masks of the same micrographs, and how the scores differ."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mstool.chance.intervals import METHOD_OF_DIFFERENCES, simulated_coverage
from mstool.chance.power import ALPHA, POWER
from mstool.chance.swaps import is_enumerated
from mstool.errors import InputError, UsageError
from mstool.labels.legend import Legend, legend_from_toml
from mstool.micrographs.find import Naming
from mstool.pipeline.score.entries import describe_scored
from mstool.pipeline.score.inputs import (
    MaskRun,
    MaskSet,
    choose_mask_legend,
    pair_masks,
    read_mask_set,
)
from mstool.pipeline.score.leak import describe_leak
from mstool.pipeline.score.same_micrographs import in_order_of
from mstool.pipeline.score.score_settings import ScoreSettings
from mstool.reporting import Reporter
from mstool.scores.statistics import Scored
from mstool.scores.versus import (
    ASSUMED_CORRELATION,
    Versus,
    assumed_least_difference,
    can_distinguish,
    compare_scores,
    correct_for_number,
)


def read_rivals(
    operands: Sequence[Path],
    labels: Path,
    naming: Naming,
    scored: MaskRun,
    legend: Legend,
    is_given: bool,
    group_by: str | None,
    report: Reporter,
) -> list[MaskRun]:
    """Find masks to compare with those that are scored; `legend` is that of the label maps.

    Their micrographs are of the groups that `group_by` finds for the scored ones, or else of those
    that their own record knows.

    Raises
    ------
    UsageError
        If masks would be compared with themselves, or twice, or with the label maps.
    InputError
        If they are not of the same micrographs, were made with another legend than the label maps
        are read through, unless that is given, or if either leaves pixels open.
    """
    rivals = []
    known = {scored.mask_set.files}
    for operand in operands:
        if operand.resolve() == labels.resolve():
            raise UsageError(
                f"--versus {operand}: holds the label maps, against which all masks are scored; "
                "name the folder of other masks"
            )
        found = read_mask_set(operand, report)
        if found.files in known:
            raise UsageError(f"--versus {operand}: is named twice; compare with other masks")
        known.add(found.files)
        for one in (scored.mask_set, found):
            _refuse_open_pixels(one)
        theirs = pair_masks(found, labels, naming, None, False, Reporter())
        ordered = in_order_of(scored, found, theirs, "compare masks of the same micrographs")
        legend_of_masks = choose_mask_legend(found, legend, is_given, ordered)
        if group_by is not None:
            both = zip(ordered, scored.pairs, strict=True)
            ordered = tuple(replace(pair, group=ours.group) for pair, ours in both)
        rivals.append(MaskRun(found, ordered, legend_of_masks))
    return rivals


def describe_rivals(
    confusions: np.ndarray,
    rivals: Sequence[MaskRun],
    counted: Sequence[np.ndarray],
    settings: ScoreSettings,
    groups: Sequence[str] | None,
    report: Reporter,
) -> list[dict[str, Any]]:
    """Entries ``versus`` of the record, given the confusion matrices of the scored masks.

    `counted` are those of the rivals, (N, C, C) each.
    """
    if not rivals:
        return []
    found = [compare_scores(confusions, theirs, groups, settings.seed) for theirs in counted]
    names, entries = legend_from_toml(settings.label_legend).names, []
    for rival, versus, corrected in zip(rivals, found, correct_for_number(found), strict=True):
        folder = str(rival.mask_set.folder)
        entry = _describe(versus, corrected, names, "image" if groups is None else "group")
        advice = advise(versus, corrected[0], len(rivals), entry["unit"])
        report.note(f"versus {folder}: {advice}")
        runs = [(rival.pairs, rival.mask_set)]
        leak = describe_leak(runs, settings.group_by, Reporter())
        for words in _unfairness(leak, folder, len(rival.pairs)):
            report.note(words)
        entries.append({"masks": folder, **entry, "advice": advice, "leak": leak})
    return entries


def _unfairness(leak: dict[str, Any], folder: str, n_pairs: int) -> Iterator[str]:
    """What other masks have ahead of those that are scored, one line a kind of leak."""
    if allowed := leak["allowed"]:
        yield (
            f"warning: {folder} is of a model that was trained with --allow-leak, though "
            f"{allowed[0]}; the comparison is not fair"
        )
    if known := leak["trained_on"] + leak["same_group"]:
        yield (
            f"warning: {folder} is of a model that was trained on {len(known)} of {n_pairs} scored "
            "micrographs, or on others of their groups; the comparison is not fair"
        )
    if alike := leak["named_alike"]:
        yield (
            f"warning: {folder} is of a model that was trained on micrographs that are named alike "
            f"with {len(alike)} of {n_pairs} scored ones, and of other content; if they are the "
            "same, the comparison is not fair"
        )
    if not leak["checked"]:
        yield (
            f"not checked whether {folder} is of a model that was trained on these: no record says "
            "so"
        )
    if leak["searched"] is False:
        yield (
            f"not checked whether training and test of the model of {folder} share fields of view: "
            "they were too many for train; run mstool split --audit"
        )
    if transductive := leak["transductive"]:
        yield (
            f"{folder} is transductive: {len(transductive)} of {n_pairs} scored micrographs were "
            "seen in pretraining, without labels; the comparison is not one on new micrographs"
        )


def advise(versus: Versus, corrected: float, n_comparisons: int, unit: str) -> str:
    """What a comparison of mean IoU comes to, in plain words."""
    n_units, difference, least = versus.n_units, versus.difference[0], versus.least_difference[0]
    units = f"{n_units} {unit}{'s' * (n_units != 1)}"
    if np.isfinite(corrected) and corrected <= ALPHA:
        word = "better" if difference > 0 else "worse"
        return f"distinguishable: {word} by {abs(difference):.3f} of mean IoU, p {corrected:.2g}"
    if np.isnan(difference):
        return "not distinguishable: no pixel has a label, so that there is nothing to compare"
    if difference == 0 and least == 0:
        return "not distinguishable: no unit differs"
    if np.isnan(least):
        are = "is" if n_units == 1 else "are"
        return f"not distinguishable; {units} {are} too few to tell, 6 may be enough"
    needed = versus.n_needed[0]
    seen = (
        ""
        if needed is None or needed <= n_units
        else f"; the {abs(difference):.3f} seen would take {needed}"
    )
    shown = f"show a difference of {least:.3f} or more in {100 * POWER:.0f} of 100 studies"
    if can_distinguish(n_units, n_comparisons):
        return f"not distinguishable; {units} can {shown} of two that vary as these{seen}"
    smallest = min(1.0, versus.smallest_p * n_comparisons)
    return (
        f"not distinguishable; {units} give no p below {smallest:.2g}, their interval alone can "
        f"{shown} of two that vary as these{seen}"
    )


def describe_least_difference(
    confusions: np.ndarray, names: Sequence[str], groups: Sequence[str] | None
) -> dict[str, Any]:
    """Entry ``min_detectable``: what so many micrographs could show of a model not at hand."""
    found = assumed_least_difference(confusions, groups)
    return {
        "power": POWER,
        "alpha": ALPHA,
        "assumed_correlation": ASSUMED_CORRELATION,
        **describe_scored(found, names),
    }


def _refuse_open_pixels(mask_set: MaskSet) -> None:
    """Only scores of the same pixels can be compared."""
    if mask_set.may_abstain:
        raise InputError(
            f"{mask_set.folder}: leaves pixels without a class, so that its scores are of other "
            "pixels; stitch without --abstain to compare"
        )


def _describe(
    versus: Versus, corrected: np.ndarray, names: Sequence[str], unit: str
) -> dict[str, Any]:
    def by_score(rows) -> dict[str, Any]:
        return describe_scored(Scored.from_vector(rows), names)

    can_decide = np.isfinite(corrected[0])
    return {
        "level": 0.95,
        "method": METHOD_OF_DIFFERENCES,
        "unit": unit,
        "n_units": versus.n_units,
        "coverage": simulated_coverage("difference", versus.n_units),
        "scores": by_score(versus.theirs),
        "difference": by_score(versus.difference),
        "interval": by_score(versus.interval),
        "p": by_score(versus.p),
        "p_holm": by_score(corrected),
        "smallest_p": versus.smallest_p,
        "is_exact": is_enumerated(versus.n_units),
        "power": POWER,
        "least_difference": by_score(versus.least_difference),
        "n_needed": by_score(np.array(versus.n_needed, object)),
        "is_distinguishable": bool(corrected[0] <= ALPHA) if can_decide else None,
    }
