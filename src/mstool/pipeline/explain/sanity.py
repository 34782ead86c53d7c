"""Whether maps depend on what the network has learnt: networks with random weights."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mstool.explanations.controls import EDGE, edge_map
from mstool.explanations.means import finite_mean
from mstool.explanations.randomised_weights import (
    Decision,
    Sanity,
    WeightDependence,
    judge_blind_map,
    weigh_likeness,
)
from mstool.explanations.regions import Region, count_units
from mstool.nn.model import Segmenter
from mstool.nn.randomise import Block, cascade, list_blocks, perturbed, randomised
from mstool.nn.target import decision_margin
from mstool.pictures.random_cascade import SanityRow, draw_sanity
from mstool.pipeline.explain.question import Maps, Question, alike
from mstool.reporting import Advance

N_REGIONS, N_SEEDS, N_CALIBRATION = 3, 2, 8
LEAST_MAPS = 12  # as long as so many maps takes one region with one draw of random weights
_BESIDES = 4  # maps that normalisation and comparison take as long as, beside one a block


@dataclass(frozen=True)
class _Trial:
    """Regions looked at, blocks to randomise, and windows that normalisation is estimated on."""

    question: Question
    regions: list[Region]
    blocks: list[Block]
    windows: np.ndarray

    def maps(self, segmenter: Segmenter) -> list[Maps]:
        """Maps of each region in a network."""
        return self.question.explain_regions(segmenter, self.regions)

    def margin(self, segmenter: Segmenter) -> float:
        """How firmly a network decides on the regions, for whatever class [logits]."""
        asked = replace(self.question, segmenter=segmenter)
        return float(np.mean([decision_margin(asked.ask_region(one)) for one in self.regions]))


def check_sanity(question: Question, regions: Sequence[Region]) -> Sanity:
    """Randomise weights block by block and see whether maps of three regions follow."""
    settings, segmenter = question.settings, question.segmenter
    blocks = _blocks(question, regions)
    chosen = regions[: _count_regions(question, regions, len(blocks))]
    trial = _Trial(question, chosen, blocks, _windows(regions))
    trained, nearly = trial.maps(segmenter), trial.maps(perturbed(segmenter, settings.seed))
    cascaded, margins, independent = _randomise(trial)
    names = tuple(block.name for block in trial.blocks)
    methods = {}
    for method in question.methods:
        methods[method.label] = weigh_likeness(
            _of(method.label, trained),
            [region.near for region in chosen],
            names,
            [[_of(method.label, stage) for stage in seed] for seed in cascaded],
            independent and [_of(method.label, stage) for stage in independent],
            _of(method.label, nearly),
            question.limits,
            is_signed=method.is_signed,
        )
    _draw(trial, trained[0], [stage[0] for stage in cascaded[0]], methods)
    n_wanted = min(N_REGIONS, len(regions))
    missing = {
        f"sanity on {n_wanted - len(chosen)} of {n_wanted} regions": len(chosen) < n_wanted,
        "a second seed of the sanity check": len(cascaded) < N_SEEDS,
        "independent randomisation of the sanity check": independent is None,
    }
    return Sanity(
        count_units(chosen),
        len(chosen),
        len(cascaded),
        settings.reinit,
        len(trial.windows),
        names,
        methods,
        {EDGE: judge_blind_map(question.limits)},
        Decision(trial.margin(segmenter), finite_mean(margins)),
        tuple(what for what, is_missing in missing.items() if is_missing),
    )


def random_maps(question: Question, regions: Sequence[Region], seed: int) -> list[Maps]:
    """Maps of a network whose weights are all random."""
    blocks, windows = _blocks(question, regions), _windows(regions)
    reinit = question.settings.reinit
    other = randomised(question.segmenter, blocks, seed, windows, question.compute, reinit)
    return question.explain_regions(other, regions)


def _blocks(question: Question, regions: Sequence[Region]) -> list[Block]:
    return list_blocks(question.segmenter, regions[0].image.shape[2])


def _windows(regions: Sequence[Region]) -> np.ndarray:
    return np.stack([region.image for region in alike(regions)[:N_CALIBRATION]])


def _of(label: str, maps: Sequence[Maps]) -> list[np.ndarray]:
    return [one[label] for one in maps]


def _count_regions(question: Question, regions: Sequence[Region], n_blocks: int) -> int:
    """Regions for which one draw of random weights fits into the budget; at least one."""
    began = time.monotonic()
    question.explain_regions(question.segmenter, regions[:1])
    each_s = (n_blocks + _BESIDES) * (time.monotonic() - began)
    n_most = min(N_REGIONS, len(regions))
    return max([1, *(n for n in range(2, n_most + 1) if question.budget.fits(n * each_s))])


def _randomise(
    trial: _Trial,
) -> tuple[list[list[list[Maps]]], list[float], list[list[Maps]] | None]:
    """Maps by seed, stage and region; how firmly fully random networks decide; each block alone.

    Each seed, and the blocks alone, take about as long; what does not fit into the budget is
    missing, but for the first seed.
    """
    found, margins, independent = [], [], None
    n_laps = N_SEEDS + 1
    with trial.question.report.progress("sanity", n_laps * len(trial.blocks)) as advance:
        for lap in trial.question.budget.paced(range(n_laps)):
            if lap == N_SEEDS:
                independent = _independent(trial, advance)
            else:
                stages, margin = _cascade(trial, lap, advance)
                found.append(stages)
                margins.append(margin)
    return found, margins, independent


def _cascade(trial: _Trial, lap: int, advance: Advance) -> tuple[list[list[Maps]], float]:
    """Maps by stage and region from one seed; and how firmly the fully random network decides."""
    question, stages = trial.question, []
    seed = 1000 * (lap + 1) + question.settings.seed
    for _, other in cascade(
        question.segmenter,
        trial.blocks,
        seed,
        trial.windows,
        question.compute,
        question.settings.reinit,
    ):
        stages.append(trial.maps(other))
        advance(1)
    return stages, trial.margin(other)


def _independent(trial: _Trial, advance: Advance) -> list[list[Maps]]:
    """Maps by block and region, with that block alone random."""
    question, found = trial.question, []
    seed, reinit = 500 + question.settings.seed, question.settings.reinit
    for block in trial.blocks:
        other = randomised(
            question.segmenter, [block], seed, trial.windows, question.compute, reinit
        )
        found.append(trial.maps(other))
        advance(1)
    return found


def _draw(
    trial: _Trial, trained: Maps, cascaded: list[Maps], methods: dict[str, WeightDependence]
) -> None:
    question, region, n = trial.question, trial.regions[0], len(trial.blocks)
    rows = [
        SanityRow(
            method.label,
            method.is_signed,
            trained[method.label],
            _of(method.label, cascaded),
            [step.spearman for step in methods[method.label].cascading],
        )
        for method in question.methods
    ]
    edge = edge_map(region.image)
    rows.append(SanityRow(f"control: {EDGE}", False, edge, [edge] * n, [1.0] * n))
    title = f"Do maps for {question.settings.class_name} follow the weights? ({region.field})"
    limits = question.limits
    passing = limits.sanity_mean, limits.sanity_last
    names = [block.name for block in trial.blocks]
    question.draw("sanity.png", draw_sanity(rows, names, title, passing))
