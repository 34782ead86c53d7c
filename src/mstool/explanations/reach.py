"""How far a network looks, against tiles and phases."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.explanations.sizes import PhaseSize


@dataclass(frozen=True)
class Effective:
    """Where the influence on a pixel comes from, in fact."""

    r50_px: float  # radius that holds 50 % of the gradient; NaN without any
    r68_px: float
    r95_px: float
    sigma_px: float  # standard deviation along one axis
    n: int  # pixels in the mean
    r50_um: float = float("nan")  # NaN where the pixel size is not known
    r68_um: float = float("nan")
    r95_um: float = float("nan")
    is_lower_bound: bool = False  # whether windows may cut it, so that radii are at least so large


@dataclass(frozen=True)
class Reach:
    """Receptive fields, compared with tiles and phases."""

    theoretical_px: int | None  # width that an output pixel can depend on
    is_global: bool  # whether it is all of the input; if not, and there is no width, not known
    effective: Effective  # what it does depend on
    window_px: int  # windows of the measurement
    tile_size_px: int  # tiles of the training
    phases: dict[str, PhaseSize]  # by class
    diameter_over_thickness: float  # 2 r95 over the median of the class explained; NaN without one
    advice: tuple[str, ...]  # sentences on overlap and tile size
    theoretical_um: float  # NaN where it is global or the pixel size is not known


def thickness_of_phases(phases: Mapping[str, PhaseSize]) -> dict[str, float]:
    """Median thickness of the phases that have regions [px]."""
    return {name: size.thickness_px for name, size in phases.items() if size.n_regions}


def advise(
    r95_px: float,
    theoretical: float,
    tile: int,
    thickness: Mapping[str, float],
    cut_at: int | None = None,
) -> tuple[str, ...]:
    """Sentences on overlap and tile size.

    Parameters
    ----------
    r95_px : float
        Radius that holds 95 % of the gradient [px]; without one there is nothing to advise.
    theoretical : float
        Theoretical receptive field [px]; infinite if it is global, NaN if it is not known.
    tile : int
        Tile size [px].
    thickness : mapping of str to float
        Median thickness of the regions of each phase [px].
    cut_at : int, optional
        Edge of the windows of the measurement, where the network may look further [px].
    """
    if not np.isfinite(r95_px):
        return ("the decision rests on no pixel of the windows; nothing can be advised",)
    overlap = int(np.ceil(2 * r95_px / 16) * 16)
    lines = [
        f"tile with --overlap {overlap} or more: predictions then rest on {overlap // 2} px of "
        "context on every side, where 95 % of the influence comes from"
    ]
    if cut_at is not None:
        lines.append(
            f"the network may look further than fields of {cut_at} px show: that overlap is the "
            "least, and a larger --size would tell"
        )
    if tile < 3 * overlap:
        lines.append(
            f"tiles of {tile} px lose a third or more to that overlap; --size {4 * overlap} would "
            "lose a quarter"
        )
    if np.isposinf(theoretical):
        lines.append("the network sees the whole tile (global operations): keep --size as trained")
    for name, size in thickness.items():
        if cut_at is None and 2 * r95_px < size:
            lines.append(
                f"{name}: the network sees {2 * r95_px:.0f} px at a time and half of the regions "
                f"are thicker than {size:.0f} px, so their interior is decided without a boundary "
                "in view; a smaller --scale or a deeper network would show more"
            )
    return tuple(lines)


def far_from_border(
    inside: np.ndarray, corner: tuple[int, int], shape: tuple[int, ...], reach_px: float
) -> np.ndarray:
    """Pixels of a mask that lie so far from the border of the field that it was cut from.

    Parameters
    ----------
    inside : ndarray of bool, shape (h, w)
        The mask.
    corner : tuple of int
        Row and column of the field at which it begins [px].
    shape : tuple of int
        H and W of the field.
    reach_px : float
        Least number of pixels between them and the border [px]; with NaN, none lie so far.

    Examples
    --------
    >>> far_from_border(np.ones((1, 3), bool), (1, 0), (3, 4), 1)
    array([[False,  True,  True]])
    """
    places = (start + np.arange(n) for start, n in zip(corner, inside.shape, strict=True))
    depth = [np.minimum(at, size - 1 - at) for at, size in zip(places, shape, strict=True)]
    return inside & (np.minimum.outer(*depth) >= reach_px)


def draw_centre(
    inside: np.ndarray,
    near_boundary: bool,
    rng: np.random.Generator,
    allowed: np.ndarray | None = None,
) -> tuple[int, int]:
    """Pixel of a mask, from the half near its edge or the half deep inside: (row, col).

    Only pixels of `allowed` are drawn, and halved, where it is given.
    """
    allowed = inside if allowed is None else allowed
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    limit = np.median(depth[allowed])
    wanted = allowed & ((depth <= limit) if near_boundary else (depth >= limit))
    row, col = np.unravel_index(rng.choice(np.flatnonzero(wanted)), inside.shape)
    return int(row), int(col)
