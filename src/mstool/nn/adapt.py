"""Networks fitted to new micrographs without labels: their normalisation alone changes."""

import copy
from collections.abc import Sequence

import torch

from mstool.nn.model import Segmenter
from mstool.nn.norms import list_norms, reestimate_norms


def adapt_norms(
    segmenter: Segmenter, images: Sequence[torch.Tensor], prior: float = 0.0
) -> Segmenter:
    """Copy whose batch normalisation has the mean and variance of new images [1]_.

    Parameters
    ----------
    segmenter : Segmenter
        Stays as it is.
    images : sequence of Tensor, shape (C, H, W)
        Stored pixel values, on the device; each counts the same.
    prior : float
        How many images the old statistics count as [2]_; 0 forgets them.

    Returns
    -------
    Segmenter
        In evaluation mode; the same network if it has no batch normalisation.

    References
    ----------
    .. [1] Li, Y. et al. (2016). Revisiting batch normalization, arXiv:1603.04779.
    .. [2] Schneider, S. et al. (2020). NeurIPS, arXiv:2006.16971.
    """
    adapted = copy.deepcopy(segmenter)
    norms = list_norms(adapted)
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]
    reestimate_norms(adapted, (image[None] for image in images))
    share = prior / (prior + len(images))
    for norm, (mean, variance) in zip(norms, before, strict=True):
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance, share)
    return adapted


def minimise_entropy(
    segmenter: Segmenter,
    images: Sequence[torch.Tensor],
    n_steps: int = 30,
    lr: float = 3e-3,
    crop: int = 256,
    batch_size: int = 4,
    seed: int = 0,
) -> Segmenter:
    """Copy whose batch normalisation makes the network surer of new images [1]_.

    Scale and shift of the normalisation are fitted on crops, with statistics of the batch; then the
    running statistics are estimated on all images. Without steps it is `adapt_norms`.

    Parameters
    ----------
    segmenter : Segmenter
        Stays as it is.
    images : sequence of Tensor, shape (C, H, W)
        Stored pixel values, on the device.
    n_steps : int
        Steps of Adam.
    lr : float
        Step size.
    crop : int
        Edge of the crops [px], or of the smallest image.
    batch_size : int
        Crops a step.
    seed : int
        Of the crops.

    Returns
    -------
    Segmenter
        In evaluation mode.

    References
    ----------
    .. [1] Wang, D. et al. (2021). ICLR, arXiv:2006.10726.
    """
    adapted = copy.deepcopy(segmenter).eval().requires_grad_(False)
    norms = list_norms(adapted)
    affine = [p for norm in norms for p in (norm.weight, norm.bias) if p is not None]
    if not affine:
        return adapt_norms(adapted, images)
    optimizer = torch.optim.Adam([p.requires_grad_(True) for p in affine], lr=lr)
    generator = torch.Generator().manual_seed(seed)
    edge = min(crop, *(min(image.shape[-2:]) for image in images))
    for norm in norms:
        norm.train()
    for _ in range(n_steps):
        batch = torch.stack([_crop(images, edge, generator) for _ in range(batch_size)])
        log_probabilities = adapted(batch).log_softmax(dim=1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1).mean()
        optimizer.zero_grad()
        entropy.backward()
        optimizer.step()
    return adapt_norms(adapted.requires_grad_(False), images)


def _crop(images: Sequence[torch.Tensor], edge: int, generator: torch.Generator) -> torch.Tensor:
    image = images[int(torch.randint(len(images), (), generator=generator))]
    row, col = (
        int(torch.randint(length - edge + 1, (), generator=generator))
        for length in image.shape[-2:]
    )
    return image[:, row : row + edge, col : col + edge]
