"""What fills the cells of one image, class by class."""

from dataclasses import dataclass

import numpy as np

from mstool.phantoms.laths import draw_lamellae, draw_laths, orient_packets, wave_field
from mstool.phantoms.settings import BAINITE, PEARLITE
from mstool.phantoms.smooth_noise import mottle_noise, smooth_noise


@dataclass(frozen=True)
class Texture:
    """What fills the cells of one image."""

    grey: np.ndarray  # (H, W), mean 0 in every class, in units of the rms texture of the stripes
    edge_distance_px: np.ndarray  # (H, W), to a lath or lamella edge; infinite in ferrite
    angle_deg: np.ndarray  # stripe direction of each cell, (N,); means nothing in ferrite
    period_um: np.ndarray  # lath width or interlamellar spacing, (N,); NaN in ferrite


def draw_texture(settings, cells, rng) -> Texture:
    """Mottled ferrite, bainite laths and pearlite lamellae, with true directions and widths."""
    angle_deg = orient_packets(cells.cell_region, rng)
    period_um = _draw_periods(settings, cells.cell_class, rng)
    lath_px = settings.to_px(settings.lath_width_um)
    grey = settings.mottle * mottle_noise(settings.shape, lath_px, rng)
    edge_distance_px = np.full(settings.shape, np.inf)
    for fill in (fill_bainite, _fill_pearlite)[: settings.n_classes - 1]:
        where, stripes = fill(settings, cells, angle_deg, period_um, rng)
        grey[where], edge_distance_px[where] = stripes.grey, stripes.edge_distance_px
    return Texture(grey, edge_distance_px, angle_deg, period_um)


def fill_bainite(settings, cells, angle_deg, period_um, rng):
    """Laths of all bainite, wavy and fading in places.

    Parameters
    ----------
    angle_deg, period_um : ndarray of float64, shape (N,)
        As in `Texture`.

    Returns
    -------
    where : tuple of ndarray of int, each of shape (n,)
        Rows and columns of the pixels [px].
    stripes : Stripes
        What is there.
    """
    lath_px = settings.to_px(settings.lath_width_um)
    where = np.nonzero(cells.labels == BAINITE)
    waviness = wave_field(settings.shape, lath_px, settings.lath_waviness, rng)[where]
    fading = np.clip(0.8 + 0.35 * smooth_noise(settings.shape, lath_px, rng), 0.1, 1.0)[where]
    period_px, edge_px = settings.to_px(period_um), settings.to_px(settings.lath_edge_um)
    own = cells.cell[where]
    return where, draw_laths(where, own, angle_deg, period_px, edge_px, waviness, fading, rng)


def _fill_pearlite(settings, cells, angle_deg, period_um, rng):
    """Lamellae of all pearlite, likewise."""
    where = np.nonzero(cells.labels == PEARLITE)
    waviness = wave_field(settings.shape, 5 * settings.to_px(settings.lath_width_um), 0.04, rng)
    own, period_px, share = cells.cell[where], settings.to_px(period_um), settings.cementite_share
    return where, draw_lamellae(where, own, angle_deg, period_px, share, waviness[where])


def _draw_periods(settings, cell_class, rng):
    """Lath width or interlamellar spacing [um] of each cell; NaN in ferrite."""
    means = np.array([np.nan, settings.lath_width_um, settings.lamella_spacing_um])
    spread = np.array([0.0, 0.15, 0.08])[cell_class]
    return means[cell_class] * (1.0 + spread * rng.uniform(-1, 1, size=len(cell_class)))
