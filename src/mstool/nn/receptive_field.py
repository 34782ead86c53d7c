"""How far a network looks."""

import torch
from torch import nn

_PHASES = 32
_WIDTHS = (512, 1024, 2048, 4096)


def theoretical_receptive_field(
    network: nn.Module, n_channels: int, shrinks_by: int = 0
) -> int | None:
    """Width of the input that one output pixel can depend on.

    Not-a-number is put into one half of the input: an output pixel that depends on any of it
    becomes not-a-number, whatever the weights are. The half is moved through all positions
    relative to the strides, and the widest reach counts.

    Parameters
    ----------
    network : Module
        Maps (N, C, H, W) to logits; in evaluation mode, on the CPU, float32.
    n_channels : int
        C.
    shrinks_by : int
        Pixels that the network takes from each side; such a network is not probed here.

    Returns
    -------
    int or None
        Edge of the field [px]; None if it is as wide as any input (global pooling, attention) or
        wider than 2048 pixels.
    """
    if shrinks_by:
        return 2 * shrinks_by + 1
    for width in _WIDTHS:
        reaches = [_reach(network, n_channels, width, mirrored) for mirrored in (False, True)]
        if None not in reaches:
            return sum(reaches) + 1
    return None


def _reach(network: nn.Module, n_channels: int, width: int, mirrored: bool) -> int | None:
    """Pixels to one side that an output pixel sees; None if it sees to the end."""
    reach = 0
    for phase in range(_PHASES):
        first = width // 2 + phase
        image = torch.zeros(1, n_channels, 32, width)
        image[..., first:] = torch.nan
        with torch.inference_mode():
            logits = network(image.flip(-1) if mirrored else image)
        is_touched = logits.flip(-1).isnan() if mirrored else logits.isnan()
        touched = is_touched.flatten(0, 2).any(dim=0).nonzero()
        leftmost = int(touched[0]) if len(touched) else first
        if leftmost == 0:
            return None
        reach = max(reach, first - leftmost)
    return reach
