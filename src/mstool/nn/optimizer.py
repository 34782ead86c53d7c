"""The optimiser: its learning rates over time, and its moments as tensors."""

import math

import torch
from torch import nn

_WARM_UP = 0.15
_FIRST_LR, _LAST_LR = 0.05, 0.002


def one_cycle(progress: float) -> float:
    """Factor of the learning rate: up, then down, along cosines [1]_.

    Parameters
    ----------
    progress : float
        Share of the training that is done, 0 to 1.

    Returns
    -------
    float
        0.05 at the start, 1 after 15 %, 0.002 at the end.

    References
    ----------
    .. [1] Smith, L. N., Topin, N. (2019). Proc. SPIE 11006, 1100612.
    """
    if progress < _WARM_UP:
        low, share = _FIRST_LR, 1 - progress / _WARM_UP
    else:
        low, share = _LAST_LR, (progress - _WARM_UP) / (1 - _WARM_UP)
    return low + (1 - low) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def build_optimizer(
    network: nn.Module, lr: float, encoder_lr_factor: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW for what may be trained of a network, the encoder at a rate of its own.

    Parameters
    ----------
    network : Module
        Names of parameters of the encoder begin with ``encoder.``.
    lr, encoder_lr_factor : float
        Highest learning rate, and times that for the encoder.
    weight_decay : float
        Of AdamW.

    Returns
    -------
    Optimizer
        The highest learning rate of a group is its ``highest_lr``.
    """
    encoder = {id(p) for name, p in network.named_parameters() if name.startswith("encoder.")}
    groups = []
    for is_encoder, factor in ((True, encoder_lr_factor), (False, 1.0)):
        parameters = [
            parameter
            for parameter in network.parameters()
            if (id(parameter) in encoder) == is_encoder and parameter.requires_grad
        ]
        if parameters:
            highest = lr * factor
            groups.append({"params": parameters, "lr": highest, "highest_lr": highest})
    return torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Moments of the optimiser by ``index.name``; its settings are rebuilt, not stored."""
    return {
        f"{index}.{name}": tensor
        for index, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Give an optimiser the moments that `moments_of` took from one like it.

    Raises
    ------
    ValueError
        If they are those of other parameters.
    """
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    for parameter, state in optimizer.state.items():
        for name, tensor in state.items():
            if name != "step" and tensor.shape != parameter.shape:
                raise ValueError(f"{name} of the optimiser has shape {tuple(tensor.shape)}")
            if tensor.shape == parameter.shape:
                # a fused optimiser goes through memory, in which files have another order
                state[name] = torch.empty_like(parameter).copy_(tensor)
