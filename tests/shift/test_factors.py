"""What changed between two sets of phantoms is named, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mstool.phantoms import PhantomSettings, make_phantom
from mstool.shift.appearance import describe
from mstool.shift.factors import Origin, fit_factors

SETTINGS = PhantomSettings(height=256, width=256)
LEVELS = (0.0, 255.0)
NAMES = [str(k) for k in range(10)]


def draw_phantoms(seed, settings=SETTINGS):
    return [make_phantom(settings, seed=seed, index=k) for k in range(10)]


@pytest.fixture(scope="module")
def source():
    return draw_phantoms(1)


@pytest.fixture(scope="module")
def other():
    return draw_phantoms(2)


def greys(phantoms):
    return [(np.rint(p.image[..., None] * 255) / 255).astype(np.float32) for p in phantoms]


def fit(source, target, change=lambda image: image, change_of_phases=None):
    fields = [(image * 255,) for image in greys(source)]
    origin = Origin(fields, NAMES, [(p.labels,) for p in source], LEVELS)
    looks = list(map(describe, greys(source))), [describe(change(i)) for i in greys(target)]
    return fit_factors(origin, *looks, NAMES, change_of_phases, 0)


def test_nothing_moved(source, other):
    found = fit(source, other)
    assert found.moved == ()
    assert found.is_explained
    assert found.intervals["gamma"][0] <= 1 <= found.intervals["gamma"][1]
    assert found.intervals["blur_px"][0] <= 0 <= found.intervals["blur_px"][1]


def test_a_curve_of_grey_levels_is_no_magnification(source, other):
    found = fit(source, other, lambda image: image**1.6)
    assert found.moved == ("gamma",)
    assert found.transfer.gamma == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0])
def test_blur_is_no_change_of_grey_levels(source, other, sigma):
    found = fit(source, other, lambda image: ndimage.gaussian_filter(image, (sigma, sigma, 0)))
    assert found.moved == ("blur",)
    assert found.spectrum.blur_px == pytest.approx(sigma, rel=0.1)


def test_gamma_blur_and_noise_are_told_apart(source, other):
    rng = np.random.default_rng(0)

    def change(image):
        blurred = ndimage.gaussian_filter(image**1.4, (1, 1, 0))
        return np.clip(blurred + rng.normal(0, 0.04, image.shape), 0, 1)

    found = fit(source, other, change)
    assert set(found.moved) == {"gamma", "blur", "noise"}
    assert found.transfer.gamma == pytest.approx(1.4, abs=0.1)
    assert found.spectrum.blur_px == pytest.approx(1, rel=0.15)
    assert found.spectrum.noise == pytest.approx(0.04, rel=0.15)
    image = greys(source)[0]
    assert found.apply(image, 0).std() == pytest.approx(change(image).std(), rel=0.05)


def test_more_of_a_phase_is_no_change_of_the_image(source):
    target = draw_phantoms(3, replace(SETTINGS, foreground_fraction=(0.65, 0.8)))
    means = [
        np.mean([np.bincount(p.labels.ravel(), minlength=3) / 256**2 for p in one], axis=0)
        for one in (source, target)
    ]
    found = fit(source, target, change_of_phases=means[1] - means[0])
    assert found.moved == ("phases",)
    assert found.transfer.fractions[1] == pytest.approx(means[1][1], abs=0.02)
    assert len(found.fractions) == 3  # the network knows a phase that is not here
