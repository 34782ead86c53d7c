"""Target micrographs made to look like the source, so that a network knows them again.

Each repair takes all or a part of a micrograph, the `Reference` of the whole of it, so that its
parts are changed alike, and that of the source. It gives float32 (H, W, C), clipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.color import lab2rgb, rgb2lab

from mstool.shift.appearance import N_BINS
from mstool.shift.grey_levels import cut_middle

FOURIER_SHARE = 0.005  # half width of the frequencies that are swapped, of the image's edge
_HALF_BIN = 0.499  # of a level; a hair less than half, so that its edges round to the level


@dataclass(frozen=True)
class Reference:
    """What repairs need to know of the source, or of one micrograph of the target.

    The amplitude is that of the lowest frequencies, divided by the number of pixels; it has an odd
    edge, with the mean grey in the middle.
    """

    histograms: np.ndarray  # by channel, 0 and 1 in the middle of the end bins: (C, 256)
    mean: np.ndarray  # of grey levels, or of L, a and b for colour: (C,)
    std: np.ndarray  # the same, as a mean over micrographs
    amplitude: np.ndarray  # (h, h, C)


def make_reference(images: Sequence[np.ndarray]) -> Reference:
    """Reference of some images; each counts the same, whatever its size."""
    histograms = np.mean([_histograms(image) for image in images], axis=0)
    spaces = [_to_lab(image) for image in images]
    half = max(1, int(FOURIER_SHARE * min(min(image.shape[:2]) for image in images)))
    return Reference(
        histograms=histograms,
        mean=np.mean([space.mean(axis=(0, 1)) for space in spaces], axis=0),
        std=np.mean([space.std(axis=(0, 1)) for space in spaces], axis=0),
        amplitude=np.mean([_low_amplitude(image, half) for image in images], axis=0),
    )


def match_histogram(image, own, reference):
    """Grey levels moved, in their order, to those that the source holds; channel by channel.

    Pixels of one grey share the middle of their ranks, so that a constant micrograph becomes the
    median of the source. No grey comes out that no pixel of the source has.
    """
    edges = (np.arange(N_BINS + 1) - 0.5) / (N_BINS - 1)
    result = np.empty_like(image, dtype=np.float32)
    pairs = zip(own.histograms, reference.histograms, strict=True)
    for channel, (shares, wanted) in enumerate(pairs):
        rank = np.interp(image[..., channel], edges, np.append(0, np.cumsum(shares)))
        held = np.flatnonzero(wanted)  # between these the inverse jumps
        ranks = np.append(0, np.cumsum(wanted))[held[:, None] + [0, 1]]
        greys = (held[:, None] + [-_HALF_BIN, _HALF_BIN]) / (N_BINS - 1)
        result[..., channel] = np.interp(rank, ranks.ravel(), greys.ravel())
    return np.clip(result, 0, 1)


def match_mean_and_spread(image, own, reference):
    """Mean and standard deviation moved to those of the source [1]_, in Lab for colour.

    References
    ----------
    .. [1] Reinhard, E. et al. (2001). IEEE Comput. Graph. Appl. 21, 34.
    """
    scale = reference.std / np.maximum(own.std, 1e-6)
    return _from_lab((_to_lab(image) - own.mean) * scale + reference.mean)


def adapt_fourier(image, own, reference):
    """Amplitude of the lowest frequencies taken from the source, phase kept [1]_.

    What the micrograph itself is like is not needed.

    References
    ----------
    .. [1] Yang, Y. & Soatto, S. (2020). CVPR, arXiv:2004.05498.
    """
    height, width = image.shape[:2]
    side = min(len(reference.amplitude), height - (height + 1) % 2, width - (width + 1) % 2)
    spectrum = np.fft.fft2(image, axes=(0, 1))
    low = _lowest(height, width, side // 2)
    phase = np.exp(1j * np.angle(spectrum[low]))
    spectrum[low] = cut_middle(reference.amplitude, side) * height * width * phase
    return np.clip(np.fft.ifft2(spectrum, axes=(0, 1)).real, 0, 1).astype(np.float32)


def _histograms(image):
    index = np.clip(np.rint(image * (N_BINS - 1)).astype(np.int64), 0, N_BINS - 1)
    counts = [np.bincount(index[..., c].ravel(), minlength=N_BINS) for c in range(image.shape[2])]
    return np.array(counts) / index[..., 0].size


def _low_amplitude(image, half):
    height, width = image.shape[:2]
    spectrum = np.abs(np.fft.fft2(image, axes=(0, 1))) / (height * width)
    return spectrum[_lowest(height, width, half)]


def _lowest(height, width, half):
    """Where the lowest frequencies lie in a spectrum, the mean grey in the middle."""
    return np.ix_(*(np.arange(-half, half + 1) % length for length in (height, width)))


def _to_lab(image):
    return rgb2lab(image) if image.shape[2] == 3 else np.asarray(image, np.float64)


def _from_lab(space):
    image = lab2rgb(space) if space.shape[2] == 3 else space
    return np.clip(image, 0, 1).astype(np.float32)
