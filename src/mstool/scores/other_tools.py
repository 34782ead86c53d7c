"""What other tools print for the same masks, each by its own rules.

The rules were read in the sources named in `CONVENTIONS`, and are stated there in words. All are
formulas over the confusion matrix of each image. Where a tool calculates in single precision,
double is used here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mstool.scores.metrics import accuracy, iou, kappa, margins, nan_mean, safe_ratio

Values = dict[str, Any]

CONVENTIONS = {
    "nnunet": "nnU-Net v2, evaluate_predictions: Dice and IoU of each case, null where neither "
    "truth nor mask has the class; then the mean over cases, and foreground_mean over all classes "
    "but the first, which is null if one of them is in no case. Ours: pooled counts, and the first "
    "class counts too.",
    "smp": "segmentation_models_pytorch.metrics, get_stats in mode multiclass: micro pools all "
    "classes (and then IoU is a / (2 - a) with the accuracy a), macro is the mean over classes, "
    "imagewise is taken in each image first; an absent class scores 1, and accuracy counts true "
    "negatives. Ours: an absent class is left out, and accuracy is the share of right pixels.",
    "matseg": "MatSeg, ScoreMeter: pooled counts with 1e-8 added to each denominator; an absent "
    "class scores 0 and is in mIoU. It resizes label maps before it scores, and here they are not "
    "resized. Ours: an absent class is left out.",
    "micronet": "pretrained-microscopy-models, IoU of segmentation_models_pytorch.utils: "
    "intersection and union pooled over channels and pixels, with 1e-7 added to both, so that it "
    "is a / (2 - a) with the accuracy a; of two classes only the second is a channel. All "
    "micrographs are one batch here. Ours: the mean of the IoU of each class.",
    "torchmetrics": "torchmetrics 1, functional.classification, multiclass, pooled: macro is the "
    "mean over classes that occur, weighted is by support; accuracy of macro is the mean recall, "
    "in which a class that is predicted but not there scores 0. segmentation_mean_iou is the mean "
    "over images of the mean over classes. Ours: jaccard_index of macro is our pooled mean IoU.",
}

_MATSEG_EPSILON = 1e-8
_MICRONET_EPSILON = 1e-7


def convert(tool: str, confusions: np.ndarray, names: Sequence[str]) -> Values:
    """Scores as a tool names and computes them; those of each class by its name.

    Parameters
    ----------
    tool : str
        A key of `CONVENTIONS`.
    names : sequence of str
        Of the classes.
    """
    rules: dict[str, Callable[[np.ndarray, Sequence[str]], Values]] = {
        "nnunet": _as_nnunet,
        "smp": _as_smp,
        "matseg": _as_matseg,
        "micronet": _as_micronet,
        "torchmetrics": _as_torchmetrics,
    }
    return rules[tool](np.asarray(confusions, float), names)


def _as_nnunet(confusions: np.ndarray, names: Sequence[str]) -> Values:
    hits, false, missed, rest = _four_counts(confusions)
    columns = {
        "Dice": safe_ratio(2 * hits, 2 * hits + false + missed),
        "IoU": safe_ratio(hits, hits + false + missed),
        "TP": hits,
        "FP": false,
        "FN": missed,
        "TN": rest,
        "n_pred": false + hits,
        "n_ref": missed + hits,
    }
    means = {key: nan_mean(values, axis=0) for key, values in columns.items()}
    return {
        "mean": {
            name: {key: values[index] for key, values in means.items()}
            for index, name in enumerate(names)
        },
        "foreground_mean": {
            key: values[1:].mean() if len(names) > 1 else np.nan for key, values in means.items()
        },
    }


def _as_smp(confusions: np.ndarray, names: Sequence[str]) -> Values:
    formulas = {
        "iou_score": lambda hits, false, missed, rest: (hits, hits + false + missed),
        "f1_score": lambda hits, false, missed, rest: (2 * hits, 2 * hits + false + missed),
        "accuracy": lambda hits, false, missed, rest: (hits + rest, hits + false + missed + rest),
        "precision": lambda hits, false, missed, rest: (hits, hits + false),
        "recall": lambda hits, false, missed, rest: (hits, hits + missed),
    }
    counts = _four_counts(confusions)

    def score(formula, axes) -> np.ndarray:
        return safe_ratio(*formula(*(one.sum(axis=axes) for one in counts)))

    return {
        name: {
            "micro": score(formula, (0, 1)),
            "macro": _mean_with_ones(score(formula, 0)),
            "micro-imagewise": _mean_with_ones(score(formula, 1)),
            "macro-imagewise": _mean_with_ones(score(formula, ())),
        }
        for name, formula in formulas.items()
    }


def _as_matseg(confusions: np.ndarray, names: Sequence[str]) -> Values:
    pooled = confusions.sum(axis=0)
    hits, support, predicted = margins(pooled)
    each = {
        "IoUs": hits / (support + predicted - hits + _MATSEG_EPSILON),
        "precision": hits / (predicted + _MATSEG_EPSILON),
        "recall": hits / (support + _MATSEG_EPSILON),
        "fraction_error": safe_ratio(predicted - support, pooled.sum()),
    }
    by_class = {key: dict(zip(names, values, strict=True)) for key, values in each.items()}
    return {"mIoU": each["IoUs"].mean(), "accuracy": accuracy(pooled), **by_class}


def _as_micronet(confusions: np.ndarray, names: Sequence[str]) -> Values:
    channels = slice(1, None) if len(names) == 2 else slice(None)
    hits, support, predicted = (one[channels].sum() for one in margins(confusions.sum(axis=0)))
    union = support + predicted - hits
    return {
        "iou_score": (hits + _MICRONET_EPSILON) / (union + _MICRONET_EPSILON),
        "channels": [*names[channels]],
    }


def _as_torchmetrics(confusions: np.ndarray, names: Sequence[str]) -> Values:
    pooled = confusions.sum(axis=0)
    hits, support, predicted = margins(pooled)
    jaccard = np.nan_to_num(iou(pooled))
    f1 = np.nan_to_num(safe_ratio(2 * hits, support + predicted))
    recall = np.nan_to_num(safe_ratio(hits, support))
    occurs = support + predicted > 0
    return {
        "jaccard_index": {
            "macro": _weighted_mean(jaccard, occurs),
            "micro": safe_ratio(hits.sum(), (support + predicted - hits).sum()),
            "weighted": _weighted_mean(jaccard, support),
        },
        "f1_score": {
            "macro": _weighted_mean(f1, occurs),
            "micro": accuracy(pooled),
            "weighted": _weighted_mean(f1, support),
        },
        "accuracy": {"macro": _weighted_mean(recall, occurs), "micro": accuracy(pooled)},
        "cohen_kappa": kappa(pooled),
        "segmentation_mean_iou": nan_mean(nan_mean(iou(confusions), axis=-1), axis=0),
    }


def _four_counts(confusions: np.ndarray) -> tuple[np.ndarray, ...]:
    """True and false positives, false and true negatives, each of shape (N, C)."""
    hits, support, predicted = margins(confusions)
    false, missed = predicted - hits, support - hits
    rest = confusions.sum(axis=(-2, -1))[:, None] - hits - false - missed
    return hits, false, missed, rest


def _mean_with_ones(scores: np.ndarray) -> float:
    """Mean in which what is undefined counts as 1."""
    return np.nan_to_num(scores, nan=1.0).mean()


def _weighted_mean(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return safe_ratio((scores * weights).sum(), weights.sum())
