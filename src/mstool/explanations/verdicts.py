"""From measurements to a verdict, by thresholds that anybody can change."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mstool.chance.swaps import least_pairs
from mstool.explanations.paired import Comparison

TRUSTWORTHY, NOT_SUPPORTED = "trustworthy", "not_supported"
INCONCLUSIVE, DEGENERATE = "inconclusive", "degenerate"
NOT_CHECKED = "not_checked"
PASS, FAIL = "pass", "fail"

Outcome = tuple[str, str]  # of a check, and why; the reason may be empty

_FAILED = {
    "sanity": "the map hardly changes when the weights are random",
    "faithfulness": "what it names matters no more than random pixels",
    "patch": "it does not show a patch that is known to be the cause",
}
DECISIVE = tuple(_FAILED)  # checks without which nothing is trustworthy


@dataclass(frozen=True)
class Thresholds:
    """Where measurements turn into verdicts: shares and ratios [1], but for what a patch shifts.

    Found on few networks; change them where there is a reason.
    """

    sanity_mean: float = 0.5  # most similarity to maps of partly random weights that passes
    sanity_last: float = 0.3  # the same for fully random weights
    sanity_fail_mean: float = 0.8  # similarity from which on the check fails
    sanity_fail_last: float = 0.6  # likewise
    zero_maps: float = 0.3  # most share of zero maps
    alpha: float = 0.05  # largest p at which a control counts as beaten, or as not beaten
    equal_road: float = 0.05  # a map whose advantage over noise is shown to be smaller fails
    equal_infidelity: float = 0.05  # likewise
    patch_shift: float = 2.0  # least loss of margin that makes a patch a cause [logits]
    patch_enrichment: float = 5.0  # least density of attribution in the patch, where 1 is even
    patch_kept: float = 0.5  # least share of it that is left when the patch hides
    decision: float = 2.0  # how many times firmer than random weights the network must be
    label_gap: float = 0.2  # least by which a map is nearer to that of true than of permuted labels
    label_fit: float = 0.9  # least accuracy of both networks on what they were fitted to
    cause_least: float = 0.2  # least loss of probability that shows a cause
    cause_ratio: float = 2.0  # how many times the next it must be
    dense_band: float = 0.6  # most share of the regions that bands along boundaries may cover


def judge_sanity(mean, last, zero_share, limits) -> str:
    """Verdict of the weight randomisation: ``pass``, ``fail``, ``inconclusive`` or ``degenerate``.

    Parameters
    ----------
    mean : float
        Mean over stages of the absolute rank correlation with the trained map [1]; a map with the
        sign turned is still the same map.
    last : float
        The same with all weights random [1].
    zero_share : float
        Share of zero maps among all [1].
    """
    if zero_share > limits.zero_maps:
        return DEGENERATE
    if mean >= limits.sanity_fail_mean or last >= limits.sanity_fail_last:
        return FAIL
    return PASS if mean <= limits.sanity_mean and last <= limits.sanity_last else INCONCLUSIVE


def judge_faithfulness(
    against_random: Mapping[str, Comparison],
    against_distance: Mapping[str, Comparison],
    limits: Thresholds,
) -> Outcome:
    """Verdict of the comparison with controls, which needs evidence for either answer.

    A map must beat noise by both measures, ROAD and infidelity, and the distance to the region by
    one of them: a class that shows in a texture that fills the region leaves little to know beyond
    where the region lies. It fails if, by one of the measures, its advantage over noise is shown to
    be below the margin that counts. Where the better or the worse of two is picked, each has half
    of alpha.

    Parameters
    ----------
    against_random, against_distance : mapping of str to Comparison
        By measure; the second is empty for the distance itself.
    """
    noise, distance = list(against_random.values()), list(against_distance.values())
    n, needed = min(one.n_pairs for one in noise + distance), least_pairs(limits.alpha)
    if n < needed:
        return INCONCLUSIVE, f"{n} micrographs or groups could be compared, {needed} are needed"
    if max(one.p for one in noise) < limits.alpha:
        if min((one.p for one in distance), default=1.0) < limits.alpha / 2:
            return PASS, "it beats noise and the distance to the region"
        return INCONCLUSIVE, "it beats noise, but not the distance to the region"
    equal = [
        measure
        for measure, one in against_random.items()
        if one.p >= limits.alpha and one.p_equal < limits.alpha / 2
    ]
    if equal:
        return FAIL, f"by {' and by '.join(equal)} its advantage over noise is too small to count"
    return INCONCLUSIVE, "neither is it better than noise, nor is it shown to be no better"


def judge_patch(enrichment, kept, limits) -> str:
    """Verdict of the known cause: ``pass`` or ``fail``; ``inconclusive`` without an attack."""
    if not np.isfinite(enrichment):
        return INCONCLUSIVE
    found = enrichment >= limits.patch_enrichment
    stays = not np.isfinite(kept) or kept >= limits.patch_kept
    return PASS if found and stays else FAIL


def judge_labels(gap, accuracy, limits) -> str:
    """Verdict of label randomisation: ``pass`` or ``inconclusive``.

    It never fails: on networks that learnt the same task twice, maps differ about as much as on
    one that learnt nonsense, so that a small gap shows nothing.

    Parameters
    ----------
    gap : float
        Similarity to the map of a network with true labels, less that to the map of one with
        permuted labels [1]; NaN if either has no map.
    accuracy : float
        The lesser accuracy of the two on what they were fitted to [1].
    """
    is_clear = accuracy >= limits.label_fit and gap >= limits.label_gap
    return PASS if is_clear else INCONCLUSIVE


def judge_part(verdict: str, reason: str | None, is_cut: bool) -> Outcome:
    """Outcome of a check that may have been cut short, and then passes nothing."""
    if is_cut and verdict == PASS:
        return INCONCLUSIVE, "it was made in part"
    return verdict, reason or ""


def judge_method(
    outcomes: Mapping[str, Outcome], is_decided: bool, is_attackable: bool = True
) -> tuple[str, list[str]]:
    """Verdict on a method, with its reasons.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        By check, one of `DECISIVE`; a check that was not made is missing.
    is_decided : bool
        Whether the network decides more firmly than random weights do.
    is_attackable : bool
        False where patches were tried and none changed the decision, so that the method is not
        asked to show one.

    Returns
    -------
    verdict : str
        ``trustworthy``, ``not_supported``, ``inconclusive``, ``degenerate`` or ``not_checked``.
    reasons : list of str
        At least one.
    """
    if not outcomes:
        return NOT_CHECKED, [f"none of {', '.join(DECISIVE)} was checked"]
    found = {name: outcome for name, (outcome, _) in outcomes.items()}
    dead = ["its maps are zero or constant"] if DEGENERATE in found.values() else []
    failed = [
        words + f": {outcomes[name][1]}" * bool(outcomes[name][1])
        for name, words in _FAILED.items()
        if found.get(name) == FAIL
    ]
    if not is_decided:
        failed.insert(0, "the network decides no more firmly than with random weights")
    missing = [f"{name} was not checked" for name in DECISIVE if name not in found]
    asked = [name for name in outcomes if name != "patch" or is_attackable]
    unsure = [
        f"{name} is inconclusive" + f": {outcomes[name][1]}" * bool(outcomes[name][1])
        for name in asked
        if found[name] == INCONCLUSIVE
    ]
    in_order = {DEGENERATE: dead, NOT_SUPPORTED: failed, INCONCLUSIVE: missing + unsure}
    for verdict, reasons in in_order.items():
        if reasons:
            return verdict, reasons
    if not is_attackable:
        return TRUSTWORTHY, [
            "passes sanity and beats the controls; no patch changed the decision, so that it was "
            "not asked to show a known cause"
        ]
    return TRUSTWORTHY, ["passes sanity, beats the controls, and shows known causes"]
