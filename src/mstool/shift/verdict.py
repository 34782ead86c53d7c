"""From measurements to words: shifted or not, harmful or not, and what to do."""

from dataclasses import dataclass

import numpy as np

from mstool.chance.intervals import LEAST_UNITS
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
    label_shift_suspected: bool | None  # phases in other shares; None where nothing tells
    recommendation: str  # what to do, in a sentence


def judge(findings: Findings, alpha: float, tolerance: float) -> Verdict:
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
    return Verdict(tests.detected, harmful, label_shift, recommend(findings, harmful, label_shift))


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
        if not np.isfinite([low, high]).all():  # fewer than four units in either set
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


def recommend(findings: Findings, harmful: str, label_shift: bool | None) -> str:
    """Next step, in a sentence; the rest of the verdict being as in `Verdict`."""
    mitigation = findings.mitigation
    if mitigation is not None and mitigation.makes_worse:
        return (
            f"do not use the repair {mitigation.chosen}: the labels show that it makes things worse"
        )
    words = {YES: _repair, NO: _use, UNCLEAR: _tell_apart, UNKNOWN: _ask}
    return words[harmful](findings, label_shift)


def _use(findings: Findings, label_shift: bool | None) -> str:
    if label_shift:
        return "the phases come in other shares; the model can be used as it is, unrepaired"
    is_detected = findings.measured.tests.detected
    seen = "a shift is detected, but" if is_detected else "no shift is detected, and"
    return f"{seen} the model does not suffer; use it as it is"


def _tell_apart(findings: Findings, _: bool | None) -> str:
    untold, missing = "whether the model loses cannot be told", _missing_labels(findings)
    if not missing:
        scores = findings.performance
        units = {"the source": scores.source.n_units, "the target": scores.target.n_units}
        few = [name for name, n in units.items() if n < LEAST_UNITS] or ["either set"]
        return f"{untold} from so few micrographs; add labelled ones to {' and '.join(few)}"
    is_annotated = "--target-labels" not in missing
    first = "" if is_annotated else "annotate the micrographs of highest risk and "
    return f"{untold}; {first}compare again with {' and '.join(missing)}"


def _ask(findings: Findings, _: bool | None) -> str:
    tests = findings.measured.tests
    if not tests.detected and not tests.can_detect:
        return "too few micrographs to show any shift; add some to either set"
    seen = "the sets differ" if tests.detected else "no shift is detected"
    if findings.performance is None:
        return f"{seen}; give --model to learn what that costs"
    return (
        f"{seen}{_of_repair(findings)}; what that costs needs "
        f"{' and '.join(_missing_labels(findings))}, or two kinds of change and five doses or more "
        "to --simulate, and the time for them"
    )


def _of_repair(findings: Findings) -> str:
    if findings.chosen in (None, NONE):
        return ""
    is_better = findings.mitigation.is_better
    words = "is more consistent" if is_better else "was asked for and is no better than none"
    return f"; the repair {findings.chosen} {words}"


def _repair(findings: Findings, _: bool | None) -> str:
    loses, mitigation = "the model loses on these micrographs", findings.mitigation
    if mitigation is None:
        return f"{loses}; try --mitigate auto"
    chosen = mitigation.chosen
    if chosen == NONE and mitigation.left_out:
        return (
            f"{loses}, and there was no time to try {len(mitigation.left_out)} repairs; the same "
            "command with a larger --max-time does"
        )
    if len(mitigation.repairs) == 1 and mitigation.impossible:
        reasons = ", ".join(f"{name}: {why}" for name, why in mitigation.impossible.items())
        return f"{loses}, and what was asked for is not possible ({reasons}); try --mitigate auto"
    annotate = "annotate some of these micrographs (--retrain-advice) and train again"
    if chosen == NONE:
        return f"the model loses and no repair is more consistent; {annotate}"
    if not mitigation.is_better:
        return f"{loses}{_of_repair(findings)}; try --mitigate auto, or {annotate}"
    return f"{loses}; use the repair {chosen}, which lies beside the record, and check by eye"


def _missing_labels(findings: Findings) -> list[str]:
    """Flags of the label maps without which the loss cannot be measured."""
    scores = findings.performance
    sides = {"--source-labels": scores.source, "--target-labels": scores.target}
    return [flag for flag, found in sides.items() if found is None]
