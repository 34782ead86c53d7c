"""Repairs of the target, tried one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mstool.nn.adapt import adapt_norms, minimise_entropy
from mstool.nn.model import Segmenter
from mstool.nn.norms import list_norms
from mstool.pipeline.shift.factors import Factors
from mstool.pipeline.shift.network import Network, SetReadings, read_set
from mstool.pipeline.shift.sets import MicrographSet, Sample, to_stored, to_unit
from mstool.pipeline.shift.settings import MODEL_REPAIRS
from mstool.reporting import Reporter
from mstool.scores.statistics import mean_iou_with_interval
from mstool.shift.choice import NONE, choose_repair
from mstool.shift.readings import add_readings
from mstool.shift.repair import (
    Reference,
    adapt_fourier,
    make_reference,
    match_histogram,
    match_mean_and_spread,
)

_MIXED_PRIOR = 16.0  # micrographs that the statistics of the source count as
Change = Callable[[np.ndarray, Reference], np.ndarray]


@dataclass(frozen=True)
class Repair:
    """One way to make a network work on the target.

    Attributes
    ----------
    name : str
        As the flag has it.
    change : callable
        Takes an image (H, W, C), grey levels from 0 to 1, and the statistics of the micrograph that
        it is a part of; gives an image.
    segmenter : Segmenter
        The network, itself or fitted to the target.
    """

    name: str
    change: Change
    segmenter: Segmenter


def make_repair(
    name: str,
    network: Network,
    source: MicrographSet,
    target: MicrographSet,
    factors: Factors,
    seed: int,
    report: Reporter,
) -> Repair | None:
    """Repair by its name, if this network and these sets allow it.

    Parameters
    ----------
    name : str
        One of `REPAIRS`.
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
    Repair or None
        None where the network has no normalisation to repair, or no curve was fitted.
    """
    if name in MODEL_REPAIRS:
        fitted = _adapt(name, network, target, seed, report)
        return None if fitted is None else Repair(name, _leave, fitted)
    if name == "curve" and not set(factors.transfer.moved) & {"gamma", "gain", "offset"}:
        report.note("curve: no change of grey levels was found, so there is none to undo; left out")
        return None
    return Repair(name, _make_change(name, network, source, factors), network.segmenter)


def try_repair(
    repair: Repair, network: Network, target: MicrographSet, report: Reporter
) -> SetReadings:
    """Readings of the target under a repair."""
    network = network.with_segmenter(repair.segmenter)
    words = f"repair {repair.name}"
    if repair.name in (NONE, *MODEL_REPAIRS):
        return read_set(network, target.samples, words, report)

    repaired = [
        replace(sample, fields=tuple(_repair_fields(repair, sample, network.levels, target.dtype)))
        for sample in target.samples
    ]
    return read_set(network, repaired, words, report)


def own_statistics(sample: Sample, levels: tuple[float, float]) -> Reference:
    """Statistics of one micrograph, from its fields."""
    return make_reference([to_unit(field, levels) for field in sample.fields])


def repair_stored(
    repair: Repair, stored: np.ndarray, own: Reference, levels: tuple[float, float], dtype: str
) -> np.ndarray:
    """Stored values of a part of a micrograph, repaired; `own` is of the micrograph."""
    return to_stored(repair.change(to_unit(stored, levels), own), levels, dtype)


def _repair_fields(repair: Repair, sample: Sample, levels, dtype):
    own = own_statistics(sample, levels)
    for field in sample.fields:
        yield repair_stored(repair, field, own, levels, dtype)


def try_repairs(
    names: Sequence[str],
    network: Network,
    source: MicrographSet,
    target: MicrographSet,
    own: SetReadings,
    factors: Factors,
    seed: int,
    report: Reporter,
    has_no_time: Callable[[str], bool],
) -> tuple[dict[str, Repair], dict[str, SetReadings]]:
    """Every repair that can be made, with the readings of the target under it.

    Parameters
    ----------
    names : sequence of str
        Some of `REPAIRS`, ``none`` among them.
    network, source, target, factors, seed, report
        As for `make_repair`.
    own : SetReadings
        Of the target as it is.
    has_no_time : callable
        Asked before each repair but ``none``, by its name; those are left out.

    Returns
    -------
    repairs : dict of str to Repair
    tried : dict of str to SetReadings
    """
    repairs: dict[str, Repair] = {}
    tried: dict[str, SetReadings] = {}
    for name in names:
        if name != NONE and has_no_time(name):
            continue
        repair = make_repair(name, network, source, target, factors, seed, report)
        if repair is None:
            continue
        repairs[name] = repair
        tried[name] = own if name == NONE else try_repair(repair, network, target, report)
    return repairs, tried


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
            row["mean_iou"], row["interval"] = mean_iou_with_interval(confusions, seed, groups)
        rows.append(row)
    scores = {row["name"]: row["mean_iou"] for row in rows}
    known = None if None in scores.values() else scores
    chosen = choose_repair(pooled, ours, known) if is_auto else list(pooled)[-1]
    return {"repairs": rows, "chosen": chosen}


def _leave(image: np.ndarray, own: Reference) -> np.ndarray:
    return image


def _make_change(name: str, network: Network, source: MicrographSet, factors: Factors) -> Change:
    if name == NONE:
        return _leave
    if name == "curve":
        return lambda image, own: factors.transfer.invert(image).astype(np.float32)
    reference = make_reference(
        [to_unit(field, network.levels) for sample in source.samples for field in sample.fields]
    )
    change = {
        "histogram": match_histogram,
        "reinhard": match_mean_and_spread,
        "fourier": adapt_fourier,
    }[name]
    return lambda image, own: change(image, own, reference)


def _adapt(
    name: str, network: Network, target: MicrographSet, seed: int, report: Reporter
) -> Segmenter | None:
    if not list_norms(network.segmenter):
        report.note(f"{name}: the network has no batch normalisation; left out")
        return None
    images = [network.place(field) for sample in target.samples for field in sample.fields]
    try:
        if name == "tent":
            return minimise_entropy(network.segmenter, images, seed=seed)
        prior = _MIXED_PRIOR if name == "adabn-mixed" else 0.0
        return adapt_norms(network.segmenter, images, prior)
    except ValueError as error:  # batch normalisation that sees a single value
        report.note(f"{name}: the fields are too small for this network ({error}); left out")
        return None
