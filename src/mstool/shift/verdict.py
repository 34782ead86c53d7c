"""From measurements to words: shifted or not, harmful or not, and what to do."""

from dataclasses import dataclass

import numpy as np

from mstool.shift.choice import NONE
from mstool.shift.cost import Drop
from mstool.shift.estimates import Estimate
from mstool.shift.findings import Findings
from mstool.shift.transfer import PHASES

_NEAR = 4  # times alpha: a corrected p below may be a shift that was missed
YES, NO, UNCLEAR, UNKNOWN = "yes", "no", "unclear", "unknown"


@dataclass(frozen=True)
class Verdict:
    """What is to be believed of two sets."""

    shift_detected: bool  # by any test, corrected for their number
    harmful: str  # yes, no, unclear (the interval holds both), unknown (no network)
    label_shift_suspected: bool | None  # phases in other shares; None without a network
    recommendation: str  # what to do, in a sentence


def judge(findings: Findings, alpha: float, tolerance: float, has_model: bool) -> Verdict:
    """Verdict on all that was found; the tolerance is the loss of mean IoU that counts."""
    tests, factors = findings.measured.tests, findings.factors
    by_phases_alone = factors.moved == (PHASES,) and factors.is_explained
    may_be_changed = tests.least_p <= _NEAR * alpha or not tests.can_detect
    harmful = judge_harm(
        findings.performance and findings.performance.drop,
        findings.estimate,
        findings.robustness and findings.robustness.undosed,
        tolerance,
        is_image_changed=may_be_changed and not by_phases_alone,
    )
    label_shift = findings.suspects_label_shift(alpha, fails=harmful == YES)
    words = recommend(
        tests.detected,
        harmful,
        label_shift,
        findings.chosen,
        tests.can_detect,
        has_model,
        worse=findings.mitigation is not None and findings.mitigation.makes_worse,
        n_untried=len(findings.mitigation.left_out) if findings.mitigation else 0,
    )
    return Verdict(tests.detected, harmful, label_shift, words)


def judge_harm(
    drop: Drop | None,
    estimate: Estimate | None,
    nominal: float | None,
    tolerance: float,
    is_image_changed: bool = True,
) -> str:
    """Whether the loss of mean IoU, as measured or else as estimated, exceeds a tolerance.

    An estimate is a wide range, since some kinds of change fool it. Where images did not change, or
    only their phase fractions did, none of them can be at work: its middle is enough to say no, and
    yes still needs all of it. The nominal score is that on unchanged source micrographs.
    """
    if drop is not None:
        low, high = drop.interval
        if not np.isfinite([low, high]).all():  # one micrograph, or none with a label
            return UNCLEAR
    elif estimate is not None and nominal is not None:
        worst = estimate.low if is_image_changed else estimate.mean_iou
        low, high = nominal - estimate.high, nominal - worst
        if estimate.is_extrapolated and low <= tolerance:
            return UNCLEAR
    else:
        return UNKNOWN
    if low > tolerance:
        return YES
    return NO if high <= tolerance else UNCLEAR


def recommend(
    shift_detected: bool,
    harmful: str,
    label_shift: bool | None,
    chosen: str | None,
    can_detect: bool,
    has_model: bool,
    worse: bool = False,
    n_untried: int = 0,
) -> str:
    """Next step, in a sentence.

    Parameters
    ----------
    shift_detected, harmful, label_shift
        As in `Verdict`.
    chosen : str or None
        Repair that was chosen; None where none was tried.
    can_detect, has_model : bool
        Whether so few micrographs can show a shift at all, and a network could tell a loss.
    worse : bool
        Whether the truth shows that the repair, which was asked for by name, makes things worse.
    n_untried : int
        Repairs that were asked for and that there was no time for.
    """
    if worse:
        return f"do not use the repair {chosen}: the labels show that it makes things worse"
    words = {
        YES: _repair(chosen, n_untried),
        NO: _use(shift_detected, label_shift),
        UNCLEAR: "whether the model loses cannot be told; annotate the micrographs of highest risk "
        "and compare again with --target-labels",
        UNKNOWN: _ask(shift_detected, can_detect, has_model, chosen),
    }
    return words[harmful]


def _use(shift_detected: bool, label_shift: bool | None) -> str:
    if label_shift:
        return "the phases come in other shares; the model can be used as it is, unrepaired"
    seen = "a shift is detected, but" if shift_detected else "no shift is detected, and"
    return f"{seen} the model does not suffer; use it as it is"


def _ask(shift_detected: bool, can_detect: bool, has_model: bool, chosen: str | None) -> str:
    if not shift_detected and not can_detect:
        return "too few micrographs to show any shift; add some to either set"
    seen = "the sets differ" if shift_detected else "no shift is detected"
    if has_model:
        better = "" if chosen in (None, NONE) else f"; the repair {chosen} is more consistent"
        return (
            f"{seen}{better}; what that costs needs --target-labels, or several kinds of change to "
            "--simulate and the time for them"
        )
    return f"{seen}; give --model to learn what that costs"


def _repair(chosen: str | None, n_untried: int) -> str:
    if chosen is None:
        return "the model loses on these micrographs; try --mitigate auto"
    if chosen == NONE and n_untried:
        return (
            f"the model loses on these micrographs, and there was no time to try {n_untried} "
            "repairs; the same command with a larger --max-time does"
        )
    if chosen == NONE:
        return (
            "the model loses and no repair is more consistent; annotate some of these "
            "micrographs (--retrain-advice) and train again"
        )
    return (
        f"the model loses on these micrographs; use the repair {chosen}, which lies beside the "
        "record, and check by eye"
    )
