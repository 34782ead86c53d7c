"""From measurements to a verdict, by thresholds that anybody can change."""

from dataclasses import dataclass

import numpy as np

TRUSTWORTHY, NOT_SUPPORTED = "trustworthy", "not_supported"
INCONCLUSIVE, DEGENERATE = "inconclusive", "degenerate"
NOT_CHECKED = "not_checked"
VERDICTS = (TRUSTWORTHY, NOT_SUPPORTED, INCONCLUSIVE, DEGENERATE, NOT_CHECKED)
PASS, FAIL = "pass", "fail"


@dataclass(frozen=True)
class Thresholds:
    """Where measurements turn into verdicts.

    Found on few networks; change them where there is a reason.

    Attributes
    ----------
    sanity_mean, sanity_last : float
        Most similarity to maps of partly and of fully random weights that passes [1].
    sanity_fail_mean, sanity_fail_last : float
        Similarity from which on the check fails [1].
    zero_maps : float
        Most share of zero maps [1].
    alpha : float
        Largest p at which a control counts as beaten [1].
    patch_shift : float
        Least loss of margin that makes a patch a cause [logits].
    patch_enrichment : float
        Least density of attribution in the patch, where 1 is even [1].
    patch_kept : float
        Least share of it that is left when the patch hides [1].
    decision : float
        How many times firmer than random weights the network must decide [1].
    label_gap : float
        Least by which a map is nearer to that of a network with true labels than to that of one
        with permuted labels [1].
    label_fit : float
        Least accuracy of both on what they were fitted to [1].
    cause_least, cause_ratio : float
        Least loss of probability that shows a cause [1], and how many times the next it must be.
    dense_band : float
        Share of the regions that boundary bands may cover before nothing can be said [1].
    """

    sanity_mean: float = 0.5
    sanity_last: float = 0.3
    sanity_fail_mean: float = 0.8
    sanity_fail_last: float = 0.6
    zero_maps: float = 0.3
    alpha: float = 0.05
    patch_shift: float = 2.0
    patch_enrichment: float = 5.0
    patch_kept: float = 0.5
    decision: float = 2.0
    label_gap: float = 0.2
    label_fit: float = 0.9
    cause_least: float = 0.2
    cause_ratio: float = 2.0
    dense_band: float = 0.6


def judge_sanity(mean, last, zero_share, limits):
    """Verdict of the weight randomisation.

    Parameters
    ----------
    mean : float
        Mean over stages of the absolute rank correlation with the trained map [1]; a map with the
        sign turned is still the same map.
    last : float
        The same with all weights random [1].
    zero_share : float
        Share of zero maps among all [1].
    limits : Thresholds
        Where to cut.

    Returns
    -------
    str
        ``pass``, ``fail``, ``inconclusive`` or ``degenerate``.
    """
    if zero_share > limits.zero_maps:
        return DEGENERATE
    if mean >= limits.sanity_fail_mean or last >= limits.sanity_fail_last:
        return FAIL
    return PASS if mean <= limits.sanity_mean and last <= limits.sanity_last else INCONCLUSIVE


def judge_faithfulness(against_random, against_distance, n_units, limits):
    """Verdict of the comparison with controls.

    A map must beat noise by both measures, ROAD and infidelity, and the distance to the region by
    one of them: a class that shows in a texture that fills the region leaves little to know beyond
    where the region lies.

    Parameters
    ----------
    against_random, against_distance : sequence of float
        p by measure; NaN where there was none.
    n_units : int
        Pairs behind each.
    limits : Thresholds
        Where to cut.

    Returns
    -------
    str
        ``fail`` if it does not beat noise; ``inconclusive`` if it does, but not the distance, or
        if so few pairs cannot show anything; else ``pass``.
    """
    p_values = [*against_random, *against_distance]
    if 2.0**-n_units > limits.alpha or not np.isfinite(p_values).all():
        return INCONCLUSIVE
    if max(against_random) >= limits.alpha:
        return FAIL
    # the better of two is picked, so each has half of alpha
    return PASS if min(against_distance) < limits.alpha / 2 else INCONCLUSIVE


def judge_patch(enrichment, kept, limits):
    """Verdict of the known cause: ``pass`` or ``fail``; ``inconclusive`` without an attack."""
    if not np.isfinite(enrichment):
        return INCONCLUSIVE
    found = enrichment >= limits.patch_enrichment
    stays = not np.isfinite(kept) or kept >= limits.patch_kept
    return PASS if found and stays else FAIL


def judge_labels(gap, accuracy, limits):
    """Verdict of label randomisation.

    It never fails: on networks that learnt the same task twice, maps differ about as much as on
    one that learnt nonsense, so that a small gap shows nothing.

    Parameters
    ----------
    gap : float
        Similarity to the map of a network with true labels, less that to the map of one with
        permuted labels [1]; NaN if either has no map.
    accuracy : float
        The lesser accuracy of the two on what they were fitted to [1].
    limits : Thresholds
        Where to cut.

    Returns
    -------
    str
        ``pass`` or ``inconclusive``.
    """
    is_clear = accuracy >= limits.label_fit and gap >= limits.label_gap
    return PASS if is_clear else INCONCLUSIVE


def judge_method(checks, is_decided, is_attackable=True):
    """Verdict on a method, with its reasons.

    Parameters
    ----------
    checks : dict of str to str
        Outcome by check: ``sanity``, ``faithfulness``, ``patch``; a check that was not made is
        missing.
    is_decided : bool
        Whether the network decides more firmly than random weights do.
    is_attackable : bool
        Whether a patch could change the decision; if not, the method is not asked to show it.

    Returns
    -------
    verdict : str
        One of `VERDICTS`.
    reasons : list of str
        At least one.
    """
    if not checks:
        return NOT_CHECKED, ["no check was made"]
    words = {
        "sanity": "the map hardly changes when the weights are random",
        "faithfulness": "what it names matters no more than random pixels",
        "patch": "it does not show a patch that is known to be the cause",
    }
    if DEGENERATE in checks.values():
        return DEGENERATE, ["its maps are zero or constant"]
    failed = [name for name, outcome in checks.items() if outcome == FAIL]
    if not is_decided:
        reason = "the network decides no more firmly than with random weights"
        return NOT_SUPPORTED, [reason, *(words[name] for name in failed)]
    if failed:
        return NOT_SUPPORTED, [words[name] for name in failed]
    missing = [name for name in words if name not in checks]
    open_ones = [name for name, outcome in checks.items() if outcome == INCONCLUSIVE]
    if not is_attackable:
        open_ones = [name for name in open_ones if name != "patch"]
    if missing or open_ones:
        reasons = [f"{name} was not checked" for name in missing]
        return INCONCLUSIVE, reasons + [f"{name} is inconclusive" for name in open_ones]
    return TRUSTWORTHY, ["passes sanity, beats the controls, and shows known causes"]
