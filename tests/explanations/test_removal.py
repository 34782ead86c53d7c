import numpy as np
import pytest

from mstool.explanations.imputation import impute
from mstool.explanations.removal import (
    deletion_insertion,
    draw_perturbations,
    infidelity_ratio,
    order_pixels,
    perturbation_sizes,
    removal_mask,
    road_score,
)


@pytest.fixture
def toy():
    """Dark noise with a bright square, and a predictor that sees nothing but the square."""
    rng = np.random.default_rng(0)
    image = rng.normal(50, 5, (32, 32, 1)).astype(np.float32)
    cue = np.zeros((32, 32), bool)
    cue[8:14, 8:14] = True
    image[cue] += 100

    def predict(images):
        return 1 / (1 + np.exp(-(images[:, cue].mean(axis=(1, 2)) - 100) / 8))

    return image, cue.astype(float), np.ones((32, 32), bool), predict


def test_linear_ramp_is_filled_in_exactly():
    image = np.add.outer(np.arange(16.0), 2 * np.arange(16.0))[..., None]
    removed = np.zeros((16, 16), bool)
    removed[3:12, 4:13] = True
    np.testing.assert_allclose(impute(image, removed), image, atol=1e-5)  # float32


def test_kept_pixels_stay_and_nothing_removed_changes_nothing():
    image = np.random.default_rng(1).normal(size=(9, 9, 3)).astype(np.float32)
    removed = np.zeros((9, 9), bool)
    np.testing.assert_array_equal(impute(image, removed), image)
    removed[0, :5] = True
    filled = impute(image, removed, noise=0.1, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(filled[~removed], image[~removed])
    assert np.isfinite(filled).all()


def test_image_of_which_all_is_removed_is_its_mean():
    image = np.arange(9.0).reshape(3, 3, 1)
    assert (impute(image, np.ones((3, 3), bool)) == 4).all()


def test_ties_do_not_change_how_many_pixels_go():
    values = np.zeros((10, 10))
    values[:3] = 1  # 70 % ties
    order = order_pixels(values, np.ones((10, 10), bool), np.random.default_rng(0))
    for share in (0.1, 0.5, 0.9):
        assert removal_mask(order, share, (10, 10)).sum() == round(share * 100)
    assert (removal_mask(order, 0.3, (10, 10)) == (values == 1)).all()
    assert not (removal_mask(order, 0.5, (10, 10), least_first=True) & (values == 1)).any()


def test_road_finds_the_true_cue_and_not_a_random_map(toy):
    image, cue, window, predict = toy
    rng = np.random.default_rng(0)
    assert road_score(image, cue, window, predict, rng) >= 0.3
    scores = [road_score(image, rng.uniform(size=(32, 32)), window, predict, rng) for _ in range(8)]
    assert abs(np.mean(scores)) <= 0.1


def test_deletion_of_the_true_cue_falls_faster_than_of_noise(toy):
    image, cue, window, predict = toy
    rng = np.random.default_rng(0)
    blurred = np.full_like(image, 55)
    true = deletion_insertion(image, blurred, cue, window, predict, rng)
    noise = deletion_insertion(image, blurred, rng.uniform(size=(32, 32)), window, predict, rng)
    assert true.areas[0] < noise.areas[0]
    assert true.areas[1] > noise.areas[1]
    assert (true.deletion[0], true.insertion[0]) == pytest.approx(
        (predict(image[None])[0], predict(blurred[None])[0])
    )


def test_infidelity_is_nothing_for_a_linear_model_and_one_for_zeros():
    rng = np.random.default_rng(0)
    weights, changes = rng.normal(size=50), rng.normal(size=(30, 50))
    drops = changes @ weights
    assert infidelity_ratio(changes @ (3 * weights), drops) == pytest.approx(0, abs=1e-9)
    assert infidelity_ratio(np.zeros(30), drops) == 1
    assert np.isnan(infidelity_ratio(np.full(30, np.nan), drops))
    assert np.isnan(infidelity_ratio(changes @ weights, np.zeros(30)))


def test_perturbations_are_squares_near_the_window():
    window = np.zeros((40, 40), bool)
    window[20, 20] = True
    masks = draw_perturbations((40, 40), window, 12, np.random.default_rng(0))
    assert masks.shape == (12, 40, 40)
    assert masks[:, 20, 20].all()
    assert {round(mask.sum() ** 0.5) ** 2 == mask.sum() for mask in masks} == {True}


def test_perturbations_at_the_border_are_cut_off_and_not_lost():
    window = np.zeros((40, 40), bool)
    window[1, 1] = True
    masks = draw_perturbations((40, 40), window, 12, np.random.default_rng(0))
    assert masks[:, :2, :2].all()


def test_steepness_does_not_know_which_way_the_grey_changed():
    masks, change = np.array([[[True, False]]]), np.array([[[-2.0, 3.0]]])
    sizes = {kind: size.tolist() for kind, size in perturbation_sizes(masks, change).items()}
    assert sizes == {
        "share": [[[True, False]]],
        "gradient": [[[-2.0, 3.0]]],
        "steepness": [[[2.0, 3.0]]],
    }
