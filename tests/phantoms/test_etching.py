"""Over-etching."""

import numpy as np
import pytest
from scipy import ndimage

from mstool.phantoms import PhantomSettings, make_phantom
from mstool.phantoms.etching import (
    EtchFields,
    draw_etch_fields,
    etch_boundaries,
    mean_of_cells,
    over_etch,
)
from mstool.phantoms.grains import Tessellation
from mstool.phantoms.laths import bell

DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def etched():
    """One phantom at every dose, without noise."""
    return [
        make_phantom(PhantomSettings(height=160, width=160, noise=0.0, dose=dose), 4, 0)
        for dose in DOSES
    ]


def etch_flat(dose, *, stain=0.0, image=None):
    """Row of seven pixels, a boundary in the middle, class 1."""
    image = np.full((1, 7), 0.5) if image is None else image
    distance = np.abs(np.arange(7.0) - 3)[np.newaxis]
    fields = EtchFields(np.full((1, 7), stain), np.zeros((1, 7)))
    one = np.ones((1, 7), int)
    return over_etch(
        image,
        one,
        one,
        boundary=lambda widening: bell(distance, widening),
        edge=lambda widening: np.zeros((1, 7)),
        fields=fields,
        dose=dose,
    )


def test_dose_0_is_exactly_nominal():
    image = np.random.default_rng(0).random((1, 7))

    np.testing.assert_array_equal(etch_flat(0.0, stain=1.0, image=image), image)


def test_boundaries_widen_and_darken_with_the_dose():
    half, full = etch_flat(0.5), etch_flat(1.0)

    assert full[0, 3] < half[0, 3] < 0.5
    assert np.sum(full < 0.45) > np.sum(half < 0.45)


def test_contrast_away_from_the_boundary_fades_to_the_mean_of_the_cell():
    image = np.array([[0.2, 0.8, 0.5, 0.5, 0.5, 0.8, 0.2]])

    swings = [np.ptp(etch_flat(dose, image=image)[0, :2]) for dose in DOSES]

    assert np.all(np.diff(swings) < 0)


def row_of_cells(cell_region):
    """Three cells of three pixels in a row, each pixel with the cell that is nearest."""
    return Tessellation(
        cell=np.repeat([0, 1, 2], 3)[np.newaxis],
        neighbour=np.array([[1, 1, 1, 0, 2, 2, 1, 1, 1]]),
        boundary_distance_px=np.array([[2.5, 1.5, 0.5, 0.5, 1.5, 0.5, 0.5, 1.5, 2.5]]),
        cell_class=np.zeros(3, np.uint8),
        cell_region=np.array(cell_region),
    )


def test_boundaries_are_etched_as_strongly_as_they_vary():
    variation = np.linspace(0.5, 1.5, 9)[np.newaxis]
    cells = row_of_cells([-1, -1, -1])

    found = etch_boundaries(cells, 2.0, variation)

    np.testing.assert_allclose(found, variation * bell(cells.boundary_distance_px, 2.0))


def test_boundaries_inside_a_region_are_faint_and_those_around_it_are_not():
    even = np.ones((1, 9))

    found = etch_boundaries(row_of_cells([-1, 7, 7]), 2.0, even)[0]

    full = etch_boundaries(row_of_cells([-1, -1, -1]), 2.0, even)[0]
    np.testing.assert_allclose(found / full, [1, 1, 1, 1, 0.3, 0.3, 0.3, 0.3, 0.3])


def test_etched_boundaries_of_a_phantom_are_uneven(monkeypatch):
    strengths = []

    def record(cells, width_px, variation):
        strengths.append(variation)
        return etch_boundaries(cells, width_px, variation)

    monkeypatch.setattr("mstool.phantoms.rendering.etch_boundaries", record)
    make_phantom(PhantomSettings(height=256, width=256), 4, 0)

    assert strengths[0].std() == pytest.approx(0.25, rel=0.15)
    assert strengths[0].mean() == pytest.approx(1, abs=0.05)
    assert (strengths[0].min() >= 0.4) and (strengths[0].max() <= 1.5)


def test_stains_are_ragged_and_cover_a_part():
    stain = draw_etch_fields((400, 400), 40.0, np.random.default_rng(0)).stain

    assert 0.1 < stain.mean() < 0.4
    # finer than blotches of that size alone, of which less than 0.02 remains
    assert (stain - ndimage.gaussian_filter(stain, 3)).std() > 0.03


def test_stains_darken():
    assert np.all(etch_flat(1.0, stain=1.0) < etch_flat(1.0, stain=0.0))


def test_mean_of_cells_leaves_out_absent_cells():
    means = mean_of_cells(np.array([[0.0, 1.0, 5.0]]), np.array([[0, 0, 3]]))

    assert means.tolist() == [[0.5, 0.5, 5.0]]


def test_image_departs_from_nominal_steadily(etched):
    change = [float(np.abs(p.image - etched[0].image).mean()) for p in etched]

    assert change[0] == 0
    assert np.all(np.diff(change) > 0.005)
    assert np.all(np.diff(change) < 0.1)


def test_small_dose_is_a_small_change():
    size = {"height": 96, "width": 96}
    nominal = make_phantom(PhantomSettings(**size), 4, 0).image

    change = make_phantom(PhantomSettings(**size, dose=1e-4), 4, 0).image - nominal

    assert np.abs(change).max() < 1e-3


def test_truth_does_not_depend_on_the_dose(etched):
    for phantom in etched:
        np.testing.assert_array_equal(phantom.labels, etched[0].labels)
        assert phantom.parameters["regions"] == etched[0].parameters["regions"]
        nominal = phantom.parameters["histogram_ks_nominal"]
        assert nominal == etched[0].parameters["histogram_ks_nominal"]
