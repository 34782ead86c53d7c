"""What has greys of each micrograph's own, and what has not, do not go together."""

from types import SimpleNamespace

import pytest

from mstool.errors import InputError
from mstool.nn.checkpoint import check_ensemble
from mstool.pipeline.pretrain.unlabelled_pool import _check_alike as check_pool
from mstool.pipeline.shift.samples import _check_alike


def test_own_greys_are_compared_with_own_greys_alone():
    def opened(name, has_own_greys):
        return SimpleNamespace(
            name=name, dtype="uint8", n_channels=1, legend=None, has_own_greys=has_own_greys
        )

    _check_alike(opened("the source", True), opened("the target", True))
    for own in (True, False):
        with pytest.raises(InputError) as raised:
            _check_alike(opened("the source", own), opened("the target", not own))
        first, second = ("source", "target") if own else ("target", "source")
        assert (
            f"the {first} has greys by mstool tile --rescale-greys each, the {second} has not"
            in str(raised.value)
        )


@pytest.mark.parametrize("first", [True, False])
def test_tiles_of_a_pool_are_alike(first):
    def folder(path, has_own_greys):
        facts = {"dtype": "uint8", "n_channels": 1, "size": 64}
        return SimpleNamespace(path=path, has_own_greys=has_own_greys, **facts)

    check_pool([folder("a", first), folder("b", first)])
    own, stored = ("a", "b") if first else ("b", "a")
    words = f"^{own}: was cut with --rescale-greys each, {stored} without it; tile alike$"
    with pytest.raises(InputError, match=words):
        check_pool([folder("a", first), folder("b", not first)])


@pytest.mark.parametrize("first", [True, False])
def test_models_of_an_ensemble_are_alike(first):
    def model(path, has_own_greys):
        known = SimpleNamespace(classes=("a", "b"), has_own_greys=has_own_greys)
        return SimpleNamespace(path=path, checkpoint=known)

    check_ensemble([model("a", first), model("b", first)])
    own, stored = ("a", "b") if first else ("b", "a")
    words = f"^{own} was trained with --rescale-greys each, {stored} without it, and no"
    with pytest.raises(InputError, match=words):
        check_ensemble([model("a", first), model("b", not first)])
