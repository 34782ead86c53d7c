"""Which factor moved: grey levels, sharpness, noise, magnification, or the phases themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from mstool.pipeline.shift.sets import MicrographSet, to_unit
from mstool.shift.appearance import (
    LEVELS,
    N_BINS,
    Appearance,
    grey_histogram,
    moments,
    radial_power,
    to_grey,
)
from mstool.shift.choice import LABEL_SHIFT
from mstool.shift.mixture import mix_power, power_by_phase
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

    @property
    def is_explained(self) -> bool:
        """Whether what is left is no more than micrographs of one set differ by."""
        return self.transfer.is_explained and self.spectrum.is_explained

    @property
    def degrades(self) -> bool:
        """Whether `apply` changes an image, in a way that explains what was seen."""
        is_changed = set(self.transfer.moved) - {PHASES} or self.spectrum.blur_px > 0
        is_changed = bool(is_changed) or self.spectrum.noise > 0
        return is_changed and self.is_explained

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
    target_groups: Sequence[str],
    labels: Sequence[Sequence[np.ndarray]] | None,
    change_of_phases: np.ndarray | None,
    levels: tuple[float, float],
    seed: int,
) -> tuple[Factors, dict[str, Any]]:
    """Fit what changed, and how well that is known.

    Grey levels, sharpness and phases each change what the others are read from: a curve of grey
    levels changes spectra, blur and noise change histograms, other phase fractions change both.
    The spectrum is explained in the simplest way that this allows, and grey levels are compared
    once the source has been blurred and made as noisy as the target.

    Parameters
    ----------
    source : MicrographSet
        The source.
    source_looks, target_looks : sequence of Appearance
        Of each micrograph.
    target_groups : sequence of str
        Specimen of each micrograph of the target; specimens, not micrographs, are what varies.
    labels : sequence of sequence of ndarray of uint8, or None
        Phases of each field of the source, 255 ignored: truth or prediction.
    change_of_phases : ndarray of float, shape (K,), or None
        Phase fractions of the target less those of the source, as labels or a network have them.
    levels : tuple of float
        Stored values of black and white.
    seed : int
        Of the resampling.

    Returns
    -------
    Factors
        The fit.
    dict
        For the record: values, intervals, what is left of the difference.
    """
    phases, fractions = None, ()
    if labels is not None:
        seen = 1 + max(int(v[v != _IGNORED].max(initial=0)) for fields in labels for v in fields)
        n_classes = seen if change_of_phases is None else len(change_of_phases)
        phases, fractions = _phases(source, labels, n_classes, levels)
    target_histograms, target_powers = _by_unit(target_looks, target_groups)
    histograms, powers = _by_unit(source_looks, source.groups)
    transfer = fit_transfer(histograms, target_histograms, phases, fractions)
    contrast = max(1e-3, _contrast(transfer, histograms))
    found = _explain_spectrum(
        source, powers, target_powers, transfer, contrast, labels, change_of_phases, levels
    )
    spectrum = found.fit
    if spectrum.moved and (spectrum.blur_px > 0 or spectrum.noise > 0):
        before = replace(spectrum, noise=spectrum.noise / found.contrast)

        def change(image):
            return degrade(image, before, seed)

        histograms = _changed_histograms(source, levels, change)
        if labels is not None:
            phases, fractions = _phases(source, labels, n_classes, levels, change)
        transfer = fit_transfer(histograms, target_histograms, phases, fractions)
    intervals = transfer_intervals(transfer, histograms, target_histograms, seed, phases, fractions)
    intervals |= spectrum_intervals(spectrum, found.powers, target_powers, seed)
    if found.by_phases and PHASES not in transfer.moved:
        there = np.clip(np.array(fractions) + change_of_phases, 0, 1)
        transfer = replace(
            transfer, moved=(*transfer.moved, PHASES), fractions=tuple(map(float, there))
        )
    factors = Factors(transfer, spectrum)
    return factors, _describe(factors, fractions, intervals)


@dataclass(frozen=True)
class _Explanation:
    """A fit of the spectrum, and what was taken into account before.

    Attributes
    ----------
    fit : SpectrumFit
        The fit.
    powers : ndarray of float, shape (N, 32)
        Logarithm of power of the source, changed as grey levels and phases ask for.
    by_phases : bool
        Whether a change of phase fractions was taken into account.
    contrast : float
        Factor on the spread of grey levels that was taken into account [1].
    """

    fit: SpectrumFit
    powers: np.ndarray
    by_phases: bool
    contrast: float


def _explain_spectrum(
    source, powers, target_powers, transfer, contrast, labels, change_of_phases, levels
) -> _Explanation:
    """Take what explains the spectrum, then what needs the fewest factors, then the best fit."""
    found = [_Explanation(fit_spectrum(powers, target_powers), powers, False, 1.0)]
    if set(transfer.moved) - {PHASES}:
        seen = _changed_powers(source, levels, transfer.apply)
        found.append(_Explanation(fit_spectrum(seen, target_powers), seen, False, contrast))
    is_changed = change_of_phases is not None and np.abs(change_of_phases).max() > LABEL_SHIFT
    is_clear = any(one.fit.is_explained and not one.fit.moved for one in found)
    if is_changed and labels is not None and not is_clear:
        greys = [to_grey(to_unit(f, levels)) for sample in source.samples for f in sample.fields]
        flat = [values for fields in labels for values in fields]
        by_phase = power_by_phase(greys, flat, len(change_of_phases))
        for one in list(found):
            mixed = mix_power(one.powers, by_phase, change_of_phases)
            found.append(replace(one, fit=fit_spectrum(mixed, target_powers), powers=mixed,
                                 by_phases=True))  # fmt: skip
    return min(found, key=lambda one: (not one.fit.is_explained, len(one.fit.moved), one.fit.rms))


def _describe(factors: Factors, fractions, intervals) -> dict[str, Any]:
    transfer, spectrum = factors.transfer, factors.spectrum
    shares = {"source": fractions, "target": transfer.fractions} if fractions else None
    return {
        "moved": factors.moved,
        "gamma": transfer.gamma,
        "gain": transfer.gain,
        "offset": transfer.offset,
        "blur_px": spectrum.blur_px,
        "noise": spectrum.noise,
        "magnification": spectrum.magnification,
        "phase_fraction": shares,
        "intervals": intervals,
        "grey_rms": {"before": transfer.rms_before, "after": transfer.rms},
        "is_explained": {"grey": transfer.is_explained, "spectrum": spectrum.is_explained},
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
            grey["after"], grey["before"], part["is_explained"]["grey"],
        ),
        SpectrumFit(
            part["blur_px"], part["noise"], part["magnification"], sharp,
            power["after"], power["before"], part["is_explained"]["spectrum"],
        ),
    )  # fmt: skip


def _phases(source, labels, n_classes, levels, change=lambda image: image):
    """Grey histogram of each phase of the source, and the phase fractions."""
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


def _changed_histograms(source: MicrographSet, levels, change) -> np.ndarray:
    return _of_fields(source, levels, change, grey_histogram)


def _changed_powers(source: MicrographSet, levels, change) -> np.ndarray:
    return _of_fields(source, levels, change, lambda grey: np.log(radial_power(grey)))


def _of_fields(source: MicrographSet, levels, change, describe) -> np.ndarray:
    """Mean over fields of what describes them once they are changed, one row a specimen."""
    rows = [
        np.mean([describe(to_grey(change(to_unit(f, levels)))) for f in one.fields], axis=0)
        for one in source.samples
    ]
    return _mean_by_group(rows, source.groups)


def _by_unit(looks: Sequence[Appearance], groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Histogram and logarithm of power of each specimen: (U, 256), (U, 32)."""
    histograms, powers = [one.histogram for one in looks], [one.log_power for one in looks]
    return _mean_by_group(histograms, groups), _mean_by_group(powers, groups)


def _mean_by_group(rows: Sequence[np.ndarray], groups: Sequence[str]) -> np.ndarray:
    members: dict[str, list[np.ndarray]] = {}
    for row, group in zip(rows, groups, strict=True):
        members.setdefault(group, []).append(row)
    return np.stack([np.mean(part, axis=0) for part in members.values()])
