"""Which repairs there are of what was read, and why one is not possible."""

from types import SimpleNamespace

import numpy as np
import pytest

from mstool.pipeline.shift.mitigate import Repair, make_repair
from mstool.pipeline.shift.samples import Sample


def sample(shape, field_shape):
    field = np.full((*field_shape, 1), 100, np.float32)
    return Sample("a.tif", "a", "", (field,), (None,), (0.0, 255.0), shape)


def make(name, target, has_norms=False):
    source = SimpleNamespace(fields=[np.full((64, 64, 1), 90, np.float32)])
    comparison = SimpleNamespace(
        network=SimpleNamespace(has_norms=has_norms),
        levels=(0.0, 255.0),
        source=source,
        target=SimpleNamespace(samples=[target], fields=target.fields),
    )
    still = SimpleNamespace(transfer=SimpleNamespace(greys_moved=False))
    return make_repair(comparison, name, still)


@pytest.mark.parametrize("name", ["histogram", "reinhard"])
def test_greys_are_repaired_in_micrographs_of_any_size(name):
    assert isinstance(make(name, sample((256, 320), (64, 64))), Repair)


def test_waves_are_repaired_only_where_a_field_is_all_that_is_written():
    """A wave of a field has another length, and another amplitude, in a larger micrograph."""
    assert isinstance(make("fourier", sample((64, 48), (64, 48))), Repair)
    assert "give --size 320" in make("fourier", sample((256, 320), (64, 64)))


@pytest.mark.parametrize(
    ("name", "reason"), [("curve", "no change of grey levels"), ("tent", "no batch normalisation")]
)
def test_what_is_not_possible_says_why(name, reason):
    assert reason in make(name, sample((64, 64), (64, 64)))
