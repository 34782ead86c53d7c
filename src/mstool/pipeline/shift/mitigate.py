"""Repairs of the target, made by their names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mstool.nn.scan import Network
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.network import Change, read_set
from mstool.pipeline.shift.plan import MODEL_REPAIRS
from mstool.pipeline.shift.samples import Sample
from mstool.shift.choice import NONE
from mstool.shift.factors import Factors
from mstool.shift.grey_levels import to_stored, to_unit
from mstool.shift.readings import SetReadings
from mstool.shift.repair import (
    Reference,
    adapt_fourier,
    make_reference,
    match_histogram,
    match_mean_and_spread,
)

# takes a part of an image, and statistics of the whole
ChangePart = Callable[[np.ndarray, Reference], np.ndarray]

_MIXED_PRIOR = 16.0  # micrographs that the statistics of the source count as
_TO_SOURCE = {
    "histogram": match_histogram,
    "reinhard": match_mean_and_spread,
    "fourier": adapt_fourier,
}


@dataclass(frozen=True)
class Repair:
    """One way to make a network work on the target."""

    name: str  # as the flag has it
    network: Network  # itself, or fitted to the target
    change: ChangePart | None = None  # None where images stay as they are

    def for_sample(self, sample: Sample, dtype: str) -> Change:
        """Change of the stored values of any part of a micrograph."""
        change, levels = self.change, self.network.levels
        if change is None:
            return lambda stored: stored
        own = make_reference([to_unit(field, levels) for field in sample.fields])
        return lambda stored: to_stored(change(to_unit(stored, levels), own), levels, dtype)


def make_repair(c: Comparison, name: str, factors: Factors) -> Repair | str:
    """Repair by its name; where it is not possible, why."""
    network = c.network
    if name == NONE:
        return Repair(name, network)
    if name in MODEL_REPAIRS:
        return _adapt(c, name)
    if name == "curve":
        if not factors.transfer.greys_moved:
            return "there is no change of grey levels to undo"
        curve = factors.transfer.invert
        return Repair(name, network, lambda image, own: curve(image).astype(np.float32))
    if name == "fourier" and not all(sample.is_whole for sample in c.target.samples):
        longest = max(max(sample.shape) for sample in c.target.samples)
        return (
            "fields of the target are parts of micrographs, whose waves of the same number are "
            f"longer; give --size {longest}, or tiles"
        )
    reference = make_reference([to_unit(field, c.levels) for field in c.source.fields])
    return Repair(name, network, lambda image, own: _TO_SOURCE[name](image, own, reference))


def read_repaired(c: Comparison, repair: Repair) -> SetReadings:
    """Readings of the target under a repair."""
    words, change_of = f"repair {repair.name}", partial(repair.for_sample, dtype=c.target.dtype)
    return read_set(repair.network, c.target.samples, words, c.report, change_of)


def _adapt(c: Comparison, name: str) -> Repair | str:
    if not c.network.has_norms:
        return "the network has no batch normalisation"
    try:
        if name == "tent":
            fitted = c.network.with_entropy_of(c.target.fields, c.settings.seed)
        else:
            prior = _MIXED_PRIOR if name == "adabn-mixed" else 0.0
            fitted = c.network.with_norms_of(c.target.fields, prior)
    except ValueError as error:  # batch normalisation that sees a single value
        return f"the fields are too small for this network ({error})"
    return Repair(name, fitted)
