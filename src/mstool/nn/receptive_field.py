"""How far a network looks."""

import torch
from torch import nn

# Network strides of all architectures divide this, so behaviour repeats after so many pixels.
_PERIOD = 32
_WIDTHS = (512, 1024, 2048, 4096)


def theoretical_receptive_field(network: nn.Module, n_channels: int) -> int | None:
    """Width of the input that one output pixel can depend on.

    The output pixel that looks furthest counts: with strides, neighbours differ.

    Parameters
    ----------
    network : Module
        Maps (N, C, H, W) to logits of the same size; in evaluation mode. It is looked at on the
        CPU, since fast convolutions of a GPU spread what is not a number to neighbours.
    n_channels : int
        C.

    Returns
    -------
    int or None
        Edge of the field [px]; None if it is as wide as any input (global pooling, attention),
        wider than 2048 pixels, or not to be found in this way.
    """
    intervals = receptive_intervals(network, n_channels)
    return None if intervals is None else max(last - first for first, last in intervals) + 1


def receptive_intervals(network: nn.Module, n_channels: int) -> list[tuple[int, int]] | None:
    """Columns of the input that each output column can depend on.

    One column of the input is made not-a-number: an output pixel that depends on it becomes
    not-a-number, whatever the weights are. The column is moved through all positions relative to
    the strides.

    Parameters
    ----------
    network : Module
        As for `theoretical_receptive_field`.
    n_channels : int
        C.

    Returns
    -------
    list of (int, int), length 32, or None
        First and last column seen from output columns 0..31 of a wide image, in the same frame
        [px]; None where there are no such columns, as for `theoretical_receptive_field`.
    """
    home = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    network.cpu()
    try:
        for width in _WIDTHS:
            touched = _touched(network, n_channels, width)
            if touched is not None:
                return _seen(touched)
        return None
    finally:
        network.to(home)


def _touched(network: nn.Module, n_channels: int, width: int) -> list[list[int]] | None:
    """Output columns that depend on each of a period of input columns; None if on an edge.

    Columns are relative to the middle of the input.
    """
    middle, touched = width // 2, []
    for phase in range(_PERIOD):
        image = torch.zeros(1, n_channels, _PERIOD, width)
        image[..., middle + phase] = torch.nan
        try:
            with torch.inference_mode():
                is_nan = network(image).isnan().flatten(0, 2).any(dim=0)
        except (RuntimeError, AssertionError):  # the strip does not fit this network
            return None
        if len(is_nan) != width or is_nan[0] or is_nan[-1]:
            return None
        touched.append([int(column) - middle for column in is_nan.nonzero()])
    return touched


def _seen(touched: list[list[int]]) -> list[tuple[int, int]] | None:
    """First and last input column of each of a period of output columns."""
    seen: list[list[int]] = [[] for _ in range(_PERIOD)]
    for phase, columns in enumerate(touched):
        for column in columns:
            place = column % _PERIOD
            seen[place].append(phase + place - column)
    return [(min(columns), max(columns)) for columns in seen] if all(seen) else None
