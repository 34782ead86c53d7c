"""Running statistics of batch normalisation, estimated anew."""

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

Trained = TypeVar("Trained", bound=nn.Module)


def list_norms(segmenter: nn.Module) -> list:
    """Modules of batch normalisation that keep running statistics."""
    kind = nn.modules.batchnorm._BatchNorm
    norms = [module for module in segmenter.modules() if isinstance(module, kind)]
    return [norm for norm in norms if norm.track_running_stats]


def reestimate_norms(segmenter: Trained, batches: Iterable[torch.Tensor]) -> Trained:
    """Give batch normalisation the mean and variance that it sees on new images.

    Parameters
    ----------
    segmenter : Segmenter or Pretrainer
        Is changed.
    batches : iterable of Tensor, shape (N, C, H, W)
        Stored pixel values, on the device; each batch counts the same.

    Returns
    -------
    Segmenter or Pretrainer
        The same, in evaluation mode.
    """
    norms = list_norms(segmenter)
    segmenter.eval()
    if not norms:
        return segmenter
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    with torch.no_grad():
        for batch in batches:
            segmenter(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return segmenter.eval()
