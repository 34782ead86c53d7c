"""What fills the cells: laths, lamellae.

Both are stripes across a cell, drawn from the phase of each pixel: how many stripes lie between it
and the image corner, in the direction of its cell. They are drawn at n pixels `where`, a tuple of
rows and columns [px], in the cells `cell`; `waviness` shifts the stripes sideways [px].
"""

from dataclasses import dataclass

import numpy as np

from mstool.phantoms.smooth_noise import smooth_noise, standardise

N_TABLE = 4093  # prime, so that neighbouring cells read unrelated parts of a random table


@dataclass(frozen=True)
class Stripes:
    """Stripes of one class at its pixels, float64 (n,) each."""

    grey: np.ndarray  # with mean 0 and standard deviation 1
    edge_distance_px: np.ndarray  # to the nearest edge of a stripe


def orient_packets(cell_region, rng):
    """Stripe direction of each cell: four variants around the orientation of its region.

    Parameters
    ----------
    cell_region : ndarray of int, shape (N,)
        Region of each cell; -1 for none.

    Returns
    -------
    ndarray of float64, shape (N,)
        Angle of the stripes from the column axis towards the row axis, clockwise on the screen
        [deg], 0 to 180.
    """
    base = rng.uniform(0, 180, size=cell_region.max() + 2)  # the last one serves region -1
    variant = rng.integers(0, 4, size=len(cell_region))
    wobble = rng.normal(0, 6, size=len(cell_region))
    return (base[cell_region] + 45.0 * variant + wobble) % 180.0


def stripe_phase(where, angle_deg, period_px, waviness):
    """Phase of each pixel [1], whose whole part counts stripes.

    Parameters
    ----------
    angle_deg, period_px : ndarray of float64, shape (n,)
        Direction, as `orient_packets` gives it [deg], and width [px] of the stripes at each pixel.

    Examples
    --------
    >>> row = np.array([0, 4, 8])
    >>> stripe_phase((row, row), np.zeros(3), np.full(3, 4.0), np.zeros(3))
    array([0., 1., 2.])
    """
    angle = np.deg2rad(angle_deg)
    across = where[0] * np.cos(angle) - where[1] * np.sin(angle)
    return (across + waviness) / period_px


def draw_laths(where, cell, angle_deg, width_px, edge_px, waviness, fading, rng) -> Stripes:
    """Laths of uneven width, each with its own grey, between dark edges with a bright flank.

    Parameters
    ----------
    angle_deg, width_px : ndarray of float64, shape (N,)
        Direction [deg] and mean lath width [px] of each packet.
    edge_px : float
        Thickness of the dark edge between laths [px].
    fading : ndarray of float64, shape (n,)
        Strength of the edges [1], 0 to 1.
    """
    width = width_px[cell]
    phase = stripe_phase(where, angle_deg[cell], width, waviness)
    table_start = rng.integers(0, N_TABLE, size=len(width_px))[cell]
    shift = rng.uniform(-0.3, 0.3, size=N_TABLE)
    tint = rng.uniform(-1.0, 1.0, size=N_TABLE)
    lath, below, above = locate_stripes(phase, table_start, shift)
    below, above = below * width, above * width
    dark = np.maximum(bell(below, edge_px), bell(above, edge_px))
    bright = bell(below - 1.2 * edge_px, edge_px)
    grey = tint[(lath + table_start) % N_TABLE] + fading * (bright - 2.4 * dark)
    return Stripes(standardise(grey), np.minimum(below, above))


def draw_lamellae(where, cell, angle_deg, spacing_px, dark_share, waviness) -> Stripes:
    """Regular alternating lamellae, all alike: ferrite bright, cementite dark.

    Parameters
    ----------
    angle_deg, spacing_px : ndarray of float64, shape (N,)
        Direction [deg] and interlamellar spacing [px] of each colony.
    dark_share : float
        Cementite thickness over the spacing [1].
    """
    spacing = spacing_px[cell]
    phase = stripe_phase(where, angle_deg[cell], spacing, waviness)
    from_middle = np.abs(phase - np.round(phase)) * spacing
    inside = dark_share * spacing / 2 - from_middle
    dark = np.clip(inside + 0.5, 0.0, 1.0)  # a pixel wide ramp: no jagged edges
    return Stripes(standardise(-dark), np.abs(inside))


def locate_stripes(phase, table_start, shift):
    """Which stripe of uneven width each pixel lies in, and how far from its two edges.

    Stripe ``i`` reaches from ``i + shift[i]`` to ``i + 1 + shift[i + 1]``.

    Parameters
    ----------
    phase : ndarray of float64, shape (n,)
        Phase of each pixel [1].
    table_start : ndarray of int, shape (n,)
        Where the stripes of the pixel's cell begin in `shift`.
    shift : ndarray of float64, shape (m,)
        Shift of each edge [1], smaller than 0.5; read as a ring.

    Returns
    -------
    stripe : ndarray of int64, shape (n,)
        Stripe number.
    below, above : ndarray of float64, shape (n,)
        Distance to its lower and upper edge [1], not negative.

    Examples
    --------
    >>> locate_stripes(np.array([0.1, 0.5]), np.array([0, 0]), np.array([0.25, 0.0]))
    (array([-1,  0]), array([1.1 , 0.25]), array([0.15, 0.5 ]))
    """
    stripe = np.floor(phase).astype(np.int64)
    stripe -= phase < stripe + shift[(stripe + table_start) % len(shift)]
    stripe += phase >= stripe + 1 + shift[(stripe + 1 + table_start) % len(shift)]
    below = phase - stripe - shift[(stripe + table_start) % len(shift)]
    above = stripe + 1 + shift[(stripe + 1 + table_start) % len(shift)] - phase
    return stripe, below, above


def bell(distance, width):
    """Gaussian line profile [1]: 1 on the line, a half at half the `width` from it."""
    return np.exp(-4.0 * np.log(2.0) * (distance / width) ** 2)


def wave_field(shape, period_px, amplitude, rng):
    """Sideways shift that makes stripes slightly wavy [px], float64 (H, W).

    Parameters
    ----------
    period_px : float
        Stripe width [px]; the waves are several times longer.
    amplitude : float
        rms shift as a share of the stripe width [1].
    """
    return amplitude * period_px * smooth_noise(shape, 4.0 * period_px, rng)
