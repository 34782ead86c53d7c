"""What a reader should know before believing what was found: one caution, one function."""

from collections.abc import Iterator, Sequence

from mstool.chance.intervals import LEAST_UNITS
from mstool.shift.findings import Findings

_FEW = 10


def list_cautions(found: Findings, left_out: Sequence[str]) -> list[str]:
    """Warnings in the order in which they matter; `left_out` is what there was no time for."""
    rules = (
        _weak_tests,
        _few_units,
        _flattering_scores,
        _unexplained,
        _extrapolated,
        _without_truth,
        _untold,
    )
    warnings = [words for rule in rules for words in rule(found)]
    return [*warnings, *([f"left out for lack of time: {', '.join(left_out)}"] if left_out else [])]


def _weak_tests(found: Findings) -> Iterator[str]:
    tests = found.measured.tests
    if not tests.can_detect:
        cause = "permutations" if tests.few_permutations else "micrographs"
        yield (
            f"so few {cause} allow no p below {tests.smallest_p:.2g}; after correction for "
            f"{len(tests.p)} tests no shift can be detected"
        )


def _few_units(found: Findings) -> Iterator[str]:
    """Fields of one specimen are alike, so that it is specimens that count."""
    scores = found.performance
    for name in ("source", "target") if scores else ():
        one = getattr(scores, name)
        if one is None or one.n_units >= _FEW:
            continue
        noun = "micrograph" if one.n_units == one.n_images else "specimen"
        units = f"{one.n_units} {noun}{'s' * (one.n_units != 1)} of the {name}"
        if one.n_units < LEAST_UNITS:
            yield f"{units} cannot tell how {noun}s vary: scores have no interval"
        else:
            yield f"intervals of scores rest on {units}, which may not show all that varies"


def _flattering_scores(found: Findings) -> Iterator[str]:
    scores = found.performance
    if scores is None:
        return
    if scores.source_trained_on:
        yield "the model was trained on the source; its score there flatters"
    if scores.target_trained_on:
        shown = ", ".join(scores.target_trained_on[:3])
        yield f"the model was trained on micrographs of the target: {shown}"


def _unexplained(found: Findings) -> Iterator[str]:
    """What no factor explains; one unit against one tells not how much is left by chance."""
    factors = found.factors
    fits = {"grey levels": factors.transfer, "spectra": factors.spectrum}
    places = [place for place, fit in fits.items() if not fit.is_explained]
    if not places:
        return
    if found.measured.tests.smallest_p >= 1:
        yield (
            "one against one does not tell by how much micrographs of one set differ: what was "
            "fitted, and what is left of it, may be no shift"
        )
        return
    causes = ["etching", "staining", "other structures"]
    if not factors.fractions:  # without labels or a network
        causes.append("phases in other shares")
    yield (
        f"no factor explains the {' and '.join(places)} of the target: think of "
        f"{', '.join(causes[:-1])} or {causes[-1]}, and do not rely on the values that were fitted"
    )


def _extrapolated(found: Findings) -> Iterator[str]:
    if found.estimate and found.estimate.is_extrapolated:
        yield "the target lies outside of all that was simulated: do not rely on estimates"


def _without_truth(found: Findings) -> Iterator[str]:
    if found.robustness and found.robustness.truth == "prediction":
        yield "without --source-labels, losses are against the undisturbed prediction"


def _untold(found: Findings) -> Iterator[str]:
    if found.advice and found.advice.reason:
        yield f"what annotation would bring is not told: {found.advice.reason}"
