"""Two sets and a network, read and ready to be compared."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from mstool.nn.checkpoint import LoadedModel
from mstool.pipeline.shift.network import Network, SetReadings
from mstool.pipeline.shift.sets import MicrographSet, SetInputs
from mstool.pipeline.shift.settings import ShiftSettings
from mstool.reporting import Reporter
from mstool.shift.appearance import Appearance


@dataclass(frozen=True)
class Comparison:
    """Two sets, and the network that is to work on them.

    Attributes
    ----------
    settings : ShiftSettings
        How.
    target_inputs : SetInputs
        Files of the target.
    source, target : MicrographSet
        The sets.
    levels : tuple of float
        Stored values of black and white.
    looks : tuple of list of Appearance
        Image statistics of source and target.
    model : LoadedModel or None
        As loaded.
    network : Network or None
        The same at work.
    readings : tuple of SetReadings, or None
        What it makes of source and target.
    out : Path
        Folder to fill.
    report : Reporter
        Where notes and progress go.
    deadline : float
        Reading of the monotonic clock at which to stop [s].
    left_out : list of str
        What there was no time for; parts of the work add to it.
    """

    settings: ShiftSettings
    target_inputs: SetInputs
    source: MicrographSet
    target: MicrographSet
    levels: tuple[float, float]
    looks: tuple[list[Appearance], list[Appearance]]
    model: LoadedModel | None
    network: Network | None
    readings: tuple[SetReadings, SetReadings] | None
    out: Path
    report: Reporter
    deadline: float
    left_out: list[str] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        """Whether the budget is spent."""
        return time.monotonic() > self.deadline

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty without a model."""
        return self.model.checkpoint.classes if self.model else ()
