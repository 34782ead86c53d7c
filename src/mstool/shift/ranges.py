"""Ranges of augmentation that reach from no change to what single target micrographs show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.shift.appearance import Appearance
from mstool.shift.factors import Factors
from mstool.shift.grey_levels import Levels
from mstool.shift.sharpness import fit_named_spectrum
from mstool.shift.transfer import PHASES, quantiles

_WIDER = 0.1  # by which ranges exceed what was measured
_SLIGHT = 0.1  # standard deviations: a change of brightness that is none
_EXPONENTS = np.exp(np.linspace(-np.log(6), np.log(6), 121))

Range = tuple[float, float]


@dataclass(frozen=True)
class TrainingGreys:
    """What augmentation knows of the training set, of the grey range [1]."""

    std: float  # the unit of brightness and noise
    black: float  # gamma applies from here
    white: float


def greys_of_training(
    fields: Sequence[np.ndarray], levels: Levels, std: float | None = None
) -> TrainingGreys:
    """Units of augmentation for a training set like some fields in stored values.

    One pixel of 61 is looked at. The standard deviation is that which a network was trained with,
    in stored values too, if there is one.
    """
    values = np.concatenate([field.ravel()[::61] for field in fields])
    black, white = levels
    spread = float(values.std()) if std is None else std
    low, high = (np.percentile(values, [0.1, 99.9]) - black) / (white - black)
    return TrainingGreys(max(spread / (white - black), 1e-3), low, max(high, low + 1e-3))


def derive_ranges(
    factors: Factors,
    source: Sequence[Appearance],
    target: Sequence[Appearance],
    training: TrainingGreys,
    zoom: Range,
) -> dict[str, Range | float]:
    """Ranges for training that cover the shift, by their names in `nn.augment.Augmentation`.

    What did not move has no range; a zoom covers also that which training uses anyway.
    """
    found = _grey_ranges(factors, source, target, training)
    names = [
        name
        for name in ("blur", "noise")  # where nothing explains the spectra these come nearest
        if name in factors.spectrum.moved or not factors.spectrum.is_explained
    ]
    if names:
        powers = np.stack([one.log_power for one in source])
        zoomed = [factors.spectrum.magnification]
        fits = [fit_named_spectrum(names, powers, one.log_power[None], zoomed) for one in target]
        found["blur_px"] = _from_zero([fit.blur_px for fit in fits])
        found["noise"] = _from_zero([fit.noise / training.std for fit in fits])
    if "magnification" in factors.moved:
        low, high = _hull([factors.spectrum.magnification], is_factor=True)
        found["zoom"] = min(low, zoom[0]), max(high, zoom[1])
    return found


def _grey_ranges(factors, source, target, training) -> dict:
    """Gamma, contrast and brightness of each target micrograph against the pooled source."""
    if not factors.transfer.greys_moved:
        return {}
    moved = set(factors.transfer.moved)
    greys = quantiles(np.mean([one.histogram for one in source], axis=0))
    exponents = _known_exponents(factors) if "gamma" in moved else np.ones(1)
    rows = [_imitate(greys, quantiles(one.histogram), exponents, training) for one in target]
    gamma, contrast, brightness = np.array(rows).T
    reach = max(map(abs, _hull(brightness, is_factor=False)))
    ranges = {"gamma": _hull(gamma, is_factor=True)}
    if moved - {PHASES} == {"gamma"} and reach < _SLIGHT:  # gamma says it all
        return ranges
    return ranges | {"contrast": _hull(contrast, is_factor=True), "brightness": reach}


def _known_exponents(factors: Factors) -> np.ndarray:
    """Exponents from no change to what the fit of all micrographs allows.

    A single micrograph alone cannot tell an exponent from contrast and brightness, which take up
    what is left.
    """
    low, high = factors.intervals.get("gamma", (np.nan, np.nan))
    if not np.isfinite([low, high]).all():
        return _EXPONENTS
    least, most = min(1.0, low), max(1.0, high)
    return _EXPONENTS[(least <= _EXPONENTS) & (most >= _EXPONENTS)]


def _imitate(greys, wanted, exponents, training) -> tuple[float, float, float]:
    """Gamma, contrast and brightness of training that make one set of quantiles of another."""
    black, white = training.black, training.white
    inner = np.clip((greys - black) / (white - black), 0, 1)
    curves = [
        (gamma, greys if gamma == 1 else black + (white - black) * inner**gamma)
        for gamma in exponents
    ]
    gamma, curve = min(curves, key=lambda pair: np.abs(pair[1] - wanted).mean())
    spread = max(float(curve.std()), 1e-6)
    return float(gamma), wanted.std() / spread, (wanted.mean() - curve.mean()) / training.std


def _hull(values: Sequence[float], *, is_factor: bool) -> Range:
    """From no change to the 5 and 95 percentiles, widened by a tenth."""
    scaled = np.log(values) if is_factor else np.asarray(values)
    low, high = np.percentile(scaled, [5, 95])
    low, high = (1 + _WIDER) * min(0.0, low), (1 + _WIDER) * max(0.0, high)
    ends = (np.exp(low), np.exp(high)) if is_factor else (low, high)
    return round(float(ends[0]), 3), round(float(ends[1]), 3)


def _from_zero(values) -> Range:
    return 0.0, max(0.0, _hull(values, is_factor=False)[1])
