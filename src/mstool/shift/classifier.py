"""Whether a simple classifier can tell micrographs of two sets apart."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mstool.scores.metrics import nan_mean

_N_FOLDS, _N_REPEATS, _RIDGE = 4, 5, 1.0
_LEAST_UNITS = 3


@dataclass(frozen=True)
class Separation:
    """How well sets can be told apart, for every way to divide them: (B,) each.

    An area of 0.5 is chance, but with few micrographs it scatters so widely that only its
    permutation p says anything.
    """

    auc: np.ndarray  # area under the ROC curve on folds left out [1]
    balanced_error: np.ndarray  # mean of the two error rates [1]

    @property
    def proxy_a_distance(self) -> np.ndarray:
        """2 (1 - 2 error) [1]_: 0 where sets cannot be told apart, 2 where they always can.

        References
        ----------
        .. [1] Ben-David, S. et al. (2010). Mach. Learn. 79, 151.
        """
        return 2 * (1 - 2 * self.balanced_error)


def separate(values, unit, sides, seed) -> Separation:
    """Ridge classifier on folds of whole units, for every way to divide them.

    Its scores are linear in the sides, so that all divisions cost one product of matrices. Columns
    are standardised inside each fold of training. All is NaN for fewer than three units on a side;
    the area is also NaN where no fold holds both sides.

    Parameters
    ----------
    values : ndarray of float, shape (N, D)
        What is known of each micrograph.
    unit, sides
        As in `Division`; no fold divides a unit.
    seed : int
        Of the folds.
    """
    if min(sides[0].sum(), (~sides[0]).sum()) < _LEAST_UNITS:
        return Separation(*np.full((2, len(sides)), np.nan))
    rng = np.random.default_rng(seed)
    is_source = sides[:, unit]
    truth = np.where(is_source, 1.0, -1.0)
    areas, errors = [], []
    for _ in range(_N_REPEATS):
        fold_of = rng.permutation(np.arange(sides.shape[1]) % _N_FOLDS)[unit]
        scores = np.zeros(truth.shape)
        for fold in range(_N_FOLDS):
            test = fold_of == fold
            if not test.any() or test.all():
                continue
            weights = _ridge(values[~test], values[test])
            # the mean off: both sides weigh the same, whatever their number
            centred = truth[:, ~test] - truth[:, ~test].mean(axis=1, keepdims=True)
            scores[:, test] = centred @ weights.T
            areas.append(_area(scores[:, test], is_source[:, test]))
        errors.append(_balanced_error(scores, is_source))
    return Separation(*(nan_mean(np.array(rows), axis=0) for rows in (areas, errors)))


def _ridge(train, test):
    """Matrix that turns the sides of the training rows into scores of the test rows."""
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 1e-9, spread, np.inf)
    a, b = (train - mean) / spread, (test - mean) / spread
    scale = max(1, a.shape[1])
    kernel = a @ a.T / scale
    return b @ a.T / scale @ np.linalg.inv(kernel + _RIDGE * np.eye(len(a)))


def _area(scores, is_source):
    """Probability that a source micrograph scores above a target one, ties counting half."""
    ranks = rankdata(scores, axis=1)
    n, m = is_source.sum(axis=1), (~is_source).sum(axis=1)
    excess = (ranks * is_source).sum(axis=1) - n * (n + 1) / 2
    return np.divide(excess, n * m, out=np.full(len(scores), np.nan), where=n * m > 0)


def _balanced_error(scores, is_source):
    wrong = np.where(is_source, scores <= 0, scores > 0)
    rates = [
        (wrong & side).sum(axis=1) / np.maximum(side.sum(axis=1), 1)
        for side in (is_source, ~is_source)
    ]
    return np.mean(rates, axis=0)
