"""Whether maps depend on what the labels mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mstool.explanations.permutation import permute_components
from mstool.explanations.similarity import spearman
from mstool.explanations.verdicts import judge_labels
from mstool.nn.model import Segmenter
from mstool.nn.refit import refit
from mstool.pipeline.explain.study import Study, Unit, finite_mean

N_UNITS, N_STEPS = 3, 400


def check_labels(study: Study, units: Sequence[Unit]) -> dict[str, Any]:
    """Fit two fresh networks, one to true and one to permuted labels, and compare their maps.

    A map that resembles that of the network with permuted labels as much as that of the one with
    true labels shows no trace of what the labels mean [1]_. Both are fitted to the windows of the
    regions alone, from the same random weights.

    Parameters
    ----------
    study : Study
        The question.
    units : sequence of Unit
        All of the size of the first are fitted to; maps of the first three are compared.

    Returns
    -------
    dict
        For the record.

    References
    ----------
    .. [1] Adebayo, J. et al. (2018). NeurIPS, arXiv:1810.03292.
    """
    same = [unit for unit in units if unit.image.shape == units[0].image.shape]
    truth = np.stack([unit.labels for unit in same])
    rng = np.random.default_rng(study.settings.seed)
    permuted = np.stack([permute_components(labels, rng) for labels in truth])
    with study.report.progress("label randomisation", 2 * N_STEPS) as advance:
        retrained, retrained_accuracy = _refit(study, same, truth, advance)
        random, random_accuracy = _refit(study, same, permuted, advance)
    if study.is_late:
        study.left_out.append("some of the fitting for label randomisation")
    accuracy = min(retrained_accuracy, random_accuracy)
    chosen = same[:N_UNITS]
    return {
        "n_units": len(chosen),
        "n_windows": len(same),
        "source": "prediction" if study.fields[0].truth is None else "labels",
        "changed_share": float((permuted != truth).mean()),
        "accuracy": {"retrained": retrained_accuracy, "permuted": random_accuracy},
        "methods": _compare(study, chosen, retrained, random, accuracy),
    }


def _refit(study: Study, units: Sequence[Unit], labels: np.ndarray, advance):
    images = study.ask(units[0].image, units[0].region).place(np.stack([u.image for u in units]))
    target = torch.from_numpy(labels.astype(np.int64)).to(images.device)
    with torch.enable_grad():
        return refit(
            study.segmenter,
            images,
            target,
            study.settings.seed,
            max_steps=N_STEPS,
            on_step=advance,
            is_over=lambda: study.is_late,
        )


def _compare(
    study: Study, units: Sequence[Unit], retrained: Segmenter, random: Segmenter, accuracy: float
) -> dict[str, Any]:
    """Rank correlation with the maps of either network, by method, and the verdict."""
    own, true, false = (
        [study.explain_unit(network, unit) for unit in units]
        for network in (study.segmenter, retrained, random)
    )
    table = {}
    for method in study.methods:
        to_true, to_false = (
            finite_mean(
                abs(spearman(mine[method.label], other[method.label], unit.window))
                for mine, other, unit in zip(own, others, units, strict=True)
            )
            for others in (true, false)
        )
        gap = float("nan") if None in (to_true, to_false) else to_true - to_false
        table[method.label] = {
            "retrained": to_true,
            "permuted": to_false,
            "gap": gap,
            "verdict": judge_labels(gap, accuracy, study.limits),
        }
    return table
