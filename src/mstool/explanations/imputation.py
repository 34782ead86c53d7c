"""Remove pixels so that nothing tells where they were."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

_NEIGHBOURS = tuple(
    (row, col, 1 / 6 if 0 in (row, col) else 1 / 12)
    for row in (-1, 0, 1)
    for col in (-1, 0, 1)
    if (row, col) != (0, 0)
)


def impute(image, removed, *, noise=0.0, rng=None):
    """Fill removed pixels in from around them: each is the weighted mean of its eight neighbours.

    Parameters
    ----------
    removed : ndarray of bool, shape (H, W)
        Pixels to fill.
    noise : float
        Standard deviation of the noise on them [grey].
    rng : numpy.random.Generator, optional
        For the noise.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        Other pixels as they were; the mean of the image if all are removed.

    References
    ----------
    .. [1] Rong, Y. et al. (2022). A consistent and efficient evaluation strategy for attribution
       methods (ROAD). ICML, arXiv:2202.00449.
    """
    filled = np.array(image, np.float32)
    n_removed = int(removed.sum())
    if n_removed == removed.size:
        filled[:] = image.mean(axis=(0, 1))
    elif n_removed:
        filled[removed] = _solve(image.astype(np.float64), removed)
    if noise and n_removed:
        filled[removed] += noise * rng.standard_normal((n_removed, image.shape[2]))
    return filled


def _solve(image, removed):
    """Greys of the removed pixels, float64 (n, C)."""
    number = np.full(removed.shape, -1)
    rows, cols = np.nonzero(removed)
    own = np.arange(len(rows))
    number[rows, cols] = own
    total, right = np.zeros(len(own)), np.zeros((len(own), image.shape[2]))
    entries = []
    for down, across, weight in _NEIGHBOURS:
        row, col = rows + down, cols + across
        inside = (row >= 0) & (row < removed.shape[0]) & (col >= 0) & (col < removed.shape[1])
        total += weight * inside
        who, row, col = own[inside], row[inside], col[inside]
        other = number[row, col]
        known = other < 0
        np.add.at(right, who[known], weight * image[row[known], col[known]])
        entries.append((who[~known], other[~known], np.full((~known).sum(), -weight)))
    entries.append((own, own, total))
    at, of, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = sparse.csc_array((values, (at, of)), shape=(len(own), len(own)))
    return splu(matrix).solve(right)
