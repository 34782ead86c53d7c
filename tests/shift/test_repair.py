"""Repairs of images: what comes out is what the source holds, whatever the sizes."""

import numpy as np
import pytest

from mstool.shift.repair import adapt_fourier, make_reference, match_histogram


def as_image(levels, shape=(64, 64)):
    """Image (H, W, 1) that holds stored levels of 0 to 255 in turn."""
    values = np.resize(np.asarray(levels, float), np.prod(shape)).reshape(*shape, 1)
    return (values / 255).astype(np.float32)


def matched(target, source):
    """Stored levels that histogram matching makes of a target."""
    found = match_histogram(target, make_reference([target]), make_reference([source]))
    return np.rint(found * 255).astype(int)


def test_nothing_comes_out_that_is_darker_or_brighter_than_the_source():
    found = matched(as_image(range(101)), as_image(range(100, 201)))
    assert (found.min(), found.max()) == (100, 200)
    np.testing.assert_array_equal(found, np.rint(as_image(range(101)) * 255) + 100)


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ([0, 100], [100, 200]),  # black beside grey
        (range(256), [30, 31, 220]),
        (range(0, 256, 5), [7, 90, 91, 92, 201]),
        ([0, 0, 0, 0, 255], [128, 130, 140]),
        ([255], [3, 9]),
        ([0], [201]),
        ([77], [100, 150, 151]),
    ],
)
def test_only_levels_of_the_source_come_out_in_their_order(target, source):
    levels = np.unique(np.asarray(target))
    image = as_image(target)
    found = matched(image, as_image(source))
    assert set(found.ravel()) <= set(source)
    by_level = [found[np.rint(image * 255) == level] for level in levels]
    assert all(np.ptp(values) == 0 for values in by_level)
    assert list(map(np.mean, by_level)) == sorted(map(np.mean, by_level))


def test_parts_brighter_or_darker_than_all_that_was_looked_at_stay_in_the_source():
    own, reference = (make_reference([as_image(levels)]) for levels in ([90, 100], [150, 160]))
    found = match_histogram(as_image([0, 95, 255]), own, reference)
    np.testing.assert_allclose(np.unique(np.rint(found * 255)), [150, 160])


def test_a_constant_micrograph_becomes_the_median_of_the_source():
    assert set(matched(as_image([50]), as_image([100, 110, 120])).ravel()) == {110}


def test_matching_a_micrograph_with_itself_changes_nothing(draw):
    image = draw(1)[0].astype(np.float32)
    own = make_reference([image])
    np.testing.assert_allclose(match_histogram(image, own, own), image, atol=1e-5)


def test_parts_of_a_micrograph_are_changed_alike(draw):
    image, reference = draw(1)[0], make_reference([draw(1, 1)[0] * 0.5])
    own = make_reference([image])
    whole = match_histogram(image, own, reference)
    np.testing.assert_array_equal(match_histogram(image[:20], own, reference), whole[:20])


def wave(shape, mean, amplitude, phase=0.0, cycles=1):
    """Cycles along the rows of a field of any size."""
    rows = np.cos(2 * np.pi * cycles * np.arange(shape[0]) / shape[0] + phase)
    return np.tile((mean + amplitude * rows)[:, None, None], (1, shape[1], 1)).astype(np.float32)


def test_amplitudes_are_of_grey_levels_whatever_the_number_of_pixels():
    small, large = (make_reference([wave(shape, 0.5, 0.1)]) for shape in ((64, 48), (160, 224)))
    np.testing.assert_allclose(small.amplitude, large.amplitude, atol=1e-6)
    assert small.amplitude[1, 1, 0] == pytest.approx(0.5, abs=1e-6)  # the mean grey
    assert small.amplitude[0, 1, 0] == pytest.approx(0.05, abs=1e-6)  # half on each side


def test_low_frequencies_are_taken_from_a_source_of_another_size(draw):
    fine = draw(1)[0] - draw(1)[0].mean()
    target = (wave((96, 96), 0.3, 0.02, 1.0) + 0.2 * fine).astype(np.float32)
    reference = make_reference([wave((64, 160), 0.6, 0.1)])
    found = adapt_fourier(target, None, reference)
    assert found.mean() == pytest.approx(0.6, abs=1e-3)
    spectrum = np.abs(np.fft.fft2(found[..., 0])) / found[..., 0].size
    assert spectrum[1, 0] == pytest.approx(0.05, abs=1e-3)
    before = np.abs(np.fft.fft2(target[..., 0])) / target[..., 0].size
    np.testing.assert_allclose(spectrum[4:40, 4:40], before[4:40, 4:40], atol=1e-5)


def test_its_own_amplitudes_give_a_micrograph_back(draw):
    image = draw(1)[0].astype(np.float32)
    np.testing.assert_allclose(
        adapt_fourier(image, None, make_reference([image])), image, atol=1e-5
    )


def test_a_field_with_fewer_frequencies_than_the_source_takes_those_that_it_has():
    reference = make_reference([wave((2400, 2400), 0.6, 0.1, cycles=10)])
    assert len(reference.amplitude) == 25
    found = adapt_fourier(wave((16, 16), 0.3, 0.02), None, reference)
    np.testing.assert_allclose(found, 0.6, atol=1e-3)
