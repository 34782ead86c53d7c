"""Masked reconstruction: blocks of a crop are hidden, and rebuilt from what is around them."""

import torch
from torch.nn.functional import interpolate

from mstool.nn.dataset import CropSet, derive_seed
from mstool.nn.pretrainer import Pretrainer

BLOCK_PX = 32
HIDDEN_SHARE = 0.5


class MaskedSet(torch.utils.data.Dataset):
    """Crops, each with the blocks that are to be hidden; the same for the same seed and place.

    Parameters
    ----------
    crops : CropSet
        What is looked at.
    """

    def __init__(self, crops: CropSet):
        self.crops = crops

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Crop (C, H, W) in stored values, and where it is hidden, bool (H, W)."""
        image, _ = self.crops[place]
        generator = torch.Generator().manual_seed(derive_seed(self.crops.seed, 4, *place))
        return image, draw_blocks(image.shape[-1], generator)


class Rebuilder(Pretrainer):
    """Rebuilds the hidden blocks of images, in normalised values."""

    def answer(
        self, images: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Images rebuilt from what is not hidden, and what they are compared with.

        Parameters
        ----------
        images : Tensor of float32, shape (N, C, H, W)
            Stored pixel values.
        hidden : Tensor of bool, shape (N, H, W)
            What the network does not see; it sees the mean of the training tiles there.

        Returns
        -------
        rebuilt : Tensor of float, shape (N, C, H, W)
        truth : (Tensor of float32, Tensor of bool)
            Normalised images, and `hidden`.
        """
        normalised = self.normalise(images)
        shown = normalised.masked_fill(hidden[:, None], 0.0)
        maps = self.network(shown)
        rebuilt = interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=True)
        return rebuilt, (normalised, hidden)


def draw_blocks(
    size: int,
    generator: torch.Generator,
    block_px: int = BLOCK_PX,
    share: float = HIDDEN_SHARE,
) -> torch.Tensor:
    """Draw square blocks to hide, on a grid that begins anywhere.

    Parameters
    ----------
    size : int
        Edge of the crop [px]; blocks are smaller than half of it.
    generator : Generator
        Source of all chance.
    block_px : int
        Edge of the blocks [px].
    share : float
        Share of the blocks of the grid that are hidden [1].

    Returns
    -------
    Tensor of bool, shape (size, size)
        True where hidden.
    """
    block_px = min(block_px, (size - 1) // 2)  # so that some lie inside whole
    n = -(-size // block_px) + 1
    is_hidden = torch.randperm(n * n, generator=generator) < round(share * n * n)
    grid = is_hidden.view(n, n).repeat_interleave(block_px, 0).repeat_interleave(block_px, 1)
    row, col = torch.randint(block_px, (2,), generator=generator).tolist()
    return grid[row : row + size, col : col + size].contiguous()


def masked_error(rebuilt: torch.Tensor, truth: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Mean absolute error of hidden pixels alone, as in SimMIM [1]_, [2]_.

    Parameters
    ----------
    rebuilt : Tensor of float, shape (N, C, H, W)
    truth : (Tensor of float32 of that shape, Tensor of bool, shape (N, H, W))
        What the images are, and where they were hidden.

    Returns
    -------
    Tensor of float32, shape ()
        In standard deviations of the training tiles; NaN if nothing was hidden.

    References
    ----------
    .. [1] Xie, Z. et al. (2022). SimMIM. CVPR, 9653-9663.
    .. [2] He, K. et al. (2022). Masked autoencoders. CVPR, 16000-16009.
    """
    images, hidden = truth
    error = (rebuilt.float() - images).abs().mean(dim=1)
    return error[hidden].mean()
