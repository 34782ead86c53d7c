"""How far a network looks."""

from collections.abc import Callable

import torch
from torch import nn

# Network strides of all architectures divide this, so behaviour repeats after so many pixels.
_PERIOD = 32
_WIDTHS = (512, 1024, 2048, 4096)


def theoretical_receptive_field(network: nn.Module, n_channels: int) -> int | None:
    """Width of the input that one output pixel can depend on.

    Not-a-number is put into the input from one column on: an output pixel that depends on any of
    it becomes not-a-number, whatever the weights are. The column is moved through all positions
    relative to the strides, from both sides, and the pixel that looks furthest counts.

    Parameters
    ----------
    network : Module
        Maps (N, C, H, W) to logits of the same size; in evaluation mode, on the CPU.
    n_channels : int
        C.

    Returns
    -------
    int or None
        Edge of the field [px]; None if it is as wide as any input (global pooling, attention),
        wider than 2048 pixels, or not to be found in this way.
    """
    for width in _WIDTHS:
        right = _touched(network, n_channels, width, lambda nan: int(nan.nonzero()[0]), False)
        left = _touched(network, n_channels, width, lambda nan: int(nan.nonzero()[-1]), True)
        if right is not None and left is not None:
            return max(_last(right, place) - _first(left, place) for place in range(_PERIOD)) + 1
    return None


def _touched(
    network: nn.Module,
    n_channels: int,
    width: int,
    pick: Callable[[torch.Tensor], int],
    from_left: bool,
) -> list[int] | None:
    """Output column where the touch ends, for each phase; None if it does not end.

    Columns are relative to the middle of the input.
    """
    middle, ends = width // 2, []
    for phase in range(_PERIOD):
        image = torch.zeros(1, n_channels, _PERIOD, width)
        columns = slice(None, middle + phase + 1) if from_left else slice(middle + phase, None)
        image[..., columns] = torch.nan
        try:
            with torch.inference_mode():
                is_nan = network(image).isnan().flatten(0, 2).any(dim=0)
        except RuntimeError:  # the strip is too low for this network
            return None
        end = pick(is_nan)
        if end in (0, width - 1):
            return None
        ends.append(end - middle)
    return ends


def _last(ends: list[int], place: int) -> int:
    """Last input column that the output column `place` sees: touch from there still reaches it."""
    return max(phase + _PERIOD * ((place - end) // _PERIOD) for phase, end in enumerate(ends))


def _first(ends: list[int], place: int) -> int:
    """First input column that the output column `place` sees."""
    return min(phase - _PERIOD * ((end - place) // _PERIOD) for phase, end in enumerate(ends))
