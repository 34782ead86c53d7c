import numpy as np
import pytest
import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.device import choose_compute
from mstool.nn.layers import (
    Layer,
    layer_activations,
    list_layers,
    match_layers,
    shallowest_layer,
    watch,
)
from mstool.nn.model import ModelSpec, Segmenter, build_segmenter


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return build_segmenter(ModelSpec("unet", "resnet18", 1, 2), [120.0], [50.0]).eval()


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return build_segmenter(
        ModelSpec("unet-plain", None, 1, 2, depth=3, width=4), [120.0], [50.0]
    ).eval()


@pytest.fixture
def image():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 1, 64, 64, generator=generator) * 255


def hooks_of(module):
    return sum(
        len(part._forward_hooks) + len(part._backward_hooks) + len(part._forward_pre_hooks)
        for part in module.modules()
    )


def state_of(module):
    flags = [part.training for part in module.modules()]
    flags += [parameter.requires_grad for parameter in module.parameters()]
    return flags, {name: value.clone() for name, value in module.state_dict().items()}


def same_state(first, second):
    return first[0] == second[0] and all(
        torch.equal(value, second[1][name]) for name, value in first[1].items()
    )


def by_name(layers):
    return {layer.name: layer for layer in layers}


def test_layers_of_resnet_have_their_strides(resnet):
    layers = by_name(list_layers(resnet, 1))
    strides = {name: layers[name].stride for name in layers if name.startswith("encoder[")}
    assert strides == {f"encoder[{index}]": 2**index for index in range(1, 6)}
    assert layers["encoder[1]"] == Layer("encoder[1]", 2, 64, 32, 32)
    assert layers["encoder.layer1.0.bn2"].stride == 4
    assert layers["segmentation_head"].stride == 1


def test_layers_come_in_order_of_computing(resnet):
    names = [layer.name for layer in list_layers(resnet, 1)]
    assert names[0] == "encoder.conv1"
    assert names.index("encoder.layer1.0.bn2") < names.index("encoder.layer1.0")
    assert names.index("encoder.layer4") < names.index("encoder[1]")
    assert names.index("encoder[5]") < names.index("decoder.blocks.0.conv1")
    assert "" not in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_strides_of_plain_network_with_and_without_padding(padding):
    spec = ModelSpec("unet-plain", None, 1, 2, depth=3, width=2, padding=padding)
    layers = by_name(list_layers(build_segmenter(spec, [0.0], [1.0]), 1))
    assert [layers[f"encoder.{level}"].stride for level in range(4)] == [1, 2, 4, 8]
    assert [layers[f"decoder.{level}"].stride for level in range(3)] == [4, 2, 1]


def test_pooled_tensor_has_the_edge_of_the_input_as_stride():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Upsample(size=(64, 64)))
    segmenter = Segmenter(network, 1, 0, [0.0], [1.0])
    assert [layer.stride for layer in list_layers(segmenter, 1)] == [1, 64, 1]


def test_listing_leaves_a_training_network_as_it_was(image):
    segmenter = build_segmenter(ModelSpec("unet-plain", None, 1, 2, 2, 2), [120.0], [50.0]).train()
    segmenter.network.encoder[0].eval()
    before = state_of(segmenter)
    list_layers(segmenter, 1)
    assert same_state(before, state_of(segmenter))
    assert hooks_of(segmenter) == 0


def test_shallowest_is_the_first_feature_of_the_encoder(resnet, plain):
    assert shallowest_layer(list_layers(resnet, 1)) == "encoder[1]"
    assert shallowest_layer(list_layers(plain, 1)) == "encoder.0"


def test_shallowest_without_encoder_is_wider_than_the_image():
    layers = [Layer("norm", 1, 1, 8, 8), Layer("first", 1, 2, 8, 8)]
    assert shallowest_layer(layers, n_channels=1) == "first"
    with pytest.raises(UsageError, match="name one"):
        shallowest_layer(layers, n_channels=3)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        # the hard one: `out += identity` and an in-place ReLU overwrite what it gave
        ("encoder.layer1.0.bn2", "encoder.layer1.0.bn2"),
        ("encoder[3]", "encoder.layer2"),
        ("decoder.blocks.1", "decoder.blocks.1"),
    ],
)
def test_watched_tensor_gives_grad_cam_of_captum(resnet, image, name, module):
    captum = pytest.importorskip("captum.attr")
    with watch(resnet, [name]) as seen:
        gradient = torch.autograd.grad(resnet(image)[:, 1].sum(), seen[name])[0]
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    ours = (weights * seen[name]).sum(dim=1, keepdim=True).detach()
    method = captum.LayerGradCam(
        lambda images: resnet(images)[:, 1].sum(dim=(1, 2)), resnet.network.get_submodule(module)
    )
    theirs = method.attribute(image).detach()
    assert theirs.abs().max() > 0
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_watching_leaves_hooks_and_flags_as_they_were(plain, image):
    before = state_of(plain)
    with watch(plain, ["encoder.0", "decoder.2"]) as seen:
        assert hooks_of(plain) == 2
        watched = plain(image)
    assert hooks_of(plain) == 0
    assert same_state(before, state_of(plain))
    assert set(seen) == {"encoder.0", "decoder.2"}
    assert torch.equal(watched, plain(image))


def test_watching_takes_hooks_off_after_an_error(plain):
    with pytest.raises(ZeroDivisionError), watch(plain, ["encoder.0"]):
        raise ZeroDivisionError
    with pytest.raises(UsageError), watch(plain, ["encoder.0", "no such"]):
        pass
    assert hooks_of(plain) == 0


def test_module_called_twice_keeps_the_tensor_of_its_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.twofold = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.constant_(self.twofold.weight, 2.0)

        def forward(self, images):
            return self.twofold(self.twofold(images)) * 5

    segmenter = Segmenter(Twice(), 1, 0, [0.0], [1.0]).eval()
    with watch(segmenter, ["twofold"]) as seen:
        score = segmenter(torch.ones(1, 1, 2, 2)).sum()
        gradient = torch.autograd.grad(score, seen["twofold"])[0]
    assert (seen["twofold"] == 4).all()
    assert (gradient == 5).all()


def test_unknown_layer_names_the_closest(resnet):
    with (
        pytest.raises(UsageError, match=r"encoder\.layer1.*--list-layers"),
        watch(resnet, ["encoder.layr1"]),
    ):
        pass


def test_feature_that_the_encoder_does_not_return_is_refused(resnet, image):
    with pytest.raises(UsageError, match=r"encoder\[9\]"), watch(resnet, ["encoder[9]"]):
        resnet(image)


def test_exact_name_with_brackets_wins_over_the_pattern():
    layers = [Layer(name, 1, 1, 1, 1) for name in ("encoder1", "encoder[1]", "encoder[2]", "head")]
    assert match_layers(["encoder[1]"], layers) == ["encoder[1]"]
    assert match_layers(["head", "encoder[*]"], layers) == ["encoder[1]", "encoder[2]", "head"]
    assert match_layers(["encoder[12]"], layers) == ["encoder1"]
    assert match_layers(["*"], layers) == [layer.name for layer in layers]
    with pytest.raises(UsageError, match="head"):
        match_layers(["heat"], layers)


def test_activations_of_an_array_are_what_the_layers_give(plain):
    image = np.random.default_rng(0).uniform(0, 255, (64, 48, 1)).astype(np.float32)
    compute = choose_compute("cpu", "fp32")
    found = layer_activations(plain, ["encoder.0", "encoder.1"], image, compute)
    assert {name: values.shape for name, values in found.items()} == {
        "encoder.0": (4, 64, 48),
        "encoder.1": (8, 32, 24),
    }
    with torch.no_grad(), watch(plain, ["encoder.0"]) as seen:
        plain(torch.from_numpy(image)[None, ..., 0][None])
    np.testing.assert_allclose(found["encoder.0"], seen["encoder.0"][0].numpy(), atol=1e-5)
