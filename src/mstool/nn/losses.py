"""Losses by name, and sums of them; ignored pixels count in none."""

import re
from collections.abc import Callable

import segmentation_models_pytorch as smp
import torch
from torch import nn

from mstool.errors import UsageError
from mstool.labels.legend import IGNORE_INDEX

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_NAMES = ("ce", "focal", "dice", "jaccard", "lovasz")
_GAMMA = 2  # of the focal loss


def parse_loss(text: str) -> dict[str, float]:
    """Read ``ce``, ``ce+dice``, or ``ce+0.3*dice``.

    Returns
    -------
    dict of str to float
        Weight of each loss by name.

    Raises
    ------
    UsageError
        If a term is not a loss.
    """
    terms = {}
    for term in text.split("+"):
        match = re.fullmatch(r"\s*(?:(\d*\.?\d+)\s*\*)?\s*([a-z]+)\s*", term)
        if match is None or match.group(2) not in _NAMES:
            raise UsageError(
                f"--loss {text}: {term.strip()!r} is no loss; use {', '.join(_NAMES)} or a sum "
                "such as ce+0.3*dice"
            )
        terms[match.group(2)] = terms.get(match.group(2), 0.0) + float(match.group(1) or 1)
    return terms


def build_loss(text: str, class_weights: list[float] | None = None) -> Loss:
    """Build a loss of logits (N, K, H, W) and label maps (N, H, W).

    Parameters
    ----------
    text : str
        See `parse_loss`.
    class_weights : list of float, optional
        One a class; cross-entropy alone knows them.

    Returns
    -------
    callable
        Gives a scalar; 0 where every pixel is ignored.

    Raises
    ------
    UsageError
        If class weights are given and no term uses them.
    """
    terms = parse_loss(text)
    if class_weights is not None and "ce" not in terms:
        raise UsageError(f"--class-weights: only the loss ce knows them, and --loss is {text}")
    parts = [(weight, _build_term(name, class_weights)) for name, weight in terms.items()]

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits, labels = _labelled_pixels(logits.float(), labels)
        if labels.numel() == 0:
            return logits.sum() * 0
        return sum(weight * part(logits, labels) for weight, part in parts)

    return loss


def focal_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean of ``(1 - p)^2 * -log p``, where p is that of the true class by softmax, as in use [1]_.

    It weighs down pixels that are right already. Its lowest value is not where probabilities are
    the frequencies of classes, but where they are less extreme [2]_: pixels of which 0.61, 0.29 and
    0.10 are of three classes get 0.49, 0.35 and 0.16, and 0.90 of one of two gets 0.69. The order
    of classes, and so the label map, is the same. Cross-entropy gives the frequencies themselves.

    Parameters
    ----------
    logits : Tensor of float, shape (P, K)
        A row a pixel.
    labels : Tensor of int64, shape (P,)
        True classes, none ignored.

    Returns
    -------
    Tensor of float, shape ()
        At least 0.

    References
    ----------
    .. [1] Lin, T.-Y. et al. (2017). ICCV, arXiv:1708.02002.
    .. [2] Charoenphakdee, N. et al. (2021). CVPR, arXiv:2011.09172.
    """
    cost = nn.functional.cross_entropy(logits, labels, reduction="none")
    doubt = -torch.expm1(-cost)  # 1 - p, exact where p is nearly 1
    return (doubt**_GAMMA * cost).mean()


def _build_term(name: str, class_weights: list[float] | None) -> Loss:
    if name == "ce":
        weights = None if class_weights is None else torch.tensor(class_weights).float()

        def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            on_device = None if weights is None else weights.to(logits.device)
            return nn.functional.cross_entropy(logits, labels, weight=on_device)

        return cross_entropy
    if name == "focal":
        return focal_loss
    kinds = {
        "dice": smp.losses.DiceLoss,
        "jaccard": smp.losses.JaccardLoss,
        "lovasz": smp.losses.LovaszLoss,
    }
    kind = kinds[name](mode="multiclass")

    def of_one_row(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return kind(logits.T[None, :, None, :], labels[None, None, :])

    return of_one_row


def _labelled_pixels(
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (P, K) and classes (P,) of the P pixels that are not ignored.

    A row of pixels serves every term: none needs to know of ignored ones, and the cross-entropy of
    rows, unlike that of images, is deterministic on CUDA.
    """
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    classes = labels.reshape(-1)
    valid = classes != IGNORE_INDEX
    if bool(valid.all()):
        return rows, classes.long()
    return rows[valid], classes[valid].long()
