"""The steps of a comparison: each makes one part of what is found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from mstool.chance.divisions import Division
from mstool.labels.legend import IGNORE_INDEX, palette
from mstool.nn.augment import PRESETS, Augmentation
from mstool.nn.scan import Network
from mstool.pipeline.shift.comparison import Comparison
from mstool.pipeline.shift.mitigate import Repair, make_repair, read_repaired
from mstool.pipeline.shift.network import read_field, trained_on
from mstool.pipeline.shift.products import write_repair, write_simulated
from mstool.shift.advice import Advice, Gain, Imitation, imitate_target, pick_images, split_pieces
from mstool.shift.choice import NONE
from mstool.shift.cost import Estimates, Performance, estimate_cost, measure_scores
from mstool.shift.dosing import DosedFamily, Piece, Robustness, dose_family, gather_families
from mstool.shift.factors import Factors, Origin, fit_factors
from mstool.shift.grey_levels import cut_middle, to_stored, to_unit
from mstool.shift.mitigation import Mitigation, compare_repairs
from mstool.shift.phase_fractions import PhaseFractions, compare_fractions, true_fractions
from mstool.shift.ranges import derive_ranges, greys_of_training
from mstool.shift.readings import Reading, add_readings

PIECE_PX = 256
_ANNOTATED = (1, 2, 4)
_N_STEPS = 60
_REPAIR_READINGS = 1.5  # readings of the target that fitting a repair and reading with it take
_NEAR = 0.1  # mean IoU by which an imitation may miss what is known of the target
_GAIN_READINGS = 45  # readings of a piece that fitting a network to one piece takes

Readings = tuple[Reading, ...]
Interval = tuple[float, float]


def find_fractions(c: Comparison, division: Division) -> PhaseFractions | None:
    """Phase fractions of the label maps where both sets have them all, else of the predictions."""
    rows, basis = None, "labels"
    if all(one.has_all_truths for one in c.sets):
        n = len(c.legend.names)
        rows = [np.stack([true_fractions(s.truths, n) for s in one.samples]) for one in c.sets]
    if rows is None or not np.isfinite(np.concatenate(rows)).all():  # or nothing labelled in one
        if c.readings is None:
            return None
        basis = "prediction"
        rows = [np.stack([r.fractions for r in one.readings]) for one in c.readings]
    return compare_fractions(rows, basis, c.groups, division, c.legend.names)


def fit_change(c: Comparison, fractions: PhaseFractions | None) -> Factors:
    """What changed between the sets, phases being those of labels, else of predictions."""
    labels = None
    if c.source.has_all_truths:
        labels = [sample.truths for sample in c.source.samples]
    elif c.network is not None:
        labels = [list(map(c.network.classes, sample.fields)) for sample in c.source.samples]
    fields = [sample.fields for sample in c.source.samples]
    origin = Origin(fields, c.source.groups, labels, c.levels)
    change = None if fractions is None else fractions.change
    return fit_factors(origin, *c.looks, c.target.groups, change, c.settings.seed)


def score_sets(c: Comparison) -> Performance:
    """Scores of both sets where there are labels; of the source without what was trained on."""
    keep, seen = _fresh_source(c), trained_on(c.source, c.model)
    groups = [c.source.groups[number] for number in keep], c.target.groups
    readings = _readings_of(c, keep), c.readings[1].readings
    target_seen = sorted(c.target.samples[k].name for k in trained_on(c.target, c.model))
    return replace(
        measure_scores(*readings, groups, c.classes),
        source_trained_on=bool(seen & set(keep)),
        target_trained_on=tuple(target_seen),
    )


def repair_target(c: Comparison, factors: Factors, division: Division) -> tuple[Mitigation, Repair]:
    """Try the repairs, choose one, and write what it makes."""
    settings = c.settings

    @cache
    def repair_of(name: str) -> Repair | str:
        """Repair, or why there is none."""
        return make_repair(c, name, factors)

    def try_out(name: str) -> Readings:
        """Readings of the target under a repair; none where it is not possible."""
        repair = repair_of(name)
        return () if isinstance(repair, str) else read_repaired(c, repair).readings

    trials = {NONE: c.readings[1].readings}
    for name in settings.repairs:
        if name != NONE:
            make = partial(try_out, name)
            needs_s = _REPAIR_READINGS * c.target_s
            trials[name] = c.parts.make(f"repair {name}", Readings, make, needs_s=needs_s)
    impossible = tuple(
        f"{name}: {repair_of(name)}" for name, found in trials.items() if found == ()
    )
    for words in impossible:
        c.report.note(f"left out, since not possible: {words}")
    possible = {name: readings for name, readings in trials.items() if readings}
    source = c.readings[0].readings
    found = compare_repairs(
        possible, source, c.target.groups, division, c.classes, settings.is_auto
    )
    chosen = repair_of(found.chosen)
    left_out = tuple(f"repair {name}" for name, readings in trials.items() if readings is None)
    files = write_repair(c, chosen)
    return replace(found, files=files, left_out=left_out, impossible=impossible), chosen


def choose_pieces(c: Comparison) -> list[Piece]:
    """Pieces of source micrographs, of those that the model has not seen where there are some."""
    chosen = _prefer_unseen(c, _usable_source(c))[: c.settings.simulated_images]
    return _cut_pieces(c, chosen, PIECE_PX)


def dose_source(c: Comparison, pieces: Sequence[Piece]) -> Robustness | None:
    """Cost of simulated doses on pieces of the source, family by family; None without pieces.

    None too where there is no time for the first family.
    """
    settings, families = c.settings, {}
    if not pieces:
        c.report.note("no middle of a source micrograph has a label: nothing is simulated")
        return None
    if c.parts.budget.is_spent and not any(c.parts.has(_part_of(name)) for name in settings.doses):
        c.parts.left_out.extend(map(_part_of, settings.doses))
        return None
    n_doses = {name: len(set(row) - {0.0}) for name, row in settings.doses.items()}
    n_readings = (1 + sum(n_doses.values())) * len(pieces)
    with c.report.progress("simulated doses", n_readings) as advance:

        def read(piece: Piece) -> Reading:
            advance(1)
            return _read_piece(c, c.network, piece)

        began = time.monotonic()
        undosed = [read(piece) for piece in pieces]
        dose_s = time.monotonic() - began
        for family, doses in settings.doses.items():
            todo = (family, doses, pieces, undosed, read, settings.tolerance, settings.seed)
            families[family] = c.parts.make(
                _part_of(family),
                DosedFamily,
                partial(dose_family, *todo),
                needs_s=n_doses[family] * dose_s,
            )
    return gather_families(families, undosed, "labels" if _has_truth(c) else "prediction")


def estimate_loss(c: Comparison, factors: Factors, robustness: Robustness | None) -> Estimates:
    """Range for the score on the target, from predictions alone."""
    ours, theirs = _readings_of(c, _fresh_source(c)), c.readings[1].readings
    cases = robustness.cases if robustness else ()
    return estimate_cost(ours, theirs, c.target.names, cases, factors.is_explained)


def advise_annotation(
    c: Comparison,
    pieces: Sequence[Piece],
    factors: Factors,
    robustness: Robustness | None,
    known: Interval | None,
) -> Advice:
    """Micrographs to annotate next, and what that would bring.

    Nothing is told of that where it would begin outside of what is `known` of the mean IoU on the
    target: then the pieces are not as hard as the target is, or harder.
    """
    picks = pick_images(c.target.names, *c.readings, c.settings.advise)
    cases = robustness.cases if robustness else ()
    imitation = imitate_target(factors, cases, c.readings, c.settings.seed)
    sides = split_pieces(pieces)
    reasons = {
        "the source has no labels": not _has_truth(c),
        "nothing that was tried looks like the target": imitation is None,
        "too few labelled micrographs of one size in the source": sides is None,
    }
    reason = next((words for words, holds in reasons.items() if holds), None)
    if reason is not None:
        return Advice(picks, None, reason)
    began = time.monotonic()
    before = _score_changed(c, c.network, imitation[1], sides[1])
    piece_s = (time.monotonic() - began) / len(sides[1])
    if known and not known[0] - _NEAR <= before <= known[1] + _NEAR:
        reason = (
            f"source pieces that were made to look like the target score {before:.2f}, and the "
            f"target itself {known[0]:.2f} to {known[1]:.2f}"
        )
        return Advice(picks, None, reason)
    gain = c.parts.make(
        "gain of annotation",
        Gain,
        partial(_expect_gain, c, imitation, before, *sides),
        needs_s=_GAIN_READINGS * piece_s,
    )
    return Advice(picks, gain, None if gain else "there was no time")


def derive_augmentation(c: Comparison, factors: Factors) -> Augmentation:
    """Ranges for training that cover the shift; geometry as in the preset ``spatial``."""
    spatial = PRESETS["spatial"]
    std = float(np.mean(c.model.checkpoint.std)) if c.model else None
    training = greys_of_training(c.source.fields, c.levels, std)
    return replace(spatial, **derive_ranges(factors, *c.looks, training, spatial.zoom))


def save_simulated(c: Comparison) -> None:
    """Write whole fields of the source under every dose, with their labels where there are some."""
    chosen = _usable_source(c)[: c.settings.simulated_images]
    pieces = _cut_pieces(c, chosen, c.settings.size)
    write_simulated(c, pieces, palette(c.legend) if _has_truth(c) else None)


def _part_of(family: str) -> str:
    return f"simulated {family}"


def _score_changed(
    c: Comparison, network: Network, change: Callable[[Piece], Piece], held: Sequence[Piece]
) -> float:
    """Mean IoU on source pieces that are changed as the target is."""
    return add_readings([_read_piece(c, network, change(piece)) for piece in held]).mean_iou


def _expect_gain(
    c: Comparison,
    imitation: Imitation,
    before: float,
    learnt: Sequence[Piece],
    held: Sequence[Piece],
) -> Gain:
    """Score after annotating 1, 2 and 4 micrographs, on source pieces changed as the target is."""
    words, change = imitation
    learnt = list(map(change, learnt))
    images = [to_stored(piece.image, c.levels, c.source.dtype) for piece in learnt]
    labels = [piece.labels for piece in learnt]
    numbers = [k for k in _ANNOTATED if k <= len(learnt)]
    after = {}
    with c.report.progress("what annotation would bring", len(numbers) * _N_STEPS) as advance:
        for k in c.parts.budget.paced(numbers):
            few = images[:k], labels[:k]
            tuned = c.network.fine_tuned(*few, c.settings.seed, _N_STEPS, advance)
            after[str(k)] = _score_changed(c, tuned, change, held)
    missing = [str(k) for k in numbers if str(k) not in after]
    left_out = (f"gain of annotating {', '.join(missing)}",) if missing else ()
    return Gain(words, before, after, left_out)


def _read_piece(c: Comparison, network: Network, piece: Piece) -> Reading:
    stored = to_stored(piece.image, c.levels, c.source.dtype)
    return read_field(network, stored, piece.labels)[0]


def _cut_pieces(c: Comparison, chosen: Sequence[int], edge: int) -> list[Piece]:
    """Middle of the first field of some source micrographs; not where it has no labelled pixel.

    Without truth, labels are what the network predicts; without a network, they are one phase.
    """
    pieces = []
    for sample in (c.source.samples[number] for number in chosen):
        image = cut_middle(sample.fields[0], edge)
        labels = np.zeros(image.shape[:2], np.uint8)
        if _has_truth(c):
            labels = cut_middle(sample.truths[0], edge)
        elif c.network is not None:
            labels = c.network.classes(image)
        if (labels != IGNORE_INDEX).any():
            pieces.append(Piece(sample.name, sample.group, to_unit(image, c.levels), labels))
    return pieces


def _has_truth(c: Comparison) -> bool:
    """Whether any micrograph of the source has labels."""
    return any(sample.has_truth for sample in c.source.samples)


def _usable_source(c: Comparison) -> list[int]:
    """Micrographs of the source with labels; all where none has any."""
    has_truth = _has_truth(c)
    return [n for n, one in enumerate(c.source.samples) if one.has_truth or not has_truth]


def _prefer_unseen(c: Comparison, numbers: Sequence[int]) -> list[int]:
    """Those of some source micrographs that decided no weights; all where these are too few."""
    seen = trained_on(c.source, c.model) if c.model else set()
    fresh = [number for number in numbers if number not in seen]
    return fresh if len(fresh) > 1 else list(numbers)


def _fresh_source(c: Comparison) -> list[int]:
    """Micrographs of the source that decided no weights; all where there are fewer than two."""
    return _prefer_unseen(c, range(len(c.source.samples)))


def _readings_of(c: Comparison, numbers: Sequence[int]) -> list[Reading]:
    return [c.readings[0].readings[number] for number in numbers]
