import numpy as np
import pytest
from scipy import ndimage, stats

from mstool.explanations.boundaries import (
    band_enrichment,
    band_mask,
    band_share,
    distance_profile,
    mean_profile,
    signed_distance,
)
from mstool.explanations.boundary_claim import BandUse, judge_claim, over_others, use_of_band
from mstool.explanations.counterfactuals import (
    CAUSES,
    decide_cause,
    drop_specks,
    equalise_grey,
    flatten_texture,
    grey_of_rest,
    region_drops,
    remove_causes,
    weigh_causes,
)
from mstool.explanations.verdicts import Thresholds


@pytest.fixture
def square():
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    return labels


def test_distance_is_positive_inside_and_ends_nowhere_at_the_frame(square):
    distance = signed_distance(square, 1)
    assert (distance[10, 20], distance[9, 20], distance[20, 20]) == (0.5, -0.5, 9.5)
    assert np.isposinf(signed_distance(np.ones((4, 4), np.uint8), 1)).all()


def test_ignored_pixels_make_no_boundary():
    labels = np.array([[1, 1, 255, 0]], np.uint8)
    distance = signed_distance(labels, 1)
    assert distance[0, 1] == 1.5
    assert np.isnan(distance[0, 2])


def test_even_map_is_enriched_nowhere(square):
    window = np.ones(square.shape, bool)
    profile = distance_profile(np.ones(square.shape), signed_distance(square, 1), window)
    assert profile.mass_share.sum() == pytest.approx(1)
    np.testing.assert_allclose(profile.enrichment[profile.area_share > 0], 1)
    assert band_enrichment(
        np.ones(square.shape), band_mask(signed_distance(square, 1)), window
    ) == pytest.approx(1)


def test_map_on_the_rim_lies_in_the_band(square):
    distance = signed_distance(square, 1)
    rim = (np.abs(distance) < 1).astype(float)
    assert band_share(-rim, band_mask(distance), np.ones(square.shape, bool)) == 1
    zeros = np.zeros(square.shape)
    assert np.isnan(band_share(zeros, band_mask(distance), rim > 0))


def test_specks_join_what_surrounds_them(square):
    speckled = square.copy()
    speckled[20, 20], speckled[2, 2] = 0, 1
    np.testing.assert_array_equal(drop_specks(speckled), square)


def test_equalised_grains_have_the_grey_of_the_rest_and_keep_their_texture(square):
    rng = np.random.default_rng(0)
    image = (100 + 60 * square + rng.normal(0, 3, square.shape)).astype(np.float32)[..., None]
    components, _ = ndimage.label(square)
    editable = np.ones(square.shape, bool)
    changed = equalise_grey(image, components, editable, grey_of_rest(image, square > 0))
    assert changed[square > 0].mean() == pytest.approx(image[square == 0].mean(), abs=0.3)
    assert changed[square > 0].std() == pytest.approx(image[square > 0].std(), rel=0.1)
    np.testing.assert_array_equal(changed[square == 0], image[square == 0])


def test_flattened_grains_keep_their_mean_and_what_may_not_change(square):
    image = np.random.default_rng(0).normal(100, 9, (40, 40, 1)).astype(np.float32)
    components, _ = ndimage.label(square)
    editable = signed_distance(square, 1) > 4
    flat = flatten_texture(image, components, editable)
    assert flat[editable].std() == pytest.approx(0, abs=1e-4)
    assert flat[editable].mean() == pytest.approx(image[editable].mean(), rel=1e-5)
    np.testing.assert_array_equal(flat[~editable], image[~editable])


def test_drops_are_means_over_the_core_of_each_region():
    components = np.array([[1, 1, 0, 2]])
    before, after = np.array([[0.9, 0.5, 0.1, 0.8]]), np.zeros((1, 4))
    drops = region_drops(before, after, components, components > 0)
    np.testing.assert_allclose(drops, [0.7, 0.8])


@pytest.mark.parametrize(
    ("drops", "cause"),
    [
        ((0.9, 0.1, 0.0), "boundary"),
        ((0.0, 0.6, 0.2), "grey level"),
        ((-0.2, 0.0, 0.3), "texture"),
        ((0.5, 0.4, 0.0), "mixed"),
        ((0.1, 0.0, 0.0), "not testable"),
    ],
)
def test_cause_is_what_is_missed_most_and_by_far(drops, cause):
    names = ("boundary", "grey level", "texture")
    assert decide_cause({name: [drop] for name, drop in zip(names, drops, strict=True)}) == cause


def test_cause_that_was_not_tried_leaves_the_question_open():
    drops = {"boundary": [0.9], "grey level": [np.nan], "texture": [0.0]}
    assert decide_cause(drops) == "not testable"


def test_profiles_are_averaged_over_micrographs_and_maps_of_zeros_left_out(square):
    distance, window = signed_distance(square, 1), np.ones(square.shape, bool)
    inside, outside = (square == 1).astype(float), (square == 0).astype(float)
    profiles = [
        distance_profile(values, distance, window)
        for values in (inside, inside, inside, outside, np.zeros(square.shape))
    ]
    found = mean_profile(profiles, ["a", "a", "a", "b", "c"])
    assert found.mass_share[found.from_px >= 0].sum() == pytest.approx(0.5)
    assert found.mass_share[found.to_px <= 0].sum() == pytest.approx(0.5)
    np.testing.assert_allclose(found.area_share, profiles[0].area_share)


def test_use_of_the_band_is_averaged_over_micrographs(square):
    band, window = band_mask(signed_distance(square, 1)), np.ones(square.shape, bool)
    on, off = band.astype(float), (~band).astype(float)
    found = use_of_band([on, on, off], [band] * 3, [window] * 3, ["a", "a", "b"])
    assert found.share == pytest.approx(0.5)
    compared = over_others(found, BandUse(0.5, found.enrichment / 4), BandUse(0.5, 0.0))
    assert compared.over_edge_detector == pytest.approx(4)
    assert np.isnan(compared.over_random_weights)


def test_each_change_takes_one_cause_away_and_leaves_the_others(square):
    rng = np.random.default_rng(0)
    image = (100 + 60 * square + rng.normal(0, 3, square.shape)).astype(np.float32)[..., None]
    change = remove_causes(image, square, 1, rng)
    distance = signed_distance(square, 1)
    assert set(change.images) == set(CAUSES)
    np.testing.assert_array_equal(change.core, distance > 4.5)
    assert change.band_share == pytest.approx((400 - 12 * 12) / 400)
    far = ~band_mask(distance)
    np.testing.assert_array_equal(change.images["boundary"][far], image[far])
    assert abs(change.images["grey level"][change.core].mean() - 100) < 2
    assert change.images["texture"][change.core].std() < 0.01
    assert remove_causes(image, np.zeros_like(square), 1, rng) is None


def drops(boundary, grey=0.0, texture=0.0):
    n = len(boundary)
    return {"boundary": boundary, "grey level": [grey] * n, "texture": [texture] * n}


def interval_of(values):
    names = list("abcdef")[: len(values)]
    return weigh_causes(drops(values), names, [0.2], Thresholds()).interval["boundary"]


def test_interval_of_the_mean_is_that_of_student_and_needs_four_values():
    values = [0.1, 0.2, 0.3, 0.6, np.nan]
    known = stats.t.interval(0.95, 3, np.mean(values[:4]), stats.sem(values[:4]))
    low, high = interval_of(values)
    assert low <= known[0] and known[1] <= high  # no more freedom than four values have
    assert (low + high) / 2 == pytest.approx(0.3)
    assert np.isnan(interval_of(values[1:])).all()


def test_losses_count_by_micrograph():
    losses = [0.9, 0.9, 0.9, 0.5, 0.6, 0.8]
    found = weigh_causes(drops(losses), list("aaabcd"), [0.2], Thresholds())
    assert (found.n_units, found.n_regions) == (4, 6)
    assert found.drop["boundary"] == pytest.approx(0.7)
    assert found.interval["boundary"] == interval_of([0.9, 0.5, 0.6, 0.8])
    assert found.verdict == "boundary"
    alone = weigh_causes(drops(losses), list("aaabcc"), [0.2], Thresholds())
    assert np.isnan(alone.interval["boundary"]).all()
    assert "in fewer than 4 micrographs" in alone.reason


@pytest.mark.parametrize(
    ("values", "dense", "words"),
    [
        ([0.9] * 3, 0.2, "fewer than 4 micrographs"),
        ([0.9, 0.9, 0.9, np.nan], 0.2, "fewer than 4 micrographs"),
        ([0.9] * 4, 0.7, "cover most of the regions"),
        ([0.1] * 4, 0.2, "stays with its decision"),
        ([0.95, 0.0, 0.0, 0.0], 0.2, "without boundary the network loses most, but not in all"),
        ([], 0.2, "fewer than 4 micrographs"),
    ],
)
def test_what_cannot_be_tested_is_said(values, dense, words):
    found = weigh_causes(drops(values), list("abcd")[: len(values)], [dense], Thresholds())
    assert found.verdict == "not testable"
    assert words in found.reason
    assert judge_claim(found.verdict) == "not_testable"


def test_a_cause_is_named_only_where_it_is_clearly_ahead_of_the_next():
    losses = drops([0.6, 0.5, 0.7, 0.4]) | {"texture": [0.0, 0.5, 0.0, 0.5]}
    found = weigh_causes(losses, list("abcd"), [0.2], Thresholds())
    assert found.verdict == "mixed"
    assert "larger than that without texture" in found.reason
    clear = weigh_causes(
        losses | {"texture": [0.1, 0.0, 0.2, 0.0]}, list("abcd"), [0.2], Thresholds()
    )
    assert clear.verdict == "boundary"
