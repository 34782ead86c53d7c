"""Which weights training may change."""

import re

import torch
from torch import nn

from mstool.errors import UsageError


def parse_finetune(text: str) -> int | None:
    """Read ``full``, ``decoder`` or ``top-N``.

    Returns
    -------
    int or None
        Number of encoder stages, counted from the deepest, to train; None for all, stem included.

    Raises
    ------
    UsageError
        If `text` is none of them.
    """
    if text == "full":
        return None
    if text == "decoder":
        return 0
    if match := re.fullmatch(r"top-([1-9]\d*)", text):
        return int(match.group(1))
    raise UsageError(f"--finetune {text}: use full, decoder, or top-N such as top-2")


def freeze(network: nn.Module, n_stages: int | None) -> None:
    """Freeze the encoder but for its deepest stages.

    Parameters
    ----------
    network : Module
        With an ``encoder``; changed in place.
    n_stages : int or None
        Stages to train; None for all.

    Raises
    ------
    UsageError
        If the encoder has fewer stages.
    """
    if n_stages is None:
        return
    stages = encoder_stages(network) if n_stages else []
    if n_stages > len(stages):
        raise UsageError(f"--finetune top-{n_stages}: the encoder has {len(stages)} stages")
    network.encoder.requires_grad_(False)  # with what no feature map depends on, of no stage
    for stage in stages[len(stages) - n_stages :]:
        for parameter in stage:
            parameter.requires_grad_(True)


def train_mode(network: nn.Module) -> None:
    """Switch to training, but keep the statistics of frozen normalisation layers."""
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def encoder_stages(network: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters of the encoder by stage, shallowest first.

    A stage holds what the feature map of one resolution depends on and the shallower ones do not;
    found from gradients, so that it holds for every encoder.
    """
    if isinstance(network.encoder, nn.ModuleList):
        return [list(block.parameters()) for block in network.encoder]
    parameters = list(network.encoder.parameters())
    was_training = network.training
    n_channels = next(p for p in parameters if p.ndim == 4).shape[1]
    network.eval()
    try:
        features = list(network.encoder(torch.rand(1, n_channels, 64, 64)))
        stages = _stages(features, parameters)
    except (RuntimeError, AttributeError, AssertionError, ValueError) as error:
        raise UsageError("--finetune top-N: this encoder has no stages; use full") from error
    finally:
        network.train(was_training)
    return stages


def _stages(
    features: list[torch.Tensor], parameters: list[nn.Parameter]
) -> list[list[nn.Parameter]]:
    stages, seen = [], set()
    for feature in features:
        if not feature.requires_grad:
            continue
        gradients = torch.autograd.grad(
            feature.sum(), parameters, retain_graph=True, allow_unused=True
        )
        stage = [
            parameter
            for parameter, gradient in zip(parameters, gradients, strict=True)
            if gradient is not None and id(parameter) not in seen
        ]
        seen.update(id(parameter) for parameter in stage)
        if stage:
            stages.append(stage)
    return stages
