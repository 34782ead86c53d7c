"""Tensors inside a network: which there are, their seen as they are computed."""

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter

_ENCODER = "encoder"  # of every architecture of segmentation-models-pytorch
_PSEUDO = re.compile(r"(?P<module>.+)\[(?P<index>\d+)\]")
_N_CLOSEST = 3


@dataclass(frozen=True)
class Layer:
    """A tensor inside a network that can be looked at.

    Attributes
    ----------
    name : str
        Module relative to the network, ``encoder.layer1.0.bn2``, or one of the features that an
        encoder returns, ``encoder[1]``.
    stride : int
        Network stride: edge of the input over edge of the tensor [px]. A tensor that is as large
        for any input has the edge of the input that was tried.
    channels, height, width : int
        Of the tensor.
    """

    name: str
    stride: int
    channels: int
    height: int
    width: int


def list_layers(segmenter: Segmenter, n_channels: int, size: int = 64) -> list[Layer]:
    """Every four-dimensional tensor that a module gives, in order of computing.

    Two images of zeros, of different sizes, are passed through: how the tensors grow gives their
    network stride, also where convolutions without padding eat up the border. Flags and running
    means of the network stay as they are.

    Parameters
    ----------
    segmenter : Segmenter
        On any device.
    n_channels : int
        Image channels.
    size : int, default 64
        Edge of the smaller image [px]; `height` and `width` are of this one.

    Returns
    -------
    list of Layer
        Modules, and the features that an encoder returns as a list except the image itself.
    """
    input_size, shapes = _trace(segmenter, n_channels, size)
    larger_size, larger_shapes = _trace(segmenter, n_channels, 2 * size)
    layers = []
    for name, (channels, height, width) in shapes.items():
        growth = larger_shapes[name][1] - height if name in larger_shapes else 0
        stride = (larger_size - input_size) / growth if growth > 0 else input_size / height
        layers.append(Layer(name, max(1, round(stride)), channels, height, width))
    return layers


def shallowest_layer(layers: Sequence[Layer], n_channels: int = 3) -> str:
    """Name of the first tensor that holds features and not yet the image's.

    Parameters
    ----------
    layers : sequence of Layer
        From `list_layers`.
    n_channels : int, default 3
        Image channels; only used for a network without encoder.

    Returns
    -------
    str
        First feature that the encoder returns, else its first block, else the first tensor with
        more channels than the image.

    Raises
    ------
    UsageError
        If no layer is any of these.
    """
    names = [layer.name for layer in layers]
    pseudo = [name for name in names if _PSEUDO.fullmatch(name)]
    blocks = [name for name in names if name == f"{_ENCODER}.0"]
    wide = [layer.name for layer in layers if layer.channels > n_channels]
    for candidates in (pseudo, blocks, wide):
        if candidates:
            return candidates[0]
    raise UsageError("no layer of this network has more channels than the image; name one")


def match_layers(patterns: Sequence[str], layers: Sequence[Layer]) -> list[str]:
    """Names of the layers that patterns stand for.

    A name that is there wins over its reading as a pattern, since ``encoder[1]`` would mean
    ``encoder1``; for the same reason brackets are taken as they are, ``encoder[*]``, where they
    match nothing as a set of letters.

    Parameters
    ----------
    patterns : sequence of str
        Names, or shell patterns with ``*`` (dots included), ``?`` and ``[...]``.
    layers : sequence of Layer
        From `list_layers`.

    Returns
    -------
    list of str
        In order of computing, each once.

    Raises
    ------
    UsageError
        If a pattern matches nothing.
    """
    names = [layer.name for layer in layers]
    chosen: set[str] = set()
    for pattern in patterns:
        found = _matches(pattern, names)
        if not found:
            raise _unknown(pattern, names)
        chosen.update(found)
    return list(dict.fromkeys(name for name in names if name in chosen))


@contextmanager
def watch(segmenter: Segmenter, names: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """See tensors inside a network during the forward passes of the block.

    The rest of the network goes on with a clone of each: operations in place such as
    ``ReLU(inplace=True)`` or ``out += identity`` would overwrite the tensor after its module gave
    it, and its gradient would be that of another one.

    Parameters
    ----------
    segmenter : Segmenter
        Its flags are left alone; hooks are taken off at the end of the block, also on errors.
    names : sequence of str
        Layers as `list_layers` names them.

    Yields
    ------
    dict of str to Tensor of float, shape (N, C, h, w)
        By name, filled by each forward pass and part of its graph, so that it can be
        differentiated; of the last call, for a module that is called more than once.

    Raises
    ------
    UsageError
        If the network has no such layer.
    """
    modules = dict(segmenter.network.named_modules())
    seen: dict[str, torch.Tensor] = {}
    handles = []
    try:
        for name in dict.fromkeys(names):
            module, index = _locate(name, modules)
            handles.append(module.register_forward_hook(_keeper(seen, name, index)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for the block; each module then gets its flag back."""
    flags = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, is_training in flags:
            part.training = is_training


def layer_activations(
    segmenter: Segmenter, names: Sequence[str], image: np.ndarray, compute: Compute
) -> dict[str, np.ndarray]:
    """What layers hold for one image (H, W, C): float32 (C, h, w) by name."""
    with torch.inference_mode(), watch(segmenter, names) as seen:
        segmenter(compute.place_images(image))
    return {name: seen[name][0].float().cpu().numpy() for name in names}


def _trace(
    segmenter: Segmenter, n_channels: int, size: int
) -> tuple[int, dict[str, tuple[int, int, int]]]:
    """Edge of what the network was given [px], and channels, height, width of each tensor."""
    input_sizes: list[int] = []
    shapes: dict[str, tuple[int, int, int]] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.numel():
            shapes.pop(name, None)  # a module that is called again moves to the later place
            shapes[name] = (output.shape[1], output.shape[2], output.shape[3])

    def noter(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if name == "":
                input_sizes.append(inputs[0].shape[-2])
                return
            note(name, output)
            if name == _ENCODER and isinstance(output, list | tuple):
                for index, feature in enumerate(output):
                    if not _is_same(feature, inputs[0]):
                        note(f"{name}[{index}]", feature)

        return hook

    handles = [
        module.register_forward_hook(noter(name))
        for name, module in segmenter.network.named_modules()
    ]
    device = segmenter.mean.device
    try:
        with evaluating(segmenter), torch.no_grad():
            segmenter(torch.zeros(1, n_channels, size, size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return input_sizes[-1], shapes


def _is_same(feature: Any, image: Any) -> bool:
    if not (isinstance(feature, torch.Tensor) and isinstance(image, torch.Tensor)):
        return False
    return feature.shape == image.shape and bool(torch.equal(feature, image))


def _matches(pattern: str, names: list[str]) -> list[str]:
    if pattern in names:
        return [pattern]
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    literal = pattern.replace("[", "[[]")
    return found or [name for name in names if fnmatch.fnmatchcase(name, literal)]


def _locate(name: str, modules: dict[str, nn.Module]) -> tuple[nn.Module, int | None]:
    """Module whose output is wanted, and which of its outputs; None for the only one."""
    if name in modules and name:
        return modules[name], None
    match = _PSEUDO.fullmatch(name)
    if match and match["module"] in modules:
        return modules[match["module"]], int(match["index"])
    raise _unknown(name, [known for known in modules if known])


def _keeper(seen: dict[str, torch.Tensor], name: str, index: int | None) -> Callable[..., Any]:
    """Forward hook that keeps an output and hands a clone on."""

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        tensor = output if index is None else _feature(output, index, name)
        if not isinstance(tensor, torch.Tensor):
            raise UsageError(f"layer {name}: gives no single tensor; see --list-layers")
        seen[name] = tensor
        if index is None:
            return tensor.clone()
        return type(output)(
            part.clone() if place == index else part for place, part in enumerate(output)
        )

    return keep


def _feature(output: Any, index: int, name: str) -> Any:
    if isinstance(output, list | tuple) and index < len(output):
        return output[index]
    raise UsageError(f"layer {name}: not among what the module gives; see --list-layers")


def _unknown(name: str, names: Sequence[str]) -> UsageError:
    closest = difflib.get_close_matches(name, names, n=_N_CLOSEST, cutoff=0.3)
    hint = f"closest are {', '.join(closest)}; " if closest else ""
    return UsageError(f"layer {name}: not in this network; {hint}see --list-layers")
