"""Which factor moved: grey levels, sharpness, noise, magnification, or the phases themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

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
from mstool.shift.grey_levels import Levels, to_unit
from mstool.shift.mixture import mix_power, power_by_phase
from mstool.shift.phase_fractions import count_classes
from mstool.shift.sharpness import SpectrumFit, fit_spectrum, spectrum_intervals
from mstool.shift.transfer import PHASES, Transfer, fit_transfer, transfer_intervals

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Factors:
    """The change that turns the source into the target, and how well it is known."""

    transfer: Transfer  # of grey levels and phase fractions
    spectrum: SpectrumFit  # of sharpness, noise and magnification
    fractions: tuple[float, ...]  # of phases in the source; empty where these are not known
    intervals: dict[str, np.ndarray]  # of each parameter: (2,), for phases (K, 2)

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
        return (self.transfer.greys_moved or self.spectrum.degrades) and self.is_explained

    def apply(self, image: np.ndarray, seed: int) -> np.ndarray:
        """Source image as the target would show it."""
        return degrade(self.transfer.apply(image), self.spectrum, seed)

    def describe(self) -> dict[str, object]:
        """Entry ``fit`` of the record."""
        transfer, spectrum = self.transfer, self.spectrum
        shares = {"source": self.fractions, "target": transfer.fractions}
        return {
            "moved": self.moved,
            **{name: getattr(transfer, name) for name in ("gamma", "gain", "offset")},
            **{name: getattr(spectrum, name) for name in ("blur_px", "noise", "magnification")},
            "phase_fraction": shares if self.fractions else None,
            "intervals": self.intervals,
            "grey_rms": {"before": transfer.rms_before, "after": transfer.rms},
            "is_explained": {"grey": transfer.is_explained, "spectrum": spectrum.is_explained},
            "log_power_rms": {"before": spectrum.rms_before, "after": spectrum.rms},
        }


@dataclass(frozen=True)
class Origin:
    """Micrographs of the source, as changes start from them."""

    fields: Sequence[Sequence[np.ndarray]]  # of each micrograph, in stored values: (h, w, C)
    groups: Sequence[str]
    labels: Sequence[Sequence[np.ndarray]] | None  # of each field: truth or prediction
    levels: Levels

    def rows(self, describe: Change, change: Change) -> np.ndarray:
        """Mean over fields of what describes them once they are changed, one row a specimen."""
        rows = [
            np.mean([describe(self._grey(one, change)) for one in fields], axis=0)
            for fields in self.fields
        ]
        return _mean_by_group(rows, self.groups)

    def phases(self, n_classes: int | None, change: Change = lambda image: image):
        """Grey histogram of each phase once fields are changed, and the phase fractions.

        None and () without labels; without a number of classes, there are those of the labels.
        """
        if self.labels is None:
            return None, ()
        n_classes = n_classes or count_classes(values for _, values in self._labelled())
        counts = np.zeros((n_classes, N_BINS))
        for image, values in self._labelled():
            grey = self._grey(image, change)
            for index in range(n_classes):
                inside = values == index
                counts[index] += grey_histogram(grey[inside]) * inside.sum()
        total = counts.sum(axis=1, keepdims=True)
        return counts / np.maximum(total, 1), tuple((total[:, 0] / max(total.sum(), 1)).tolist())

    def power_by_phase(self, n_classes: int) -> np.ndarray:
        """Change of power with the fraction of each phase; see `mixture.power_by_phase`."""
        pairs = [(self._grey(image), values) for image, values in self._labelled()]
        return power_by_phase(*zip(*pairs, strict=True), n_classes)

    def _labelled(self):
        for fields, labels in zip(self.fields, self.labels, strict=True):
            yield from zip(fields, labels, strict=True)

    def _grey(self, field: np.ndarray, change: Change = lambda image: image) -> np.ndarray:
        return to_grey(change(to_unit(field, self.levels)))


def degrade(image: np.ndarray, fit: SpectrumFit, seed: int) -> np.ndarray:
    """Blur an image and add noise, as fitted; what would sharpen or denoise is left out."""
    if fit.blur_px > 0:
        image = ndimage.gaussian_filter(image, (fit.blur_px, fit.blur_px, 0))
    if fit.noise > 0:
        noise = np.random.default_rng(seed).normal(0, fit.noise, image.shape[:2])
        image = image + noise[..., None]
    return np.clip(image, 0, 1).astype(np.float32)


def fit_factors(
    origin: Origin,
    source: Sequence[Appearance],
    target: Sequence[Appearance],
    target_groups: Sequence[str],
    change_of_phases: np.ndarray | None,
    seed: int,
) -> Factors:
    """Fit what changed, and how well that is known.

    Grey levels, sharpness and phases each change what the others are read from: a curve of grey
    levels changes spectra, blur and noise change histograms, other phase fractions change both.
    The spectrum is explained in the simplest way that this allows, and grey levels are compared
    once the source has been blurred and made as noisy as the target.

    The change of phases, (K,), is that of their fractions, as labels or a network have them.
    """
    n_classes = None if change_of_phases is None else len(change_of_phases)
    phases, fractions = origin.phases(n_classes)
    target_histograms, target_powers = _by_unit(target, target_groups)
    histograms, powers = _by_unit(source, origin.groups)
    transfer = fit_transfer(histograms, target_histograms, phases, fractions)
    found = _explain_spectrum(
        origin, powers, target_powers, transfer, _contrast(transfer, histograms), change_of_phases
    )
    spectrum = found.fit
    if spectrum.degrades:
        before = replace(spectrum, noise=spectrum.noise / found.contrast)

        def change(image):
            return degrade(image, before, seed)

        histograms = origin.rows(grey_histogram, change)
        phases, fractions = origin.phases(n_classes, change)
        again = fit_transfer(histograms, target_histograms, phases, fractions)
        transfer = replace(again, rms_before=transfer.rms_before)
    intervals = transfer_intervals(transfer, histograms, target_histograms, seed, phases, fractions)
    intervals |= spectrum_intervals(spectrum, found.powers, target_powers, seed)
    if found.by_phases and PHASES not in transfer.moved:
        there = tuple(np.clip(np.array(fractions) + change_of_phases, 0, 1).tolist())
        transfer = replace(transfer, moved=(*transfer.moved, PHASES), fractions=there)
    return Factors(transfer, spectrum, fractions, intervals)


@dataclass(frozen=True)
class _Explanation:
    """A fit of the spectrum, and what was taken into account before."""

    fit: SpectrumFit
    powers: np.ndarray  # of the source, changed as grey levels and phases ask for: (N, 32)
    by_phases: bool
    contrast: float  # factor on the spread of grey levels [1]


def _explain_spectrum(
    origin: Origin, powers, target_powers, transfer, contrast, change_of_phases
) -> _Explanation:
    """Take what explains the spectrum, then what needs the fewest factors, then the best fit."""

    def explain(seen, by_phases, contrast):
        return _Explanation(fit_spectrum(seen, target_powers), seen, by_phases, contrast)

    found = [explain(powers, False, 1.0)]
    if transfer.greys_moved:
        seen = origin.rows(lambda grey: np.log(radial_power(grey)), transfer.apply)
        found.append(explain(seen, False, contrast))
    is_changed = change_of_phases is not None and np.abs(change_of_phases).max() > LABEL_SHIFT
    is_clear = any(one.fit.is_explained and not one.fit.moved for one in found)
    if is_changed and origin.labels is not None and not is_clear:
        by_phase = origin.power_by_phase(len(change_of_phases))
        for one in list(found):
            mixed = mix_power(one.powers, by_phase, change_of_phases)
            found.append(explain(mixed, True, one.contrast))
    best = min(found, key=lambda one: (not one.fit.is_explained, len(one.fit.moved), one.fit.rms))
    return replace(best, fit=replace(best.fit, rms_before=found[0].fit.rms_before))


def _contrast(transfer: Transfer, histograms: np.ndarray) -> float:
    """Factor on the standard deviation of grey levels that a transfer makes."""
    shares = histograms.mean(axis=0)
    return max(1e-3, moments(shares, transfer.apply(LEVELS))[1] / moments(shares)[1])


def _by_unit(looks: Sequence[Appearance], groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Histogram and logarithm of power of each specimen: (U, 256), (U, 32)."""
    histograms, powers = [one.histogram for one in looks], [one.log_power for one in looks]
    return _mean_by_group(histograms, groups), _mean_by_group(powers, groups)


def _mean_by_group(rows: Sequence[np.ndarray], groups: Sequence[str]) -> np.ndarray:
    members: dict[str, list[np.ndarray]] = {}
    for row, group in zip(rows, groups, strict=True):
        members.setdefault(group, []).append(row)
    return np.stack([np.mean(part, axis=0) for part in members.values()])
