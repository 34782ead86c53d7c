"""Which factor moved: grey levels, sharpness, noise, magnification, or the phases themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mstool.pipeline.shift.measure import look_at
from mstool.pipeline.shift.sets import MicrographSet, to_unit
from mstool.reporting import Reporter
from mstool.shift.appearance import (
    LEVELS,
    N_BINS,
    Appearance,
    grey_histogram,
    moments,
    to_grey,
)
from mstool.shift.sharpness import SpectrumFit, fit_spectrum, spectrum_intervals
from mstool.shift.transfer import Transfer, fit_transfer, transfer_intervals

PHASES = "phases"
_IGNORED = 255


@dataclass(frozen=True)
class Factors:
    """The change that turns the source into the target.

    Attributes
    ----------
    transfer : Transfer
        Of grey levels and phase fractions.
    spectrum : SpectrumFit
        Of sharpness, noise and magnification.
    """

    transfer: Transfer
    spectrum: SpectrumFit

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of all that had to be changed."""
        return (*self.transfer.moved, *self.spectrum.moved)

    def apply(self, image: np.ndarray, seed: int) -> np.ndarray:
        """Source image (H, W, C), grey levels from 0 to 1, as the target would show it."""
        return degrade(self.transfer.apply(image), self.spectrum, seed)


def degrade(image: np.ndarray, fit: SpectrumFit, seed: int) -> np.ndarray:
    """Blur an image and add noise, as fitted; what would sharpen or denoise is left out."""
    if fit.blur_px > 0:
        image = ndimage.gaussian_filter(image, (fit.blur_px, fit.blur_px, 0))
    if fit.noise > 0:
        noise = np.random.default_rng(seed).normal(0, fit.noise, image.shape[:2])
        image = image + noise[..., None]
    return np.clip(image, 0, 1).astype(np.float32)


def fit_factors(
    source: MicrographSet,
    source_looks: Sequence[Appearance],
    target_looks: Sequence[Appearance],
    labels: Sequence[Sequence[np.ndarray]] | None,
    levels: tuple[float, float],
    seed: int,
    report: Reporter,
) -> tuple[Factors, dict[str, Any]]:
    """Fit what changed, and how well that is known.

    Blur and noise change grey levels too: where the spectrum shows them, the source is changed so
    before its grey levels are compared.

    Parameters
    ----------
    source : MicrographSet
        The source.
    source_looks, target_looks : sequence of Appearance
        Of each micrograph.
    labels : sequence of sequence of ndarray of uint8, or None
        Phases of each field of the source, 255 ignored: truth or prediction.
    levels : tuple of float
        Stored values of black and white.
    seed : int
        Of the resampling.
    report : Reporter
        Progress.

    Returns
    -------
    Factors
        The fit.
    dict
        For the record: values, intervals, what is left of the difference.
    """
    phases, fractions = _phases(source, labels, levels) if labels is not None else (None, ())
    target_histograms = _histograms(target_looks)
    histograms, powers = _histograms(source_looks), _powers(source_looks)
    first = fit_transfer(histograms, target_histograms, phases, fractions)
    contrast = _contrast(first, histograms)
    spectrum = fit_spectrum(powers, _powers(target_looks), contrast)
    transfer = first
    if spectrum.moved and (spectrum.blur_px > 0 or spectrum.noise > 0):
        gain = max(contrast, 1e-3)
        before = SpectrumFit(spectrum.blur_px, spectrum.noise / gain, 1.0, (), 0.0, 0.0)

        def change(image):
            return degrade(image, before, seed)

        looks = look_at(source, levels, report, change)
        histograms = _histograms(looks)
        if labels is not None:
            phases, fractions = _phases(source, labels, levels, change)
        transfer = fit_transfer(histograms, target_histograms, phases, fractions)
    factors = Factors(transfer, spectrum)
    intervals = transfer_intervals(transfer, histograms, target_histograms, seed, phases, fractions)
    intervals |= spectrum_intervals(spectrum, powers, _powers(target_looks), seed, contrast)
    return factors, {
        "moved": factors.moved,
        "gamma": transfer.gamma,
        "gain": transfer.gain,
        "offset": transfer.offset,
        "blur_px": spectrum.blur_px,
        "noise": spectrum.noise,
        "magnification": spectrum.magnification,
        "phase_fraction": {"source": fractions, "target": transfer.fractions}
        if fractions
        else None,
        "intervals": intervals,
        "grey_rms": {"before": transfer.rms_before, "after": transfer.rms},
        "log_power_rms": {"before": spectrum.rms_before, "after": spectrum.rms},
    }


def factors_of(part: dict[str, Any]) -> Factors:
    """Factors from the record of `fit_factors`."""
    fractions = part["phase_fraction"]["target"] if part["phase_fraction"] else ()
    grey, power = part["grey_rms"], part["log_power_rms"]
    greys = tuple(name for name in part["moved"] if name in ("gamma", "gain", "offset", PHASES))
    sharp = tuple(name for name in part["moved"] if name in ("blur", "noise", "magnification"))
    return Factors(
        Transfer(
            part["gamma"], part["gain"], part["offset"], tuple(fractions), greys,
            grey["after"], grey["before"],
        ),
        SpectrumFit(
            part["blur_px"], part["noise"], part["magnification"], sharp,
            power["after"], power["before"],
        ),
    )  # fmt: skip


def _phases(source, labels, levels, change=lambda image: image):
    """Grey histogram of each phase of the source, and the phase fractions."""
    n_classes = 1 + max(
        int(values[values != _IGNORED].max(initial=0)) for fields in labels for values in fields
    )
    counts = np.zeros((n_classes, N_BINS))
    for sample, fields in zip(source.samples, labels, strict=True):
        for image, values in zip(sample.fields, fields, strict=True):
            grey = to_grey(change(to_unit(image, levels)))
            for index in range(n_classes):
                inside = values == index
                counts[index] += grey_histogram(grey[inside]) * inside.sum()
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(total, 1), tuple((total[:, 0] / max(total.sum(), 1)).tolist())


def _contrast(transfer: Transfer, histograms: np.ndarray) -> float:
    """Factor on the standard deviation of grey levels that a transfer makes."""
    shares = histograms.mean(axis=0)
    return moments(shares, transfer.apply(LEVELS))[1] / moments(shares)[1]


def _histograms(looks: Sequence[Appearance]) -> np.ndarray:
    return np.stack([one.histogram for one in looks])


def _powers(looks: Sequence[Appearance]) -> np.ndarray:
    return np.stack([one.log_power for one in looks])
