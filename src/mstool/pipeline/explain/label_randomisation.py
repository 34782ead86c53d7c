"""Whether maps depend on what the labels mean: networks fitted to true and to dealt labels."""

from collections.abc import Callable, Sequence

import numpy as np

from mstool.explanations.dealt_labels import (
    LabelDependence,
    LabelRandomisation,
    permute_components,
    weigh_labels,
)
from mstool.explanations.regions import Region, count_units
from mstool.nn.model import Segmenter
from mstool.nn.refit import ENOUGH, refit
from mstool.pipeline.explain.question import Question, alike

N_REGIONS, N_STEPS = 3, 400
_SHARES = (0.45, 0.8)  # of the time that is left, for either network; the rest is for maps


def check_labels(question: Question, regions: Sequence[Region]) -> LabelRandomisation:
    """Fit two fresh networks, one to true and one to permuted labels, and compare their maps.

    A map that resembles that of the network with permuted labels as much as that of the one with
    true labels shows no trace of what the labels mean [1]_. Both are fitted to the windows of the
    regions alone, from the same random weights; maps of the first three are compared.

    References
    ----------
    .. [1] Adebayo, J. et al. (2018). NeurIPS, arXiv:1810.03292.
    """
    fitted = alike(regions)
    chosen = fitted[:N_REGIONS]
    truth = np.stack([region.labels for region in fitted])
    rng = np.random.default_rng(question.settings.seed)
    permuted = np.stack([permute_components(labels, rng) for labels in truth])
    with question.report.progress("label randomisation", 2 * N_STEPS) as advance:
        fits = [
            _refit(question.within(share), fitted, labels, advance)
            for share, labels in zip(_SHARES, (truth, permuted), strict=True)
        ]
    networks, accuracies, cut = zip(*fits, strict=True)
    return LabelRandomisation(
        count_units(chosen),
        len(chosen),
        len(fitted),
        question.source,
        float((permuted != truth).mean()),
        dict(zip(("retrained", "permuted"), accuracies, strict=True)),
        _compare(question, chosen, networks, min(accuracies)),
        ("some of the fitting for label randomisation",) if any(cut) else (),
    )


def _refit(
    question: Question, regions: Sequence[Region], labels: np.ndarray, advance: Callable
) -> tuple[Segmenter, float, bool]:
    """Network, its accuracy, and whether its share of the time ended the fitting."""
    network, accuracy = refit(
        question.segmenter,
        np.stack([region.image for region in regions]),
        labels,
        question.settings.seed,
        question.compute,
        max_steps=N_STEPS,
        on_step=advance,
        is_over=lambda: question.budget.is_spent,
    )
    return network, accuracy, accuracy < ENOUGH and question.budget.is_spent


def _compare(
    question: Question,
    regions: Sequence[Region],
    networks: Sequence[Segmenter],
    accuracy: float,
) -> dict[str, LabelDependence]:
    """How near the maps are to those of either network, by method."""
    maps = [
        question.explain_regions(network, regions) for network in (question.segmenter, *networks)
    ]
    windows = [region.near for region in regions]
    return {
        method.label: weigh_labels(
            *([one[method.label] for one in of_network] for of_network in maps),
            windows,
            accuracy,
            question.limits,
        )
        for method in question.methods
    }
