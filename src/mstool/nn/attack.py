"""Patches made to change a decision: causes that are known, so that maps can be tested on them."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mstool.nn.cams import cam_mass
from mstool.nn.layer_maps import place_map
from mstool.nn.target import Subject, Target

HIDING = 30.0  # weight of the share of the map that lies in the patch, against logits


@dataclass(frozen=True)
class Patch:
    """A patch and what it did.

    Attributes
    ----------
    subject : Subject
        The changed image; the target is the class that gained, against the class that lost.
    inside : ndarray of bool, shape (H, W)
        Pixels of the patch.
    margin_shift : float
        Loss of the target that was attacked [logits]; above 0 if the attack worked.
    """

    subject: Subject
    inside: np.ndarray
    margin_shift: float


def place_patch(saliency: np.ndarray, keep_out: np.ndarray, edge: int) -> np.ndarray | None:
    """Where a square patch of an image has most say, outside of some pixels.

    Parameters
    ----------
    saliency : ndarray of float, shape (H, W)
        Size of the gradient of the target.
    keep_out : ndarray of bool, shape (H, W)
        Pixels that the patch may not touch.
    edge : int
        Of the patch [px].

    Returns
    -------
    ndarray of bool, shape (H, W), or None
        Pixels of the patch; None if there is no room.

    Examples
    --------
    >>> keep_out = np.array([[True, False, False], [True, False, False]])
    >>> place_patch(np.ones((2, 3)), keep_out, edge=2)
    array([[False,  True,  True],
           [False,  True,  True]])
    """
    shape = saliency.shape
    if edge > min(shape):
        return None
    windows = np.lib.stride_tricks.sliding_window_view
    blocked = windows(keep_out, (edge, edge)).any(axis=(2, 3))
    gain = windows(saliency, (edge, edge)).sum(axis=(2, 3))
    if blocked.all():
        return None
    row, col = np.unravel_index(np.where(blocked, -1.0, gain).argmax(), gain.shape)
    inside = np.zeros(shape, bool)
    inside[row : row + edge, col : col + edge] = True
    return inside


def attack(
    subject: Subject,
    inside: np.ndarray,
    limits: tuple[float, float],
    hide_from: tuple[str, str] | None = None,
    n_steps: int = 60,
    seed: int = 0,
) -> Patch:
    """Optimise the pixels of a patch until the network doubts the class.

    Parameters
    ----------
    subject : Subject
        Image and class, whose target on the region is attacked: against the rest, to change what
        the network decides.
    inside : ndarray of bool, shape (H, W)
        Pixels that may change.
    limits : tuple of float
        Smallest and largest stored pixel value.
    hide_from : tuple of (str, str), optional
        Class activation map and layer that must not show the patch [1]_.
    n_steps : int
        Steps of Adam.
    seed : int
        Of the grey noise to begin with.

    Returns
    -------
    Patch
        The outcome, whatever it is.

    References
    ----------
    .. [1] Subramanya, A., Pillai, V., Pirsiavash, H. (2019). ICCV, arXiv:1812.02843.
    """
    clean = subject.place(subject.image)
    mask = torch.from_numpy(inside).to(clean.device)
    low, high = limits
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(clean.shape, generator=generator).to(clean.device)
    patch = (0.4 + 0.2 * noise).requires_grad_()
    optimiser = torch.optim.Adam([patch], lr=0.05)
    for _ in range(n_steps):
        optimiser.zero_grad()
        changed = torch.where(mask, low + (high - low) * patch, clean)
        loss = _loss(subject, changed, mask, hide_from)
        patch.grad = torch.autograd.grad(loss, patch)[0]
        optimiser.step()
        with torch.no_grad():
            patch.clamp_(0, 1)
    with torch.no_grad():
        changed = torch.where(mask, low + (high - low) * patch, clean)
        shift = float(subject.score(clean) - subject.score(changed))
        gained = _strongest_rival(subject, changed)
    target = Target(gained, subject.target.region, subject.target.class_index)
    image = np.moveaxis(changed[0].cpu().numpy(), 0, -1)
    return Patch(replace(subject, image=image, target=target), inside, shift)


def _loss(
    subject: Subject,
    changed: torch.Tensor,
    mask: torch.Tensor,
    hide_from: tuple[str, str] | None,
) -> torch.Tensor:
    if hide_from is None:
        return subject.score(changed).sum()
    values, score = cam_mass(subject, changed, *hide_from)
    larger = place_map(subject.segmenter, hide_from[1], values.abs(), mask.shape)
    share = (larger * mask).sum() / larger.sum().clamp_min(1e-12)
    return score.sum() + HIDING * share


def _strongest_rival(subject: Subject, changed: torch.Tensor) -> int:
    """Class, other than the one attacked, with the largest mean logit on the region."""
    region = torch.from_numpy(subject.target.region).to(changed.device)
    means = subject.segmenter(changed)[0][:, region].mean(dim=1)
    means[subject.target.class_index] = -torch.inf
    return int(means.argmax())
