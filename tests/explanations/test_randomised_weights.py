import numpy as np
import pytest

from mstool.explanations.randomised_weights import judge_blind_map, weigh_likeness
from mstool.explanations.verdicts import Thresholds

LIMITS = Thresholds()
RNG = np.random.default_rng(0)
WINDOW = np.ones((16, 16), bool)


def weigh(trained, cascaded, independent=None, nearly=None):
    """One region, one seed."""
    return weigh_likeness(
        [trained], [WINDOW], ("head", "body"), [[[one] for one in cascaded]],
        independent and [[one] for one in independent],
        [trained if nearly is None else nearly], LIMITS, is_signed=True,
    )  # fmt: skip


def noise():
    return RNG.normal(size=(16, 16))


def test_maps_that_change_with_the_weights_pass():
    found = weigh(noise(), [noise(), noise()], [noise(), noise()])
    assert found.verdict == "pass"
    assert found.ceiling == pytest.approx(1)
    assert [step.block for step in found.cascading] == ["head", "body"]
    assert [step.block for step in found.independent] == ["head", "body"]


def test_maps_that_stay_or_turn_their_sign_fail():
    own = noise()
    assert weigh(own, [own, own]).verdict == "fail"
    turned = weigh(own, [-own, -own])
    assert turned.verdict == "fail"
    assert (turned.last, turned.cascading[-1].spearman_signed) == (
        pytest.approx(1),
        pytest.approx(-1),
    )


def test_maps_of_zeros_are_degenerate_and_no_pass():
    zeros = np.zeros((16, 16))
    found = weigh(noise(), [noise(), zeros])
    assert (found.verdict, found.zero_share) == ("degenerate", 0.5)
    assert np.isnan(found.last)
    assert weigh(zeros, [noise(), noise()]).verdict == "degenerate"


def test_method_whose_maps_are_mostly_zeros_is_degenerate():
    zeros, windows = np.zeros((16, 16)), [WINDOW] * 3
    random = [[[noise() for _ in windows] for _ in range(2)]]
    trained = [noise(), zeros, zeros]
    found = weigh_likeness(
        trained, windows, ("head", "body"), random, None, trained, LIMITS, is_signed=True
    )
    assert (found.verdict, found.zero_share) == ("degenerate", 0)


def test_what_does_not_look_at_the_network_fails():
    assert judge_blind_map(LIMITS).verdict == "fail"
