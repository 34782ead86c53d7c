"""What fills the cells of one image, class by class."""

from dataclasses import dataclass

import numpy as np

from mstool.phantoms.laths import draw_lamellae, draw_laths, orient_packets, wave_field
from mstool.phantoms.settings import BAINITE
from mstool.phantoms.smooth_noise import mottle_noise, smooth_noise


@dataclass(frozen=True)
class Texture:
    """What fills the cells of one image.

    Attributes
    ----------
    grey : ndarray of float64, shape (H, W)
        Texture with mean 0 in every class, in units of the rms texture of the stripes.
    edge_distance_px : ndarray of float64, shape (H, W)
        Distance to the nearest lath or lamella edge [px]; infinite in ferrite.
    angle_deg : ndarray of float64, shape (N,)
        Stripe direction of each cell [deg]; means nothing in ferrite.
    period_um : ndarray of float64, shape (N,)
        Lath width or interlamellar spacing of each cell [um]; NaN in ferrite.
    """

    grey: np.ndarray
    edge_distance_px: np.ndarray
    angle_deg: np.ndarray
    period_um: np.ndarray


def draw_texture(settings, cells, rng):
    """Mottled ferrite, bainite laths and pearlite lamellae.

    Parameters
    ----------
    settings : PhantomSettings
        Their sizes.
    cells : Tessellation
        Where they lie.
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    Texture
        Greys, edges and true directions and widths.
    """
    labels = cells.labels
    lath_px = settings.to_px(settings.lath_width_um)
    angle_deg = orient_packets(cells.cell_region, rng)
    period_um = _draw_periods(settings, cells.cell_class, rng)
    period_px = settings.to_px(period_um)
    grey = settings.mottle * mottle_noise(settings.shape, lath_px, rng)
    edge_distance_px = np.full(settings.shape, np.inf)
    waviness = wave_field(settings.shape, lath_px, settings.lath_waviness, rng)
    fading = np.clip(0.8 + 0.35 * smooth_noise(settings.shape, lath_px, rng), 0.1, 1.0)
    for index in range(BAINITE, settings.n_classes):
        where = np.nonzero(labels == index)
        own = cells.cell[where]
        if index == BAINITE:
            edge_px = settings.to_px(settings.lath_edge_um)
            shift, strength = waviness[where], fading[where]
            stripes = draw_laths(where, own, angle_deg, period_px, edge_px, shift, strength, rng)
        else:
            share = settings.cementite_share
            shift = wave_field(settings.shape, 5 * lath_px, 0.04, rng)[where]
            stripes = draw_lamellae(where, own, angle_deg, period_px, share, shift)
        grey[where] = stripes.grey
        edge_distance_px[where] = stripes.edge_distance_px
    return Texture(grey, edge_distance_px, angle_deg, period_um)


def _draw_periods(settings, cell_class, rng):
    """Lath width or interlamellar spacing [um] of each cell; NaN in ferrite."""
    means = np.array([np.nan, settings.lath_width_um, settings.lamella_spacing_um])
    spread = np.array([0.0, 0.15, 0.08])[cell_class]
    return means[cell_class] * (1.0 + spread * rng.uniform(-1, 1, size=len(cell_class)))
