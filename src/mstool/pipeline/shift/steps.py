"""The steps of a comparison: each gives its part of the record."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.cost import estimate_cost, measure_scores
from mstool.pipeline.shift.derive import (
    advise,
    derive_augmentation,
    expect_gain,
)
from mstool.pipeline.shift.factors import Factors, factors_of, fit_factors
from mstool.pipeline.shift.mitigate import Repair, compare_repairs, try_repairs
from mstool.pipeline.shift.network import (
    trained_on,
)
from mstool.pipeline.shift.repaired import (
    write_repaired_images,
    write_repaired_model,
)
from mstool.pipeline.shift.sets import (
    to_unit,
)
from mstool.pipeline.shift.settings import MODEL_REPAIRS
from mstool.pipeline.shift.simulate import (
    Piece,
    cases_of,
    cut_pieces,
    measure_robustness,
)
from mstool.scores.statistics import percentile_interval, resample_mean
from mstool.shift.choice import NONE
from mstool.shift.distances import mean_difference
from mstool.shift.permutation import p_value
from mstool.shift.readings import add_readings


def choose_pieces(c: Comparison) -> list[Piece]:
    """Pieces of source micrographs, of those that the model has not seen where there are some."""
    samples = c.source.samples
    labelled = [number for number, sample in enumerate(samples) if sample.has_truth]
    has_truth = bool(labelled)
    usable = labelled or list(range(len(samples)))
    seen = trained_on(c.source, c.model) if c.model else set()
    fresh = [number for number in usable if number not in seen]
    chosen = (fresh if len(fresh) > 1 else usable)[: c.settings.simulated_images]
    return cut_pieces(c.source, chosen, c.levels, c.network, has_truth)


def fit_change(c: Comparison) -> dict[str, Any]:
    """What changed between the sets, as the record has it."""
    labels = None
    if all(sample.has_truth for sample in c.source.samples):
        labels = [sample.truths for sample in c.source.samples]
    elif c.network is not None:
        labels = [
            [c.network.probabilities(one).argmax(axis=0).astype(np.uint8) for one in sample.fields]
            for sample in c.source.samples
        ]
    change = None
    if c.readings is not None:
        change = np.subtract(*(add_readings(one.readings).fractions for one in c.readings[::-1]))
    return fit_factors(c.source, *c.looks, labels, change, c.levels, c.settings.seed)[1]


def compare_fractions(c: Comparison, division) -> dict[str, Any] | None:
    """Phase fractions that the network predicts, with intervals and the p of their change."""
    if c.readings is None:
        return None
    rows = [np.stack([r.fractions for r in one.readings]) for one in c.readings]
    p = p_value(mean_difference(np.concatenate(rows), division.source, division.target))
    found: dict[str, Any] = {"p": p}
    sides = zip(("source", "target"), rows, (c.source, c.target), strict=True)
    for number, (name, fractions, one) in enumerate(sides):
        drawn = resample_mean(fractions, c.settings.seed + number, one.groups)
        found[name] = dict(zip(c.classes, fractions.mean(axis=0), strict=True))
        found[f"{name}_interval"] = dict(zip(c.classes, percentile_interval(drawn), strict=True))
    return found


def score_sets(c: Comparison) -> dict[str, Any]:
    """Scores of both sets where there are labels; of the source without what was trained on."""
    seen = trained_on(c.source, c.model)
    keep = [number for number in range(len(c.source.samples)) if number not in seen]
    keep = keep if len(keep) > 1 else list(range(len(c.source.samples)))
    source = [c.readings[0].readings[number] for number in keep]
    groups = [c.source.groups[number] for number in keep], c.target.groups
    found = measure_scores(source, c.readings[1].readings, groups, c.classes, c.settings.seed)
    target_seen = sorted(c.target.samples[k].name for k in trained_on(c.target, c.model))
    return found | {
        "source_trained_on": len(keep) == len(c.source.samples) and bool(seen),
        "target_trained_on": target_seen,
    }


def dose_source(c: Comparison, pieces: Sequence[Piece]) -> dict[str, Any]:
    """Cost of simulated doses on pieces of the source."""
    settings = c.settings
    found, late = measure_robustness(
        c.network,
        pieces,
        settings.doses,
        c.source.dtype,
        settings.tolerance,
        settings.seed,
        lambda: c.is_late,
        c.report,
    )
    c.left_out.extend(f"simulated {family}" for family in late)
    has_truth = any(sample.has_truth for sample in c.source.samples)
    return found | {"truth": "labels" if has_truth else "prediction"}


def estimate_loss(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    """Range for the score on the target, from predictions alone."""
    cases = cases_of(parts["robustness"]) if parts["robustness"] else []
    names = [sample.name for sample in c.target.samples]
    return estimate_cost(c.readings[0].readings, c.readings[1].readings, names, cases)


def repair_target(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    """Try the repairs, choose one, and write what it makes."""
    settings, factors = c.settings, factors_of(parts["fit"])

    def has_no_time(name: str) -> bool:
        if c.is_late:
            c.left_out.append(f"repair {name}")
        return c.is_late

    repairs, tried = try_repairs(
        settings.repairs, c.network, c.source, c.target, c.readings[1], factors, settings.seed,
        c.report, has_no_time,
    )  # fmt: skip
    found = compare_repairs(
        tried, c.readings[0], c.target.groups, c.classes, settings.is_auto, settings.seed
    )
    chosen = repairs[found["chosen"]]
    drawings.draw_cases(
        c.out, c.source, c.target, c.levels, c.network, None if chosen.name == NONE else chosen,
        c.model,
    )  # fmt: skip
    return found | {"files": _write_repair(c, chosen)}


def _write_repair(c: Comparison, repair: Repair) -> list[str]:
    """Repaired micrographs, or the repaired network; nothing for "none"."""
    if repair.name == NONE or c.model is None:
        return []
    if repair.name in MODEL_REPAIRS:
        return write_repaired_model(c.model, c.target, repair, c.out)
    how = c.settings
    return write_repaired_images(
        c.target_inputs, c.target, repair, c.levels, how.pixel_size_um, how.grey, c.out
    )


def advise_annotation(
    c: Comparison, parts: dict[str, Any], pieces: Sequence[Piece]
) -> dict[str, Any]:
    """Micrographs to annotate next, and what that would bring."""
    names = [sample.name for sample in c.target.samples]
    picks = advise(names, *c.readings, c.settings.advise)
    factors = factors_of(parts["fit"])
    gain = None
    if any(sample.has_truth for sample in c.source.samples) and factors.moved and not c.is_late:
        gain = expect_gain(c.network, pieces, factors, c.source.dtype, c.settings.seed, c.report)
    return {"annotate_next": picks, "expected": gain}


def derive_ranges(c: Comparison, factors: Factors) -> dict[str, Any]:
    """Ranges for training that cover the shift."""
    source, target = c.looks
    std = float(
        np.sqrt(np.mean([to_unit(f, c.levels).var() for s in c.source.samples for f in s.fields]))
    )
    if c.model is not None:
        std = float(np.mean(c.model.checkpoint.std)) / (c.levels[1] - c.levels[0])
    return asdict(derive_augmentation(factors, source, target, std))
