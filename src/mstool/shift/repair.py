"""Target micrographs made to look like the source, so that a network knows them again.

Images are float arrays (H, W, C) with grey levels from 0 to 1; results are the same, clipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from mstool.shift.appearance import N_BINS

FOURIER_SHARE = 0.005  # half width of the frequencies that are swapped, of the image's edge


@dataclass(frozen=True)
class Reference:
    """What repairs need to know of the source.

    Attributes
    ----------
    histograms : ndarray of float64, shape (C, 256)
        Pooled grey levels of each channel.
    mean, std : ndarray of float64, shape (C,)
        Of grey levels, or of L, a and b for colour; means over micrographs.
    amplitude : ndarray of float64, shape (h, h, C)
        Mean amplitude of the lowest frequencies, divided by the number of pixels; h is odd, and
        the mean grey is in the middle.
    """

    histograms: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    amplitude: np.ndarray


def make_reference(images: Sequence[np.ndarray]) -> Reference:
    """Reference of source images; each counts the same, whatever its size."""
    histograms = np.mean([_histograms(image) for image in images], axis=0)
    spaces = [_to_lab(image) for image in images]
    half = max(1, int(FOURIER_SHARE * min(min(image.shape[:2]) for image in images)))
    return Reference(
        histograms=histograms,
        mean=np.mean([space.mean(axis=(0, 1)) for space in spaces], axis=0),
        std=np.mean([space.std(axis=(0, 1)) for space in spaces], axis=0),
        amplitude=np.mean([_low_amplitude(image, half) for image in images], axis=0),
    )


def match_histogram(image, reference):
    """Grey levels moved, in their order, to those of the source; channel by channel."""
    edges = np.linspace(0, 1, N_BINS + 1)
    result = np.empty_like(image, dtype=np.float32)
    tie_break = 1e-12 * np.arange(N_BINS + 1)
    for channel, (own, wanted) in enumerate(
        zip(_histograms(image), reference.histograms, strict=True)
    ):
        rank = np.interp(image[..., channel], edges, np.append(0, np.cumsum(own)))
        result[..., channel] = np.interp(rank, np.append(0, np.cumsum(wanted)) + tie_break, edges)
    return result


def match_mean_and_spread(image, reference):
    """Mean and standard deviation moved to those of the source [1]_, in Lab for colour.

    References
    ----------
    .. [1] Reinhard, E. et al. (2001). IEEE Comput. Graph. Appl. 21, 34.
    """
    space = _to_lab(image)
    mean, std = space.mean(axis=(0, 1)), space.std(axis=(0, 1))
    moved = (space - mean) * (reference.std / np.maximum(std, 1e-6)) + reference.mean
    return _from_lab(moved)


def adapt_fourier(image, reference):
    """Amplitude of the lowest frequencies taken from the source, phase kept [1]_.

    References
    ----------
    .. [1] Yang, Y. & Soatto, S. (2020). CVPR, arXiv:2004.05498.
    """
    side = reference.amplitude.shape[0]
    half = side // 2
    height, width = image.shape[:2]
    spectrum = np.fft.fft2(image, axes=(0, 1))
    rows, cols = np.arange(-half, half + 1) % height, np.arange(-half, half + 1) % width
    low = spectrum[np.ix_(rows, cols)]
    phase = np.exp(1j * np.angle(low))
    spectrum[np.ix_(rows, cols)] = reference.amplitude * height * width * phase
    return np.clip(np.fft.ifft2(spectrum, axes=(0, 1)).real, 0, 1).astype(np.float32)


def _histograms(image):
    index = np.clip((image * N_BINS).astype(np.int64), 0, N_BINS - 1)
    counts = [np.bincount(index[..., c].ravel(), minlength=N_BINS) for c in range(image.shape[2])]
    return np.array(counts) / index[..., 0].size


def _low_amplitude(image, half):
    height, width = image.shape[:2]
    spectrum = np.abs(np.fft.fft2(image, axes=(0, 1))) / (height * width)
    rows, cols = np.arange(-half, half + 1) % height, np.arange(-half, half + 1) % width
    return spectrum[np.ix_(rows, cols)]


def _to_lab(image):
    return rgb2lab(image) if image.shape[2] == 3 else np.asarray(image, np.float64)


def _from_lab(space):
    image = lab2rgb(space) if space.shape[2] == 3 else space
    return np.clip(image, 0, 1).astype(np.float32)
