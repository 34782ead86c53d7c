"""What a micrograph looks like, in numbers that need no network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

N_BINS = 256  # of grey levels
LEVELS = (np.arange(N_BINS) + 0.5) / N_BINS  # middle of each
N_BANDS = 32  # of frequency, up to half a cycle per pixel
PATCH_PX = 128  # edge of the pieces whose power spectra are averaged
GLCM_PROPERTIES = ("contrast", "homogeneity", "energy", "correlation")
GLCM_DISTANCES_PX = (1, 3)

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_GLCM_LEVELS = 16
_INSIDE = slice(1, -1), slice(1, -1)  # pixels at the border lack neighbours
_LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], float)


@dataclass(frozen=True)
class Appearance:
    """Image statistics of one micrograph."""

    histogram: np.ndarray  # share of the pixels by grey level: (256,)
    log_power: np.ndarray  # natural; white noise of variance v has log v in all rings: (32,)
    sharpness: float  # decimal logarithm of power above 0.25 over that below 0.125 cycles/px
    noise: float  # standard deviation of what looks like noise, of the grey range [1]
    binary_pattern: np.ndarray  # share by uniform local pattern, 8 neighbours at 1 px: (10,)
    co_occurrence: np.ndarray  # of `GLCM_PROPERTIES`, each at `GLCM_DISTANCES_PX`: (8,)


def to_grey(image):
    """Grey levels (H, W) of an image (H, W, C) with 1 or 3 channels."""
    return image[..., 0] if image.shape[2] == 1 else image @ np.asarray(_LUMA, image.dtype)


def describe(image) -> Appearance:
    """Statistics, all finite, of one image (H, W, C) of at least 16 pixels along each edge.

    References
    ----------
    .. [1] Ojala, T. et al. (2002). IEEE TPAMI 24, 971 (local binary patterns).
    .. [2] Haralick, R. et al. (1973). IEEE Trans. SMC 3, 610 (co-occurrence).
    .. [3] Immerkaer, J. (1996). Comput. Vis. Image Underst. 64, 300 (noise).
    """
    grey = to_grey(np.asarray(image, np.float64))
    power = radial_power(grey)
    high, low = power[N_BANDS // 2 :].mean(), power[: N_BANDS // 4].mean()
    return Appearance(
        histogram=grey_histogram(grey),
        log_power=np.log(power),
        sharpness=float(np.log10(high / low)),
        noise=noise_sigma(grey),
        binary_pattern=_binary_pattern(grey),
        co_occurrence=_co_occurrence(grey),
    )


def mean_appearance(parts: Sequence[Appearance]) -> Appearance:
    """Mean over the fields of view of a micrograph, or over the micrographs of a set."""
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return Appearance(*(np.mean(values, axis=0) for values in fields))


def grey_histogram(grey):
    """Share of the pixels in each of 256 equal bins from 0 to 1; what lies outside is clipped."""
    index = np.clip((grey * N_BINS).astype(np.int64), 0, N_BINS - 1)
    return np.bincount(index.ravel(), minlength=N_BINS) / max(1, grey.size)


def moments(histogram, values=LEVELS) -> tuple[float, float]:
    """Mean and standard deviation of grey levels, or of what a curve makes of them: `values`.

    The deviation is at least 1e-6, so that it can divide.
    """
    mean = histogram @ values
    return float(mean), float(np.sqrt(max(1e-12, histogram @ values**2 - mean**2)))


def radial_power(grey):
    """Mean of `piece_powers`, (32,), as Welch (1967) has it."""
    return np.mean([power for power, _ in piece_powers(grey)], axis=0)


def piece_powers(grey):
    """Power spectrum of each half overlapping piece of grey levels (H, W), and where it lies.

    Yields
    ------
    power : ndarray of float64, shape (32,)
        Above 0; the ring k holds frequencies from k / 64 to (k + 1) / 64 cycles per pixel.
    cut : tuple of slice
        Rows and columns of the piece; its edge is 128 px, or that of a smaller micrograph.
    """
    edge = min(PATCH_PX, *grey.shape)
    window = np.outer(np.hanning(edge), np.hanning(edge))
    frequency = np.hypot(np.fft.fftfreq(edge)[:, None], np.fft.rfftfreq(edge))
    ring = np.minimum((frequency * 2 * N_BANDS).astype(int), N_BANDS)
    ring[0, 0] = N_BANDS  # the mean is no structure
    counts = np.bincount(ring.ravel(), minlength=N_BANDS + 1)[:N_BANDS]
    known = np.flatnonzero(counts)  # small images leave rings without a frequency
    starts = [_starts(length, edge) for length in grey.shape]
    for row in starts[0]:
        for col in starts[1]:
            cut = slice(row, row + edge), slice(col, col + edge)
            piece = grey[cut]
            power = np.abs(np.fft.rfft2((piece - piece.mean()) * window)) ** 2 / (window**2).sum()
            sums = np.bincount(ring.ravel(), weights=power.ravel(), minlength=N_BANDS + 1)
            rings = np.interp(np.arange(N_BANDS), known, sums[known] / counts[known])
            yield np.maximum(rings, 1e-12), cut


def noise_sigma(grey):
    """Standard deviation of noise, from the median of a Laplacian that lines and planes pass."""
    response = np.abs(ndimage.convolve(grey, _LAPLACE))[_INSIDE]
    return float(np.median(response) / (0.6745 * 6.0))


def _starts(length, edge):
    n = max(1, round((length - edge) / (edge / 2)) + 1)
    return np.linspace(0, length - edge, n).astype(int)


def _binary_pattern(grey):
    levels = np.clip(grey * 255, 0, 255).astype(np.uint8)
    codes = local_binary_pattern(levels, 8, 1, "uniform").astype(int)[_INSIDE]
    return np.bincount(codes.ravel(), minlength=10) / codes.size


def _co_occurrence(grey):
    levels = np.clip(grey * _GLCM_LEVELS, 0, _GLCM_LEVELS - 1).astype(np.uint8)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(
        levels, GLCM_DISTANCES_PX, angles, _GLCM_LEVELS, symmetric=True, normed=True
    )
    found = [graycoprops(matrix, name).mean(axis=1) for name in GLCM_PROPERTIES]
    return np.stack(found).ravel()
