"""Sets whose greys are each micrograph's own are not compared with those as stored."""

from types import SimpleNamespace

import pytest

from mstool.errors import InputError
from mstool.pipeline.shift.samples import _check_alike


def test_own_greys_are_compared_with_own_greys_alone():
    def opened(name, has_own_greys):
        return SimpleNamespace(name=name, dtype="uint8", n_channels=1, has_own_greys=has_own_greys)

    _check_alike(opened("the source", True), opened("the target", True))
    for own in (True, False):
        with pytest.raises(InputError) as raised:
            _check_alike(opened("the source", own), opened("the target", not own))
        first, second = ("source", "target") if own else ("target", "source")
        assert (
            f"the {first} has greys by mstool tile --rescale-greys each, the {second} has not"
            in str(raised.value)
        )
