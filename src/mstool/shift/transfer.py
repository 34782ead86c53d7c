"""Which change of grey levels, or of phase fractions, turns one set into the other."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from mstool.shift.scatter import chance_difference

LEVELS = np.linspace(0.01, 0.99, 99)  # shares of the pixels at which grey levels are compared

_CLIPPED = 0.003  # grey levels as close as this to black or white say nothing
_FITS_BELOW = 2.5  # of the scatter between micrographs: the fit is as good as can be told
_LEAST_SCATTER = 0.004
_GREYS, _PHASES = ("gamma", "gain", "offset"), "phases"
_MODELS = (  # from simple to rich; the best of the first size that fits is taken
    ((),),
    ((_PHASES,), ("gamma",), ("gain",), ("offset",)),
    (("gain", "offset"), ("gamma", _PHASES)),
    (("gamma", "gain", "offset"), ("gain", "offset", _PHASES)),
    (("gamma", "gain", "offset", _PHASES),),
)


@dataclass(frozen=True)
class Transfer:
    """Target grey = offset + gain x (source grey) ** gamma, of source phases in other shares.

    Attributes
    ----------
    gamma, gain : float
        Exponent and factor [1]; 1 where nothing changed.
    offset : float
        Of the grey range [1]; 0 where nothing changed.
    fractions : tuple of float
        Phase fractions of the target [1]; empty where phases of the source are not known.
    moved : tuple of str
        What had to be changed: some of gamma, gain, offset, phases.
    rms : float
        What is left of the difference of grey levels, of the grey range [1].
    rms_before : float
        What there was [1].
    is_explained : bool
        Whether what is left is no more than micrographs of one set differ by.
    """

    gamma: float = 1.0
    gain: float = 1.0
    offset: float = 0.0
    fractions: tuple[float, ...] = ()
    moved: tuple[str, ...] = ()
    rms: float = 0.0
    rms_before: float = 0.0
    is_explained: bool = True

    def apply(self, grey):
        """Source grey levels as the target shows them, clipped to 0 and 1."""
        return np.clip(self.offset + self.gain * np.clip(grey, 0, 1) ** self.gamma, 0, 1)

    def invert(self, grey):
        """Target grey levels as the source shows them, clipped to 0 and 1."""
        base = np.clip((np.asarray(grey) - self.offset) / self.gain, 0, 1)
        return base ** (1 / self.gamma)


def quantiles(histogram, levels=LEVELS):
    """Grey level below which a share of the pixels lies, interpolated inside bins.

    Parameters
    ----------
    histogram : ndarray of float, shape (L,)
        Shares of the pixels.
    levels : ndarray of float, shape (Q,)
        Shares asked for.

    Returns
    -------
    ndarray of float64, shape (Q,)
        0 to 1.
    """
    edges = np.linspace(0, 1, len(histogram) + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(histogram)])
    # flat parts have no inverse; a slope too small to matter gives them one
    rising = cumulative / max(cumulative[-1], 1e-12) + 1e-12 * np.arange(len(cumulative))
    return np.interp(levels, rising, edges)


def fit_transfer(source, target, phases=None, fractions=()):
    """Fit the simplest change that explains the target within the scatter of micrographs.

    Parameters
    ----------
    source, target : ndarray of float, shape (n, L) and (m, L)
        Grey histogram of each micrograph.
    phases : ndarray of float, shape (K, L), optional
        Histogram of each phase of the source, summing to 1, or all 0 for a phase that is not there.
    fractions : sequence of float, length K
        Phase fractions of the source.

    Returns
    -------
    Transfer
        The fit.
    """
    have, want = quantiles(source.mean(axis=0)), quantiles(target.mean(axis=0))
    before = _rms(have - want)
    scatter = max(_LEAST_SCATTER, _scatter(source, target))
    identity = Transfer(fractions=tuple(fractions), rms=before, rms_before=before)
    best = identity
    for models in _MODELS:
        usable = [m for m in models if _PHASES not in m or (phases is not None and fractions)]
        fits = [_fit_model(m, have, want, phases, identity) if m else identity for m in usable]
        fit = min(fits, key=lambda found: found.rms, default=best)
        best = fit if fit.rms < 0.8 * best.rms else best
        if best.rms <= _FITS_BELOW * scatter:
            return best
    return replace(best, is_explained=False)


def fit_named(names, source, target, phases=None, fractions=()):
    """Fit given parameters, however good the result is; arguments as for `fit_transfer`."""
    have, want = quantiles(source.mean(axis=0)), quantiles(target.mean(axis=0))
    before = _rms(have - want)
    identity = Transfer(fractions=tuple(fractions), rms=before, rms_before=before)
    return _fit_model(tuple(names), have, want, phases, identity) if names else identity


def transfer_intervals(fit, source, target, seed, phases=None, fractions=(), n_resamples=100):
    """Intervals of the fit over micrographs: the same parameters, fitted to resamples.

    Where nothing had to be changed, gamma alone, and gain with offset, tell how well that is known.

    Returns
    -------
    dict of str to (float, float)
        2.5 and 97.5 percentiles of gamma, gain, offset, widened to what was fitted where that is
        outside, and under ``phases`` a list of them; NaN where a set has one micrograph.
    """
    if min(len(source), len(target)) < 2:
        return dict.fromkeys(_GREYS, (float("nan"),) * 2)
    rng = np.random.default_rng(seed)
    asked = {name: fit.moved for name in (*_GREYS, _PHASES) if name in fit.moved}
    asked.setdefault("gamma", (*fit.moved, "gamma") if fit.moved in ((), (_PHASES,)) else fit.moved)
    for name in ("gain", "offset"):
        alone = fit.moved in ((), (_PHASES,))
        asked.setdefault(name, (*fit.moved, "gain", "offset") if alone else fit.moved)
    draws: dict[str, list] = {name: [] for name in asked}
    for _ in range(n_resamples):
        ours = source[rng.integers(0, len(source), len(source))]
        theirs = target[rng.integers(0, len(target), len(target))]
        found = {
            names: fit_named(names, ours, theirs, phases, fractions)
            for names in set(asked.values())
        }
        for name, names in asked.items():
            part = found[names]
            draws[name].append(part.fractions if name == _PHASES else getattr(part, name))
    intervals = {}
    for name, values in draws.items():
        low, high = np.percentile(np.array(values), [2.5, 97.5], axis=0)
        taken = np.array(fit.fractions) if name == _PHASES else getattr(fit, name)
        intervals[name] = np.stack([np.minimum(low, taken), np.maximum(high, taken)], -1).tolist()
    return intervals


def _fit_model(model, have, want, phases, identity):
    greys = [name for name in _GREYS if name in model]
    with_phases = _PHASES in model
    known = (want > _CLIPPED) & (want < 1 - _CLIPPED)
    if known.sum() < 10:
        return identity
    start_fractions = np.maximum(np.array(identity.fractions), 1e-3) if with_phases else None

    def unpack(parameters):
        values = dict(zip(greys, parameters, strict=False))
        if "gamma" in values:
            values["gamma"] = float(np.exp(values["gamma"]))
        if "gain" in values:
            values["gain"] = float(np.exp(values["gain"]))
        if not with_phases:
            return replace(identity, moved=tuple(model), **values), have
        logits = np.append(parameters[len(greys) :], 0.0)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        mixed = quantiles(shares @ phases)
        return replace(identity, moved=tuple(model), fractions=tuple(shares), **values), mixed

    def residual(parameters):
        candidate, base = unpack(parameters)
        grey = candidate.offset + candidate.gain * base**candidate.gamma
        return (np.clip(grey, 0, 1) - want)[known]

    start = [0.0] * len(greys)
    if with_phases:
        start += list(np.log(start_fractions[:-1] / start_fractions[-1]))
    limits = {"gamma": 2.0, "gain": 2.5, "offset": 1.0}
    bound = np.array([limits[name] for name in greys] + [9.0] * (len(start) - len(greys)))
    start = np.clip(start, -bound + 1e-6, bound - 1e-6)
    found = least_squares(residual, start, bounds=(-bound, bound), loss="soft_l1", f_scale=0.02)
    fit, base = unpack(found.x)
    left = np.clip(fit.offset + fit.gain * base**fit.gamma, 0, 1) - want
    fit = replace(fit, **{name: float(getattr(fit, name)) for name in _GREYS})
    return replace(fit, rms=_rms(left[known]), fractions=tuple(map(float, fit.fractions)))


def _scatter(source, target):
    """Root mean square by which quantiles of the sets differ by chance of their micrographs."""
    rows = [np.array([quantiles(histogram) for histogram in side]) for side in (source, target)]
    return chance_difference(*rows)


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
