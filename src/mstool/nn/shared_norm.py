"""Batch normalisation of batches that lie in several processes, on any device."""

from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import distributed, nn

from mstool.errors import UnavailableError


class SharedNorm:
    """What `share_norms` puts before the class of a norm: statistics over all processes.

    ``torch.nn.SyncBatchNorm`` is for GPUs alone. Sums are taken in float64, so that they hardly
    depend on how a batch is divided.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise activations (N, C, H, W); N may differ between processes."""
        if not self.training:
            return super().forward(images)
        variance, mean, n_values = _statistics(images)
        self._note(variance.detach(), mean.detach(), n_values)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        columns = (1, -1, 1, 1)
        values = torch.addcmul(shift.view(columns), images.float(), scale.view(columns))
        values = values.to(images.dtype)
        return self.act(self.drop(values)) if _has_activation(self) else values

    @torch.no_grad()
    def _note(self, variance: torch.Tensor, mean: torch.Tensor, n_values: torch.Tensor) -> None:
        """Move the running statistics."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        unbiased = variance * (n_values / (n_values - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


def share_norms(network: nn.Module) -> None:
    """Let all batch normalisation of a network see the batches of all processes.

    Raises
    ------
    UnavailableError
        If it has a kind that is not known.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            kind = type(module)
            if kind is not nn.BatchNorm2d and not _has_activation(module):
                raise UnavailableError(
                    f"{kind.__name__}: this normalisation of the network does not work in several "
                    "processes; train without torchrun, or use another --encoder"
                )
            module.__class__ = type(f"Shared{kind.__name__}", (SharedNorm, kind), {})


def _has_activation(norm: nn.Module) -> bool:
    """Whether a norm is one of timm, which ends with an activation."""
    return isinstance(norm, BatchNormAct2d)


def _statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Variance and mean (C,), and number of values a channel, over all processes."""
    values = images.float().transpose(0, 1).flatten(1)
    n_own = values.shape[1]
    variance, mean = torch.var_mean(values, dim=1, correction=0)
    variance, mean = variance.double(), mean.double()
    count = mean.new_full((1,), n_own)
    sums = _Sum.apply(torch.cat([n_own * mean, n_own * (variance + mean**2), count]))
    n_values = sums[-1].detach()  # which a GPU keeps: the host need not wait for it
    mean, square = (sums[:-1] / n_values).chunk(2)
    return (square - mean**2).clamp_min(0).float(), mean.float(), n_values


class _Sum(torch.autograd.Function):
    """Sum over processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        summed = gradient.clone()
        distributed.all_reduce(summed)
        return summed
