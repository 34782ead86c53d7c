"""A network at work on single images: probabilities, changed views, features, adaptation.

Images are arrays of float32, (H, W, C), in stored pixel values.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from mstool.nn.adapt import adapt_norms, minimise_entropy
from mstool.nn.device import Compute
from mstool.nn.layers import list_layers, watch
from mstool.nn.model import Segmenter
from mstool.nn.norms import list_norms
from mstool.nn.refit import fine_tune
from mstool.nn.tensors import to_tensor

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
        Classes predicted on the image mirrored and a little brighter or darker, mirrored back.
    features : ndarray of float32, shape (D,)
        Mean and standard deviation of each channel of the stages.
    """

    probabilities: np.ndarray
    views: tuple[np.ndarray, ...]
    features: np.ndarray


@dataclass(frozen=True)
class Network:
    """A segmenter and what it needs to know of images.

    Attributes
    ----------
    segmenter : Segmenter
        On the device, in evaluation mode.
    compute : Compute
        Device and number format.
    levels : tuple of float
        Stored values of black and white.
    stages : tuple of str
        Layers that give features.
    """

    segmenter: Segmenter
    compute: Compute
    levels: tuple[float, float]
    stages: tuple[str, ...]

    @property
    def has_norms(self) -> bool:
        """Whether there is batch normalisation that can be adapted."""
        return bool(list_norms(self.segmenter))

    def scan(self, image: np.ndarray) -> Scan:
        """Predict an image and mild changes of it."""
        tensor = to_tensor(image)
        batch = torch.stack([tensor, *(_view(tensor, view, self.levels) for view in _VIEWS)])
        return self._scan(batch, self.stages)

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities of an image: float32, (K, H, W)."""
        return self._scan(to_tensor(image)[None], ()).probabilities

    def classes(self, image: np.ndarray) -> np.ndarray:
        """Predicted classes of an image: uint8, (H, W)."""
        return self.probabilities(image).argmax(axis=0).astype(np.uint8)

    def with_norms_of(self, images: Sequence[np.ndarray], prior: float = 0.0) -> "Network":
        """Copy with the normalisation of other images; see `adapt_norms`."""
        tensors = list(map(self._place, images))
        return replace(self, segmenter=adapt_norms(self.segmenter, tensors, prior))

    def with_entropy_of(self, images: Sequence[np.ndarray], seed: int) -> "Network":
        """Copy that is surer of other images; see `minimise_entropy`."""
        tensors = list(map(self._place, images))
        return replace(self, segmenter=minimise_entropy(self.segmenter, tensors, seed=seed))

    def fine_tuned(
        self,
        images: Sequence[np.ndarray],
        labels: Sequence[np.ndarray],
        seed: int,
        n_steps: int,
        on_step: Callable[[int], None],
    ) -> "Network":
        """Copy that has learnt images of one size, with their label maps; see `fine_tune`."""
        batch = torch.stack(list(map(self._place, images)))
        truth = torch.from_numpy(np.stack(labels).astype(np.int64)).to(batch.device)
        fitted = fine_tune(self.segmenter, batch, truth, seed, n_steps=n_steps, on_step=on_step)
        return replace(self, segmenter=fitted)

    def _place(self, image: np.ndarray) -> torch.Tensor:
        return self.compute.place_batch(to_tensor(image)[None])[0]

    def _scan(self, batch: torch.Tensor, layers: Sequence[str]) -> Scan:
        """Scan of the first image of a batch, whose others are its `_VIEWS`."""
        batch, segmenter = self.compute.place_batch(batch), self.segmenter
        with torch.inference_mode(), self.compute.autocast(), watch(segmenter, layers) as seen:
            logits = segmenter(batch).float()
            probabilities = logits[0].softmax(dim=0).cpu().numpy()
            classes = logits[1:].argmax(dim=1).to(torch.uint8).cpu()
            found = [seen[name][0].float() for name in layers]
            moments = [part for one in found for part in (one.mean((1, 2)), one.std((1, 2)))]
            features = torch.cat(moments).cpu().numpy() if moments else np.zeros(0, np.float32)
        views = (one.flip(axes).numpy() for one, (axes, _, _) in zip(classes, _VIEWS, strict=False))
        return Scan(probabilities, tuple(views), features)


def encoder_stages(segmenter: Segmenter, n_channels: int) -> list[str]:
    """Names of what the stages of the encoder give; of all layers, for a network without one."""
    names = [layer.name for layer in list_layers(segmenter, n_channels)]
    return [name for name in names if _STAGE.fullmatch(name)] or names


def _view(image: torch.Tensor, view, levels: tuple[float, float]) -> torch.Tensor:
    axes, gamma, shift = view
    black, white = levels
    scaled = ((image - black) / (white - black)).clamp(0, 1)
    changed = (transforms.adjust_gamma(scaled, gamma) + shift).clamp(0, 1)
    return (changed * (white - black) + black).flip(axes)
