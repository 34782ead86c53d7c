"""What a reader should know before believing what was found: one caution, one function."""

from collections.abc import Iterator, Sequence

from mstool.shift.advice import Advice
from mstool.shift.cost import Performance
from mstool.shift.dosing import Robustness
from mstool.shift.estimates import Estimate
from mstool.shift.factors import Factors
from mstool.shift.findings import Findings
from mstool.shift.measures import Significance

_FEW = 10


def list_cautions(findings: Findings, left_out: Sequence[str]) -> list[str]:
    """Warnings in the order in which they matter.

    Parameters
    ----------
    findings : Findings
        The parts of a comparison.
    left_out : sequence of str
        What there was no time for.
    """
    rules = (
        (_weak_tests, findings.measured.tests),
        (_flattering_scores, findings.performance),
        (_unexplained, findings.factors),
        (_extrapolated, findings.estimate),
        (_without_truth, findings.robustness),
        (_untold_gain, findings.advice),
        (_left_out, left_out),
    )
    return [words for rule, part in rules if part for words in rule(part)]


def _weak_tests(tests: Significance) -> Iterator[str]:
    if not tests.can_detect:
        cause = "permutations" if tests.few_permutations else "micrographs"
        yield (
            f"so few {cause} allow no p below {tests.smallest_p:.2g}; after correction for "
            f"{len(tests.p)} tests no shift can be detected"
        )


def _flattering_scores(performance: Performance) -> Iterator[str]:
    if any(one and one.n_images < _FEW for one in (performance.source, performance.target)):
        yield f"intervals of scores rest on fewer than {_FEW} micrographs and are too narrow"
    if performance.source_trained_on:
        yield "the model was trained on the source; its score there flatters"
    if performance.target_trained_on:
        shown = ", ".join(performance.target_trained_on[:3])
        yield f"the model was trained on micrographs of the target: {shown}"


def _unexplained(factors: Factors) -> Iterator[str]:
    fits = {"grey levels": factors.transfer, "spectra": factors.spectrum}
    places = [place for place, fit in fits.items() if not fit.is_explained]
    if places:
        yield (
            f"no factor explains the {' and '.join(places)} of the target: think of etching, "
            "staining or other structures, and do not rely on the values that were fitted"
        )


def _extrapolated(estimate: Estimate) -> Iterator[str]:
    if estimate.is_extrapolated:
        yield "the target lies outside of all that was simulated: do not rely on estimates"


def _without_truth(robustness: Robustness) -> Iterator[str]:
    if robustness.truth == "prediction":
        yield "without --source-labels, losses are against the undisturbed prediction"


def _untold_gain(advice: Advice) -> Iterator[str]:
    if advice.reason:
        yield f"what annotation would bring is not told: {advice.reason}"


def _left_out(left_out: Sequence[str]) -> Iterator[str]:
    yield f"left out for lack of time: {', '.join(left_out)}"
