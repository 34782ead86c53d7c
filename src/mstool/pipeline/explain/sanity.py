"""Whether maps depend on what the network has learnt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mstool.explanations.controls import EDGE, edge_map
from mstool.explanations.similarity import is_degenerate, spearman, structural_similarity
from mstool.explanations.verdicts import judge_sanity
from mstool.nn.model import Segmenter
from mstool.nn.randomise import Block, cascade, list_blocks, perturbed, randomised
from mstool.pictures.sanity import SanityRow, draw_sanity
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.study import Study, Unit

N_UNITS, N_SEEDS = 3, 2

Maps = dict[str, np.ndarray]


def check_sanity(study: Study, units: Sequence[Unit]) -> dict[str, Any]:
    """Randomise weights block by block and see whether maps follow.

    Parameters
    ----------
    study : Study
        The question.
    units : sequence of Unit
        The first three are used.

    Returns
    -------
    dict
        For the record, with the picture ``sanity.png`` written.
    """
    chosen = list(units[:N_UNITS])
    images = _calibration(study, units)
    n_channels = chosen[0].image.shape[2]
    blocks = list_blocks(study.segmenter, n_channels)
    trained = [study.explain_unit(study.segmenter, unit) for unit in chosen]
    cascaded, margins = _cascade(study, chosen, blocks, images)
    independent = _independent(study, chosen, blocks, images)
    alike = perturbed(study.segmenter, study.settings.seed)
    nearly = [study.explain_unit(alike, unit) for unit in chosen]
    table = {
        method.label: _compare(
            study, method.label, method.is_signed, chosen, trained, blocks, cascaded, independent,
            nearly,
        )
        for method in study.methods
    }  # fmt: skip
    edge = {"mean": 1.0, "last": 1.0, "verdict": judge_sanity(1.0, 1.0, 0.0, study.limits)}
    _draw(study, chosen, trained, blocks, cascaded, table)
    own = float(np.mean([_margin(study, study.segmenter, unit) for unit in chosen]))
    return {
        "n_units": len(chosen),
        "n_seeds": len(cascaded),
        "reinit": study.settings.reinit,
        "norms_reestimated_on": len(images),
        "blocks": [block.name for block in blocks],
        "methods": table,
        "controls": {EDGE: edge},
        "decision": {"margin": own, "random_margin": float(np.mean(margins))},
    }


def random_maps(study: Study, units: Sequence[Unit], seed: int) -> list[Maps]:
    """Maps of a network whose weights are all random."""
    blocks = list_blocks(study.segmenter, units[0].image.shape[2])
    other = randomised(study.segmenter, blocks, seed, _calibration(study, units))
    return [study.explain_unit(other, unit) for unit in units]


def _calibration(study: Study, units: Sequence[Unit]) -> torch.Tensor:
    """Up to eight windows of the same size as one tensor."""
    shape = units[0].image.shape
    same = [unit.image for unit in units if unit.image.shape == shape][:8]
    return study.ask(units[0].image, units[0].region).place(np.stack(same))


def _margin(study: Study, segmenter: Segmenter, unit: Unit) -> float:
    """How firmly a network decides on the region for whatever class it decides for [logits]."""
    with torch.no_grad():
        subject = study.ask(unit.image, unit.region)
        logits = segmenter(subject.place(unit.image))[0].float()
    inside = logits[:, torch.from_numpy(unit.region).to(logits.device)]
    top = inside.sort(dim=0, descending=True).values
    return float((top[0] - top[1:].logsumexp(dim=0)).mean())


def _cascade(
    study: Study, units: list[Unit], blocks: list[Block], images: torch.Tensor
) -> tuple[list[list[list[Maps]]], list[float]]:
    """Maps by seed, stage and unit; and how firmly the fully random networks decide."""
    found, margins = [], []
    reinit = study.settings.reinit
    with study.report.progress("sanity, cascading", N_SEEDS * len(blocks)) as advance:
        for number in range(N_SEEDS):
            if found and study.is_late:
                study.left_out.append("a second seed of the sanity check")
                break
            seed = 1000 * (number + 1) + study.settings.seed
            stages = []
            for _, other in cascade(study.segmenter, blocks, seed, images, reinit):  # type: ignore[arg-type]
                stages.append([study.explain_unit(other, unit) for unit in units])
                advance(1)
            margins += [_margin(study, other, unit) for unit in units]
            found.append(stages)
    return found, margins


def _independent(
    study: Study, units: list[Unit], blocks: list[Block], images: torch.Tensor
) -> list[list[Maps]] | None:
    """Maps by block and unit, with that block alone random; None without time."""
    if study.is_late:
        study.left_out.append("independent randomisation of the sanity check")
        return None
    seed, found = 500 + study.settings.seed, []
    with study.report.progress("sanity, independent", len(blocks)) as advance:
        for block in blocks:
            reinit = study.settings.reinit
            other = randomised(study.segmenter, [block], seed, images, reinit)  # type: ignore[arg-type]
            found.append([study.explain_unit(other, unit) for unit in units])
            advance(1)
    return found


def _compare(
    study: Study,
    label: str,
    is_signed: bool,
    units: list[Unit],
    trained: list[Maps],
    blocks: list[Block],
    cascaded: list[list[list[Maps]]],
    independent: list[list[Maps]] | None,
    nearly: list[Maps],
) -> dict[str, Any]:
    """Similarity of one method's maps at every stage, and the verdict."""

    def stage(maps: list[list[Maps]]) -> dict[str, Any]:
        pairs = [
            (trained[u][label], one[u][label], units[u].window)
            for one in maps
            for u in range(len(units))
        ]
        rho = [spearman(*pair) for pair in pairs]
        ssim = [structural_similarity(*pair, is_signed=is_signed) for pair in pairs]
        finite = [abs(value) for value in rho if np.isfinite(value)]
        alike = [value for value in ssim if np.isfinite(value)]
        return {
            "spearman": float(np.mean(finite)) if finite else None,
            "spearman_signed": float(np.nanmean(rho)) if finite else None,
            "ssim": float(np.mean(alike)) if alike else None,
            "n_zero": sum(is_degenerate(other, window) for _, other, window in pairs),
            "n": len(pairs),
        }

    steps = [
        {"block": block.name, **stage([seed[number] for seed in cascaded])}
        for number, block in enumerate(blocks)
    ]
    alone = independent and [
        {"block": block.name, **stage([maps])}
        for block, maps in zip(blocks, independent, strict=True)
    ]
    rho = [step["spearman"] for step in steps if step["spearman"] is not None]
    mean = float(np.mean(rho)) if rho else float("nan")
    last = steps[-1]["spearman"]
    n_dead = sum(is_degenerate(trained[u][label], units[u].window) for u in range(len(units)))
    zero_share = sum(step["n_zero"] for step in steps) / sum(step["n"] for step in steps)
    worst = 1.0 if n_dead * 2 > len(units) or last is None else zero_share
    last = float("nan") if last is None else last
    return {
        "cascading": steps,
        "independent": alone,
        "mean": mean,
        "last": last,
        "ceiling": stage([nearly])["spearman"],
        "zero_share": zero_share,
        "verdict": judge_sanity(mean, last, worst, study.limits),
    }


def _draw(study, units, trained, blocks, cascaded, table) -> None:
    rows = [
        SanityRow(
            method.label,
            method.is_signed,
            trained[0][method.label],
            [stage[0][method.label] for stage in cascaded[0]],
            [step["spearman"] for step in table[method.label]["cascading"]],
        )
        for method in study.methods
    ]
    edge = edge_map(units[0].image)
    rows.append(
        SanityRow(f"control: {EDGE}", False, edge, [edge] * len(blocks), [1.0] * len(blocks))
    )
    title = f"Do maps for {study.settings.class_name} follow the weights? ({units[0].field})"
    names = [block.name for block in blocks]
    figure = draw_sanity(rows, names, title, stamp=study.settings.stamp)
    save_figure(study.out / "sanity.png", figure)
