"""How far apart two sets lie, for every way to divide them at once.

Each function takes one row a micrograph, (N, D), and the weights (B, N) that `weights_of` gives
source and target, with rows that sum to 1. It gives one value a division, (B,), so that a
permutation test costs a few products of matrices. Histograms hold shares of the pixels.
"""

import numpy as np


def wasserstein(histograms, source, target):
    """Wasserstein-1 distance of the pooled grey levels, of the grey range [1]."""
    return np.abs(_cumulative_difference(histograms, source, target)).mean(axis=1)


def kolmogorov_smirnov(histograms, source, target):
    """Largest difference of the pooled distributions [1]."""
    return np.abs(_cumulative_difference(histograms, source, target)).max(axis=1)


def jensen_shannon(histograms, source, target):
    """Jensen-Shannon divergence of the pooled grey levels [bit]."""
    p, q = source @ histograms, target @ histograms
    middle = (p + q) / 2
    return (_divergence(p, middle) + _divergence(q, middle)) / 2


def chi_square(histograms, source, target):
    """Half the sum of squared differences over sums [1]."""
    p, q = source @ histograms, target @ histograms
    return 0.5 * ((p - q) ** 2 / np.maximum(p + q, 1e-12)).sum(axis=1)


def mean_difference(values, source, target):
    """Root mean square over columns of the difference of means."""
    return np.sqrt((((source - target) @ values) ** 2).mean(axis=1))


def squared_mmd(values, source, target):
    """Unbiased squared maximum mean discrepancy [1]_, Gaussian kernel of median width.

    References
    ----------
    .. [1] Gretton, A. et al. (2012). J. Mach. Learn. Res. 13, 723.
    """
    squared = _squared_distances(values)
    positive = squared[squared > 0]
    width = np.median(positive) if positive.size else 1.0
    kernel = np.exp(-squared / width)
    return _contrast(kernel, source, target)


def energy_distance(values, source, target):
    """Energy distance [1]_: twice the distance between sets, less the distances within.

    References
    ----------
    .. [1] Szekely, G. & Rizzo, M. (2013). J. Stat. Plan. Inference 143, 1249.
    """
    return -_contrast(np.sqrt(_squared_distances(values)), source, target)


def frechet_distance(values, source, target):
    """Frechet distance of normal distributions with diagonal covariance, per column.

    The full covariance needs more micrographs than columns and is badly biased below.
    """
    means = [weights @ values for weights in (source, target)]
    squares = [weights @ values**2 for weights in (source, target)]
    spreads = [
        np.sqrt(np.maximum(square - mean**2, 0))
        for mean, square in zip(means, squares, strict=True)
    ]
    return ((means[0] - means[1]) ** 2 + (spreads[0] - spreads[1]) ** 2).mean(axis=1)


def largest_ks(values, source, target):
    """Largest Kolmogorov-Smirnov distance over columns, micrographs being the sample.

    With softmax means as columns this is black-box shift detection [1]_; taking the largest makes
    one test of all classes.

    References
    ----------
    .. [1] Rabanser, S. et al. (2019). NeurIPS, arXiv:1810.11953.
    """
    largest = np.zeros(len(source))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        steps = np.cumsum((source - target)[:, order], axis=1)
        ends = np.append(column[order][1:] != column[order][:-1], True)  # ties move together
        largest = np.maximum(largest, np.abs(steps[:, ends]).max(axis=1))
    return largest


def standardise(values):
    """Columns with mean 0 and spread 1 over all micrographs; constant ones are left out.

    Where none varies, as between a micrograph and its copy, one column of zeros is left: all lie in
    one place.
    """
    values = np.asarray(values, float)
    spread = values.std(axis=0)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(values).max(axis=0))
    if not varies.any():
        return np.zeros((len(values), 1))
    return (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies]


def principal_components(vectors):
    """First two principal components of rows, (N, 2), and the share of variance of each [1].

    Signs are fixed; a component that is not there is 0.
    """
    centred = vectors - vectors.mean(axis=0)
    left, size, right = np.linalg.svd(centred, full_matrices=False)
    n = min(2, len(size))
    turn = np.sign(right[np.arange(n), np.abs(right[:n]).argmax(axis=1)])
    points = np.zeros((len(vectors), 2))
    points[:, :n] = left[:, :n] * size[:n] * turn
    total = max(float((size**2).sum()), 1e-12)
    return points, [float(size[k] ** 2 / total) if k < n else 0.0 for k in range(2)]


def _cumulative_difference(histograms, source, target):
    return (source - target) @ np.cumsum(histograms, axis=1)


def _divergence(p, q):
    ratio = np.divide(p, q, out=np.ones_like(p), where=(p > 0) & (q > 0))
    return (p * np.log2(ratio)).sum(axis=1)


def _squared_distances(values):
    norms = (values**2).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms - 2 * values @ values.T, 0)
    np.fill_diagonal(squared, 0)  # rounding would leave something above it
    return squared


def _contrast(kernel, source, target):
    """Mean within source plus mean within target less twice the mean between, without diagonal."""
    kernel = kernel.copy()
    np.fill_diagonal(kernel, 0.0)
    within = [_within(kernel, weights) for weights in (source, target)]
    between = ((source @ kernel) * target).sum(axis=1)
    return within[0] + within[1] - 2 * between


def _within(kernel, weights):
    n = (weights > 0).sum(axis=1)
    total = ((weights @ kernel) * weights).sum(axis=1)
    return total * n / np.maximum(n - 1, 1)
