"""Where the grains, packets and regions lie.

One power diagram tiles the whole image with cells. A cell of class 0 is a ferrite grain; a cell of
another class is a packet (bainite) or a colony (pearlite). A second, coarser diagram gathers the
cells into regions, the prior austenite grains, and it is the regions that have a class. One weight
per class is then shifted until the class covers the fraction of the image that was asked for.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from mstool.errors import UsageError
from mstool.phantoms.smooth_noise import smooth_noise

N_SAMPLES = 128 * 128  # image points at which class fractions are solved
LEAST_SWEEPS, MOST_SWEEPS = 12, 1000  # over coupled fractions; where ferrite is rare they crawl
FRACTION_TOLERANCE = 0.01  # up to which a fraction is met [1]
SLIVER = 0.3  # of the mean cell area; what is smaller is no grain to choose [1]


@dataclass(frozen=True)
class Seeds:
    """Seeds of a power diagram."""

    points: np.ndarray  # (row, col) [px], float64 (N, 2)
    weights: np.ndarray  # power weight [px^2], float64 (N,); the larger, the larger the cell


@dataclass(frozen=True)
class Tessellation:
    """Cells of an image and what they belong to."""

    cell: np.ndarray  # of each pixel, int32 (H, W)
    neighbour: np.ndarray  # the cell on the other side of the nearest boundary, int32 (H, W)
    boundary_distance_px: np.ndarray  # to that boundary, float32 (H, W)
    cell_class: np.ndarray  # class index of each cell, uint8 (N,)
    cell_region: np.ndarray  # region of each cell, int32 (N,); -1 for ferrite, which has none

    @property
    def labels(self):
        """Label map, uint8 (H, W)."""
        return self.cell_class[self.cell]


def tessellate(shape, grain_size_px, region_size_px, fractions, rng) -> Tessellation:
    """Grains, packets and regions that cover an image in the given fractions.

    Parameters
    ----------
    grain_size_px, region_size_px : float
        Mean distance between the centres of neighbouring cells, and of regions [px].
    fractions : sequence of float
        Area fraction of each class [1], summing to 1.

    Returns
    -------
    Tessellation
        The fractions are met to about `FRACTION_TOLERANCE`.
    """
    seeds = scatter_seeds(shape, grain_size_px, rng)
    regions = scatter_seeds(shape, region_size_px, rng)
    positions = _warp_positions(shape, grain_size_px, rng)
    samples = _sample_positions(positions)
    region_class = _assign_classes(nearest_seeds(regions, samples)[0], regions, fractions, rng)
    cell_region = nearest_seeds(regions, seeds.points)[0].astype(np.int32)
    cell_class = _ensure_every_class(region_class[cell_region], len(fractions), rng)
    offsets = solve_offsets(_class_powers(seeds, cell_class, samples), fractions)
    shifted = Seeds(seeds.points, seeds.weights + offsets[cell_class])
    return _draw_cells(shape, shifted, positions, cell_class, cell_region)


def tessellate_isolated(shape, grain_size_px, foreground_fraction, rng) -> Tessellation:
    """Grains of which some, no two of them neighbours, belong to class 1.

    Parameters
    ----------
    grain_size_px : float
        Mean distance between the centres of neighbouring cells [px].
    foreground_fraction : float
        Area fraction of class 1 to stop at [1].

    Returns
    -------
    Tessellation
        Each cell of class 1 is a region of its own. Both classes are present; the fraction falls
        short where no further grain fits, from about a third on.
    """
    seeds = scatter_seeds(shape, grain_size_px, rng)
    positions = _warp_positions(shape, grain_size_px, rng)
    number = np.arange(len(seeds.points))
    cells = _draw_cells(shape, seeds, positions, np.zeros(len(number), np.uint8), number)
    least_px = SLIVER * grain_size_px**2
    is_chosen = _choose_isolated(cells.cell, len(number), foreground_fraction, least_px, rng)
    return replace(
        cells,
        cell_class=is_chosen.astype(np.uint8),
        cell_region=np.where(is_chosen, number, -1).astype(np.int32),
    )


def _choose_isolated(cell, n_cells, fraction, least_px, rng):
    """Cells in random order, each taken unless it touches one taken before: bool (N,).

    At least one is taken, and never all that are in the image. `fraction` is the share of the image
    at which to stop [1], `least_px` the smallest area worth taking; if all are smaller, one of the
    largest is taken. Of the `n_cells`, N, some may lie outside the image.

    Raises
    ------
    UsageError
        If the image shows a single cell.

    Examples
    --------
    >>> cell = np.array([[0, 1, 1, 1, 2]])
    >>> _choose_isolated(cell, 3, 1.0, 2, np.random.default_rng(0))
    array([False,  True, False])
    """
    n_px = np.bincount(cell.ravel(), minlength=n_cells)
    if np.count_nonzero(n_px) < 2:
        raise UsageError("the image shows a single grain; grain_size_um must be smaller")
    touching = _touching_cells(cell, n_cells)
    is_taken, is_blocked = np.zeros((2, n_cells), bool)
    n_taken_px = 0
    for index in rng.permutation(np.flatnonzero(n_px >= min(least_px, n_px.max()))):
        if is_blocked[index]:
            continue
        is_taken[index] = True
        is_blocked[touching.indices[touching.indptr[index] : touching.indptr[index + 1]]] = True
        n_taken_px += n_px[index]
        if n_taken_px >= fraction * cell.size:
            break
    return is_taken


def _touching_cells(cell, n_cells):
    """Which cells have pixels side by side or corner to corner: sparse, symmetric bool (N, N).

    Examples
    --------
    >>> _touching_cells(np.array([[0, 1, 2]]), n_cells=3).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    sides = (
        (cell[1:], cell[:-1]),
        (cell[:, 1:], cell[:, :-1]),
        (cell[1:, 1:], cell[:-1, :-1]),
        (cell[1:, :-1], cell[:-1, 1:]),
    )
    first, second = (np.concatenate([pair[side].ravel() for pair in sides]) for side in (0, 1))
    first, second = first[first != second], second[first != second]
    both = np.concatenate([first, second]), np.concatenate([second, first])
    return sparse.csr_array((np.ones(len(both[0]), bool), both), shape=(n_cells, n_cells))


def scatter_seeds(shape, spacing_px, rng) -> Seeds:
    """At least 36 seeds on a jittered hexagonal grid that reaches beyond the image on all sides.

    Parameters
    ----------
    spacing_px : float
        Distance between neighbouring seeds before the jitter [px].
    """
    rows, cols = (np.arange(-2, int(np.ceil(n / spacing_px)) + 3) for n in shape)
    row, col = np.meshgrid(rows.astype(float), cols.astype(float), indexing="ij")
    col = col + 0.5 * (rows[:, np.newaxis] % 2)
    points = np.stack([row.ravel(), col.ravel()], axis=1) * spacing_px
    points = points + rng.uniform(0, spacing_px, size=2)  # no seed row at the image edge
    points = points + rng.uniform(-0.42, 0.42, size=points.shape) * spacing_px
    return Seeds(points, rng.uniform(0, 0.3, size=len(points)) * spacing_px**2)


def _warp_positions(shape, grain_size_px, rng):
    """Pixel positions (row, col) [px], float64 (H, W, 2), gently distorted.

    Straight cell walls so come out curved; the grain size sets wavelength and amplitude.
    """
    positions = np.moveaxis(np.indices(shape, dtype=float), 0, -1)
    for axis in range(2):
        bend = smooth_noise(shape, 0.5 * grain_size_px, rng)
        ripple = smooth_noise(shape, 0.15 * grain_size_px, rng)
        positions[..., axis] += grain_size_px * (0.055 * bend + 0.012 * ripple)
    return positions


def nearest_seeds(seeds, positions, k=1):
    """Seeds of least power distance ``|x - s|^2 - w`` at each position.

    A power diagram in the plane is a Voronoi diagram in space: lifting a seed to the height
    ``sqrt(max(w) - w)`` lets a k-d tree find it [1]_.

    Parameters
    ----------
    seeds : Seeds
        The diagram.
    positions : ndarray of float64, shape (..., 2)
        Where to ask (row, col) [px].
    k : int
        How many seeds; with more than one, results have the shape (..., k).

    Returns
    -------
    index : ndarray of int64, shape (...)
        Seed numbers, least distance first.
    power : ndarray of float64, shape (...)
        Power distance [px^2].

    References
    ----------
    .. [1] Aurenhammer, F. (1987). SIAM J. Comput. 16, 78-96.
    """
    top = seeds.weights.max()
    lifted = np.column_stack([seeds.points, np.sqrt(top - seeds.weights)])
    query = np.concatenate([positions, np.zeros((*positions.shape[:-1], 1))], axis=-1)
    distance, index = KDTree(lifted).query(query, k=k)
    return index, distance**2 - top


def _assign_classes(sample_region, regions, fractions, rng):
    """Class of each region, uint8, so that the classes cover about the given fractions.

    `sample_region` is the region at points spread evenly over the image, int (n,).
    """
    order = rng.permutation(len(regions.points))
    cover = np.bincount(sample_region, minlength=len(order))[order] / len(sample_region)
    middle = np.cumsum(cover) - cover / 2
    classes = np.empty(len(order), np.uint8)
    foreground_first = np.searchsorted(np.cumsum(fractions[1:]), middle, side="right") + 1
    classes[order] = foreground_first % len(fractions)
    return classes


def _class_powers(seeds, cell_class, positions):
    """Least power distance [px^2] from each position to a seed of each class: float64 (n, C)."""
    powers = []
    for index in range(int(cell_class.max()) + 1):
        chosen = cell_class == index
        own = Seeds(seeds.points[chosen], seeds.weights[chosen])
        powers.append(nearest_seeds(own, positions)[1])
    return np.stack(powers, axis=-1)


def solve_offsets(powers, fractions):
    """Weight to add to each class so that it wins its fraction of the points.

    Parameters
    ----------
    powers : ndarray of float64, shape (n, C)
        Power distance to each class at each point [px^2].
    fractions : sequence of float
        Fraction of the points for each class [1], summing to 1.

    Returns
    -------
    ndarray of float64, shape (C,)
        Offsets [px^2]; that of class 0 is 0.

    Examples
    --------
    >>> powers = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0]])
    >>> offset = solve_offsets(powers, [0.5, 0.5])[1]
    >>> bool(2.0 < offset < 3.0)
    True
    """
    offsets = np.zeros(len(fractions))
    for n_done in range(MOST_SWEEPS):
        if n_done >= LEAST_SWEEPS and _are_met(powers - offsets, fractions):
            break
        for index in range(1, len(fractions)):
            others = np.delete(powers - offsets, index, axis=1).min(axis=1)
            offsets[index] = np.quantile(powers[:, index] - others, fractions[index])
    return offsets


def _are_met(powers, fractions):
    """Whether each class is the nearest, by its power (n, C) [px^2], at its fraction of points."""
    shares = np.bincount(powers.argmin(axis=1), minlength=len(fractions)) / len(powers)
    return np.abs(shares - fractions).max() <= FRACTION_TOLERANCE


def _sample_positions(positions):
    """Positions on a coarse grid of at most about `N_SAMPLES` points, shape (n, 2)."""
    stride = max(1, round(np.sqrt(positions[..., 0].size / N_SAMPLES)))
    return positions[stride // 2 :: stride, stride // 2 :: stride].reshape(-1, 2)


def _ensure_every_class(cell_class, n_classes, rng):
    """Class of each cell, with one cell given to any class that a small image left out."""
    cell_class = cell_class.copy()
    for index in range(n_classes):
        if not np.any(cell_class == index):
            commonest = np.bincount(cell_class).argmax()
            cell_class[rng.choice(np.flatnonzero(cell_class == commonest))] = index
    return cell_class


def _draw_cells(shape, seeds, positions, cell_class, cell_region) -> Tessellation:
    """Tessellation of the image by the two nearest seeds of each pixel."""
    index, power = nearest_seeds(seeds, positions, k=2)
    first, second = index[..., 0], index[..., 1]
    apart = np.linalg.norm(seeds.points[first] - seeds.points[second], axis=-1)
    distance = (power[..., 1] - power[..., 0]) / (2.0 * np.maximum(apart, 1.0))
    return Tessellation(
        cell=first.astype(np.int32),
        neighbour=second.astype(np.int32),
        boundary_distance_px=distance.astype(np.float32),
        cell_class=cell_class,
        cell_region=np.where(cell_class > 0, cell_region, -1).astype(np.int32),
    )
