"""The steps of a comparison: each gives its part of the record."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mstool.labels.legend import legend_from_toml, legend_from_values, palette
from mstool.pipeline.shift import drawings
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.cost import estimate_cost, measure_scores
from mstool.pipeline.shift.derive import advise, derive_augmentation, expect_gain
from mstool.pipeline.shift.factors import Factors, factors_of, fit_factors
from mstool.pipeline.shift.mitigate import Repair, compare_repairs, try_repairs
from mstool.pipeline.shift.network import trained_on
from mstool.pipeline.shift.repaired import write_repaired_images, write_repaired_model
from mstool.pipeline.shift.sets import Sample
from mstool.pipeline.shift.settings import MODEL_REPAIRS
from mstool.pipeline.shift.simulate import (
    Piece,
    cases_of,
    cut_pieces,
    dosed,
    measure_robustness,
    write_simulated,
)
from mstool.scores.statistics import percentile_interval, resample_mean
from mstool.shift.choice import NONE
from mstool.shift.distances import mean_difference
from mstool.shift.estimates import nearest_case, signs_of
from mstool.shift.permutation import p_value
from mstool.shift.readings import add_readings

_IGNORED = 255


def choose_pieces(c: Comparison) -> list[Piece]:
    """Pieces of source micrographs, of those that the model has not seen where there are some."""
    samples = c.source.samples
    labelled = [number for number, sample in enumerate(samples) if sample.has_truth]
    has_truth = bool(labelled)
    usable = labelled or list(range(len(samples)))
    chosen = _prefer_unseen(c, usable)[: c.settings.simulated_images]
    return cut_pieces(c.source, chosen, c.levels, c.network, has_truth)


def fit_change(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    """What changed between the sets, as the record has it."""
    labels = None
    if all(sample.has_truth for sample in c.source.samples):
        labels = [sample.truths for sample in c.source.samples]
    elif c.network is not None:
        labels = [
            [c.network.probabilities(one).argmax(axis=0).astype(np.uint8) for one in sample.fields]
            for sample in c.source.samples
        ]
    change, shares = None, parts["label_shift"]
    if shares is not None:
        change = np.subtract(*(list(shares[name].values()) for name in ("target", "source")))
    return fit_factors(
        c.source, *c.looks, c.target.groups, labels, change, c.levels, c.settings.seed
    )[1]


def compare_fractions(c: Comparison, division) -> dict[str, Any] | None:
    """Phase fractions with intervals, and the p of their change.

    They are those of the label maps where both sets have them all, else what the network predicts.
    """
    sets, truths = (c.source, c.target), None
    if all(sample.has_truth for one in sets for sample in one.samples):
        n_classes = _count_classes(c)
        truths = [np.stack([true_fractions(s, n_classes) for s in one.samples]) for one in sets]
        if not np.isfinite(np.concatenate(truths)).all():
            truths = None  # a micrograph without a labelled pixel
    if truths is None and c.readings is None:
        return None
    rows = truths or [np.stack([r.fractions for r in one.readings]) for one in c.readings]
    p = p_value(mean_difference(np.concatenate(rows), division.source, division.target))
    found: dict[str, Any] = {"p": p, "from": "prediction" if truths is None else "labels"}
    names = c.classes or [str(number) for number in range(rows[0].shape[1])]
    sides = zip(("source", "target"), rows, sets, strict=True)
    for number, (name, fractions, one) in enumerate(sides):
        drawn = resample_mean(fractions, c.settings.seed + number, one.groups)
        found[name] = dict(zip(names, fractions.mean(axis=0), strict=True))
        found[f"{name}_interval"] = dict(zip(names, percentile_interval(drawn), strict=True))
    return found


def _count_classes(c: Comparison) -> int:
    """Classes of the network, or else of the label maps; at least 1."""
    truths = [t for one in (c.source, c.target) for s in one.samples for t in s.truths]
    seen = [int(t[t != _IGNORED].max(initial=0)) for t in truths if t is not None]
    return len(c.classes) or 1 + max(seen, default=0)


def _prefer_unseen(c: Comparison, numbers: Sequence[int]) -> list[int]:
    """Those of some source micrographs that decided no weights; all where these are too few."""
    seen = trained_on(c.source, c.model) if c.model else set()
    fresh = [number for number in numbers if number not in seen]
    return fresh if len(fresh) > 1 else list(numbers)


def fresh_source(c: Comparison) -> list[int]:
    """Micrographs of the source that decided no weights; all where there are fewer than two."""
    return _prefer_unseen(c, range(len(c.source.samples)))


def true_fractions(sample: Sample, n_classes: int) -> np.ndarray:
    """Phase fractions (K,) of the label maps of a micrograph; NaN without a labelled pixel."""
    known = np.concatenate([truth[truth != _IGNORED] for truth in sample.truths])
    counts = np.bincount(known, minlength=n_classes)
    return counts / known.size if known.size else np.full(n_classes, np.nan)


def score_sets(c: Comparison) -> dict[str, Any]:
    """Scores of both sets where there are labels; of the source without what was trained on."""
    keep = fresh_source(c)
    source = [c.readings[0].readings[number] for number in keep]
    groups = [c.source.groups[number] for number in keep], c.target.groups
    found = measure_scores(source, c.readings[1].readings, groups, c.classes, c.settings.seed)
    target_seen = sorted(c.target.samples[k].name for k in trained_on(c.target, c.model))
    return found | {
        "source_trained_on": bool(trained_on(c.source, c.model) & set(keep)),
        "target_trained_on": target_seen,
    }


def dose_source(c: Comparison, pieces: Sequence[Piece]) -> dict[str, Any]:
    """Cost of simulated doses on pieces of the source."""
    settings = c.settings
    found = measure_robustness(
        c.network,
        pieces,
        settings.doses,
        c.source.dtype,
        settings.tolerance,
        settings.seed,
        lambda: c.is_late,
        c.report,
    )
    has_truth = any(sample.has_truth for sample in c.source.samples)
    return found | {"truth": "labels" if has_truth else "prediction"}


def save_simulated(c: Comparison) -> None:
    """Write whole fields of the source under every dose, with their labels where there are some."""
    samples = c.source.samples
    has_truth = any(sample.has_truth for sample in samples)
    usable = [n for n, sample in enumerate(samples) if sample.has_truth or not has_truth]
    chosen = usable[: c.settings.simulated_images]
    pieces = cut_pieces(c.source, chosen, c.levels, None, has_truth, c.settings.size)
    legend = legend_from_values(range(_count_classes(c)))
    if c.model is not None:
        legend = legend_from_toml(c.model.checkpoint.legend)
    write_simulated(
        c.out / "simulated", pieces, c.settings.doses, c.levels, c.source.dtype,
        c.source.pixel_size_um, palette(legend) if has_truth else None, c.settings.seed,
    )  # fmt: skip


def estimate_loss(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    """Range for the score on the target, from predictions alone."""
    cases = cases_of(parts["robustness"]) if parts["robustness"] else []
    names = [sample.name for sample in c.target.samples]
    source = [c.readings[0].readings[number] for number in fresh_source(c)]
    found = estimate_cost(source, c.readings[1].readings, names, cases)
    if found["mean_iou"] and not factors_of(parts["fit"]).is_explained:
        found["mean_iou"]["is_extrapolated"] = True  # a change that is like none that was simulated
    return found


def repair_target(c: Comparison, parts: dict[str, Any]) -> dict[str, Any]:
    """Try the repairs, choose one, and write what it makes."""
    settings, factors, left_out = c.settings, factors_of(parts["fit"]), []

    def has_no_time(name: str) -> bool:
        if c.is_late:
            left_out.append(f"repair {name}")
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
    return found | {"files": _write_repair(c, chosen), "left_out": left_out}


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
    simulated = _imitate_target(c, parts)
    has_truth = any(sample.has_truth for sample in c.source.samples)
    reasons = {
        "the source has no labels": not has_truth,
        "nothing that was tried looks like the target": simulated is None,
        "there was no time": c.is_late,
    }
    reason = next((words for words, holds in reasons.items() if holds), None)
    if reason is not None:
        return {"annotate_next": picks, "expected": None, "reason": reason}
    words, change = simulated
    gain = expect_gain(c.network, pieces, change, c.source.dtype, c.settings.seed, c.report)
    if gain is None:
        reason = "too few labelled micrographs of one size in the source"
        return {"annotate_next": picks, "expected": None, "reason": reason}
    return {"annotate_next": picks, "expected": {"simulated_by": words} | gain, "reason": None}


def _imitate_target(
    c: Comparison, parts: dict[str, Any]
) -> tuple[str, Callable[[Piece], Piece]] | None:
    """What makes source pieces look as the target: the fit, or the dose that it is most like."""
    factors, seed = factors_of(parts["fit"]), c.settings.seed
    if factors.degrades:
        return "fit", lambda piece: replace(piece, image=factors.apply(piece.image, seed))
    cases = cases_of(parts["robustness"]) if parts["robustness"] else []
    cases = [case for case in cases if case.family != NONE]
    if not cases or (not factors.moved and factors.is_explained):
        return None
    ours, theirs = (add_readings(one.readings) for one in c.readings)
    nearest = nearest_case(cases, signs_of(theirs, ours))
    words = f"{nearest.family}={nearest.dose:g}"
    return words, lambda piece: dosed(piece, nearest.family, nearest.dose, seed)


def derive_ranges(c: Comparison, factors: Factors) -> dict[str, Any]:
    """Ranges for training that cover the shift, in the units of `change_grey_levels`."""
    values = np.concatenate([f.ravel()[::61] for s in c.source.samples for f in s.fields])
    black, white = c.levels
    std = float(np.mean(c.model.checkpoint.std)) if c.model else float(values.std())
    std = max(std / (white - black), 1e-3)  # a blank set has none
    low, high = (np.percentile(values, [0.1, 99.9]) - black) / (white - black)
    return asdict(derive_augmentation(factors, *c.looks, std, (low, max(high, low + 1e-3))))
