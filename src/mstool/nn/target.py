"""What is explained: one number of a network's output for one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from mstool.nn.device import Compute
from mstool.nn.layers import evaluating
from mstool.nn.model import Segmenter
from mstool.nn.tensors import to_float64

Contrast = Literal["rest", "none"] | int


@dataclass(frozen=True)
class Target:
    """Mean over a region of a class's logit, against others.

    Attributes
    ----------
    class_index : int
        The class.
    region : ndarray of bool, shape (H, W)
        Pixels over which the mean is taken; at least one.
    contrast : {"rest", "none"} or int
        What the logit is compared with: all other classes (the log of the sum of their
        exponentials), nothing, or one class. Softmax does not change when all logits rise
        together, so a logit alone also answers why there is any phase at all.
    """

    class_index: int
    region: np.ndarray
    contrast: Contrast = "rest"


@dataclass(frozen=True)
class Subject:
    """A network, what it looks at, and what is asked about it.

    Attributes
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode (see `at_rest`).
    image : ndarray of float32, shape (H, W, C)
        Stored pixel values.
    target : Target
        The question.
    compute : Compute
        Device; explanations are computed in float32.
    """

    segmenter: Segmenter
    image: np.ndarray
    target: Target
    compute: Compute

    def place(self, images: np.ndarray) -> torch.Tensor:
        """Images (N, H, W, C) or one (H, W, C) as a float32 tensor (N, C, H, W) on the device."""
        return self.compute.place_images(images)

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Target of each image: (N, C, H, W) to (N,), with a gradient."""
        return target_score(self.segmenter(images), self.target)


def target_score(logits: torch.Tensor, target: Target) -> torch.Tensor:
    """Target of each image from its logits.

    Parameters
    ----------
    logits : Tensor, shape (N, K, H, W)
        Of a network.
    target : Target
        What to take from them.

    Returns
    -------
    Tensor, shape (N,)
        Logits [1], averaged over the region.
    """
    region = torch.from_numpy(target.region).to(logits.device)
    inside = logits.float()[..., region]  # (N, K, n)
    own = inside[:, target.class_index]
    if target.contrast == "none":
        return own.mean(dim=1)
    if target.contrast != "rest":
        return (own - inside[:, target.contrast]).mean(dim=1)
    others = [k for k in range(inside.shape[1]) if k != target.class_index]
    return (own - inside[:, others].logsumexp(dim=1)).mean(dim=1)


def class_probability(subject: Subject, images: np.ndarray, batch_px: int = 600_000) -> np.ndarray:
    """Mean probability of the class over the region, for changed copies of the image.

    Parameters
    ----------
    subject : Subject
        Network and region.
    images : ndarray of float32, shape (N, H, W, C)
        Copies.
    batch_px : int
        Pixels that the network takes at a time.

    Returns
    -------
    ndarray of float64, shape (N,)
        Probabilities [1].
    """
    region = torch.from_numpy(subject.target.region).to(subject.compute.device)
    size = max(1, batch_px // (images.shape[1] * images.shape[2]))
    means = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            logits = subject.segmenter(subject.place(images[start : start + size]))
            probabilities = logits.float().softmax(dim=1)[:, subject.target.class_index]
            means.append(to_float64(probabilities[:, region]).mean(dim=1).cpu())
    return torch.cat(means).numpy()


def target_values(subject: Subject, images: np.ndarray, batch_px: int = 600_000) -> np.ndarray:
    """Target of changed copies of the image: (N, H, W, C) to float64 (N,) [logits]."""
    size = max(1, batch_px // (images.shape[1] * images.shape[2]))
    values = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            values.append(subject.score(subject.place(images[start : start + size])).cpu().double())
    return torch.cat(values).numpy()


def decision_margin(subject: Subject) -> float:
    """How firmly a network decides on the region, for whatever class it decides for.

    Returns
    -------
    float
        Largest logit less the log of the summed exponentials of the others, mean over the region
        [logits].
    """
    with torch.no_grad():
        logits = subject.segmenter(subject.place(subject.image))[0].float()
    inside = logits[:, torch.from_numpy(subject.target.region).to(logits.device)]
    top = inside.sort(dim=0, descending=True).values
    return float((top[0] - top[1:].logsumexp(dim=0)).mean())


@contextmanager
def at_rest(segmenter: Segmenter) -> Iterator[Segmenter]:
    """Hold a network still: evaluation mode, no gradients of weights; all as before on leaving.

    Batch normalisation and dropout then do the same on every call, and the gradient with respect to
    the image costs no memory for those of the weights.
    """
    wants = {parameter: parameter.requires_grad for parameter in segmenter.parameters()}
    segmenter.requires_grad_(False)
    try:
        with evaluating(segmenter):
            yield segmenter
    finally:
        for parameter, want in wants.items():
            parameter.requires_grad_(want)


def activation_modules(segmenter: Segmenter) -> set[type[nn.Module]]:
    """Kinds of nonlinear layers in a network, from torch's own list."""
    kinds = {
        kind
        for kind in vars(nn.modules.activation).values()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }
    return {type(module) for module in segmenter.modules() if type(module) in kinds}
