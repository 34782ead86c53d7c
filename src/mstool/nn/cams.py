"""Class activation maps at any layer, several in one pass."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from mstool.nn.layers import watch
from mstool.nn.target import Subject, target_score

Combine = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def grad_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Channels weighted by their mean gradient, negative sums cut [1]_.

    Parameters
    ----------
    activation, gradient : Tensor, shape (N, K, h, w)
        Of a layer.

    Returns
    -------
    Tensor, shape (N, h, w)
        Not below 0.

    References
    ----------
    .. [1] Selvaraju, R. et al. (2017). ICCV, arXiv:1610.02391.
    """
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1).relu()


def hires_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Activation times gradient, summed over channels; signed [1]_.

    References
    ----------
    .. [1] Draelos, R., Carin, L. (2020). arXiv:2011.08891.
    """
    return (gradient * activation).sum(dim=1)


def layer_cam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Activation times positive gradient, summed over channels, negative sums cut [1]_.

    References
    ----------
    .. [1] Jiang, P. et al. (2021). IEEE Trans. Image Process. 30, 5875-5888.
    """
    return (gradient.relu() * activation).sum(dim=1).relu()


_COMBINE: dict[str, Combine] = {
    "gradcam": grad_cam,
    "hirescam": hires_cam,
    "layercam": layer_cam,
    "seg-gradcam": grad_cam,  # of the class's logit alone, arXiv:2002.11434
}
CAMS = tuple(_COMBINE)


def class_activation_maps(
    subject: Subject, wanted: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[str, str], np.ndarray], torch.Tensor]:
    """Class activation maps of one image, and the gradient with respect to it.

    Parameters
    ----------
    subject : Subject
        Network, image and target.
    wanted : sequence of (str, str)
        Name of the map, one of `CAMS`, and layer; may be empty.

    Returns
    -------
    maps : dict of (str, str) to ndarray of float32, shape (h, w)
        At the resolution of the layer. ``seg-gradcam`` is Grad-CAM of the class's own logit,
        whatever the contrast of the target.
    gradient : Tensor of float32, shape (1, C, H, W)
        Of the target.
    """
    layers = list(dict.fromkeys(layer for _, layer in wanted))
    image = subject.place(subject.image).requires_grad_()
    with watch(subject.segmenter, layers) as seen:
        logits = subject.segmenter(image)
        inputs = [image, *(seen[layer] for layer in layers)]
        score = target_score(logits, subject.target).sum()
        needs_own = any(name == "seg-gradcam" for name, _ in wanted)
        gradient, *against = torch.autograd.grad(score, inputs, retain_graph=needs_own)
        own = []
        if needs_own:
            alone = target_score(logits, replace(subject.target, contrast="none")).sum()
            own = list(torch.autograd.grad(alone, inputs[1:]))
    maps = {}
    for name, layer in wanted:
        chosen = own if name == "seg-gradcam" else against
        combined = _COMBINE[name](seen[layer].detach(), chosen[layers.index(layer)])
        maps[name, layer] = combined[0].float().cpu().numpy()
    return maps, gradient


def cam_mass(
    subject: Subject, images: torch.Tensor, name: str, layer: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map of an image at its layer's resolution, differentiable, and the target.

    For the search of an image that hides from the map.

    Parameters
    ----------
    subject : Subject
        Network and target.
    images : Tensor, shape (1, C, H, W)
        With a gradient.
    name, layer : str
        Which map.

    Returns
    -------
    map : Tensor, shape (1, h, w)
        With a gradient.
    score : Tensor, shape (1,)
        With a gradient.
    """
    with watch(subject.segmenter, [layer]) as seen:
        score = subject.score(images)
        gradient = torch.autograd.grad(score.sum(), seen[layer], create_graph=True)[0]
        return _COMBINE[name](seen[layer], gradient), score
