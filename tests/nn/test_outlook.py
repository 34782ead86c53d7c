"""What a training run can expect of the time that is left."""

import math

import pytest

from mstool.nn.outlook import in_words, is_still_rising, steps_in_budget, validations_left


@pytest.mark.parametrize(
    ("needed_s", "left_s", "n_steps"),
    [(60, 20, 40), (60, 90, 100), (60, math.inf, 100), (0, 0, 100), (60, 0, 10)],
)
def test_steps_are_those_that_the_budget_pays_for(needed_s, left_s, n_steps):
    assert steps_in_budget(10, 100, needed_s, left_s) == n_steps


@pytest.mark.parametrize("epochs", range(1, 9))
@pytest.mark.parametrize("every", range(1, 10))
def test_validations_left_are_those_that_come(epochs, every):
    due = [epoch for epoch in range(1, epochs + 1) if epoch % every == 0 or epoch == epochs]
    for epoch in range(epochs + 1):
        assert validations_left(epoch, epochs, every) == sum(each > epoch for each in due)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (89, "89 s"), (95, "2 min"), (5000, "83 min"), (5400, "1.5 h")],
)
def test_time_is_told_without_false_precision(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("scores", "is_rising"),
    [
        ([], False),
        ([0.5], False),
        ([0.5, 0.6], True),
        ([0.5, 0.503], False),
        ([0.6, 0.5, 0.602], False),
        ([0.6, 0.5], False),
        ([0.5, math.nan], False),
        ([math.nan, 0.5], False),
        ([0.5, math.nan, 0.6], True),
    ],
)
def test_score_rises_while_the_last_is_clearly_the_best(scores, is_rising):
    history = [{"epoch": 1}, *({"val_mean_iou": score} for score in scores)]
    assert is_still_rising(history) == is_rising
