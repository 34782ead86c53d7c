"""Whether maps follow the weights: how alike they stay while weights turn random."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.explanations.means import finite_mean
from mstool.explanations.similarity import is_degenerate, spearman, structural_similarity
from mstool.explanations.verdicts import Thresholds, judge_sanity


@dataclass(frozen=True)
class Likeness:
    """How alike maps are before and after some weights turned random.

    Means are over pairs of maps [1], and NaN if every pair has a map of zeros.
    """

    block: str  # last that turned random, or the only one
    spearman: float  # rank correlation, its absolute value
    spearman_signed: float  # with its sign
    ssim: float  # structural similarity
    n_zero: int  # maps that are zero or constant
    n: int  # pairs


@dataclass(frozen=True)
class WeightDependence:
    """How far the maps of one method follow the weights."""

    cascading: tuple[Likeness, ...]  # with the first, the first two, ... and all blocks random
    independent: tuple[Likeness, ...] | None  # with each block alone random; None without time
    mean: float  # of the cascading correlations [1]
    last: float  # of them
    ceiling: float  # correlation with the maps of nearly the same network
    zero_share: float  # of maps that are zero or constant
    verdict: str  # pass, fail, inconclusive or degenerate


@dataclass(frozen=True)
class BlindMap:
    """What a map scores that does not look at the network at all."""

    mean: float
    last: float
    verdict: str


@dataclass(frozen=True)
class Decision:
    """How firmly networks decide: the trained one, and those with random weights [logits]."""

    margin: float
    random_margin: float


@dataclass(frozen=True)
class Sanity:
    """Whether maps depend on what the network has learnt."""

    n_units: int
    n_regions: int
    n_seeds: int  # draws of random weights
    reinit: str  # he or shuffle
    norms_reestimated_on: int  # so many windows
    blocks: tuple[str, ...]  # names, from the output
    methods: dict[str, WeightDependence]
    controls: dict[str, BlindMap]
    decision: Decision
    left_out: tuple[str, ...] = ()


Stage = Sequence[np.ndarray]  # maps of one method, one a region
Maps = Sequence[Stage]


def weigh_likeness(
    trained: Stage,
    windows: Sequence[np.ndarray],
    blocks: Sequence[str],
    cascaded: Sequence[Maps],
    independent: Maps | None,
    nearly: Stage,
    limits: Thresholds,
    *,
    is_signed: bool,
) -> WeightDependence:
    """Similarity of one method's maps at every stage, and the verdict.

    Parameters
    ----------
    trained, nearly : sequence of ndarray of float, shape (H, W)
        Maps of the trained and of nearly the same network, one a region.
    windows : sequence of ndarray of bool, shape (H, W)
        Where maps are compared.
    blocks : sequence of str
        Names, from the output.
    cascaded, independent : sequence, by seed and block, or by block, of maps
        Of networks with this and all earlier blocks random; with this block alone, if there was
        time.
    is_signed : bool
        Whether values below 0 mean something.
    """

    def compare(block: str, draws: Maps) -> Likeness:
        pairs = [
            (own, other, window)
            for maps in draws
            for own, other, window in zip(trained, maps, windows, strict=True)
        ]
        return compare_maps(block, pairs, is_signed=is_signed)

    steps = [
        compare(block, [seed[number] for seed in cascaded]) for number, block in enumerate(blocks)
    ]
    alone = independent and tuple(
        compare(block, [maps]) for block, maps in zip(blocks, independent, strict=True)
    )
    mean, last = finite_mean(step.spearman for step in steps), steps[-1].spearman
    zero_share = sum(step.n_zero for step in steps) / sum(step.n for step in steps)
    n_dead = sum(map(is_degenerate, trained, windows))
    worst = 1.0 if 2 * n_dead > len(trained) or np.isnan(last) else zero_share
    ceiling = compare("", [nearly]).spearman
    verdict = judge_sanity(mean, last, worst, limits)
    return WeightDependence(tuple(steps), alone, mean, last, ceiling, zero_share, verdict)


def compare_maps(
    block: str, pairs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], *, is_signed: bool
) -> Likeness:
    """Mean similarity of pairs of maps, each with the window in which it counts."""
    correlations = [spearman(*pair) for pair in pairs]
    similar = [structural_similarity(*pair, is_signed=is_signed) for pair in pairs]
    return Likeness(
        block,
        finite_mean(map(abs, correlations)),
        finite_mean(correlations),
        finite_mean(similar),
        sum(is_degenerate(other, window) for _, other, window in pairs),
        len(pairs),
    )


def judge_blind_map(limits: Thresholds) -> BlindMap:
    """What an edge detector scores: weights never change it."""
    return BlindMap(1.0, 1.0, judge_sanity(1.0, 1.0, 0.0, limits))
