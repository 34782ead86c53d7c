import numpy as np
import pytest

from mstool.chance.divisions import divide, draw_sides
from mstool.chance.p_values import p_value
from mstool.shift import distances
from mstool.shift.appearance import describe, noise_sigma, radial_power
from mstool.shift.classifier import separate
from mstool.shift.measures import measure


def test_white_noise_has_a_flat_spectrum_at_its_variance():
    noise = np.random.default_rng(0).normal(0.5, 0.1, (256, 256))
    np.testing.assert_allclose(radial_power(noise)[1:], 0.01, rtol=0.2)
    assert noise_sigma(noise) == pytest.approx(0.1, rel=0.05)
    assert noise_sigma(np.add.outer(np.arange(64.0), np.arange(64.0))) == pytest.approx(0, abs=1e-9)


def test_known_distances():
    histograms = np.zeros((2, 256))
    histograms[0, 100], histograms[1, 164] = 1, 1
    source, target = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert distances.wasserstein(histograms, source, target)[0] == pytest.approx(64 / 256)
    assert distances.kolmogorov_smirnov(histograms, source, target)[0] == 1
    assert distances.jensen_shannon(histograms, source, target)[0] == pytest.approx(1)
    rows = np.array([[0.0], [0.0], [3.0], [3.0]])
    halves = np.array([[0.5, 0.5, 0, 0]]), np.array([[0, 0, 0.5, 0.5]])
    assert distances.energy_distance(rows, *halves)[0] == pytest.approx(6)
    assert distances.frechet_distance(rows, *halves)[0] == pytest.approx(9)
    assert distances.largest_ks(rows, *halves)[0] == 1


def test_chi_square_of_histograms_apart_is_one_and_of_others_by_hand():
    histograms = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0]])
    source, target = np.eye(3)[[0, 0]], np.eye(3)[[1, 2]]
    # 1; then (1/4 over 3/2 + 1/4 over 1/2) / 2
    assert distances.chi_square(histograms, source, target) == pytest.approx([1, 1 / 3])


def test_mmd_and_energy_distance_leave_out_what_is_compared_with_itself():
    rows = np.random.default_rng(0).normal(size=(7, 3))
    source = np.array([1, 1, 1, 0, 0, 0, 0]) / 3
    target = np.array([0, 0, 0, 1, 1, 1, 1]) / 4
    apart = np.linalg.norm(rows[:, None] - rows, axis=2)
    kernel = np.exp(-(apart**2) / np.median(apart[apart > 0] ** 2))

    def contrast(table):
        pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
        within = [
            np.mean([table[i, j] for i, j in pairs if i in side and j in side])
            for side in (range(3), range(3, 7))
        ]
        return sum(within) - 2 * np.mean(table[:3, 3:])

    found = distances.squared_mmd(rows, source[None], target[None])
    assert found == pytest.approx([contrast(kernel)])
    assert distances.energy_distance(rows, source[None], target[None]) == pytest.approx(
        [-contrast(apart)]
    )


def test_frechet_distance_sees_spread_as_well_as_mean():
    rows = np.array([[-1.0], [1.0], [-3.0], [3.0]])
    halves = np.array([[0.5, 0.5, 0, 0]]), np.array([[0, 0, 0.5, 0.5]])
    assert distances.frechet_distance(rows, *halves) == pytest.approx([4])


def test_equal_values_of_both_sets_are_no_distance():
    rows = np.array([[1.0], [1.0], [1.0], [1.0]])
    halves = np.array([[0.5, 0.5, 0, 0]]), np.array([[0, 0, 0.5, 0.5]])
    assert distances.largest_ks(rows, *halves) == pytest.approx([0])
    rows[3] = 2
    assert distances.largest_ks(rows, *halves) == pytest.approx([0.5])


def test_classifier_does_not_know_a_specimen_from_its_other_images():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(12), 6)
    # images of one specimen are all but the same, and specimens are on sides by chance
    rows = rng.standard_normal((12, 40))[unit] + 0.01 * rng.standard_normal((72, 40))
    sides = draw_sides(rng.permutation(12) < 6, 999, 0)
    found = separate(rows, unit, sides, 0)
    assert np.nanmean(found.auc) == pytest.approx(0.5, abs=0.05)
    assert np.nanmean(found.balanced_error) == pytest.approx(0.5, abs=0.05)


def test_classifier_takes_no_side_where_sets_differ_in_number_alone():
    rows, unit = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40)
    sides = draw_sides(unit < 32, 199, 0)
    error, with_other_folds = (separate(rows, unit, sides, s).balanced_error for s in (0, 1))
    assert error.mean() == pytest.approx(0.5, abs=0.03)
    assert (error != with_other_folds).any()


def test_error_of_the_smaller_set_weighs_as_much_as_that_of_the_larger():
    # 32 of the source, and 8 of the target of which one half looks like the source
    rows = np.repeat([0.0, 5.0, 0.0], [32, 4, 4])[:, None]
    rows = rows + np.random.default_rng(0).normal(0, 0.01, rows.shape)
    real = (np.arange(40) < 32)[None]
    error = separate(rows, np.arange(40), real, 0).balanced_error[0]
    assert error == pytest.approx((0 + 4 / 8) / 2, abs=0.03)


def test_classifier_tells_apart_what_differs_and_nothing_else():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((24, 6))
    unit, sides = np.arange(24), draw_sides(np.arange(24) < 12, 199, 0)
    null = separate(rows, unit, sides, 0)
    assert p_value(null.auc) > 0.05
    rows[12:] += 2
    found = separate(rows, unit, sides, 0)
    assert found.auc[0] > 0.95
    assert found.proxy_a_distance[0] > 1.5
    assert p_value(found.auc) < 0.02


def test_halves_of_one_set_give_few_false_alarms(draw):
    looks = [describe(image) for image in draw(24)]
    alarms = {}
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(24)
        source, target = ([looks[k] for k in part] for part in np.split(order, 2))
        names = [str(k) for k in range(12)]
        found = measure(source, target, divide(names, names, 99, seed), None, 0.05, 99, seed)
        for name, row in found.tests.p.items():
            alarms[name] = alarms.get(name, 0) + (row.p <= 0.05)
    assert max(alarms.values()) <= 6, alarms


def compare(source, target, permutations=999):
    names = [[str(k) for k in range(len(side))] for side in (source, target)]
    looks = [[describe(image) for image in side] for side in (source, target)]
    division = divide(*names, permutations, 0)
    return measure(*looks, division, None, 0.05, permutations, 0)


@pytest.mark.parametrize("n", [1, 3, 12])
def test_a_set_and_its_copy_cannot_be_told_apart(draw, n):
    images = draw(n)
    found = compare(images, images[::-1])
    assert not found.tests.detected
    assert min(test.p for test in found.tests.p.values() if np.isfinite(test.p)) > 0.05
    assert found.intensity["w1"] == pytest.approx(0, abs=1e-12)
    assert found.features["image"]["frechet"]["value"] == pytest.approx(0, abs=1e-12)


def test_a_set_that_shares_half_of_its_micrographs_is_not_another_one(draw):
    first, *others = (draw(6, seed) for seed in range(3))
    assert not compare([*first, *others[0]], [*others[1], *first]).tests.detected


@pytest.mark.parametrize("levels", [(0.4, 0.4), (0.0, 0.0), (0.0, 1.0)])
def test_blank_micrographs_have_finite_distances(levels):
    sets = [[np.full((64, 64, 1), level)] * 3 for level in levels]
    found = compare(*sets)
    p = {name: test.p for name, test in found.tests.p.items() if np.isfinite(test.p)}
    assert len(p) > 10
    assert (min(p.values()) == 1) == (levels[0] == levels[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda image, rng: image**1.3,
        lambda image, rng: image + rng.normal(0, 0.03, image.shape),
    ],
)
def test_real_shifts_are_detected(draw, change):
    rng = np.random.default_rng(1)
    source = [describe(image) for image in draw(12, 1)]
    target = [describe(np.clip(change(image, rng), 0, 1)) for image in draw(12, 2)]
    names = [str(k) for k in range(12)]
    found = measure(source, target, divide(names, names, 999, 0), None, 0.05, 999, 0)
    assert found.tests.detected


def test_two_micrographs_cannot_be_learnt_apart():
    rows = np.random.default_rng(0).normal(size=(14, 5))
    sides = draw_sides(np.arange(14) < 12, 99, 0)
    found = separate(rows, np.arange(14), sides, 0)
    assert np.isnan(found.auc).all()


def test_size_alone_changes_no_pattern(draw):
    whole = draw(8, edge=192)
    small = [image[:64, :64] for image in draw(8, 1, edge=192)]
    means = [np.mean([describe(i).binary_pattern for i in part], axis=0) for part in (whole, small)]
    assert np.abs(means[0] - means[1]).max() < 0.01
