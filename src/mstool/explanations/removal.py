"""Pixels taken away, given back or perturbed, in the order in which a map calls them important."""

from dataclasses import dataclass

import numpy as np

from mstool.explanations.imputation import impute

ROAD_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
CURVE_SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)

# What the values of a map are: shares of the decision, gradients, or their absolute values.
SHARE, GRADIENT, STEEPNESS = "share", "gradient", "steepness"


@dataclass(frozen=True)
class RemovalCurves:
    """Probability of the class while pixels are taken away, or given back; float64 (n,) each."""

    shares: np.ndarray  # of the window that was changed [1], from 0
    deletion: np.ndarray  # [1], most relevant pixels first
    insertion: np.ndarray  # likewise

    @property
    def areas(self):
        """Mean height of both curves [1]: (deletion, insertion)."""
        span = self.shares[-1] - self.shares[0]
        return tuple(
            float(np.trapezoid(curve, self.shares) / span)
            for curve in (self.deletion, self.insertion)
        )


def order_pixels(attribution, window, rng):
    """Pixels of a window, most relevant first, equal ones in random order; int64 (n,), flattened.

    Many maps are zero over most of an image; a threshold would remove all of that at once.
    """
    pixels = rng.permutation(np.flatnonzero(window))
    return pixels[np.argsort(-attribution.ravel()[pixels], kind="stable")]


def removal_mask(order, share, shape, *, least_first=False):
    """Mask with exactly ``round(share * n)`` pixels, most or least relevant first."""
    n_removed = round(share * len(order))
    chosen = order[::-1][:n_removed] if least_first else order[:n_removed]
    mask = np.zeros(shape, bool)
    mask.ravel()[chosen] = True
    return mask


def road_score(image, attribution, window, predict, rng, *, shares=ROAD_SHARES, noise=0.0) -> float:
    """Probability left when the least relevant pixels go, minus when the most relevant go, halved.

    Parameters
    ----------
    predict : callable
        Images (N, H, W, C) to the mean probability of the class on the region, (N,).
    shares : sequence of float
        Of the window that go [1]; the result is the mean over them.
    noise : float
        Standard deviation of the noise on filled pixels [grey].

    Returns
    -------
    float
        Above 0 for a map that knows; about 0 for a random one.

    References
    ----------
    .. [1] Rong, Y. et al. (2022). ICML, arXiv:2202.00449.
    """
    order = order_pixels(attribution, window, rng)
    changed = [
        impute(
            image, removal_mask(order, share, window.shape, least_first=least), noise=noise, rng=rng
        )
        for least in (True, False)
        for share in shares
    ]
    left = predict(np.stack(changed)).reshape(2, -1)
    return float((left[0] - left[1]).mean() / 2)


def deletion_insertion(
    image, blurred, attribution, window, predict, rng, *, shares=CURVE_SHARES
) -> RemovalCurves:
    """Blur the most relevant pixels away, and give them back to a blurred image.

    Parameters
    ----------
    blurred : ndarray of float32, shape (H, W, C)
        The image, blurred.
    predict : callable
        As for `road_score`.
    shares : sequence of float
        Of the window [1].

    Returns
    -------
    RemovalCurves
        Both curves, with the unchanged images in front.

    References
    ----------
    .. [1] Petsiuk, V. et al. (2018). BMVC, arXiv:1806.07421.
    """
    order = order_pixels(attribution, window, rng)
    start = np.where(window[..., None], blurred, image)
    images = [image, start]
    for share in shares:
        gone = removal_mask(order, share, window.shape)[..., None]
        images += [np.where(gone, blurred, image), np.where(gone, image, start)]
    found = predict(np.stack(images)).reshape(-1, 2)
    return RemovalCurves(np.array([0.0, *shares]), found[:, 0], found[:, 1])


def draw_perturbations(shape, window, n, rng, *, least_px=4, most_px=12):
    """Random squares with centres in a window: bool (n, H, W)."""
    centres = rng.choice(np.flatnonzero(window), size=n)
    rows, cols = np.unravel_index(centres, shape)
    edges = rng.integers(least_px, most_px + 1, size=n)
    masks = np.zeros((n, *shape), bool)
    for mask, row, col, edge in zip(masks, rows, cols, edges, strict=True):
        top, left = max(0, row - edge // 2), max(0, col - edge // 2)
        mask[top : top + edge, left : left + edge] = True
    return masks


def perturbation_sizes(masks, change):
    """What each kind of map is multiplied with, to foretell what perturbations do.

    A share holds the grey of its pixel already, and goes with it; a gradient wants to know by how
    much the grey changed [1]_, and an absolute one cannot know which way.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, H, W)
        Pixels that each perturbation takes away.
    change : ndarray of float, shape (n, H, W)
        Grey before, less grey after.

    Returns
    -------
    dict of str to ndarray, shape (n, H, W)
        By `SHARE`, `GRADIENT` and `STEEPNESS`.

    References
    ----------
    .. [1] Yeh, C. et al. (2019). NeurIPS, arXiv:1901.09392.
    """
    return {SHARE: masks, GRADIENT: change, STEEPNESS: np.abs(change)}


def infidelity_ratio(products, drops) -> float:
    """Share of the drops that a map does not foretell.

    Parameters
    ----------
    products : ndarray of float, shape (n,)
        Sum over pixels of attribution times what it is to be multiplied with, see
        `perturbation_sizes`.
    drops : ndarray of float, shape (n,)
        Drop of the target under each perturbation.

    Returns
    -------
    float
        Infidelity [1]_ with the best scale of the map, over that of a map of zeros; which is
        ``1 - cos^2`` of the two vectors: 0 foretold exactly, 1 not at all, NaN without drops or
        for a map with NaN. The sign of a map does not count; ROAD sees it.

    References
    ----------
    .. [1] Yeh, C. et al. (2019). NeurIPS, arXiv:1901.09392.

    Examples
    --------
    >>> infidelity_ratio(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    0.0
    >>> infidelity_ratio(np.zeros(2), np.array([2.0, 4.0]))
    1.0
    """
    lengths = float((products**2).sum() * (drops**2).sum())
    if not (drops**2).sum() > 0 or np.isnan(lengths):
        return float("nan")
    if not lengths > 0:
        return 1.0
    return float(np.clip(1.0 - (products @ drops) ** 2 / lengths, 0.0, 1.0))
