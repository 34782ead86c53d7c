"""Repairs of the target, tried one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mstool.nn.adapt import adapt_norms, minimise_entropy
from mstool.nn.model import Segmenter
from mstool.nn.norms import list_norms
from mstool.pipeline.shift.factors import Factors
from mstool.pipeline.shift.network import Network, SetReadings, read_set
from mstool.pipeline.shift.sets import MicrographSet, to_stored, to_unit
from mstool.pipeline.shift.settings import MODEL_REPAIRS, NONE
from mstool.reporting import Reporter
from mstool.shift.choice import choose_repair
from mstool.shift.intervals import score_interval
from mstool.shift.readings import add_readings
from mstool.shift.repair import (
    Reference,
    adapt_fourier,
    make_reference,
    match_histogram,
    match_mean_and_spread,
)

_MIXED_PRIOR = 16.0  # micrographs that the statistics of the source count as
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Repair:
    """One way to make a network work on the target.

    Attributes
    ----------
    name : str
        As the flag has it.
    change : callable
        Takes and gives an image (H, W, C), grey levels from 0 to 1.
    segmenter : Segmenter
        The network, itself or fitted to the target.
    """

    name: str
    change: Change
    segmenter: Segmenter


def make_change(name: str, reference: Reference, factors: Factors) -> Change:
    """Change of images by the name of its repair; the identity for repairs of the network."""
    changes: dict[str, Change] = {
        "histogram": lambda image: match_histogram(image, reference),
        "reinhard": lambda image: match_mean_and_spread(image, reference),
        "fourier": lambda image: adapt_fourier(image, reference),
        "curve": lambda image: factors.transfer.invert(image).astype(np.float32),
    }
    return changes.get(name, lambda image: image)


def make_repairs(
    names: Sequence[str],
    network: Network,
    source: MicrographSet,
    target: MicrographSet,
    factors: Factors,
    seed: int,
    report: Reporter,
) -> list[Repair]:
    """Repairs that this network and these sets allow.

    Parameters
    ----------
    names : sequence of str
        Some of `REPAIRS`.
    network : Network
        At work.
    source, target : MicrographSet
        The sets.
    factors : Factors
        What changed.
    seed : int
        Of the crops of entropy minimisation.
    report : Reporter
        Told of what is not possible.

    Returns
    -------
    list of Repair
        In the order of `names`; without those of normalisation where the network has none.
    """
    reference = make_reference(
        [to_unit(field, network.levels) for sample in source.samples for field in sample.fields]
    )
    repairs = []
    for name in names:
        if name not in MODEL_REPAIRS:
            if name == "curve" and not set(factors.transfer.moved) & {"gamma", "gain", "offset"}:
                continue  # would change nothing
            repairs.append(Repair(name, make_change(name, reference, factors), network.segmenter))
            continue
        if not list_norms(network.segmenter):
            report.note(f"{name}: the network has no batch normalisation; left out")
            continue
        images = [network.place(field) for sample in target.samples for field in sample.fields]
        if name == "tent":
            fitted = minimise_entropy(network.segmenter, images, seed=seed)
        else:
            prior = _MIXED_PRIOR if name == "adabn-mixed" else 0.0
            fitted = adapt_norms(network.segmenter, images, prior)
        repairs.append(Repair(name, lambda image: image, fitted))
    return repairs


def try_repair(
    repair: Repair, network: Network, target: MicrographSet, report: Reporter
) -> SetReadings:
    """Readings of the target under a repair."""

    def change(stored: np.ndarray) -> np.ndarray:
        if repair.name == NONE:
            return stored
        image = repair.change(to_unit(stored, network.levels))
        return to_stored(image, network.levels, target.dtype)

    network = network.with_segmenter(repair.segmenter)
    is_plain = repair.name in (NONE, *MODEL_REPAIRS)
    arguments = () if is_plain else (change,)
    return read_set(network, target.samples, f"repair {repair.name}", report, *arguments)


def compare_repairs(
    tried: dict[str, SetReadings],
    source: SetReadings,
    groups: Sequence[str],
    classes: Sequence[str],
    is_auto: bool,
    seed: int,
) -> dict[str, Any]:
    """Table of repairs, and the one that is chosen.

    Parameters
    ----------
    tried : dict of str to SetReadings
        The target under each repair.
    source : SetReadings
        The source.
    groups : sequence of str
        Specimen of each micrograph of the target.
    classes : sequence of str
        Names.
    is_auto : bool
        Whether the most consistent is chosen, or the last one.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``repairs`` and ``chosen``.
    """
    pooled = {name: add_readings(found.readings) for name, found in tried.items()}
    ours = add_readings(source.readings)
    rows = []
    for name, reading in pooled.items():
        row = {
            "name": name,
            "self_consistency": reading.self_consistency,
            "confidence": reading.mean_confidence,
            "phase_fraction": dict(zip(classes, reading.fractions, strict=True)),
            "mean_iou": None,
            "interval": None,
        }
        if reading.confusion is not None:
            confusions = [one.confusion for one in tried[name].readings]
            row["mean_iou"], row["interval"] = score_interval(confusions, seed, groups)
        rows.append(row)
    chosen = choose_repair(pooled, ours) if is_auto else list(pooled)[-1]
    return {"repairs": rows, "chosen": chosen}
