"""Losses by name, and sums of them; ignored pixels count in none."""

import re
from collections.abc import Callable
from functools import cache, partial

import segmentation_models_pytorch as smp
import torch

from mstool.errors import UsageError
from mstool.labels.legend import IGNORE_INDEX

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_NAMES = ("ce", "focal", "dice", "jaccard", "lovasz")
_GAMMA = 2  # of the focal loss
_ALPHAS = {"dice": 0.5, "jaccard": 1.0}
_LEAST = 1e-7  # overlap, so that nothing is divided by zero


def parse_loss(text: str) -> dict[str, float]:
    """Read ``ce``, ``ce+dice``, or ``ce+0.3*dice``.

    Returns
    -------
    dict of str to float
        Weight of each loss by name.

    Raises
    ------
    UsageError
        If a term is not a loss, or all weights are 0.
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
    if not any(terms.values()):
        raise UsageError(f"--loss {text}: all weights are 0, and nothing would be learnt")
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
        columns, classes = _as_columns(logits.float(), labels)
        log_p = columns.log_softmax(dim=0)
        return sum(weight * part(log_p, classes) for weight, part in parts)

    return loss


def focal_loss(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean of ``(1 - p)^2 * -log p``, where p is that of the true class by softmax, as in use [1]_.

    It weighs down pixels that are right already. Its lowest value is not where probabilities are
    the frequencies of classes, but where they are less extreme [2]_: pixels of which 0.61, 0.29 and
    0.10 are of three classes get 0.49, 0.35 and 0.16, and 0.90 of one of two gets 0.69. The order
    of classes, and so the label map, is the same. Cross-entropy gives the frequencies themselves.

    Parameters
    ----------
    log_p : Tensor of float, shape (K, P)
        Logarithms of probabilities, a column a pixel.
    labels : Tensor of int64, shape (P,)
        True classes, or the ignore index.

    Returns
    -------
    Tensor of float, shape ()
        At least 0; 0 where every pixel is ignored.

    References
    ----------
    .. [1] Lin, T.-Y. et al. (2017). ICCV, arXiv:1708.02002.
    .. [2] Charoenphakdee, N. et al. (2021). CVPR, arXiv:2011.09172.
    """
    cost = _cost(log_p, labels)
    doubt = -torch.expm1(-cost)  # 1 - p, exact where p is nearly 1
    return _mean(doubt**_GAMMA * cost, labels != IGNORE_INDEX)


def overlap_loss(log_p: torch.Tensor, labels: torch.Tensor, alpha: float) -> torch.Tensor:
    """One less the mean soft overlap of classes, over all pixels of a batch at once [1]_.

    It gives what ``DiceLoss`` and ``JaccardLoss`` of segmentation-models-pytorch give, which take
    four times as long for a row of pixels. A class without a pixel costs nothing, and counts.

    Parameters
    ----------
    log_p : Tensor of float, shape (K, P)
        Logarithms of probabilities, a column a pixel.
    labels : Tensor of int64, shape (P,)
        True classes, or the ignore index.
    alpha : float
        Weight of what is not common to truth and prediction: 0.5 for Dice, 1 for Jaccard.

    Returns
    -------
    Tensor of float, shape ()
        From 0 to 1.

    References
    ----------
    .. [1] Salehi, S. S. M., Erdogmus, D., Gholipour, A. (2017). MLMI, arXiv:1706.05721.
    """
    p = log_p.exp() * (labels != IGNORE_INDEX)
    is_class = labels == torch.arange(len(p), device=p.device)[:, None]
    n_true, common = is_class.sum(dim=1), (p * is_class).sum(dim=1)
    either = common + alpha * (p.sum(dim=1) + n_true - 2 * common)
    return ((1 - common / either.clamp_min(_LEAST)) * (n_true > 0)).mean()


def _build_term(name: str, class_weights: list[float] | None) -> Loss:
    if name == "ce":
        return _cross_entropy if class_weights is None else _weighted_cross_entropy(class_weights)
    if name == "focal":
        return focal_loss
    if name in _ALPHAS:
        return partial(overlap_loss, alpha=_ALPHAS[name])
    return _lovasz


def _cross_entropy(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _mean(_cost(log_p, labels), labels != IGNORE_INDEX)


def _weighted_cross_entropy(class_weights: list[float]) -> Loss:
    @cache
    def weights_on(device: torch.device) -> torch.Tensor:
        """Weights of classes, copied to a device once and not at every step."""
        return torch.tensor(class_weights, dtype=torch.float32, device=device)

    def loss(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        is_known = labels != IGNORE_INDEX
        weights = weights_on(log_p.device)[labels.where(is_known, 0)]
        return _mean(_cost(log_p, labels), weights * is_known)

    return loss


def _lovasz(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Lovasz loss by the library, which ranks pixels and so must not see ignored ones.

    Unlike the other terms it makes a GPU wait at each step, until their number is known.
    """
    places = (labels != IGNORE_INDEX).nonzero()[:, 0]
    if len(places) == 0:
        return log_p.sum() * 0
    log_p, labels = log_p.index_select(1, places), labels[places]
    # softmax of the logarithms of probabilities gives these back
    return smp.losses.LovaszLoss("multiclass")(log_p[None, :, None, :], labels[None, None, :])


def _cost(log_p: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Give -log p of the true class, shape (P,); of the first one where a pixel is ignored."""
    return -log_p.gather(0, labels.where(labels != IGNORE_INDEX, 0)[None])[0]


def _mean(costs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean over pixels; 0 where no pixel weighs anything."""
    return (costs * weights).sum() / weights.sum().clamp_min(_LEAST)


def _as_columns(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (K, P) and classes (P,) of all P pixels.

    A row of pixels serves every term. Ignored ones stay in it: to leave them out, one has to know
    how many there are, and a GPU would have to finish all that it has been asked before it tells.
    Classes come first, since sums over the last axis of a few classes take several times as long.
    """
    return logits.transpose(0, 1).reshape(logits.shape[1], -1), labels.reshape(-1).long()
