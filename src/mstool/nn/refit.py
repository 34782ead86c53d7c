"""The same architecture, fitted anew to a handful of images."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.device import Compute
from mstool.nn.model import Segmenter
from mstool.nn.norms import find_lonely_norms, reestimate_norms
from mstool.nn.randomise import Block, list_blocks, randomised

ENOUGH = 0.95  # accuracy at which images are known by heart [1]
_EVERY = 25  # steps between looks at the accuracy


def refit(
    segmenter: Segmenter,
    images: np.ndarray,
    labels: np.ndarray,
    seed: int,
    compute: Compute,
    *,
    max_steps: int = 400,
    enough: float = ENOUGH,
    batch_size: int = 4,
    lr: float = 3e-3,
    on_step: Callable[[int], None] = lambda done: None,
    is_over: Callable[[], bool] = lambda: False,
) -> tuple[Segmenter, float]:
    """Fit a copy from random weights until it knows its images by heart.

    An encoder that the network keeps frozen stays as it is.

    Parameters
    ----------
    segmenter : Segmenter
        Gives the architecture, in evaluation mode; stays as it is.
    images : ndarray of float32, shape (N, H, W, C)
        Stored pixel values.
    labels : ndarray of int, shape (N, H, W)
        Class indices, or 255 for ignored; not all ignored.
    seed : int
        Of the weights and of the order of images.
    compute : Compute
        Device.
    max_steps : int
        Steps of Adam, at most.
    enough : float
        Accuracy on the images at which to stop [1].
    batch_size : int
        Images a step.
    lr : float
        Step size of Adam.
    on_step : callable
        Told how many steps were made since it was last told.
    is_over : callable
        Asked now and then whether time is up.

    Returns
    -------
    copy : Segmenter
        In evaluation mode, its normalisation estimated on all `images`.
    accuracy : float
        Share of the pixels of `images` that the copy labels so [1].
    """
    blocks = list_blocks(segmenter, images.shape[3])
    learner = deepcopy(segmenter)
    learner.network.requires_grad_(True)  # but for what it keeps frozen
    blocks = [_without_frozen(block, learner.network) for block in blocks]
    copy = randomised(learner, blocks, seed, images, compute)
    placed = compute.place_images(images)
    truth = torch.from_numpy(labels.astype(np.int64)).to(placed.device)
    optimizer = torch.optim.Adam(copy.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss(ignore_index=IGNORE_INDEX)
    generator = torch.Generator().manual_seed(seed)
    alone = find_lonely_norms(copy.train(), placed) if len(placed) == 1 else []
    accuracy = 0.0
    for start in range(0, max_steps, _EVERY):
        copy.train()
        for norm in alone:  # has no variance to go by
            norm.eval()
        for _ in range(min(_EVERY, max_steps - start)):
            batch = torch.randperm(len(placed), generator=generator)[:batch_size]
            batch = batch.to(placed.device)
            optimizer.zero_grad()
            loss(copy(placed[batch]), truth[batch]).backward()
            optimizer.step()
        on_step(min(_EVERY, max_steps - start))
        reestimate_norms(copy, placed.split(batch_size))
        accuracy = _accuracy(copy, placed, truth)
        if accuracy >= enough or is_over():
            break
    return copy.requires_grad_(False), accuracy


def fine_tune(
    segmenter: Segmenter,
    images: torch.Tensor,
    labels: torch.Tensor,
    seed: int,
    *,
    n_steps: int = 60,
    batch_size: int = 4,
    lr: float = 1e-3,
    on_step: Callable[[int], None] = lambda done: None,
) -> Segmenter:
    """Fit a copy to a few more images, mirrored at random; its normalisation stays as it was.

    So does an encoder that the network keeps frozen.

    Parameters
    ----------
    segmenter : Segmenter
        Where the copy begins.
    images : Tensor, shape (N, C, H, W)
        Stored pixel values, on the device.
    labels : Tensor of int64, shape (N, H, W)
        Class indices, or 255 for ignored; not all ignored.
    seed : int
        Of batches and mirror images.
    n_steps : int
        Steps of Adam.
    batch_size : int
        Images a step, drawn with replacement.
    lr : float
        Step size.
    on_step : callable
        Told of each step.

    Returns
    -------
    Segmenter
        In evaluation mode.
    """
    copy = deepcopy(segmenter).eval()
    copy.network.requires_grad_(True)
    optimizer = torch.optim.Adam(copy.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss(ignore_index=IGNORE_INDEX)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        batch = torch.randint(len(images), (batch_size,), generator=generator).to(images.device)
        axes = [axis for axis in (-1, -2) if torch.rand((), generator=generator) < 0.5]
        optimizer.zero_grad()
        loss(copy(images[batch].flip(axes)), labels[batch].flip(axes)).backward()
        optimizer.step()
        on_step(1)
    return copy.requires_grad_(False)


def _without_frozen(block: Block, network: nn.Module) -> Block:
    def learns(name: str) -> bool:
        return all(each.requires_grad for each in network.get_submodule(name).parameters())

    return replace(block, modules=tuple(filter(learns, block.modules)))


@torch.no_grad()
def _accuracy(segmenter: Segmenter, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = total = 0
    for image, truth in zip(images, labels, strict=True):
        known = truth != IGNORE_INDEX
        right += int((segmenter(image[None])[0].argmax(dim=0) == truth)[known].sum())
        total += int(known.sum())
    return right / total if total else 0.0
