"""Encoders that take images of one size alone."""

import torch

from mstool.errors import UsageError
from mstool.nn.model import DEFAULT_ENCODER, Segmenter


def refuse_fixed_size(segmenter: Segmenter, encoder: str | None, *sizes: int) -> None:
    """Refuse tiles of a size that an encoder of timm does not take, by showing it one.

    Some attend to windows, or have a table of positions, for the size that they were made for;
    their descriptions do not say so.

    Parameters
    ----------
    segmenter : Segmenter
        Around the encoder; left in evaluation mode.
    encoder : str or None
        As the user names it; what libraries beside timm offer takes any size.
    sizes : int
        Edges of the tiles [px].

    Raises
    ------
    UsageError
        If one of them is not taken.
    """
    if not (encoder or "").startswith("tu-"):
        return
    mean = segmenter.eval().mean
    for size in sizes:
        try:
            with torch.no_grad():
                segmenter(mean.new_zeros(1, mean.shape[1], size, size))
        except (AssertionError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise UsageError(
                f"--encoder {encoder}: does not take tiles of {size} pixels ({reason}); use tiles "
                f"of the size that it was made for, or an encoder such as {DEFAULT_ENCODER}"
            ) from error
