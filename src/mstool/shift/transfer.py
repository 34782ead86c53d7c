"""Which change of grey levels, or of phase fractions, turns one set into the other."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from mstool.chance.resampling import chance_difference, interval_around, resample_sets

PHASES = "phases"

_SHARES = np.linspace(0.01, 0.99, 99)  # of the pixels, at which grey levels are compared
_CLIPPED = 0.003  # grey levels as close as this to black or white say nothing
_FITS_BELOW = 2.5  # of the scatter between micrographs: the fit is as good as can be told
_LEAST_SCATTER = 0.004
_GREYS = ("gamma", "gain", "offset")
_MODELS = (  # from simple to rich; the best of the first size that fits is taken
    ((),),
    ((PHASES,), ("gamma",), ("gain",), ("offset",)),
    (("gain", "offset"), ("gamma", PHASES)),
    (_GREYS, ("gain", "offset", PHASES)),
    ((*_GREYS, PHASES),),
)


@dataclass(frozen=True)
class Transfer:
    """Target grey = offset + gain x (source grey) ** gamma, of source phases in other shares.

    It is explained if what is left is no more than micrographs of one set differ by.
    """

    gamma: float = 1.0
    gain: float = 1.0
    offset: float = 0.0  # of the grey range [1]
    fractions: tuple[float, ...] = ()  # of phases in the target; empty where these are not known
    moved: tuple[str, ...] = ()  # what had to be changed: some of gamma, gain, offset, phases
    rms: float = 0.0  # what is left of the difference of grey levels, of the grey range [1]
    rms_before: float = 0.0  # what there was
    is_explained: bool = True

    @property
    def greys_moved(self) -> bool:
        """Whether a curve of grey levels had to be changed."""
        return bool(set(self.moved) & set(_GREYS))

    def apply(self, grey):
        """Source grey levels as the target shows them, clipped to 0 and 1."""
        return np.clip(self.offset + self.gain * np.clip(grey, 0, 1) ** self.gamma, 0, 1)

    def invert(self, grey):
        """Target grey levels as the source shows them, clipped to 0 and 1."""
        base = np.clip((np.asarray(grey) - self.offset) / self.gain, 0, 1)
        return base ** (1 / self.gamma)


def quantiles(histogram, shares=_SHARES):
    """Grey levels, (Q,), below which shares of the pixels lie, interpolated inside bins."""
    edges = np.linspace(0, 1, len(histogram) + 1)
    cumulative = np.concatenate([[0.0], np.cumsum(histogram)])
    # flat parts have no inverse; a slope too small to matter gives them one
    rising = cumulative / max(cumulative[-1], 1e-12) + 1e-12 * np.arange(len(cumulative))
    return np.interp(shares, rising, edges)


def fit_transfer(source, target, phases=None, fractions=()) -> Transfer:
    """Fit the simplest change that explains the target within the scatter of micrographs.

    Parameters
    ----------
    source, target : ndarray of float, shape (n, L) and (m, L)
        Grey histogram of each micrograph.
    phases : ndarray of float, shape (K, L), optional
        Histogram of each phase of the source, summing to 1, or all 0 for a phase that is not there.
    fractions : sequence of float, length K
        Phase fractions of the source.
    """
    have, want, identity = _compare(source, target, fractions)
    scatter = max(_LEAST_SCATTER, _scatter(source, target))
    best = identity
    for models in _MODELS:
        usable = [m for m in models if PHASES not in m or (phases is not None and fractions)]
        fits = [_fit_model(m, have, want, identity, phases) if m else identity for m in usable]
        fit = min(fits, key=lambda found: found.rms, default=best)
        best = fit if fit.rms < 0.8 * best.rms else best
        if best.rms <= _FITS_BELOW * scatter:
            return best
    return replace(best, is_explained=False)


def transfer_intervals(fit, source, target, seed, phases=None, fractions=(), n_resamples=100):
    """Intervals of gamma, gain and offset, (2,), and of ``phases``, (K, 2), where these moved.

    The same parameters are fitted to resamples. Where no grey level had to be changed, gamma alone,
    and gain with offset, tell how well that is known.
    """
    if min(len(source), len(target)) < 2:
        return dict.fromkeys(_GREYS, (float("nan"),) * 2)
    asked = dict.fromkeys(_GREYS, fit.moved)
    if not fit.greys_moved:
        both = (*fit.moved, "gain", "offset")
        asked = {"gamma": (*fit.moved, "gamma"), "gain": both, "offset": both}
    if PHASES in fit.moved:
        asked[PHASES] = fit.moved
    draws = []
    for drawn in resample_sets(source, target, n_resamples, seed):
        seen = _compare(*drawn, fractions)
        draws.append({names: _fit_model(names, *seen, phases) for names in set(asked.values())})
    return {
        name: interval_around(_value_of(fit, name), [_value_of(one[names], name) for one in draws])
        for name, names in asked.items()
    }


def _compare(source, target, fractions):
    """Quantiles of both sets, and the transfer that changes nothing."""
    have, want = quantiles(source.mean(axis=0)), quantiles(target.mean(axis=0))
    before = _rms(have - want)
    return have, want, Transfer(fractions=tuple(fractions), rms=before, rms_before=before)


def _value_of(fit, name):
    return fit.fractions if name == PHASES else getattr(fit, name)


def _fit_model(model, have, want, identity, phases):
    greys = [name for name in _GREYS if name in model]
    with_phases = PHASES in model
    known = (want > _CLIPPED) & (want < 1 - _CLIPPED)
    if known.sum() < 10:
        return identity

    def unpack(parameters):
        """Transfer, and what it leaves where grey levels say something."""
        values = dict(zip(greys, map(float, parameters), strict=False))
        for name in {"gamma", "gain"} & set(greys):
            values[name] = float(np.exp(values[name]))
        fit, base = replace(identity, moved=model, **values), have
        if with_phases:
            logits = np.append(parameters[len(greys) :], 0.0)
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            fit, base = replace(fit, fractions=tuple(shares.tolist())), quantiles(shares @ phases)
        return fit, (fit.apply(base) - want)[known]

    start = [0.0] * len(greys)
    if with_phases:
        there = np.maximum(np.array(identity.fractions), 1e-3)
        start += list(np.log(there[:-1] / there[-1]))
    limits = {"gamma": 2.0, "gain": 2.5, "offset": 1.0}
    bound = np.array([limits[name] for name in greys] + [9.0] * (len(start) - len(greys)))
    start = np.clip(start, -bound + 1e-6, bound - 1e-6)
    found = least_squares(
        lambda values: unpack(values)[1],
        start,
        bounds=(-bound, bound),
        loss="soft_l1",
        f_scale=0.02,
    )
    fit, left = unpack(found.x)
    return replace(fit, rms=_rms(left))


def _scatter(source, target):
    """Root mean square by which quantiles of the sets differ by chance of their micrographs."""
    rows = [np.array([quantiles(histogram) for histogram in side]) for side in (source, target)]
    return chance_difference(*rows)


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
