"""Two views of one crop, whose features are to agree pixel by pixel."""

import torch
from torch.nn.functional import mse_loss

from mstool.nn.augment import change_grey_levels, without_grey_changes
from mstool.nn.dataset import CropSet, derive_seed
from mstool.nn.pretrainer import Pretrainer

N_EMBEDDED = 128  # channels that are compared
N_TURNS = 8  # four right angles, as they are and mirrored


class ViewSet(torch.utils.data.Dataset):
    """Two views of each crop: turned and mirrored by themselves, their greys changed apart.

    Free rotation, zoom and warp are drawn once for both, so that pixels correspond one to one.

    Parameters
    ----------
    crops : CropSet
        What is looked at; its changes of grey levels are those of the views.
    """

    def __init__(self, crops: CropSet):
        self.crops = crops
        plain = without_grey_changes(crops.augmentation)
        self._unchanged = CropSet(crops.store, crops.size, plain, crops.normalisation, crops.seed)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, place: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Views (2 C, H, W) in stored values, one after the other, and their turns, int64 (2,)."""
        image, _ = self._unchanged[place]
        generator = torch.Generator().manual_seed(derive_seed(self.crops.seed, 4, *place))
        turns = torch.randint(N_TURNS, (2,), generator=generator)
        std = float(torch.tensor(self.crops.normalisation.std).mean())
        views = [
            change_grey_levels(
                turn(image, int(number)),
                self.crops.augmentation,
                self.crops.normalisation.levels,
                std,
                generator,
            )
            for number in turns
        ]
        return torch.cat(views), turns


class Matcher(Pretrainer):
    """Embeds the pixels of two views, and brings them back onto each other."""

    def answer(self, views: torch.Tensor, turns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedded pixels of both views, in the frame of the crop.

        Parameters
        ----------
        views : Tensor of float32, shape (N, 2 C, H, W)
            Stored pixel values, as `ViewSet` gives them.
        turns : Tensor of int64, shape (N, 2)
            How each was turned.

        Returns
        -------
        one, other : Tensor of float, shape (N, D, h, w)
            The same place of both is the same place of the crop.
        """
        images = views.unflatten(1, (2, -1)).flatten(0, 1)
        maps = self.network(self.normalise(images))
        back = [turn_back(each, n) for each, n in zip(maps, turns.flatten().tolist(), strict=True)]
        one, other = torch.stack(back).unflatten(0, (-1, 2)).unbind(1)
        return one, other


def turn(image: torch.Tensor, number: int) -> torch.Tensor:
    """Turn an image (..., H, W) by `number` right angles; from 4 on it is mirrored before."""
    mirrored = image.flip(-1) if number >= N_TURNS // 2 else image
    return mirrored.rot90(number % 4, (-2, -1))


def turn_back(image: torch.Tensor, number: int) -> torch.Tensor:
    """Undo `turn`."""
    upright = image.rot90(-number % 4, (-2, -1))
    return upright.flip(-1) if number >= N_TURNS // 2 else upright


def disagreement(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """How far two views differ, and how little their pixels tell: VICReg [1]_ over places [2]_.

    Beside the difference, each channel has to keep a standard deviation of 1 over all places, and
    channels must not repeat each other. It needs no negatives, which small batches of like
    micrographs could not give: any two places of a phase are rightly alike.

    Parameters
    ----------
    one, other : Tensor of float, shape (N, D, h, w)
        Embedded pixels; the same place of both belongs together.

    Returns
    -------
    Tensor of float32, shape ()
        0 where views agree, channels are spread and none depends on another; weights 25, 25 and 1
        as in [1]_.

    References
    ----------
    .. [1] Bardes, A., Ponce, J., LeCun, Y. (2022). VICReg. ICLR.
    .. [2] Bardes, A., Ponce, J., LeCun, Y. (2022). VICRegL. NeurIPS 35.
    """
    rows = [maps.float().movedim(1, -1).flatten(0, -2) for maps in (one, other)]
    collapse = sum(_narrowness(each) * 25 + _repetition(each) for each in rows)
    return 25 * mse_loss(*rows) + collapse


def _narrowness(rows: torch.Tensor) -> torch.Tensor:
    """Mean over channels of what their standard deviation lacks to 1."""
    return (1 - (rows.var(dim=0) + 1e-4).sqrt()).clamp(min=0).mean()


def _repetition(rows: torch.Tensor) -> torch.Tensor:
    """Sum of squares of the covariances of different channels, over the number of channels."""
    centred = rows - rows.mean(dim=0)
    covariance = centred.T @ centred / (len(rows) - 1)
    off_diagonal = covariance - covariance.diag().diag()
    return off_diagonal.square().sum() / rows.shape[1]
