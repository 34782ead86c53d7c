"""An encoder that learns without labels: itself, a light head, and the normalisation of images."""

from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from mstool.errors import UsageError
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import CropSet
from mstool.nn.device import Compute
from mstool.nn.model import ModelSpec, build_encoder
from mstool.nn.norms import reestimate_norms

_WIDTH = 128  # channels of the head
_STRIDE = 4  # of what the head gives
_MULTIPLE = 32
_N_FOR_NORMS = 64  # crops on which norms are estimated at the end


class StageSum(nn.Module):
    """An encoder whose feature maps are added up at a quarter of the resolution.

    Parameters
    ----------
    encoder : Module
        Gives the image and then feature maps of growing network stride, as those of
        segmentation-models-pytorch do, with their numbers of channels in ``out_channels``.
    n_outputs : int
        Channels that the head gives.
    """

    def __init__(self, encoder: nn.Module, n_outputs: int):
        super().__init__()
        self.encoder = encoder
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH))
            for n in encoder.out_channels[1:]
            if n
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(_WIDTH, n_outputs, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (N, n_outputs, h, w) of images (N, C, H, W), h being H / 4 rounded up."""
        stages = [stage for stage in self.encoder(images)[1:] if stage.shape[1]]
        size = [(length - 1) // _STRIDE + 1 for length in images.shape[-2:]]
        total = sum(
            interpolate(lateral(stage), size, mode="bilinear", align_corners=True)
            for lateral, stage in zip(self.laterals, stages, strict=True)
        )
        return self.head(total)


class Pretrainer(nn.Module):
    """What all ways to learn without labels share; `answer` is left to each.

    Parameters
    ----------
    network : StageSum
        On normalised images.
    mean, std : sequence of float, length C
        Normalisation, in stored pixel values.
    """

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) with the mean of the training tiles at 0."""
        normalised = (images - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps of stored pixel values, as `StageSum` gives them."""
        return self.network(self.normalise(images))


def crop_edge(network: StageSum, least: int) -> int:
    """Smallest edge of crops on which feature maps lie evenly, so that they turn with the crop.

    A convolution of stride 2 with padding keeps the first and the last of 32 k + 1 pixels, and of
    32 k only the one or the other: each feature map would lie shifted by nearly its whole stride
    in a mirrored view, and other places would be compared. For encoders that cut an image into
    patches it is the other way round. Which kind this is, is tried with kernels made symmetric.

    Parameters
    ----------
    network : StageSum
        On the CPU; stays as it is.
    least : int
        The edge has at least so many pixels [px].

    Returns
    -------
    int
        A multiple of 32, or one more [px].
    """
    copy = _with_symmetric_kernels(network)
    extra = min((1, 0), key=lambda extra: _error_of_mirrored(copy, 2 * _MULTIPLE + extra))
    return -(-(least - extra) // _MULTIPLE) * _MULTIPLE + extra


def _with_symmetric_kernels(network: StageSum) -> StageSum:
    copy = deepcopy(network).eval()
    for module in copy.modules():
        if isinstance(module, nn.Conv2d):
            kernel = module.weight.data
            module.weight.data = (kernel + kernel.flip(-1)) / 2
    return copy


def _error_of_mirrored(network: StageSum, edge: int) -> float:
    """How far the maps of a mirrored image are from the mirrored maps, in their spread."""
    n_channels = next(p for p in network.encoder.parameters() if p.ndim == 4).shape[1]
    noise = torch.rand(1, n_channels, edge, edge, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, mirrored = network(noise), network(noise.flip(-1)).flip(-1)
    return float((mirrored - plain).abs().mean() / plain.std())


def build_stage_sum(encoder: str, n_channels: int, n_outputs: int, seed: int) -> StageSum:
    """Build an encoder by name, and its head, with random weights drawn with `seed`.

    Raises
    ------
    UsageError
        If there is no such encoder, or it takes no crops of this kind.
    """
    torch.manual_seed(seed)
    built = build_encoder(ModelSpec("unet", encoder, n_channels, n_outputs))
    try:
        network = StageSum(built, n_outputs)
        crop_edge(network, _MULTIPLE)
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"--encoder {encoder}: cannot learn without labels here ({reason}); use a "
            "convolutional one"
        ) from None
    return network


def settle_norms(learner: Pretrainer, crops: CropSet, batch_size: int, compute: Compute) -> None:
    """Estimate the norms of an encoder on crops as they are: whole, and with their own greys.

    While it learnt they saw crops with blocks hidden, or greys changed more than those that the
    encoder will be shown.

    Parameters
    ----------
    learner : Pretrainer
        On the device; is changed.
    crops : CropSet
        What it learnt from.
    batch_size : int
        Crops at a time.
    compute : Compute
        Device.
    """
    plain = CropSet(crops.store, crops.size, PRESETS["none"], crops.normalisation, crops.seed)
    n = min(_N_FOR_NORMS, len(plain))
    chosen = np.linspace(0, len(plain) - 1, n).round().astype(int)
    parts = np.array_split(chosen, -(-n // batch_size))
    images = (torch.stack([plain[0, int(index)][0] for index in part]) for part in parts)
    reestimate_norms(learner, map(compute.place_batch, images))
