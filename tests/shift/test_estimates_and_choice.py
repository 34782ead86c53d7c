from dataclasses import replace

import numpy as np
import pytest

from mstool.scores.metrics import mean_iou
from mstool.shift.choice import choose_repair, spread_picks, suspect_label_shift
from mstool.shift.cost import Drop
from mstool.shift.estimates import (
    Case,
    Estimate,
    average_thresholded_confidence,
    bound_accuracies,
    difference_of_confidences,
    errors_left_out,
    estimate_score,
    label_shift_score,
    nearest_case,
    signs_of,
)
from mstool.shift.readings import add_readings, read_prediction
from mstool.shift.repair import make_reference, match_histogram, match_mean_and_spread
from mstool.shift.verdict import judge_harm


def reading(seed=0, agree=0.95, fraction=0.4, truth=True):
    """Prediction of 64 x 64 pixels whose views agree with it on a share of the pixels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((64, 64)) < fraction).astype(np.uint8)
    sure = rng.uniform(0.6, 1, (64, 64))
    probabilities = np.where(labels, [[1 - sure], [sure]], [[sure], [1 - sure]])[:, 0]
    view = np.where(rng.random(labels.shape) < agree, labels, 1 - labels)
    known = np.where(rng.random(labels.shape) < 0.9, labels, 1 - labels).astype(np.uint8)
    return read_prediction(probabilities, [view], known if truth else None)


def test_readings_add_up():
    one, other = reading(0), reading(1)
    both = add_readings([one, other])
    assert both.n_px == 2 * 64 * 64
    np.testing.assert_array_equal(both.confusion, one.confusion + other.confusion)
    assert add_readings([one, reading(2, truth=False)]).confusion is None
    assert 0.85 < one.self_consistency < 0.95


def test_estimators_give_the_source_its_own_accuracy():
    source = reading(0)
    accuracy = np.trace(source.confusion) / source.confusion.sum()
    assert difference_of_confidences(source, source) == pytest.approx(accuracy)
    assert average_thresholded_confidence(source, source) == pytest.approx(accuracy, abs=0.005)


def test_confidence_that_is_lost_is_accuracy_that_is_lost():
    source = reading(0)
    surer = replace(source, confidence=np.eye(200, dtype=int)[199] * source.n_px)
    accuracy = np.trace(source.confusion) / source.confusion.sum()
    gain = surer.mean_confidence - source.mean_confidence
    assert gain > 0.15
    assert difference_of_confidences(source, surer) == pytest.approx(accuracy + gain)


def test_signs_are_what_predictions_tell():
    own, source = (np.repeat([[0, 1, 2]], n_px, axis=1) for n_px in ((6, 3, 1), (2, 4, 4)))
    own, source = (read_prediction(np.eye(3)[:, labels], [labels]) for labels in (own, source))
    # all sure, the same on the other view, and phases changed by 0.4, 0.1 and 0.3
    assert signs_of(own, source) == pytest.approx((1, 0.9975, 1, 0.4))
    torn = reading(0)
    assert signs_of(torn, torn) == (torn.self_consistency, torn.mean_confidence, torn.soft_iou, 0)


def test_label_shift_alone_is_told_from_appearance():
    source = reading(0)
    shares = source.confusion.sum(axis=1) / source.confusion.sum()
    same = label_shift_score(source, shares)
    assert same == pytest.approx(mean_iou(source.confusion), abs=1e-6)
    assert label_shift_score(source, [0.99, 0.01]) < same


def test_estimates_are_ranges_with_an_error_from_families_left_out():
    rng = np.random.default_rng(0)
    cases = [
        Case(family, dose, (1 - dose + rng.normal(0, 0.02), 0.9, 0.9, dose / 4), 0.95 - 0.8 * dose)
        for family in "abcd"
        for dose in np.linspace(0.1, 0.8, 6)
    ]
    estimated, truth = errors_left_out(cases)
    assert np.abs(estimated - truth).mean() < 0.1
    found = estimate_score(cases, (0.6, 0.9, 0.9, 0.1))
    assert found.low < found.mean_iou < found.high
    assert found.mean_iou == pytest.approx(0.63, abs=0.1)
    assert found.rank_correlation > 0.9
    assert not found.is_extrapolated
    assert estimate_score(cases, (-3.0, 0.9, 0.9, 0.1)).is_extrapolated


def test_no_case_is_estimated_from_its_own_family():
    # two families that look alike, one harmless and one ruinous: either foretells the other badly
    cases = [
        Case(family, dose, (0.9, 0.9, 0.9, 0.0), score)
        for family, score in (("good", 0.9), ("bad", 0.1))
        for dose in (1, 2, 3, 4)
    ]
    estimated, truth = errors_left_out(cases)
    np.testing.assert_allclose(estimated, [0.1] * 4 + [0.9] * 4)
    np.testing.assert_allclose(truth, [0.9] * 4 + [0.1] * 4)
    found = estimate_score(cases, (0.9, 0.9, 0.9, 0.0))
    assert found.mean_iou == pytest.approx(0.5, abs=0.05)
    assert (found.low, found.high) == (0, 1)
    assert found.mean_error == pytest.approx(0.8)
    assert found.rank_correlation == pytest.approx(-1)


def test_confidence_is_a_range_too_and_as_wide_as_it_erred():
    cases = [
        Case(
            "a", dose, (1, 1, 1, 0), 0.5, accuracy=1 - dose, accuracies={"average_confidence": 0.9}
        )
        for dose in (0.0, 0.2, 0.5)
    ]
    found = bound_accuracies(cases, {"average_confidence": 0.8})["average_confidence"]
    assert (found["low"], found["high"]) == pytest.approx((0.4, 0.9))
    assert found["mean_error"] == pytest.approx((0.1 + 0.1 + 0.4) / 3)
    assert np.isnan(bound_accuracies([], {"average_confidence": 0.8})["average_confidence"]["low"])


def test_the_nearest_case_is_that_with_the_same_signs():
    cases = [Case("a", dose, (1 - dose, 0.9, 0.8, dose), 0.5) for dose in (0.1, 0.5, 0.9)]
    assert nearest_case(cases, (0.45, 0.9, 0.8, 0.5)).dose == 0.5


def test_a_phase_that_the_source_lacks_leaves_the_share_of_phases_unknown():
    source = reading(0)
    wider = np.pad(source.confusion, (0, 1))
    assert np.isnan(label_shift_score(replace(source, confusion=wider), (0.4, 0.3, 0.3)))


def test_the_range_is_wider_where_scores_are_less_certain():
    rng = np.random.default_rng(1)
    cases = []
    for family in "abcdef":
        for dose in np.linspace(0, 0.9, 8):
            score = 0.95 - dose * (0.3 + 0.7 * rng.random())
            cases.append(Case(family, dose, (1 - dose, 0.9, 0.9, dose / 4), score))
    good, poor = (estimate_score(cases, (sign, 0.9, 0.9, 0.0)) for sign in (0.97, 0.2))
    assert poor.high - poor.low > 2 * (good.high - good.low)
    assert good.low <= good.mean_iou <= good.high


def test_none_stays_unless_a_repair_is_clearly_more_consistent():
    source, own = reading(0), reading(1, agree=0.9)
    better, hardly = reading(1, agree=0.97), reading(1, agree=0.905)
    assert choose_repair({"none": own, "tent": better}, source) == "tent"
    assert choose_repair({"none": own, "tent": hardly}, source) == "none"
    known = {"none": 0.9, "tent": 0.8}
    assert choose_repair({"none": own, "tent": better}, source, known) == "none"
    stable_enough = reading(0, agree=0.948)
    assert choose_repair({"none": stable_enough, "tent": better}, source) == "none"
    lost = reading(1, agree=0.999, fraction=0.02)
    assert choose_repair({"none": own, "tent": lost}, source) == "none"
    assert suspect_label_shift(reading(2, fraction=0.1).fractions, source.fractions)
    assert not suspect_label_shift(own.fractions, source.fractions)


def test_picks_are_uncertain_and_unlike_each_other():
    features = np.array([[5.0, 0], [5.1, 0], [0, 5.0], [0, 0]])
    picks = spread_picks([0.9, 0.8, 0.7, 0.1], features, np.zeros((3, 2)), 2)
    assert picks == [0, 2]


def test_repairs_bring_grey_levels_back(draw):
    source, target = draw(4, 1), [image**1.8 for image in draw(4, 2)]
    reference = make_reference(source)
    for repair in (match_histogram, match_mean_and_spread):
        repaired = [repair(image, make_reference([image]), reference) for image in target]
        assert np.mean(repaired) == pytest.approx(np.mean(source), abs=0.02)
        assert all(image.dtype == np.float32 for image in repaired)


def test_detected_is_not_harmful():
    def drop(mean, interval):
        return Drop(mean, interval, {}, {}, 0.0, mean)

    wide = Estimate(0.95, 0.5, 0.99, 0.1, 0.9, 40, is_extrapolated=False)
    assert judge_harm(drop(0.01, (0.0, 0.02)), None, None, 0.05) == "no"
    assert judge_harm(drop(0.3, (0.2, 0.4)), None, None, 0.05) == "yes"
    assert judge_harm(drop(0.3, (np.nan, np.nan)), None, None, 0.05) == "unclear"
    assert judge_harm(None, wide, 0.97, 0.05) == "unclear"
    assert judge_harm(None, wide, 0.97, 0.05, is_image_changed=False) == "no"
    low = replace(wide, mean_iou=0.7)
    assert judge_harm(None, low, 0.97, 0.05, is_image_changed=False) == "unclear"
    assert judge_harm(None, None, None, 0.05) == "unknown"
