from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from mstool.shift.appearance import N_BINS, describe, grey_histogram, radial_power
from mstool.shift.factors import Factors
from mstool.shift.mixture import mix_power, power_by_phase
from mstool.shift.ranges import TrainingGreys, derive_ranges
from mstool.shift.sharpness import FREQUENCY, SpectrumFit, fit_spectrum, spectrum_intervals
from mstool.shift.transfer import Transfer, fit_transfer, quantiles, transfer_intervals


def histograms(images):
    return np.stack([describe(image).histogram for image in images])


def powers(images):
    return np.stack([describe(image).log_power for image in images])


def test_quantiles_of_an_even_histogram():
    even = np.full(N_BINS, 1 / N_BINS)
    np.testing.assert_allclose(quantiles(even, np.array([0.25, 0.5])), [0.25, 0.5], atol=1e-6)


def test_transfer_inverts():
    grey = np.linspace(0.1, 0.8, 9)
    curve = Transfer(gamma=1.5, gain=0.8, offset=0.1)
    np.testing.assert_allclose(curve.invert(curve.apply(grey)), grey, atol=1e-6)


def test_nothing_moved_is_the_identity_within_its_interval(draw):
    source, target = histograms(draw(12, 1)), histograms(draw(12, 2))
    fit = fit_transfer(source, target)
    assert fit.moved == ()
    low, high = transfer_intervals(fit, source, target, 0)["gamma"]
    assert low - 0.02 <= 1 <= high + 0.02


@pytest.mark.parametrize("gamma", [0.7, 1.3, 1.6])
def test_gamma_is_found(draw, gamma):
    source = histograms(draw(12, 1))
    fit = fit_transfer(source, histograms([image**gamma for image in draw(12, 2)]))
    assert fit.moved == ("gamma",)
    assert fit.gamma == pytest.approx(gamma, abs=0.1)


def test_contrast_is_gain_and_offset(draw):
    changed = [0.5 + 0.6 * (image - 0.5) for image in draw(12, 2)]
    fit = fit_transfer(histograms(draw(12, 1)), histograms(changed))
    assert (fit.gain, fit.offset) == (pytest.approx(0.6, abs=0.05), pytest.approx(0.2, abs=0.03))


def test_other_phase_fractions_are_no_change_of_grey():
    rng = np.random.default_rng(0)
    greys = [np.clip(rng.normal(mean, 0.06, 20000), 0, 1) for mean in (0.3, 0.7)]
    phases = np.stack([grey_histogram(grey) for grey in greys])
    source = np.tile([0.5, 0.5] @ phases, (6, 1))
    target = np.tile([0.9, 0.1] @ phases, (6, 1))
    fit = fit_transfer(source, target, phases, (0.5, 0.5))
    assert fit.moved == ("phases",)
    assert fit.fractions[1] == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.0])
def test_blur_is_found(draw, sigma):
    changed = [ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="wrap") for image in draw(12)]
    fit = fit_spectrum(powers(draw(12, 1)), powers(changed))
    assert "blur" in fit.moved
    assert fit.blur_px == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize("sigma", [0.03, 0.08])
def test_noise_is_found(draw, sigma):
    rng = np.random.default_rng(3)
    changed = [image + rng.normal(0, sigma, image.shape) for image in draw(12)]
    source, target = powers(draw(12, 1)), powers(changed)
    fit = fit_spectrum(source, target)
    assert fit.moved == ("noise",)
    assert fit.noise == pytest.approx(sigma, rel=0.15)
    low, high = spectrum_intervals(fit, source, target, 0)["noise"]
    assert low <= sigma * 1.05
    assert high >= sigma * 0.95


def test_a_sharper_target_has_a_negative_blur(draw):
    soft = [ndimage.gaussian_filter(image, (1, 1, 0), mode="wrap") for image in draw(12, 1)]
    fit = fit_spectrum(powers(soft), powers(draw(12)))
    assert fit.moved == ("blur",)
    assert fit.blur_px == pytest.approx(-1, abs=0.15)


def test_what_no_factor_explains_is_said(draw):
    stripes = 0.1 * np.sin(np.arange(96) * np.pi / 2)[:, None]
    fit = fit_spectrum(powers(draw(12, 1)), powers([image + stripes for image in draw(12)]))
    assert not fit.is_explained
    assert fit_spectrum(powers(draw(12, 1)), powers(draw(12))).is_explained


def test_power_follows_phase_fractions():
    rng = np.random.default_rng(0)
    labels = [np.repeat(np.arange(512) < width, 512).reshape(512, 512).astype(np.uint8)
              for width in (128, 256, 384)]  # fmt: skip
    greys = [np.where(one == 1, 0.2, 0.05) * rng.standard_normal(one.shape) for one in labels]
    by_phase = power_by_phase(greys, labels, 2)
    whole = np.log(np.stack([radial_power(grey) for grey in greys[:1]]))
    mixed = mix_power(whole, by_phase, (-0.5, 0.5))
    expected = np.log(0.75 * 0.2**2 + 0.25 * 0.05**2)
    assert mixed[0, 2:].mean() == pytest.approx(expected, abs=0.1)
    assert mix_power(whole, by_phase, (0.0, 0.0)) == pytest.approx(whole)


def test_no_shift_moves_nothing(draw):
    assert fit_spectrum(powers(draw(12, 1)), powers(draw(12, 2))).moved == ()


def test_one_micrograph_varies_as_those_of_the_other_set(draw):
    many = powers(draw(12, 1))
    for seed in range(5):
        assert fit_spectrum(many, powers(draw(1, seed + 10))).moved == ()
    found = spectrum_intervals(fit_spectrum(many, many[:1]), many, many[:1], 0)
    assert np.isnan(found["blur_px"]).all()


def powers_of(structure, noise=0.0, zoom=1.0, seed=0):
    """Logarithms of power of eight micrographs of one kind, magnified, with noise."""
    shifted = np.interp(FREQUENCY * zoom, FREQUENCY, structure) + 2 * np.log(zoom)
    scatter = np.random.default_rng(seed).normal(0, 0.02, (8, len(FREQUENCY)))
    return np.log(np.exp(shifted) + noise**2) + scatter


STRUCTURE = 2 - 5 * np.log(20 * FREQUENCY + 1)


def test_what_there_was_is_told_without_any_change_but_contrast():
    source, target = powers_of(STRUCTURE), powers_of(STRUCTURE, zoom=1.5, seed=1)
    fit = fit_spectrum(source, target)
    assert fit.moved == ("magnification",)
    difference = (target.mean(axis=0) - source.mean(axis=0))[2:]
    assert fit.rms_before == pytest.approx(difference.std(), rel=0.05)
    brighter = fit_spectrum(source, source + 2 * np.log(0.6))
    assert brighter.rms_before < 0.35  # leeway of contrast


def looks(powers):
    return [SimpleNamespace(log_power=row) for row in powers]


def test_training_covers_noise_and_zoom_of_magnified_micrographs():
    source, target = powers_of(STRUCTURE), powers_of(STRUCTURE, noise=0.05, zoom=0.7, seed=1)
    spectrum = SpectrumFit(0.3, 0.05, 0.7, ("blur", "noise", "magnification"), 0, 0)
    factors = Factors(Transfer(), spectrum, (), {})
    units = TrainingGreys(1.0, 0.0, 1.0)
    ranges = derive_ranges(factors, looks(source), looks(target), units, (0.8, 1.25))
    assert ranges["noise"] == pytest.approx((0, 0.055), abs=0.005)
    assert ranges["blur_px"][1] < 0.6
    assert ranges["zoom"] == pytest.approx((0.7**1.1, 1.25), abs=0.001)
