"""Encoders that take images of one size are refused others in one line."""

import pytest

from mstool.errors import UsageError
from mstool.nn.input_size import refuse_fixed_size
from mstool.nn.model import ModelSpec, build_segmenter

FIXED, FREE = "tu-test_maxvit", "tu-test_convnext"


@pytest.mark.parametrize("arch", ["pixel-classifier", "unet"])
def test_tiles_of_another_size_are_refused(arch):
    def build(encoder):
        spec = ModelSpec(arch, encoder, 1, 2, features="encoder", width=4)
        return build_segmenter(spec, [0.0], [1.0], 0)

    with pytest.raises(UsageError, match=f"--encoder {FIXED}: does not take tiles of 96 pixels"):
        refuse_fixed_size(build(FIXED), FIXED, 160, 96)
    refuse_fixed_size(build(FREE), FREE, 64, 96)
