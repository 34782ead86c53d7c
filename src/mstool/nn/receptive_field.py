"""How far a network looks."""

import math

import torch
from torch import nn

from mstool.nn.unet_plain import UNetPlain, valid_input_sizes, valid_margin

# Network strides of all architectures divide this, so behaviour repeats after so many pixels.
_PERIOD = 32
_WIDTHS = (512, 1024, 2048, 4096)


def theoretical_receptive_field(network: nn.Module, n_channels: int) -> int | None:
    """`field_width` where it is a number of pixels; else None."""
    width = field_width(network, n_channels)
    return int(width) if math.isfinite(width) else None


def field_width(network: nn.Module, n_channels: int) -> float:
    """Width of the input that one output pixel can depend on.

    The output pixel that looks furthest counts: with strides, neighbours differ.

    Parameters
    ----------
    network : Module
        Maps (N, C, H, W) to logits of the same size, or of less where it does not pad; in
        evaluation mode. It is looked at on the CPU, since fast convolutions of a GPU spread what
        is not a number to neighbours.
    n_channels : int
        C.

    Returns
    -------
    float
        Edge of the field [px]; infinite if it is as wide as any input (global pooling, attention),
        or wider than 2048 pixels to one side; NaN if it is not to be found in this way.
    """
    intervals = receptive_intervals(network, n_channels)
    return math.nan if intervals is None else max(last - first for first, last in intervals) + 1


def receptive_intervals(network: nn.Module, n_channels: int) -> list[tuple[float, float]] | None:
    """Columns of the input that each output column can depend on.

    One column of the input is made not-a-number: an output pixel that depends on it becomes
    not-a-number, whatever the weights are. The column is moved through all positions relative to
    the strides.

    Parameters
    ----------
    network : Module
        As for `field_width`.
    n_channels : int
        C.

    Returns
    -------
    list of (int, int), length 32, or None
        First and last column seen from output columns 0..31 of a wide image, in the same frame
        [px]; infinite where they see as far as there is. None where this cannot be found.
    """
    home = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    network.cpu()
    sees_all = False
    try:
        for width in _WIDTHS:
            touched = _touched(network, n_channels, width)
            if touched:
                return _seen(touched)
            sees_all |= touched is not None
    finally:
        network.to(home)
    return [(-math.inf, math.inf)] * _PERIOD if sees_all else None


def _touched(network: nn.Module, n_channels: int, width: int) -> list[list[int]] | None:
    """Output columns that depend on each of a period of input columns.

    Columns are relative to the middle of the input. Empty if they reach an edge, and None if the
    network does not take such a strip.
    """
    (height, _), (width, margin) = (_fitting(network, least) for least in (_PERIOD, width))
    middle, touched = width // 2, []
    for phase in range(_PERIOD):
        image = torch.zeros(1, n_channels, height, width)
        image[..., middle + phase] = torch.nan
        try:
            with torch.inference_mode():
                is_nan = network(image).isnan().flatten(0, 2).any(dim=0)
        except (RuntimeError, AssertionError):  # the strip does not fit this network
            return None
        if len(is_nan) != width - 2 * margin:
            return None
        if is_nan[0] or is_nan[-1]:
            return []
        touched.append([int(column) + margin - middle for column in is_nan.nonzero()])
    return touched


def _fitting(network: nn.Module, least: int) -> tuple[int, int]:
    """Edge of an input that a network takes, and what it loses of it on each side [px]."""
    if not (isinstance(network, UNetPlain) and network.padding == "valid"):
        return least, 0
    margin = valid_margin(network.depth)
    sizes = valid_input_sizes(network.depth, least + 2 * margin + 2 ** (network.depth + 1))
    return next(size for size in sizes if size >= least), margin


def _seen(touched: list[list[int]]) -> list[tuple[float, float]] | None:
    """First and last input column of each of a period of output columns."""
    seen: list[list[int]] = [[] for _ in range(_PERIOD)]
    for phase, columns in enumerate(touched):
        for column in columns:
            place = column % _PERIOD
            seen[place].append(phase + place - column)
    return [(min(columns), max(columns)) for columns in seen] if all(seen) else None
