"""How much blur, noise and magnification turns the spectrum of one set into that of the other."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import least_squares

from mstool.chance.resampling import chance_difference, interval_around, resample_sets
from mstool.shift.appearance import N_BANDS

FREQUENCY = (np.arange(N_BANDS) + 0.5) / (2 * N_BANDS)  # middle of each ring [cycles/px]

_FIRST = 2  # rings of slow changes, which illumination and scenes decide
_FITS_BELOW = 1.8  # of the scatter between micrographs
_LEAST_SCATTER = 0.03
_WORTH_MORE = 0.6  # a richer model must leave less than this share of the difference
_LEEWAY = 0.7  # of the logarithm of power, by which contrast may still differ
_FLOOR = 4e-6
_ZOOMS = np.exp(np.linspace(np.log(0.5), np.log(2), 57))
_NEAR = 0.25  # of the logarithm of magnification, by which resamples may differ
_SHARPER = 2.5  # times better must "sharper" fit than "noisier" to be believed
_SIGMAS = np.concatenate([[0.0], np.linspace(0.15, 5, 98)])  # blurs that are tabulated [px]
_MODELS = (  # from simple to rich; the best of the first size that fits is taken
    ((),),
    (("blur",), ("noise",)),
    (("blur", "noise"),),
    (("magnification",),),
    (("blur", "noise", "magnification"),),
)


@dataclass(frozen=True)
class SpectrumFit:
    """Power of the target = contrast x power of the source, magnified, blurred, with noise added.

    It is explained if what is left is no more than micrographs of one set differ by.
    """

    blur_px: float  # Gaussian sigma; below 0 where the target is sharper than the source
    noise: float  # standard deviation, of the grey range [1]; below 0 where there is less
    magnification: float  # how many times larger structures appear [1]
    moved: tuple[str, ...]  # what had to be changed: some of blur, noise, magnification
    rms: float  # what is left of the difference of the logarithms of power
    rms_before: float  # what is left of it by contrast alone, where the simplest change is sought
    is_explained: bool = True

    @property
    def degrades(self) -> bool:
        """Whether it blurs or adds noise."""
        return self.blur_px > 0 or self.noise > 0


def fit_spectrum(source, target) -> SpectrumFit:
    """Fit the simplest change of logarithms of power, (n, 32) and (m, 32)."""
    scatter = max(_LEAST_SCATTER, _scatter(source, target))
    best, before = None, fit_named_spectrum((), source, target).rms
    for models in _MODELS:
        found = [fit_named_spectrum(model, source, target) for model in models]
        found = [one for one in found if _ZOOMS[0] < one.magnification < _ZOOMS[-1]]
        if not found:
            continue  # at the ends of what is tried it stands for something else
        fit = min(found, key=lambda one: one.rms * (_SHARPER if one.blur_px < 0 else 1))
        if best is None or fit.rms < _WORTH_MORE * best.rms:
            best = fit
        if best.rms <= _FITS_BELOW * scatter:
            return replace(best, rms_before=before)
    return replace(best, rms_before=before, is_explained=False)


def spectrum_intervals(fit, source, target, seed, n_resamples=60):
    """Intervals of ``blur_px`` and ``noise``, and of ``magnification`` where it was changed.

    Where blur or noise had not to be changed, it is fitted beside the others to tell how well that
    is known.
    """
    keys = ("blur_px", "noise")
    if min(len(source), len(target)) < 2:
        return dict.fromkeys(keys, (float("nan"),) * 2)
    names = tuple(dict.fromkeys((*fit.moved, "blur", "noise")))
    is_near = abs(np.log(_ZOOMS / fit.magnification)) < _NEAR
    zooms = _ZOOMS[is_near] if "magnification" in names else None
    draws = [
        fit_named_spectrum(names, *drawn, zooms)
        for drawn in resample_sets(source, target, n_resamples, seed)
    ]
    keys += ("magnification",) if "magnification" in names else ()
    return {
        key: interval_around(getattr(fit, key), [getattr(one, key) for one in draws])
        for key in keys
    }


def fit_named_spectrum(model, source, target, zooms=None) -> SpectrumFit:
    """Fit given parameters at the best of some magnifications: of all, or if that is none, at 1."""
    if zooms is None:
        zooms = _ZOOMS if "magnification" in model else [1.0]
    want = _log(np.exp(target)).mean(axis=0)
    found = (_fit_at(float(zoom), model, source, want) for zoom in zooms)
    return min(found, key=lambda fit: fit.rms)


def _fit_at(zoom, model, source, want):
    frequency = FREQUENCY * zoom
    used = (frequency <= FREQUENCY[-1]) & (np.arange(N_BANDS) >= _FIRST)
    rows = [np.interp(frequency, FREQUENCY, row) for row in source]
    power = zoom**2 * np.exp(np.stack(rows))
    free = [name for name in ("blur", "noise") if name in model]
    unit = float(power.mean(axis=0)[used].min()) + _FLOOR  # so that steps of noise have one size

    def residual(parameters):
        values = dict(zip(free, parameters[1:], strict=True))
        kept = _kept_power(values.get("blur", 0.0))
        changed = np.exp(parameters[0]) * kept * power + values.get("noise", 0.0) * unit
        return (_log(changed).mean(axis=0) - want)[used]

    excess = max(0.0, float(np.exp(want[-4:].mean())) / unit - 1)
    reach = {  # least, most, start and scale; of the logarithm of contrast, of variances
        "contrast": (-_LEEWAY, _LEEWAY, 0.0, 0.1),
        "blur": (-4.0, 25.0, 0.0, 1.0),
        "noise": (-0.98, 1e7, excess, max(1.0, excess)),
    }
    lower, upper, start, scale = zip(*(reach[name] for name in ("contrast", *free)), strict=True)
    found = least_squares(residual, start, bounds=(lower, upper), x_scale=scale)
    values = dict(zip(free, found.x[1:], strict=True))
    blur, noise = values.get("blur", 0.0), values.get("noise", 0.0) * unit
    rms = float(np.sqrt(np.mean(found.fun**2)))
    return SpectrumFit(
        blur_px=_sigma_of(blur),
        noise=float(np.sign(noise) * np.sqrt(abs(noise))),
        magnification=float(zoom),
        moved=tuple(model),
        rms=rms,
        rms_before=rms,
    )


def _kept_power(variance):
    """Share of the power in each ring that a Gaussian blur leaves, or brings back below 0.

    The kernel is sampled at pixels, so that a narrow one leaves more than the Gaussian of theory,
    and has a smaller variance than its sigma says.
    """
    variances, table = _tabulate_kept_power()
    place = np.interp(abs(variance), variances, np.arange(len(variances)))
    low = min(int(place), len(variances) - 2)
    kept = np.exp(table[low] + (place - low) * (table[low + 1] - table[low]))
    return kept if variance >= 0 else 1 / kept


def _sigma_of(variance):
    """Sigma of the blur whose sampled kernel has a variance; negative for a negative one."""
    return float(np.sign(variance) * np.interp(abs(variance), _tabulate_kept_power()[0], _SIGMAS))


@cache
def _tabulate_kept_power():
    """Variances of sampled kernels at `_SIGMAS`, (V,), and logarithms of power kept, (V, 32)."""
    frequency = np.linspace(0, 0.5, 129)
    ring = (np.hypot(frequency[:, None], frequency) * 2 * N_BANDS).astype(int)
    ring = np.minimum(ring, N_BANDS).ravel()
    count = np.bincount(ring, minlength=N_BANDS + 1)[:N_BANDS]
    reach = np.arange(-24, 25)
    variances, rows = [], []
    for sigma in _SIGMAS:
        kernel = np.exp(-(reach**2) / (2 * sigma**2 + 1e-9))
        kernel /= kernel.sum()
        response = np.cos(2 * np.pi * frequency[:, None] * reach) @ kernel
        power = np.outer(response, response).ravel() ** 2
        sums = np.bincount(ring, weights=power, minlength=N_BANDS + 1)[:N_BANDS]
        variances.append(reach**2 @ kernel)
        rows.append(np.log(sums / count + 1e-12))
    return np.array(variances), np.stack(rows)


def _log(power):
    """Logarithm of power, with what rounding to 8 bits leaves as the floor."""
    return np.log(np.maximum(power, 0) + _FLOOR)


def _scatter(source, target):
    """Root mean square by which mean spectra differ by chance of their micrographs."""
    rows = [powers - powers[:, _FIRST:].mean(axis=1, keepdims=True) for powers in (source, target)]
    return chance_difference(rows[0][:, _FIRST:], rows[1][:, _FIRST:])
