"""Whole phantoms: exact truth, fair greys, repeatable bytes."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from mstool.errors import UsageError
from mstool.phantoms import MAX_HISTOGRAM_KS, PhantomSettings, make_phantom, quantise

SMALL = PhantomSettings(height=96, width=128)
NUISANCES = {"precipitates_per_um2": 0.5, "n_scratches": 3, "scale_bar": True, "info_bar": True}


@pytest.fixture(scope="module", params=[2, 3], ids=["two classes", "three classes"])
def phantoms(request):
    """Two full-size phantoms."""
    settings = PhantomSettings(n_classes=request.param)
    return [make_phantom(settings, seed=5, index=index) for index in range(2)]


def best_threshold_iou(values, labels):
    """Mean IoU of multi-Otsu classes, matched to the truth as well as can be."""
    n_classes = int(labels.max()) + 1
    bins = np.digitize(values, threshold_multiotsu(values, n_classes))
    counts = np.histogram2d(labels.ravel(), bins.ravel(), bins=n_classes)[0]
    unions = counts.sum(1)[:, np.newaxis] + counts.sum(0) - counts
    iou = counts / unions
    rows = np.arange(n_classes)
    return max(iou[rows, list(order)].mean() for order in permutations(range(n_classes)))


def texture_energy(image, sigma=4.0):
    """Local standard deviation of the greys."""
    mean = ndimage.gaussian_filter(image, sigma)
    return np.sqrt(np.maximum(ndimage.gaussian_filter(image**2, sigma) - mean**2, 0))


def test_classes_share_one_histogram(phantoms):
    for phantom in phantoms:
        assert phantom.parameters["histogram_ks_nominal"] < MAX_HISTOGRAM_KS
        assert phantom.parameters["histogram_ks_image"] < MAX_HISTOGRAM_KS


def test_no_threshold_finds_the_classes(phantoms):
    for phantom in phantoms:
        image = phantom.image.astype(float)
        assert best_threshold_iou(image, phantom.labels) < 0.45
        for sigma in (4, 8):
            blurred = ndimage.gaussian_filter(image, sigma)
            assert best_threshold_iou(blurred, phantom.labels) < 0.5


def test_local_contrast_does_not_find_the_classes(phantoms):
    for phantom in phantoms:
        energy = texture_energy(phantom.image.astype(float))
        assert best_threshold_iou(energy, phantom.labels) < 0.6


def test_listed_packets_cover_the_foreground(phantoms):
    for phantom in phantoms:
        packets = [p for r in phantom.parameters["regions"] for p in r["packets"]]
        n_listed = sum(p["area_um2"] for p in packets) / 0.1**2
        assert n_listed == pytest.approx(np.sum(phantom.labels > 0))
        assert len(packets) == phantom.parameters["n_packets"]


def test_laths_run_at_the_angles_recorded():
    settings = replace(SMALL, foreground_fraction=(0.95, 0.95), noise=0.0, region_size_um=40.0)
    phantom = make_phantom(settings, seed=2, index=0)
    packets = [p for region in phantom.parameters["regions"] for p in region["packets"]]
    angles, areas = (np.array([p[key] for p in packets]) for key in ("angle_deg", "area_um2"))
    row, col = np.gradient(phantom.image.astype(float))
    inside = ndimage.binary_erosion(phantom.labels == 1, iterations=4)

    # the gradient is perpendicular to the stripes: half a turn away once angles are doubled
    measured = np.sum((col + 1j * row)[inside] ** 2)
    stated = -np.sum(areas * np.exp(2j * np.deg2rad(angles)))

    assert abs(np.angle(measured / stated)) < 0.5


def test_fractions_and_counts_are_those_of_the_label_map(phantoms):
    for phantom in phantoms:
        fraction = phantom.parameters["phase_fraction"]
        n_px = np.bincount(phantom.labels.ravel())
        np.testing.assert_allclose(list(fraction.values()), n_px / n_px.sum())
        assert 0.28 < 1 - fraction["ferrite"] < 0.57


def test_foreground_varies_between_images():
    fractions = [
        make_phantom(replace(SMALL, height=64, width=64), 0, index).labels.mean()
        for index in range(6)
    ]

    assert np.ptp(fractions) > 0.08


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shape", [(64, 64), (65, 200), (201, 77)])
def test_any_shape_has_every_class(shape, n_classes):
    settings = PhantomSettings(height=shape[0], width=shape[1], n_classes=n_classes)

    phantom = make_phantom(settings, seed=1, index=0)

    assert phantom.image.shape == phantom.labels.shape == shape
    assert phantom.image.dtype == np.float32
    assert phantom.labels.dtype == np.uint8
    assert np.unique(phantom.labels).tolist() == list(range(n_classes))
    assert phantom.image.min() >= 0
    assert phantom.image.max() <= 1


def test_same_arguments_give_the_same_bytes():
    settings = replace(SMALL, **NUISANCES, dose=0.5)

    first, second = (make_phantom(settings, seed=9, index=3) for _ in range(2))

    assert first.image.tobytes() == second.image.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()
    assert first.parameters == second.parameters


@pytest.mark.parametrize(("seed", "index"), [(9, 4), (10, 3)])
def test_other_seed_or_index_gives_another_image(seed, index):
    first, second = make_phantom(SMALL, 9, 3), make_phantom(SMALL, seed, index)

    assert np.mean(first.labels != second.labels) > 0.1


@pytest.mark.parametrize("name", NUISANCES)
def test_nuisance_leaves_the_truth_and_the_rest_of_the_image(name):
    plain = make_phantom(SMALL, seed=3, index=0)
    other = make_phantom(replace(SMALL, **{name: NUISANCES[name]}), seed=3, index=0)

    kept = SMALL.height - other.parameters["info_bar_height_px"]
    np.testing.assert_array_equal(other.labels[:kept], plain.labels[:kept])
    assert np.all(other.labels[kept:] == 255)
    changed = np.mean(other.image != plain.image)
    assert 0 < changed < 0.35 or name == "n_scratches"


def test_scratches_have_the_directions_recorded():
    parameters = make_phantom(replace(SMALL, n_scratches=3), 3, 0).parameters

    assert len(parameters["scratch_angles_deg"]) == 3


def test_parameters_come_back_from_json():
    settings = replace(SMALL, **NUISANCES, n_classes=3, dose=0.3)
    parameters = make_phantom(settings, seed=3, index=0).parameters

    assert json.loads(json.dumps(parameters, allow_nan=False)) == parameters


def test_quantised_by_hand():
    image = np.array([[0.0, 0.25, 1.0]], np.float32)

    assert quantise(image, 8).tolist() == [[0, 64, 255]]
    assert quantise(image, 16).tolist() == [[0, 16384, 65535]]
    assert quantise(image, 8).dtype == np.uint8


def test_16_bit_holds_finer_levels():
    image = make_phantom(SMALL, seed=3, index=0).image

    fine = quantise(image, 16)

    assert len(np.unique(fine)) > 4000
    assert len(np.unique(fine % 257)) == 257


def test_other_bit_depth_is_refused():
    with pytest.raises(UsageError, match="bit_depth is 12"):
        quantise(np.zeros((2, 2)), 12)


@pytest.mark.parametrize(
    "bad",
    [
        {"height": 63},
        {"width": 100.5},
        {"pixel_size_um": 0.0},
        {"pixel_size_um": float("nan")},
        {"n_classes": 4},
        {"foreground_fraction": (0.6, 0.4)},
        {"foreground_fraction": (0.0, 0.4)},
        {"dose": -0.1},
        {"noise": float("inf")},
        {"n_scratches": -1},
        {"lath_width_um": 0.29},
        {"grain_size_um": float("nan")},
        {"lamella_spacing_um": 0.29, "n_classes": 3},
    ],
    ids=str,
)
def test_impossible_settings_are_refused_by_name(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        PhantomSettings(**bad)


def test_lamella_spacing_is_free_without_pearlite():
    assert PhantomSettings(lamella_spacing_um=0.1).n_classes == 2


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_seed_or_index_is_refused(seed, index):
    with pytest.raises(UsageError, match="may be negative"):
        make_phantom(SMALL, seed, index)
