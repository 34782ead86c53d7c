"""What lies on a real micrograph without belonging to a phase: precipitates and scratches."""

import numpy as np

from mstool.phantoms.laths import bell


def draw_precipitates(shape, n_precipitates, radius_px, rng):
    """Small round particles, dark or bright, anywhere in the image.

    Parameters
    ----------
    n_precipitates : int
        How many.
    radius_px : float
        Mean radius [px].

    Returns
    -------
    ndarray of float64, shape (H, W)
        Change of grey [1], 0 away from the particles.
    """
    change = np.zeros(shape)
    centres = rng.uniform((0, 0), shape, size=(n_precipitates, 2))
    radii = radius_px * rng.uniform(0.6, 1.4, size=n_precipitates)
    contrasts = rng.uniform(0.25, 0.45, size=n_precipitates)
    contrasts *= np.where(rng.random(n_precipitates) < 0.6, -1.0, 1.0)
    for (row, col), radius, contrast in zip(centres, radii, contrasts, strict=True):
        reach = int(np.ceil(radius + 1))
        rows = np.arange(max(0, int(row) - reach), min(shape[0], int(row) + reach + 1))
        cols = np.arange(max(0, int(col) - reach), min(shape[1], int(col) + reach + 1))
        distance = np.hypot(rows[:, np.newaxis] - row, cols - col)
        disc = np.clip(radius - distance + 0.5, 0.0, 1.0)
        spot = change[np.ix_(rows, cols)]
        change[np.ix_(rows, cols)] = np.where(disc > 0, contrast * disc, spot)
    return change


def draw_scratches(shape, n_scratches, width_px, rng):
    """Long thin straight lines across the whole image, dark or bright.

    Parameters
    ----------
    n_scratches : int
        How many.
    width_px : float
        Largest full width at half height [px].

    Returns
    -------
    change : ndarray of float64, shape (H, W)
        Change of grey [1].
    angles_deg : list of float
        Direction of each scratch, from the column axis towards the row axis [deg].
    """
    change = np.zeros(shape)
    rows, cols = np.indices(shape, sparse=True)
    angles = []
    for _ in range(n_scratches):
        row, col = rng.uniform(0.1, 0.9, size=2) * shape
        angle = rng.uniform(0, 180)
        width = max(1.0, width_px * rng.uniform(0.4, 1.0))
        contrast = rng.choice([-0.22, 0.25]) * rng.uniform(0.6, 1.0)
        turn = np.deg2rad(angle)
        distance = (rows - row) * np.cos(turn) - (cols - col) * np.sin(turn)
        change += contrast * bell(distance, width)
        angles.append(float(angle))
    return change, angles
