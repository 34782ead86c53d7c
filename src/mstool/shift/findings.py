"""All that was found of two sets: what verdict and warnings rest on."""

from dataclasses import dataclass

from mstool.shift.advice import Advice
from mstool.shift.choice import LEAST_GAIN, NONE, suspect_label_shift
from mstool.shift.cost import Estimates, Performance
from mstool.shift.dosing import Robustness
from mstool.shift.estimates import Estimate
from mstool.shift.factors import Factors
from mstool.shift.measures import Measurements
from mstool.shift.mitigation import Mitigation
from mstool.shift.phase_fractions import PhaseFractions
from mstool.shift.transfer import PHASES


@dataclass(frozen=True)
class Findings:
    """The parts of a comparison; None where one was not asked for or could not be made."""

    measured: Measurements
    factors: Factors
    fractions: PhaseFractions | None
    performance: Performance | None
    mitigation: Mitigation | None
    robustness: Robustness | None
    estimates: Estimates | None
    advice: Advice | None

    @property
    def estimate(self) -> Estimate | None:
        """Range for the mean IoU on the target."""
        return self.estimates and self.estimates.mean_iou

    @property
    def chosen(self) -> str | None:
        """Repair that is taken."""
        return self.mitigation and self.mitigation.chosen

    def suspects_label_shift(self, alpha: float, fails: bool) -> bool | None:
        """Whether phase fractions differ by more than chance; None where nothing tells.

        Predictions on images that changed tell nothing of phases, and nor do those of a model that
        `fails` on them, unless a repair makes them as consistent as on the source. Units too few
        for any p below alpha do not tell that fractions are the same.
        """
        factors, found = self.factors, self.fractions
        if found is None:
            return True if PHASES in factors.moved else None
        theirs, p = found.target, found.p
        if found.basis == "prediction":
            if self.chosen not in (None, NONE):
                row = self.mitigation.chosen_row
                if row.self_consistency < self.estimates.self_consistency["source"] - LEAST_GAIN:
                    return None
                theirs, p = row.phase_fraction, row.phase_fraction_p
            elif fails or set(factors.moved) - {PHASES} or not factors.is_explained:
                return None
        ours = found.source
        if not suspect_label_shift([theirs[name] for name in ours], list(ours.values())):
            return False
        can_tell = self.measured.tests.smallest_p <= alpha
        return bool(p <= alpha) if can_tell else None
