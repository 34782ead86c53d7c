"""How long a training has run, and what it can expect of the time that is left."""

import math
import time

from mstool.io.records import Run, core_seconds
from mstool.nn.fit_state import FitSettings, FitState
from mstool.nn.outlook import in_words, steps_in_budget, validations_left

_POOR = 1 / 3  # share of the planned steps below which a budget is said to be short


class Pace:
    """The clock of a training run, and what it has said of it.

    Parameters
    ----------
    settings : FitSettings
        How training is done, and its budget.
    run : Run
        From whose start time counts.
    is_validated : bool
        Whether there are validations, which take time too.
    validation_s : float
        What one is expected to take, until one has been timed [s].
    """

    def __init__(
        self, settings: FitSettings, run: Run, is_validated: bool, validation_s: float = 0.0
    ):
        self.settings, self.is_validated = settings, is_validated
        self._expected_s = validation_s
        self.step_s: float | None = None  # with what cuts crops, in the epoch under way [s]
        self._started, self._cores = run.clock, run.cores
        self._has_told_time, self._has_warned = False, False

    def elapsed_s(self, state: FitState) -> float:
        """Time that training took, earlier sessions included [s]."""
        return state.elapsed_s + time.monotonic() - self._started

    def keep(self, state: FitState) -> None:
        """Add the time since this was last called to what `state` says of earlier sessions."""
        state.elapsed_s, self._started = self.elapsed_s(state), time.monotonic()
        state.core_s, self._cores = self._core_s(state), core_seconds()

    def _core_s(self, state: FitState) -> float | None:
        now = core_seconds()
        if now is None or self._cores is None:
            return None
        return (state.core_s or 0.0) + now - self._cores

    def progress(self, state: FitState, share: float) -> float:
        """Share of the budget that is spent, or `share`, that of the steps, if it is more."""
        left = self._left_s(state) - self._validation_s(state)
        if left <= 0:
            return 1.0
        # time to train is what validations, at the rate so far, and the start leave of the budget
        left *= state.training_s / max(1e-9, state.training_s + state.validation_s)
        return min(max(share, state.training_s / max(1e-9, state.training_s + left)), 1.0)

    def warning(self, state: FitState, total: int) -> str:
        """That the budget leaves too few of `total` steps: once, in the first epoch; else empty."""
        if self._has_told_time or self._has_warned:
            return ""
        needed, left = self._needed_s(state, total), self._left_s(state)
        n_steps = steps_in_budget(state.n_steps, total, needed, left)
        self._has_warned = n_steps < _POOR * total
        if not self._has_warned:
            return ""
        return (
            f"warning: --max-time leaves about {n_steps:.0f} of {total} planned steps, and the "
            "model will be poor; give more time, plan fewer --epochs"
        )

    def outlook(self, state: FitState, total: int) -> str:
        """What is left after the first epoch of this session; nothing after later ones."""
        if self._has_told_time or self.step_s is None:
            return ""
        self._has_told_time = True
        words = f"; about {in_words(min(self._needed_s(state, total), self._left_s(state)))} more"
        if not self.is_validated or self._validation_s(state):
            return words
        return f"{words}, and validations, of which none is timed yet"

    def _needed_s(self, state: FitState, total: int) -> float:
        """Time that all planned steps and validations would take from now on."""
        settings = self.settings
        n_validations = validations_left(state.epoch + 1, settings.epochs, settings.validate_every)
        validations_s = n_validations * self._validation_s(state)
        return (total - state.n_steps) * (self.step_s or 0.0) + validations_s

    def _validation_s(self, state: FitState) -> float:
        """Time of one validation, measured or expected [s]."""
        if not state.n_validations:
            return self._expected_s
        return state.validation_s / state.n_validations

    def _left_s(self, state: FitState) -> float:
        return max(0.0, (self.settings.max_time_s or math.inf) - self.elapsed_s(state))
