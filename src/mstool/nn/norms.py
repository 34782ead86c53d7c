"""Running statistics of batch normalisation, estimated anew."""

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.dataset import epoch_batches
from mstool.nn.finetune import train_mode

Trained = TypeVar("Trained", bound=nn.Module)


def list_norms(segmenter: nn.Module) -> list:
    """Modules of batch normalisation that keep running statistics."""
    kind = nn.modules.batchnorm._BatchNorm
    norms = [module for module in segmenter.modules() if isinstance(module, kind)]
    return [norm for norm in norms if norm.track_running_stats]


def refuse_lonely_crops(
    network: nn.Module, crop: int, n_tiles: int, batch_size: int, name: str
) -> None:
    """Refuse batches of one crop where batch normalisation would see one value a channel of it.

    Parameters
    ----------
    network : Segmenter or Pretrainer
        About to be trained; its frozen layers are.
    crop : int
        Edge of a crop [px].
    n_tiles : int
        Tiles to train on, that is crops of an epoch.
    batch_size : int
        Most crops of a batch.
    name : str
        Of the network, for people.

    Raises
    ------
    UsageError
        If an epoch has such a batch.
    """
    if min(map(len, epoch_batches(n_tiles, batch_size, 0, 0))) > 1:
        return
    train_mode(network)
    mean = network.mean
    if find_lonely_norms(network, mean.new_zeros(1, mean.shape[1], crop, crop)):
        raise UsageError(
            f"--batch-size {batch_size}: leaves a batch of one tile of {n_tiles}, and {name} makes "
            f"one value a channel of a crop of {crop} pixels, which it cannot normalise; use "
            "another --batch-size, more tiles or a larger --crop"
        )


def find_lonely_norms(network: nn.Module, image: torch.Tensor) -> list:
    """Norms in training that see one value a channel of an image, whose variance is undefined.

    They stand behind a pooling to a point, or where the image has shrunk to one.

    Parameters
    ----------
    network : Module
        In the modes of its training, in which it is left.
    image : Tensor, shape (1, C, H, W)
        Stored pixel values, on the device.

    Returns
    -------
    list of Module
        Those that a batch of this image alone would fail in.
    """
    modes = {module: module.training for module in network.modules()}
    lonely: list[nn.Module] = []

    def look(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if _is_one_value(inputs[0]):
            lonely.append(norm)

    handles = [norm.register_forward_pre_hook(look) for norm in list_norms(network) if modes[norm]]
    try:
        network.eval()
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return lonely


def reestimate_norms(segmenter: Trained, batches: Iterable[torch.Tensor]) -> Trained:
    """Give batch normalisation the mean and variance that it sees on new images.

    Where a batch has one value a channel, which has no variance, a norm leaves it out; one that
    sees no other keeps what it has.

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
    norms, begun = list_norms(segmenter), set()
    segmenter.eval()
    if not norms:
        return segmenter

    def choose(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        norm.train(not _is_one_value(inputs[0]))
        if norm.training and norm not in begun:
            norm.reset_running_stats()
            begun.add(norm)

    handles = [norm.register_forward_pre_hook(choose) for norm in norms]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain mean over batches
    with torch.no_grad():
        for batch in batches:
            segmenter(batch)
    for norm, momentum, handle in zip(norms, momenta, handles, strict=True):
        norm.momentum = momentum
        handle.remove()
    return segmenter.eval()


def _is_one_value(values: torch.Tensor) -> bool:
    """Whether values (N, C, ...) have no more than one for each channel."""
    return values.numel() <= values.shape[1]
