import inspect
import json
from dataclasses import replace

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mstool.errors import InputError, UsageError
from mstool.labels.legend import legend_from_values, legend_to_toml
from mstool.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstool.nn.decoder_width import (
    USUAL_CHANNELS,
    decoder_arguments,
    parse_decoder_width,
    usual_channels,
)
from mstool.nn.model import ModelSpec, build_segmenter, count_parameters

LITE = "efficientnet-lite0"
NARROW = (32, 16, 16, 8, 8)


@pytest.mark.parametrize(
    ("text", "arch", "channels"),
    [
        ("1", "unet", (256, 128, 64, 32, 16)),
        ("0.5", "unetplusplus", (128, 64, 32, 16, 8)),
        ("0.1", "manet", (26, 13, 6, 3, 2)),
        ("64,48,32,16,8", "unet", (64, 48, 32, 16, 8)),
        ("64, 32", "fpn", (64, 32)),
        ("0.25", "deeplabv3plus", (64,)),
        ("48", "deeplabv3", (48,)),
        ("4", "pan", (128,)),
        ("5", "pan", (5,)),
    ],
)
def test_factors_and_lists_are_read(text, arch, channels):
    assert parse_decoder_width(text, arch) == channels


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "-1", "0.001", "64", "wide", "nan", "inf", "-inf"),
        *("64,48,32,16", "64,48,32,16,8,4", "64,48,,16,8", "64,48,32,16,8.5"),
        *("64,48,32,16,0", "9999,48,32,16,8"),
    ],
)
def test_other_widths_are_refused_with_what_could_be_given(text):
    with pytest.raises(UsageError, match=r"^--decoder-width .*: not for --arch unet.*256,128,64"):
        parse_decoder_width(text, "unet")


@pytest.mark.parametrize("arch", ["unet-plain", "pixel-classifier", "linknet", "dpt"])
def test_architectures_without_the_choice_are_refused(arch):
    with pytest.raises(UsageError, match="--decoder-width 0.5: needs --arch unet, "):
        parse_decoder_width("0.5", arch)
    with pytest.raises(UsageError, match="0"):
        decoder_arguments(arch, (8,))


def test_channels_that_fpn_cannot_normalise_are_refused():
    with pytest.raises(UsageError, match="multiple of 32"):
        parse_decoder_width("64,48", "fpn")


@pytest.mark.parametrize("arch", USUAL_CHANNELS)
def test_usual_channels_are_those_of_the_library(arch):
    known = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[arch]).parameters
    arguments = decoder_arguments(arch, usual_channels(arch))
    assert arguments == {name: known[name].default for name in arguments}


@pytest.mark.parametrize("arch", USUAL_CHANNELS)
def test_half_the_width_has_fewer_weights_and_keeps_the_size(arch):
    def build(channels):
        spec = ModelSpec(arch, LITE, 1, 2, decoder_channels=channels)
        return build_segmenter(spec, [0.0], [1.0]).eval()

    narrow = build(parse_decoder_width("0.5", arch))
    assert count_parameters(narrow) < count_parameters(build(None))
    with torch.inference_mode():
        assert narrow(torch.rand(1, 1, 128, 128)).shape == (1, 2, 128, 128)


@pytest.fixture(scope="module")
def narrow_model(tmp_path_factory):
    """File of a U-Net with a narrow decoder."""
    path = tmp_path_factory.mktemp("narrow") / "model.safetensors"
    spec = ModelSpec("unet", LITE, 1, 2, decoder_channels=NARROW)
    numbers = ((0.0,), (1.0,), "uint8", None, 32, None)
    sources = {"train": [], "val": [], "test": []}
    legend = legend_to_toml(legend_from_values([0, 1]))
    checkpoint = Checkpoint(spec, ("a", "b"), legend, *numbers, sources, {}, {})
    save_checkpoint(path, build_segmenter(spec, [0.0], [1.0], 0), checkpoint)
    return path


def test_checkpoint_rebuilds_its_decoder(narrow_model):
    loaded = load_checkpoint(narrow_model)
    assert loaded.checkpoint.spec.decoder_channels == NARROW
    again = build_segmenter(loaded.checkpoint.spec, [0.0], [1.0], 0).state_dict()
    assert all(torch.equal(again[name], t) for name, t in loaded.segmenter.state_dict().items())


def rewrite_spec(path, target, change):
    """Copy a model, with its description changed."""
    with safe_open(path, "pt") as stream:
        description = json.loads(stream.metadata()["mstool"])
    change(description["spec"])
    save_file(load_file(path), target, {"mstool": json.dumps(description)})


def test_checkpoint_without_the_field_has_the_usual_decoder(narrow_model, tmp_path):
    loaded = load_checkpoint(narrow_model)
    usual = replace(loaded.checkpoint.spec, decoder_channels=None)
    wide, old = tmp_path / "wide.safetensors", tmp_path / "old.safetensors"
    segmenter = build_segmenter(usual, [0.0], [1.0])
    save_checkpoint(wide, segmenter, replace(loaded.checkpoint, spec=usual))
    rewrite_spec(wide, old, lambda spec: spec.pop("decoder_channels"))
    spec = load_checkpoint(old).checkpoint.spec
    assert decoder_arguments("unet", spec.decoder_channels) == {}


@pytest.mark.parametrize(
    "value",
    [
        *(5, True, "wide", {"a": 1}, [], [32], [1e9] * 5),
        *([32, 16, 16, 8, 0], [32, 16, 16, 8, "8"], [32, 16, 16, 8, 99999]),
        [32, 16, 16, 8, 16],  # another network than the weights are of
    ],
    ids=str,
)
def test_damaged_width_is_one_line(narrow_model, tmp_path, value):
    damaged = tmp_path / "damaged.safetensors"
    rewrite_spec(narrow_model, damaged, lambda spec: spec.update(decoder_channels=value))
    with pytest.raises(InputError) as caught:
        load_checkpoint(damaged)
    assert str(damaged) in str(caught.value)
    assert "\n" not in str(caught.value)
