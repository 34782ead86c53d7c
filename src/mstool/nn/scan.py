"""All that one pass over an image can tell: probabilities, changed views, features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from mstool.nn.dataset import to_tensor
from mstool.nn.device import Compute
from mstool.nn.layers import list_layers, watch
from mstool.nn.model import Segmenter

_STAGE = re.compile(r"encoder(\[\d+\]|\.\d+)")
# axes that are turned round, gamma, and shift of grey [of the range]; all keep the image's shape
_VIEWS = (((-1,), 1.1, 0.0), ((-2,), 1.0, 0.03), ((-2, -1), 0.92, -0.02))


@dataclass(frozen=True)
class Scan:
    """What a network makes of an image.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (K, H, W)
        Summing to 1.
    views : tuple of ndarray of uint8, shape (H, W)
        Classes predicted on the image mirrored and a little brighter or darker, mirrored back;
        empty if they were not asked for.
    features : ndarray of float32, shape (D,)
        Mean and standard deviation of each channel of the watched layers.
    """

    probabilities: np.ndarray
    views: tuple[np.ndarray, ...]
    features: np.ndarray


def encoder_stages(segmenter: Segmenter, n_channels: int) -> list[str]:
    """Names of what the stages of the encoder give; of all layers, for a network without one."""
    names = [layer.name for layer in list_layers(segmenter, n_channels)]
    return [name for name in names if _STAGE.fullmatch(name)] or names


def scan_image(
    segmenter: Segmenter,
    image: np.ndarray,
    levels: tuple[float, float],
    compute: Compute,
    layers: Sequence[str] = (),
    with_views: bool = True,
) -> Scan:
    """Predict an image and mild changes of it.

    Parameters
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode.
    image : ndarray of float32, shape (H, W, C)
        Stored pixel values.
    levels : tuple of float
        Stored values of black and white.
    compute : Compute
        Device and number format.
    layers : sequence of str
        Layers whose features are summed up.
    with_views : bool
        Whether the changed views are predicted too.

    Returns
    -------
    Scan
        On the CPU.
    """
    tensor = to_tensor(image)
    changed = [_view(tensor, view, levels) for view in _VIEWS] if with_views else []
    batch = compute.place_batch(torch.stack([tensor, *changed]))
    with torch.inference_mode(), compute.autocast(), watch(segmenter, layers) as seen:
        logits = segmenter(batch).float()
        probabilities = logits[0].softmax(dim=0).cpu().numpy()
        classes = logits.argmax(dim=1).to(torch.uint8).cpu()
        found = [seen[name][0].float() for name in layers]
        moments = [part for tensor in found for part in (tensor.mean((1, 2)), tensor.std((1, 2)))]
        features = torch.cat(moments).cpu().numpy() if moments else np.zeros(0, np.float32)
    views = tuple(
        classes[number + 1].flip(_VIEWS[number][0]).numpy() for number in range(len(changed))
    )
    return Scan(probabilities, views, features)


def _view(image: torch.Tensor, view, levels: tuple[float, float]) -> torch.Tensor:
    axes, gamma, shift = view
    black, white = levels
    scaled = ((image - black) / (white - black)).clamp(0, 1)
    changed = (transforms.adjust_gamma(scaled, gamma) + shift).clamp(0, 1)
    return (changed * (white - black) + black).flip(axes)
