"""A classifier of single pixels on frozen features: no weight of the encoder learns."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.filters import filter_bank, n_filters
from mstool.nn.tensors import to_float64
from mstool.nn.vision_transformer import TokenEncoder

DEFAULT_FEATURES = "filters+encoder@1+encoder@2"
N_COMPONENTS = 16  # kept of each feature map
LARGEST_STRIDE = 32  # network stride of the deepest maps of convolutional encoders
_LIMIT = 6.0  # standard deviations beyond which a feature says nothing more
_DROPOUT = 0.5
_LEAST_SHARE = 1e-8  # of the largest variance, below which there is nothing but rounding


@dataclass(frozen=True)
class FeatureChoice:
    """What describes a pixel.

    Attributes
    ----------
    has_filters : bool
        Whether classical filters do.
    scales : tuple of float
        Magnifications at which the frozen encoder looks at the image; none leaves it out.
    """

    has_filters: bool
    scales: tuple[float, ...]


def parse_features(text: str) -> FeatureChoice:
    """Read ``filters``, ``encoder``, ``encoder@2``, or a sum such as ``filters+encoder@1``.

    Raises
    ------
    UsageError
        If a term is neither, or stands twice.
    """
    terms = [term.strip() for term in text.split("+")]
    scales = []
    for term in terms:
        match = re.fullmatch(r"encoder(?:@(0\.25|0\.5|1|2|4))?", term)
        if match is None and term != "filters":
            raise UsageError(
                f"--features {text}: {term!r} is none; use filters, encoder, encoder@2 (0.25, 0.5, "
                "1, 2 or 4 times the size), or a sum of them"
            )
        if match is not None:
            scales.append(float(match.group(1) or 1))
    if len(set(scales)) + ("filters" in terms) != len(terms):
        raise UsageError(f"--features {text}: a term stands twice")
    return FeatureChoice("filters" in terms, tuple(scales))


def network_stride(encoder: nn.Module) -> int:
    """H and W that an encoder takes are multiples of this [px]."""
    if isinstance(encoder, TokenEncoder):
        return encoder.patch_size
    return max(LARGEST_STRIDE, int(getattr(encoder, "output_stride", LARGEST_STRIDE)))


class PixelClassifier(nn.Module):
    """Filters and frozen feature maps of an image, and a small network that reads them by pixel.

    Each feature map is turned to its principal components and brought to the size of the image
    (hypercolumns [1]_). Since the head looks at one pixel at a time, it learns from a few hundred
    thousand of them, whose features are computed once.

    Parameters
    ----------
    encoder : Module or None
        Gives feature maps, the image itself first; None where `choice` has no scales.
    choice : FeatureChoice
        What describes a pixel.
    n_channels, n_classes, width : int
        Image channels; classes; hidden units.

    References
    ----------
    .. [1] Hariharan, B. et al. (2015). CVPR, arXiv:1411.5752.
    """

    def __init__(
        self,
        encoder: nn.Module | None,
        choice: FeatureChoice,
        n_channels: int,
        n_classes: int,
        width: int,
    ):
        super().__init__()
        self.encoder, self.choice = encoder, choice
        if encoder is not None:
            encoder.requires_grad_(False).eval()
        sizes = [n_filters(n_channels)] if choice.has_filters else []
        if encoder is not None:  # some encoders begin with a map of no channels
            sizes += [n for n in encoder.out_channels[1:] if n] * len(choice.scales)
        self.projections = nn.ModuleList(
            _Projection(size, size if index == 0 and choice.has_filters else N_COMPONENTS)
            for index, size in enumerate(sizes)
        )
        self.n_features = sum(projection.n_out for projection in self.projections)
        self.head = nn.Sequential(
            nn.Conv2d(self.n_features, width, 1),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Conv2d(width, n_classes, 1),
        )

    @property
    def multiple(self) -> int:
        """H and W that it takes are multiples of this."""
        if self.encoder is None:
            return 1
        strides = [Fraction(network_stride(self.encoder) / scale) for scale in self.choice.scales]
        return math.lcm(*(stride.numerator for stride in strides))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K, H, W) of normalised images (N, C, H, W)."""
        return self.head(self.features(images))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Standardised features (N, F, H, W) of normalised images (N, C, H, W)."""
        size = tuple(images.shape[-2:])
        return torch.cat(
            [
                _resize(projection(maps).float(), size)  # as of features_at
                for projection, maps in zip(self.projections, self.maps(images), strict=True)
            ],
            dim=1,
        )

    def features_at(
        self, images: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor
    ) -> torch.Tensor:
        """Features (P, F) of P pixels of one normalised image (1, C, H, W), and of no others."""
        size = images.shape[-2:]
        places = rows, cols
        found = [
            _sample(projection(maps).float(), places, size)
            for projection, maps in zip(self.projections, self.maps(images), strict=True)
        ]
        return torch.cat(found, dim=1)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Filters, then the maps of the encoder by scale and depth, each in its own size."""
        maps = [filter_bank(images)] if self.choice.has_filters else []
        for scale in self.choice.scales:
            height, width = images.shape[-2:]
            seen = _resize(images, (round(scale * height), round(scale * width)))
            maps += [each for each in self.encoder(seen)[1:] if each.shape[1]]
        return maps

    def requires_grad_(self, requires_grad: bool = True) -> "PixelClassifier":
        """Let the head learn, or not: the encoder stays frozen."""
        super().requires_grad_(requires_grad)
        if self.encoder is not None:
            self.encoder.requires_grad_(False)
        return self

    def train(self, mode: bool = True) -> "PixelClassifier":
        """Switch the head alone: the encoder keeps its statistics."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self


class _Projection(nn.Module):
    """Principal components of a feature map in units of their standard deviation; or all of it."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.n_out = min(n_in, n_out)
        self.register_buffer("mean", torch.zeros(n_in))
        self.register_buffer("weight", torch.eye(self.n_out, n_in))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        centred = maps - self.mean[:, None, None]
        return nn.functional.conv2d(centred, self.weight[:, :, None, None]).clamp(-_LIMIT, _LIMIT)


def fit_projections(network: PixelClassifier, batches: Iterable[torch.Tensor]) -> None:
    """Set the projections of a classifier from images of the training set.

    Filters are brought to mean 0 and standard deviation 1; maps of the encoder are turned to the
    components of largest variance.

    Parameters
    ----------
    network : PixelClassifier
        Changed in place.
    batches : iterable of Tensor, shape (N, C, H, W)
        Normalised images, on the device of `network`.
    """
    sums = [0] * len(network.projections)
    with torch.no_grad():
        for images in batches:
            # added up at once: those of two thousand channels take 32 MB an image
            sums = [
                total + _moments(to_float64(maps.movedim(1, -1).flatten(0, -2)))
                for total, maps in zip(sums, network.maps(images), strict=True)
            ]
        for projection, moments in zip(network.projections, sums, strict=True):
            _fit_projection(projection, moments)


def _moments(values: torch.Tensor) -> torch.Tensor:
    """Sums of 1, x and x x' over rows, as one matrix (1 + n, 1 + n)."""
    ones = torch.ones_like(values[:, :1])
    extended = torch.cat([ones, values], dim=1)
    return (extended.T @ extended).cpu()


def _fit_projection(projection: _Projection, moments: torch.Tensor) -> None:
    mean = moments[0, 1:] / moments[0, 0]
    covariance = moments[1:, 1:] / moments[0, 0] - torch.outer(mean, mean)
    if projection.n_out == len(mean):
        weight = torch.diag(_inverse_deviation(covariance.diagonal()))
    else:
        variances, vectors = torch.linalg.eigh(covariance)
        variances, vectors = (
            part.flip(-1)[..., : projection.n_out] for part in (variances, vectors)
        )
        # the sign of an eigenvector is not determined: its largest entry is made positive
        largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
        weight = (vectors * largest.sign() * _inverse_deviation(variances)).T
    projection.mean.copy_(mean)
    projection.weight.copy_(weight)


def _inverse_deviation(variances: torch.Tensor) -> torch.Tensor:
    """1 / sqrt(v); 0 where v is rounding, which must not be blown up to a feature."""
    least = _LEAST_SHARE * variances.max()
    return torch.where(variances > least, variances.clamp(min=1e-30).rsqrt(), 0)


def _sample(
    maps: torch.Tensor, places: tuple[torch.Tensor, torch.Tensor], size: tuple[int, int]
) -> torch.Tensor:
    """What `_resize` gives at some pixels: (P, F) of maps (1, F, h, w)."""
    if maps.shape[-2] >= size[0]:  # as large, or smoothed before it is made smaller
        return _resize(maps, tuple(size))[0][:, *places].T
    # pixels are squares: the middle of the first is half of one inside the edge, at -1
    rows, cols = ((2 * p.float() + 1) / n - 1 for p, n in zip(places, size, strict=True))
    grid = torch.stack([cols, rows], dim=-1)[None, None]
    return nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)[
        0, :, 0
    ].T


def _resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    is_smaller = size[0] < images.shape[-2]
    return nn.functional.interpolate(
        images, size=size, mode="bilinear", align_corners=False, antialias=is_smaller
    )
