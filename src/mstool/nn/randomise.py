"""Networks with random weights in some places: what an explanation must notice."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.norms import reestimate_norms

Reinit = Literal["he", "shuffle"]

_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.modules.instancenorm._InstanceNorm,
)


@dataclass(frozen=True)
class Block:
    """Layers that are randomised together.

    Attributes
    ----------
    name : str
        What their names have in common.
    modules : tuple of str
        Names of the modules, relative to the network, that hold weights themselves.
    """

    name: str
    modules: tuple[str, ...]


def list_blocks(segmenter: Segmenter, n_channels: int, n_blocks: int = 8) -> list[Block]:
    """Cut a network into blocks, from the output to the input.

    The first block is the last layer alone; the others have about as many layers each. A
    normalisation stays with the layer before it.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    n_channels : int
        Image channels.
    n_blocks : int
        At most so many.

    Returns
    -------
    list of Block
        In the order of cascading randomisation [1]_.

    References
    ----------
    .. [1] Adebayo, J. et al. (2018). NeurIPS, arXiv:1810.03292.
    """
    layers = _layers_in_order(segmenter, n_channels)[::-1]
    n_rest = min(n_blocks - 1, len(layers) - 1)
    size, extra = divmod(len(layers) - 1, n_rest) if n_rest else (0, 0)
    groups, start = [layers[:1]], 1
    for index in range(n_rest):
        end = start + size + (index < extra)
        groups.append(layers[start:end])
        start = end
    return [_block([name for layer in group for name in layer]) for group in groups]


def randomised(
    segmenter: Segmenter,
    blocks: Sequence[Block],
    seed: int,
    images: np.ndarray,
    compute: Compute,
    reinit: Reinit = "he",
) -> Segmenter:
    """Copy of a network with random weights in some blocks.

    Statistics of batch normalisation are estimated anew on `images`: without that, random layers
    leave most ReLUs shut, maps are zero, and what is zero looks decorrelated.

    Parameters
    ----------
    segmenter : Segmenter
        Stays as it is.
    blocks : sequence of Block
        Where.
    seed : int
        Of the weights.
    images : ndarray of float32, shape (N, H, W, C)
        Stored pixel values.
    compute : Compute
        Device.
    reinit : {"he", "shuffle"}
        He's normal initialisation with biases 0, or the same weights in another order.

    Returns
    -------
    Segmenter
        In evaluation mode.
    """
    other = copy.deepcopy(segmenter)
    generator = torch.Generator().manual_seed(seed)
    fill = _he if reinit == "he" else _shuffle
    for block in blocks:
        for name in block.modules:
            fill(other.network.get_submodule(name), generator)
    return reestimate_norms(other, compute.place_images(images).split(4))


def cascade(
    segmenter: Segmenter,
    blocks: Sequence[Block],
    seed: int,
    images: np.ndarray,
    compute: Compute,
    reinit: Reinit = "he",
) -> Iterator[tuple[Block, Segmenter]]:
    """Networks with the first, the first two, ... and all blocks random."""
    for end, block in enumerate(blocks, start=1):
        yield block, randomised(segmenter, blocks[:end], seed, images, compute, reinit)


def perturbed(segmenter: Segmenter, seed: int, share: float = 0.02) -> Segmenter:
    """Copy with noise on its weights, a `share` of their spread strong: nearly the same network."""
    other = copy.deepcopy(segmenter)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.ndim > 1:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
                parameter.add_(share * parameter.std() * noise)
    return other


def _layers_in_order(segmenter: Segmenter, n_channels: int) -> list[list[str]]:
    """Modules that hold weights, in the order in which they run, norms with what they follow."""
    names = {
        module: name
        for name, module in segmenter.network.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    }
    order: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: order.append(names[module]))
        for module in names
    ]
    device = segmenter.mean.device
    try:
        with torch.inference_mode():
            segmenter(torch.zeros(1, n_channels, 64, 64, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    order += [name for name in names.values() if name not in order]
    layers: list[list[str]] = []
    for name in dict.fromkeys(order):
        is_norm = isinstance(segmenter.network.get_submodule(name), _NORMS)
        if is_norm and layers:
            layers[-1].append(name)
        else:
            layers.append([name])
    return layers


def _block(names: list[str]) -> Block:
    parts = [name.split(".") for name in names]
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return Block(".".join(common) or f"{names[0]} to {names[-1]}", tuple(names))


@torch.no_grad()
def _he(module: nn.Module, generator: torch.Generator) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if isinstance(module, _NORMS):
            parameter.fill_(1.0 if name == "weight" else 0.0)
        elif parameter.ndim < 2:
            parameter.zero_()
        else:
            values = torch.empty(parameter.shape)
            nn.init.kaiming_normal_(values, nonlinearity="relu", generator=generator)
            parameter.copy_(values)


@torch.no_grad()
def _shuffle(module: nn.Module, generator: torch.Generator) -> None:
    for parameter in module.parameters(recurse=False):
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        parameter.copy_(parameter.flatten()[order].view_as(parameter))
