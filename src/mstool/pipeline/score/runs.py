"""Several runs of one study: other seeds, or other splits, over the same micrographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import UsageError
from mstool.labels.legend import Legend
from mstool.micrographs.find import Naming
from mstool.pipeline.out_of_fold import Fold
from mstool.pipeline.score.entries import describe_confusion
from mstool.pipeline.score.inputs import (
    MaskRun,
    Pair,
    choose_legends,
    choose_mask_legend,
    find_images,
    list_inputs,
    pair_masks,
    read_mask_set,
)
from mstool.pipeline.score.same_micrographs import in_order_of
from mstool.pipeline.score.same_study import refuse_other_settings, refuse_same_models
from mstool.reporting import Reporter
from mstool.scores.components import REST, list_included, variance_components
from mstool.scores.metrics import mean_iou

MICROGRAPH = "micrograph"
_ALIKE = "runs of one study are of the same micrographs"


def find_runs(
    paths: Sequence[Path],
    labels: Path,
    naming: Naming,
    group_by: str | None,
    strict: bool,
    given: Legend | None,
    images: Path | None,
    report: Reporter,
) -> tuple[list[MaskRun], tuple[Legend, Legend]]:
    """Masks of each run with their truth, and the legends of the first run and of label maps.

    Micrographs are looked for with the masks of the first run alone.

    Raises
    ------
    UsageError
        If a folder is given twice.
    InputError
        If a run has other micrographs, classes or settings than the first, or the same models as
        an earlier one; and as `read_mask_set`, `pair_masks`, `choose_legends` and `find_images`.
    """
    mask_set = read_mask_set(paths[0], report)
    pairs = pair_masks(mask_set, labels, naming, group_by, strict, report)
    legends = choose_legends(mask_set, given, pairs, report)
    pairs = find_images(pairs, mask_set, images, report)
    runs = [MaskRun(mask_set, tuple(pairs), legends[0])]
    for path in paths[1:]:
        mask_set = read_mask_set(path, report)
        if mask_set.files in [run.mask_set.files for run in runs]:
            raise UsageError(f"{path}: is given twice; name each run once, and the label maps last")
        for run in runs:
            refuse_same_models(mask_set, run.mask_set)
        found = pair_masks(mask_set, labels, naming, group_by, False, report)
        ordered = in_order_of(runs[0], mask_set, found, _ALIKE)
        legend = choose_mask_legend(mask_set, legends[1], given is not None, ordered)
        runs.append(MaskRun(mask_set, ordered, legend))
        refuse_other_settings(mask_set, runs[0].mask_set)
    return runs, legends


def list_all_inputs(runs: Sequence[MaskRun], legend: Path | None) -> list[Path]:
    """All files that decide the score, each once."""
    found = [path for run in runs for path in list_inputs(run.mask_set, run.pairs, legend)]
    return list(dict.fromkeys(found))


def describe_runs(
    runs: Sequence[MaskRun], confusions: np.ndarray, names: Sequence[str]
) -> list[dict[str, Any]] | None:
    """Score of each run, from confusion matrices (R, N, C, C); None if there is but one run."""
    if len(runs) == 1:
        return None
    return [
        {
            "masks": str(run.mask_set.folder),
            **describe_confusion(counts.sum(axis=0), names),
            "folds": describe_folds(run.pairs, run.mask_set.folds, counts, names),
        }
        for run, counts in zip(runs, confusions, strict=True)
    ]


def describe_folds(
    pairs: Sequence[Pair],
    folds: Sequence[Fold] | None,
    confusions: np.ndarray,
    names: Sequence[str],
) -> list[dict[str, Any]] | None:
    """Score of each fold, its micrographs pooled; None without cross-validation."""
    if folds is None:
        return None
    numbers = _fold_of_each(pairs, folds)
    rows = []
    for number in sorted(set(numbers)):
        where = [place for place, found in enumerate(numbers) if found == number]
        rows.append(
            {
                "fold": folds[number].fold,
                "n_images": len(where),
                "images": [pairs[place].name for place in where],
                **describe_confusion(confusions[where].sum(axis=0), names),
            }
        )
    return rows


def common_folds(runs: Sequence[MaskRun]) -> tuple[Fold, ...] | None:
    """Folds of all runs, where these divide the micrographs alike; otherwise None."""
    divisions = {
        None
        if run.mask_set.folds is None
        else frozenset(frozenset(fold.sources) for fold in run.mask_set.folds)
        for run in runs
    }
    return runs[0].mask_set.folds if len(divisions) == 1 else None


def describe_variance(
    runs: Sequence[MaskRun], confusions: np.ndarray, groups: Sequence[str] | None
) -> dict[str, Any] | None:
    """How much of the variance of a micrograph's mean IoU comes from what.

    Parameters
    ----------
    confusions : ndarray of int64, shape (R, N, C, C)
        Of each micrograph in each run.
    groups : sequence of str or None
        Specimen of each micrograph, where there are any.

    Returns
    -------
    dict or None
        None with one run that has no folds: then there is nothing to take apart.
    """
    n_runs, n_images = confusions.shape[:2]
    has_folds = any(run.mask_set.folds is not None for run in runs)
    if n_runs == 1 and not has_folds:
        return None
    factors = _factors(runs, n_images, groups)
    scores = mean_iou(confusions).ravel()
    found, included = variance_components(scores, factors), list_included(scores, factors)
    n_levels = {name: len(set(levels)) for name, levels in factors.items()}
    if n_runs == 1:  # and one score of each micrograph: what is left is of the micrographs
        found[MICROGRAPH] = found.pop(REST)
        others = [name for name in included.pop(REST) if name != MICROGRAPH]
        included[MICROGRAPH] = [*others, REST]
    return {
        "of": "mean_iou of a micrograph",
        "method": "random effects, Henderson's method 1",
        "components": {
            name: {
                "n_levels": n_levels.get(name, n_runs * n_images),
                "variance": value,
                "sd": float(np.sqrt(max(value, 0.0))) if np.isfinite(value) else value,
                "includes": included[name],
            }
            for name, value in found.items()
        },
    }


def _factors(
    runs: Sequence[MaskRun], n_images: int, groups: Sequence[str] | None
) -> dict[str, list[Any]]:
    """What scores have in common, by run and then by micrograph.

    A training is one fold of one run. Folds that differ between runs have nothing in common.
    """
    n_runs = len(runs)
    trainings = [
        (number, fold)
        for number, run in enumerate(runs)
        for fold in _fold_of_each(run.pairs, run.mask_set.folds)
    ]
    factors = {MICROGRAPH: [*range(n_images)] * n_runs}
    if groups is not None:
        factors["group"] = [*groups] * n_runs
    factors["run"] = [number for number in range(n_runs) for _ in range(n_images)]
    if (folds := common_folds(runs)) is not None:
        factors["fold"] = _fold_of_each(runs[0].pairs, folds) * n_runs
    return {**factors, "training": trainings}


def _fold_of_each(pairs: Sequence[Pair], folds: Sequence[Fold] | None) -> list[int]:
    """Number of the fold of each micrograph in the list; 0 without folds."""
    numbers = {name: number for number, fold in enumerate(folds or ()) for name in fold.sources}
    return [numbers.get(pair.name, 0) for pair in pairs]
