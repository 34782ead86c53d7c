"""Networks by name."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.decoder_width import decoder_arguments
from mstool.nn.pixel_classifier import LARGEST_STRIDE, PixelClassifier, parse_features
from mstool.nn.unet_plain import UNetPlain, check_depth, valid_input_sizes, valid_margin
from mstool.nn.vision_transformer import TokenEncoder, is_vision_transformer

PLAIN = "unet-plain"
PIXEL = "pixel-classifier"
_OF_TOKENS = "dpt"  # the architecture of the library that takes vision transformers
DEFAULT_ENCODER = "efficientnet-lite0"

# Names that are easier to type than those of segmentation-models-pytorch.
_ENCODER_ALIASES = {
    DEFAULT_ENCODER: "tu-tf_efficientnet_lite0",
    "dinov2-small": "tu-vit_small_patch14_dinov2.lvd142m",
    "dinov3-small": "tu-vit_small_patch16_dinov3.lvd1689m",
}


@dataclass(frozen=True)
class ModelSpec:
    """All that is needed to build a network.

    Attributes
    ----------
    arch : str
        ``unet-plain`` or an architecture of segmentation-models-pytorch.
    encoder : str or None
        Encoder of the latter; None for ``unet-plain``.
    n_channels, n_classes : int
        Image channels in, classes out.
    depth : int
        Poolings of ``unet-plain``.
    width : int
        Channels of the first level of ``unet-plain``; hidden units of ``pixel-classifier``.
    padding : {"same", "valid"}
        Convolutions of ``unet-plain``.
    features : str or None
        What a ``pixel-classifier`` reads, see `parse_features`; None for the others.
    decoder_channels : tuple of int, or None
        Of an architecture of segmentation-models-pytorch, deepest first; None for its own.
    """

    arch: str
    encoder: str | None
    n_channels: int
    n_classes: int
    depth: int = 4
    width: int = 32
    padding: str = "same"
    features: str | None = None
    decoder_channels: tuple[int, ...] | None = None


class Segmenter(nn.Module):
    """A network with its normalisation: stored pixel values in, logits of the same size out.

    Parameters
    ----------
    network : Module
        Maps (N, C, H, W) to logits.
    multiple : int
        H and W that `network` takes are multiples of this.
    margin : int
        Pixels by which the output of `network` is smaller on each side.
    mean, std : sequence of float, length C
        Normalisation, in stored pixel values.
    """

    def __init__(
        self, network: nn.Module, multiple: int, margin: int, mean: list[float], std: list[float]
    ):
        super().__init__()
        self.network = network
        self.multiple, self.margin = multiple, margin
        self.temperature = 1.0  # that logits are divided by; see calibrate
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W); what is missing is filled by reflection."""
        height, width = images.shape[-2:]
        return self._soften(self.network(self.prepare(images))[..., :height, :width])

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images, padded by reflection to what the network takes."""
        padded = self._pad((images - self.mean) / self.std)
        return padded.contiguous(memory_format=torch.channels_last)

    def forward_core(self, images: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Logits of the pixels that rest on real pixels alone, and the margin lost on each side.

        For a network that pads, that is `forward` and 0. For one that does not, the input is cut
        to the largest size that it takes, and nothing is invented.
        """
        if self.margin == 0:
            return self.forward(images), 0
        size = min(images.shape[-2:])
        self.check_crop(size)
        sizes = valid_input_sizes(self.network.depth, size)
        start = (size - sizes[-1]) // 2
        cut = images[..., start : start + sizes[-1], start : start + sizes[-1]]
        normalised = (cut - self.mean) / self.std
        logits = self.network(normalised.contiguous(memory_format=torch.channels_last))
        return self._soften(logits), start + self.margin

    def answer(
        self, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, K, h, w) of `forward_core`, and the labels (N, h, w) of the same pixels."""
        logits, margin = self.forward_core(images)
        height, width = logits.shape[-2:]
        return logits, labels[:, margin : margin + height, margin : margin + width]

    def check_crop(self, size: int) -> None:
        """Refuse training crops that an unpadded network eats up.

        Raises
        ------
        UsageError
            If no pixel would be left.
        """
        if self.margin and not valid_input_sizes(self.network.depth, size):
            raise UsageError(
                f"--padding valid: crops of {size} pixels are too small at --depth "
                f"{self.network.depth}; use larger tiles"
            )

    def _soften(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self.temperature == 1 else logits / self.temperature

    def padded_size(self, size: int) -> int:
        """Edge that an image of this edge is padded to [px]."""
        return self._fitting(size) if self.margin else size + -size % self.multiple

    def _pad(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        down = self.padded_size(height) - height - self.margin
        right = self.padded_size(width) - width - self.margin
        return _reflect(images, self.margin, right, self.margin, down)

    def _fitting(self, size: int) -> int:
        least = size + 2 * self.margin
        sizes = valid_input_sizes(self.network.depth, least + 2 * self.multiple)
        return next(n for n in sizes if n >= least)


def architectures() -> list[str]:
    """Names that ``--arch`` takes."""
    import segmentation_models_pytorch as smp

    return [PLAIN, PIXEL, *smp.MODEL_ARCHITECTURES_MAPPING]


def build_network(spec: ModelSpec) -> nn.Module:
    """Build a network with random weights from torch's global generator.

    Raises
    ------
    UsageError
        If architecture and encoder do not exist or do not go together.
    """
    if spec.arch == PLAIN:
        check_depth(spec.depth)
        return UNetPlain(spec.n_channels, spec.n_classes, spec.depth, spec.width, spec.padding)
    if spec.arch == PIXEL:
        return _build_pixel_classifier(spec)
    import segmentation_models_pytorch as smp

    if spec.arch not in smp.MODEL_ARCHITECTURES_MAPPING:
        raise UsageError(f"--arch {spec.arch}: unknown; use one of {', '.join(architectures())}")
    network = _build_by_library(
        spec,
        smp.create_model,
        spec.arch,
        encoder_name=encoder_name(spec.encoder),
        encoder_weights=None,
        classes=spec.n_classes,
        **decoder_arguments(spec.arch, spec.decoder_channels),
        **_token_arguments(spec),
    )
    if LARGEST_STRIDE % _output_stride(network):  # patches of 14 pixels: decoders double sizes
        raise _refused_transformer(spec)
    return network


def check_encoder(name: str | None) -> None:
    """See that an encoder is one of the libraries', which know others by an address on the hub.

    Raises
    ------
    UsageError
        If it is not.
    """
    from segmentation_models_pytorch.encoders import encoders
    from timm import is_model

    known = encoder_name(name)
    of_timm = known.removeprefix("tu-").removeprefix("timm-")
    is_of_timm = of_timm != known and (is_model(of_timm) or is_model(f"tf_{of_timm}"))
    if known not in encoders and not is_of_timm:
        raise UsageError(
            f"--encoder {name}: unknown; give a name of segmentation-models-pytorch, such as "
            f"resnet18, or tu- and a name of timm; {DEFAULT_ENCODER} is the default"
        )


def build_encoder(spec: ModelSpec) -> nn.Module:
    """Build the encoder alone, with random weights from torch's global generator.

    Raises
    ------
    UsageError
        If there is none of this name, or it is a vision transformer where none is taken.
    """
    import segmentation_models_pytorch as smp

    name = encoder_name(spec.encoder)
    if spec.arch == PIXEL and is_vision_transformer(name):
        return _build_by_library(spec, TokenEncoder, name)
    if spec.arch != PIXEL:
        _token_arguments(spec)
    return _build_by_library(spec, smp.encoders.get_encoder, name, weights=None)


def _token_arguments(spec: ModelSpec) -> dict[str, bool]:
    """What the library must be told of a vision transformer; refused where it takes none."""
    if not is_vision_transformer(encoder_name(spec.encoder)):
        return {}
    if spec.arch != _OF_TOKENS:
        raise _refused_transformer(spec)
    return {"dynamic_img_size": True}


def _refused_transformer(spec: ModelSpec) -> UsageError:
    return UsageError(
        f"--encoder {spec.encoder}: a vision transformer, whose maps all have one size; use it "
        f"with --arch {PIXEL}, or another encoder such as {DEFAULT_ENCODER}"
    )


def _build_pixel_classifier(spec: ModelSpec) -> PixelClassifier:
    choice = parse_features(spec.features or "")
    encoder = build_encoder(spec) if choice.scales else None
    return PixelClassifier(encoder, choice, spec.n_channels, spec.n_classes, spec.width)


def _build_by_library(spec: ModelSpec, build: Callable, *names: str, **settings: Any) -> nn.Module:
    """Call a function of segmentation-models-pytorch; what it raises becomes one line."""
    check_encoder(spec.encoder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of renamed encoders
            return build(*names, in_channels=spec.n_channels, **settings)
    except (KeyError, ValueError, RuntimeError, TypeError, NotImplementedError) as error:
        raise UsageError(
            f"--encoder {spec.encoder}: cannot be used with --arch {spec.arch} "
            f"({_one_line(error)}); {DEFAULT_ENCODER}, resnet18 and vgg16_bn go with most"
        ) from error


def build_segmenter(
    spec: ModelSpec, mean: list[float], std: list[float], seed: int | None = None
) -> Segmenter:
    """Build a network of random weights, drawn with `seed`, with its normalisation around it."""
    if seed is not None:
        torch.manual_seed(seed)
    network = build_network(spec)
    if spec.arch == PIXEL:
        return Segmenter(network, network.multiple, 0, mean, std)
    if spec.arch != PLAIN:
        return Segmenter(network, max(LARGEST_STRIDE, _output_stride(network)), 0, mean, std)
    margin = valid_margin(spec.depth) if spec.padding == "valid" else 0
    return Segmenter(network, 2**spec.depth, margin, mean, std)


def _output_stride(network: nn.Module) -> int:
    return int(getattr(network.encoder, "output_stride", LARGEST_STRIDE))


def encoder_name(name: str | None) -> str:
    """Name of an encoder as segmentation-models-pytorch has it."""
    return _ENCODER_ALIASES.get(name or "", name or "")


def count_parameters(module: nn.Module) -> int:
    """Number of weights that training may change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _reflect(images: torch.Tensor, left: int, right: int, top: int, bottom: int) -> torch.Tensor:
    """Pad by reflection, again and again where the image is smaller than the border."""
    pads = [left, right, top, bottom]
    while any(pads):
        height, width = images.shape[-2:]
        limits = (width - 1, width - 1, height - 1, height - 1)
        now = [min(pad, limit) for pad, limit in zip(pads, limits, strict=True)]
        mode: Any = "reflect"
        if not any(now):  # a single row or column has nothing to mirror
            now, mode = pads, "replicate"
        images = nn.functional.pad(images, now, mode=mode)
        pads = [pad - done for pad, done in zip(pads, now, strict=True)]
    return images


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
