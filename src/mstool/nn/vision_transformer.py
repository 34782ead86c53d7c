"""Vision transformers as encoders: the tokens of some blocks, laid out as maps."""

from pathlib import Path

import torch
from torch import nn

N_BLOCKS = 4  # whose tokens are taken, evenly down to the last

# Modules of timm whose networks cut an image into patches and keep their number to the end.
_FAMILIES = ("deit", "eva", "vision_transformer")


def is_vision_transformer(encoder: str) -> bool:
    """Whether a name of segmentation-models-pytorch, ``tu-...``, is a vision transformer's."""
    from timm import is_model, model_entrypoint

    name = encoder.removeprefix("tu-")
    if name == encoder or not is_model(name):
        return False
    return model_entrypoint(name).__module__.rpartition(".")[2] in _FAMILIES


class TokenEncoder(nn.Module):
    """A vision transformer that gives feature maps, the image itself first.

    All maps have one pixel a patch. They are normalised by the last layer norm, as those from which
    DINOv2 segments [1]_. Position embeddings are interpolated to the number of patches.

    Parameters
    ----------
    encoder : str
        ``tu-`` and a name of timm.
    in_channels : int
        Image channels.
    pretrained : bool
        Whether to fetch weights from the hub; otherwise they are random.
    cache : Path, optional
        Folder for them; that of the hub's client by default.

    References
    ----------
    .. [1] Oquab, M. et al. (2024). TMLR, arXiv:2304.07193.
    """

    def __init__(
        self, encoder: str, in_channels: int, pretrained: bool = False, cache: Path | None = None
    ):
        import timm

        super().__init__()
        self.model = timm.create_model(
            encoder.removeprefix("tu-"),
            pretrained=pretrained,
            cache_dir=cache,
            in_chans=in_channels,
            num_classes=0,
            dynamic_img_size=True,
        )
        blocks = self.model.feature_info
        n_taken = min(N_BLOCKS, len(blocks))
        self.taken = [len(blocks) * (index + 1) // n_taken - 1 for index in range(n_taken)]
        self.patch_size = int(blocks[0]["reduction"])
        self.out_channels = [in_channels, *(int(blocks[index]["num_chs"]) for index in self.taken)]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (N, C, H / patch, W / patch) of images (N, C, H, W), in multiples of a patch."""
        maps = self.model.forward_intermediates(
            images, indices=self.taken, norm=True, intermediates_only=True
        )
        return [images, *maps]
