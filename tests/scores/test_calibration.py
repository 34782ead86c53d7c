import numpy as np
import pytest
from scipy.special import softmax

from mstool.errors import LabelError
from mstool.scores.calibration import (
    brier_scores,
    calibration_error,
    class_calibration_errors,
    count_confidence,
    coverage_curve,
    reliability,
)
from mstool.scores.confusion import confusion_matrix
from mstool.scores.metrics import mean_iou
from mstool.scores.temperature import fit_temperature, negative_log_likelihood


def drawn(n_pixels: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (P, 3), and labels drawn with the probabilities that these are logits of."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n_pixels, 3))
    return logits, (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n_pixels, 1))).sum(axis=1)


def as_image(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return softmax(logits, axis=1).T[:, None], labels[None].astype(np.uint8)


def test_calibration_error_agrees_with_hand_calculation():
    # confidence 0.9 in four pixels, of which three are right; 0.6 in one, which is wrong
    probabilities = np.array([[[0.9, 0.9, 0.9, 0.1, 0.6]], [[0.1, 0.1, 0.1, 0.9, 0.4]]])
    labels = np.array([[0, 0, 1, 1, 1]], np.uint8)
    counts = count_confidence(probabilities, labels)
    assert calibration_error(counts) == pytest.approx((4 * 0.15 + 0.6) / 5)
    pixels, confidence, hits = reliability(counts)
    assert pixels[[12, 18]].tolist() == [1, 4] and pixels.sum() == 5
    assert confidence[[12, 18]] == pytest.approx([0.6, 0.9])
    assert hits[[12, 18]].tolist() == [0, 0.75]
    assert np.isnan(confidence[0])


def test_class_errors_and_brier_agree_with_hand_calculation():
    probabilities = np.array([[[0.9, 0.9, 0.2]], [[0.1, 0.1, 0.8]]])
    labels = np.array([[0, 1, 1]], np.uint8)
    counts = count_confidence(probabilities, labels)
    # of class 0: bin 0.9 has 0.9 against 1/2 (twice), bin 0.2 has 0.2 against 0
    assert class_calibration_errors(counts)[0] == pytest.approx((2 * 0.4 + 0.2) / 3)
    assert brier_scores(counts) == pytest.approx([(0.01 + 0.81 + 0.04) / 3] * 2)


def test_frequencies_have_no_calibration_error():
    counts = count_confidence(*as_image(*drawn(200_000, 2)))
    assert calibration_error(counts) < 0.005
    assert class_calibration_errors(counts).max() < 0.005


def test_too_sure_probabilities_have_one():
    logits, labels = drawn(20_000, 2)
    assert calibration_error(count_confidence(*as_image(3 * logits, labels))) > 0.1


@pytest.mark.parametrize("temperature", [0.4, 1, 2.5])
def test_known_temperature_is_found_within_five_percent(temperature):
    logits, labels = drawn(50_000, 1.5)
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.05)


def test_likelihood_agrees_with_hand_calculation():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    found = negative_log_likelihood(logits, np.array([0, 2]))
    assert found == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)


def test_bands_add_up_to_the_image():
    probabilities, labels = as_image(*drawn(300, 2))
    probabilities, labels = probabilities.reshape(3, 10, 30), labels.reshape(10, 30)
    whole = count_confidence(probabilities, labels)
    bands = count_confidence(probabilities[:, :4], labels[:4]) + count_confidence(
        probabilities[:, 4:], labels[4:]
    )
    for name, values in vars(whole).items():
        assert np.allclose(values, getattr(bands, name)), name


def test_coverage_agrees_with_scores_of_the_kept_pixels():
    probabilities, labels = as_image(*drawn(3000, 2))
    curve = coverage_curve(count_confidence(probabilities, labels))
    assert curve.coverage[0] == 1 and np.all(np.diff(curve.coverage) <= 0)
    for index in (0, 100, 150, 190):
        is_kept = probabilities.max(axis=0) >= curve.threshold[index]
        kept = confusion_matrix(labels[is_kept], probabilities.argmax(axis=0)[is_kept], 3)
        assert curve.coverage[index] == pytest.approx(is_kept.mean())
        assert curve.mean_iou[index] == pytest.approx(mean_iou(kept))
        assert curve.accuracy[index] == pytest.approx(np.trace(kept) / kept.sum())


def test_confidence_at_a_threshold_is_kept():
    sure = np.array(
        [[[0.29, 0.58, 0.8, 0.8 - 3e-7, 0.8 - 3e-3]]]
    )  # 0.29 * 200 < 58, as 0.58 * 200 < 116
    probabilities = np.concatenate([sure, *[(1 - sure) / 4] * 4])
    curve = coverage_curve(count_confidence(probabilities, np.zeros((1, 5), np.uint8)))
    assert curve.coverage[[58, 59, 116, 117, 160, 161]] == pytest.approx([1, 0.8, 0.8, 0.6, 0.4, 0])


def test_ignored_pixels_do_not_count():
    probabilities, labels = as_image(*drawn(100, 2))
    half = labels.copy()
    half[:, 50:] = 255
    cut = count_confidence(probabilities[..., :50], labels[:, :50])
    found = count_confidence(probabilities, half)
    assert found.n_pixels == 50
    assert np.array_equal(found.confusion, cut.confusion)
    assert np.allclose(found.class_squares, cut.class_squares)


def test_without_a_labelled_pixel_all_is_nan():
    counts = count_confidence(np.full((2, 1, 3), 0.5), np.full((1, 3), 255, np.uint8))
    assert np.isnan(calibration_error(counts)) and np.isnan(brier_scores(counts)).all()
    assert np.isnan(coverage_curve(counts).coverage).all()


def test_rounded_probabilities_are_brought_to_sum_one():
    probabilities = np.array([[[0.6]], [[0.6]]]) * 1.0
    counts = count_confidence(probabilities, np.zeros((1, 1), np.uint8))
    assert counts.confidence.sum() == pytest.approx(0.5)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(LabelError, match="no class"):
        count_confidence(np.full((2, 1, 1), 0.5), np.full((1, 1), 2, np.uint8))
    with pytest.raises(LabelError, match="same size"):
        count_confidence(np.full((2, 1, 1), 0.5), np.zeros((1, 2), np.uint8))
