"""Grains whose class shows in one thing alone: a known cause for a network's decision.

Each grain has a rim, a grey and a texture of its own strength. All but the cue are drawn without
regard to the class, so that a grain with its cue taken away or put on is still one that could have
been drawn. Nothing is matched between the classes: that would leak the cue into the rest.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mstool.phantoms.etching import mean_of_cells
from mstool.phantoms.grey_values import match_classes
from mstool.phantoms.laths import bell
from mstool.phantoms.settings import BAINITE
from mstool.phantoms.smooth_noise import mottle_noise
from mstool.phantoms.textures import Texture, fill_bainite

GREY_MIDDLE = 0.5  # of a grain of grey 0.5 [1]
GREY_REACH = 0.16  # grey of a grain is the middle plus or minus this [1]
TEXTURE_RMS = 0.10  # of texture at full strength [1]
RIM_DEPTH = 0.28  # grey lost in the middle of a rim at full strength [1]
WEAK, STRONG = (0.0, 0.2), (0.8, 1.0)  # strength of the cue in class 0 and in class 1 [1]
LEAST_LATHS = 0.5  # strength from which laths are seen, so that a flat grain is of class 0 [1]


@dataclass(frozen=True)
class CellAttributes:
    """What each cell looks like [1]: float64 (N,) each, 0 to 1."""

    rim: np.ndarray  # strength of the dark line along the inside of the boundary
    grey: np.ndarray  # mean, from dark to bright
    texture: np.ndarray  # strength of mottle or laths


def draw_attributes(cue, cell_class, rng) -> CellAttributes:
    """Attributes of each cell, of which the cue alone depends on the class.

    They are uniform between 0 and 1, the cue within `WEAK` and `STRONG`. Every cue takes as many
    draws.

    Parameters
    ----------
    cue : str
        One of `CUES`. For ``lath`` the attributes do not tell the class, save that no grain with
        laths is nearly flat.
    cell_class : ndarray of int, shape (N,)
        0 or 1.
    """
    rim, grey, texture = rng.uniform(size=(3, len(cell_class)))
    attributes = CellAttributes(rim, grey, texture)
    if cue == "lath":
        with_laths = LEAST_LATHS + (1.0 - LEAST_LATHS) * texture
        return replace(attributes, texture=np.where(cell_class == BAINITE, with_laths, texture))
    least, most = np.array([WEAK, STRONG])[cell_class].T
    return replace(attributes, **{cue: least + (most - least) * vars(attributes)[cue]})


def draw_cue_texture(settings, cells, rng) -> Texture:
    """Unit texture of every cell: mottle, and laths in class 1 where they are the cue.

    Its grey has mean 0 and rms 1 in each cell; mottle and laths share one histogram. Without laths,
    angles and periods are NaN.
    """
    grey = mottle_noise(settings.shape, settings.to_px(settings.lath_width_um), rng)
    edge_distance_px = np.full(settings.shape, np.inf)
    angle_deg, period_um = np.full((2, len(cells.cell_class)), np.nan)
    if settings.cue == "lath":
        angle_deg = rng.uniform(0.0, 180.0, size=len(cells.cell_class))
        period_um = settings.lath_width_um * rng.uniform(0.85, 1.15, size=len(cells.cell_class))
        where, stripes = fill_bainite(settings, cells, angle_deg, period_um, rng)
        grey[where], edge_distance_px[where] = stripes.grey, stripes.edge_distance_px
        grey = match_classes(grey, cells.labels, mean=0.0, spread=1.0)
    return Texture(_standardise_cells(grey, cells.cell), edge_distance_px, angle_deg, period_um)


def render_cells(settings, cells, attributes, texture):
    """Image of cells with the given attributes, float64 (H, W), blurred, noiseless, not clipped.

    The rim runs inside each cell, half its width and half a pixel from the boundary, so that
    either side of a boundary bears the rim of its own cell. Texture fades out towards every
    boundary alike, whatever the rim.
    """
    width_px = settings.to_px(settings.boundary_width_um)
    inwards_px = cells.boundary_distance_px - (0.5 * width_px + 0.5)
    rim = RIM_DEPTH * attributes.rim[cells.cell] * bell(inwards_px, width_px)
    fade = 1.0 - bell(np.maximum(inwards_px, 0.0), width_px)
    rms = TEXTURE_RMS * attributes.texture[cells.cell]
    grey = GREY_MIDDLE + GREY_REACH * (2.0 * attributes.grey[cells.cell] - 1.0)
    sharp = grey + fade * rms * texture.grey - rim
    return ndimage.gaussian_filter(sharp, settings.to_px(settings.blur_um))


def _standardise_cells(values, cell):
    """Values (H, W) shifted and scaled to mean 0 and standard deviation 1 in each cell.

    They are all 0 in a cell in which they are constant.

    Examples
    --------
    >>> _standardise_cells(np.array([[1.0, 3.0, 7.0]]), np.array([[0, 0, 1]]))
    array([[-1.,  1.,  0.]])
    """
    centred = values - mean_of_cells(values, cell)
    spread = np.sqrt(mean_of_cells(centred**2, cell))
    return np.where(spread > 0, centred / np.where(spread > 0, spread, 1.0), 0.0)
