"""What changed between two sets of phantoms is named, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mstool.phantoms import PhantomSettings, make_phantom
from mstool.pipeline.shift.factors import factors_of, fit_factors
from mstool.pipeline.shift.measure import look_at
from mstool.pipeline.shift.sets import MicrographSet, Sample, to_unit
from mstool.reporting import Reporter

SETTINGS = PhantomSettings(height=256, width=256)
LEVELS = (0.0, 255.0)


def make_set(name, phantoms):
    samples = tuple(
        Sample(
            f"{k}.tif", str(k), str(k), (np.rint(p.image[..., None] * 255),), (p.labels,), (0, 255)
        )
        for k, p in enumerate(phantoms)
    )
    return MicrographSet(name, samples, "uint8", None)


@pytest.fixture(scope="module")
def source():
    return make_set("source", [make_phantom(SETTINGS, seed=1, index=k) for k in range(10)])


@pytest.fixture(scope="module")
def other():
    return make_set("target", [make_phantom(SETTINGS, seed=2, index=k) for k in range(10)])


def fit(source, target, change=lambda image: image, change_of_phases=None):
    looks = look_at(source, LEVELS, Reporter()), look_at(target, LEVELS, Reporter(), change)
    labels = [sample.truths for sample in source.samples]
    return fit_factors(source, *looks, target.groups, labels, change_of_phases, LEVELS, 0)[1]


def test_nothing_moved(source, other):
    found = fit(source, other)
    assert found["moved"] == ()
    assert found["is_explained"] == {"grey": True, "spectrum": True}
    assert found["intervals"]["gamma"][0] <= 1 <= found["intervals"]["gamma"][1]
    assert found["intervals"]["blur_px"][0] <= 0 <= found["intervals"]["blur_px"][1]


def test_a_curve_of_grey_levels_is_no_magnification(source, other):
    found = fit(source, other, lambda image: image**1.6)
    assert found["moved"] == ("gamma",)
    assert found["gamma"] == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0])
def test_blur_is_no_change_of_grey_levels(source, other, sigma):
    found = fit(source, other, lambda image: ndimage.gaussian_filter(image, (sigma, sigma, 0)))
    assert found["moved"] == ("blur",)
    assert found["blur_px"] == pytest.approx(sigma, rel=0.1)


def test_gamma_blur_and_noise_are_told_apart(source, other):
    rng = np.random.default_rng(0)

    def change(image):
        blurred = ndimage.gaussian_filter(image**1.4, (1, 1, 0))
        return np.clip(blurred + rng.normal(0, 0.04, image.shape), 0, 1)

    found = fit(source, other, change)
    assert set(found["moved"]) == {"gamma", "blur", "noise"}
    assert found["gamma"] == pytest.approx(1.4, abs=0.1)
    assert found["blur_px"] == pytest.approx(1, rel=0.15)
    assert found["noise"] == pytest.approx(0.04, rel=0.15)
    factors = factors_of(found)
    image = to_unit(source.samples[0].fields[0], LEVELS)
    assert factors.apply(image, 0).std() == pytest.approx(change(image).std(), rel=0.05)


def test_more_of_a_phase_is_no_change_of_the_image(source):
    rich = replace(SETTINGS, foreground_fraction=(0.65, 0.8))
    target = make_set("target", [make_phantom(rich, seed=3, index=k) for k in range(10)])
    means = [
        np.mean([np.bincount(s.truths[0].ravel(), minlength=3) / 256**2 for s in one.samples], 0)
        for one in (source, target)
    ]
    found = fit(source, target, change_of_phases=means[1] - means[0])
    assert found["moved"] == ("phases",)
    assert found["phase_fraction"]["target"][1] == pytest.approx(means[1][1], abs=0.02)
    assert len(found["phase_fraction"]["source"]) == 3  # the network knows a phase that is not here
