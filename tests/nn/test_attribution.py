from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mstool.errors import UsageError
from mstool.nn.attribution import METHODS, Effort, Method, attribute, blurred, mean_baseline
from mstool.nn.cams import CAMS, class_activation_maps
from mstool.nn.device import choose_compute
from mstool.nn.infer import image_probabilities
from mstool.nn.model import ModelSpec, Segmenter, build_segmenter
from mstool.nn.target import (
    Subject,
    Target,
    at_rest,
    class_probability,
    decision_margin,
    target_values,
)

CPU = choose_compute("cpu", "fp32")


class Linear(nn.Module):
    """Logit of class 1 at a pixel: the pixel times a weight; class 0 is 0."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("weight", torch.as_tensor(weight, dtype=torch.float32))

    def forward(self, images):
        own = images[:, :1] * self.weight
        return torch.cat([torch.zeros_like(own), own], dim=1)


class Corner(nn.Module):
    """Every pixel is of class 1 if the upper left corner is bright."""

    def forward(self, images):
        own = images[:, :, :8, :8].mean(dim=(1, 2, 3), keepdim=True) - 100
        return torch.cat([torch.zeros_like(images), own / 10 + 0 * images], dim=1)


def subject_of(network, image, region=None, contrast="none"):
    segmenter = Segmenter(network, 1, 0, [0.0], [1.0]).eval()
    region = np.ones(image.shape[:2], bool) if region is None else region
    return Subject(segmenter, image, Target(1, region, contrast), CPU)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(0, 255, (64, 64, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return build_segmenter(ModelSpec("unet", "resnet18", 1, 3), [120.0], [50.0]).eval()


def test_gradients_of_a_linear_network_are_its_weights(image):
    weight = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
    subject = subject_of(Linear(weight), image)
    names = ("integrated-gradients", "gradient-x-input", "saliency", "smoothgrad")
    maps = attribute(subject, [Method(name) for name in names])
    share = weight / weight.size * (image - mean_baseline(image))[..., 0]
    np.testing.assert_allclose(maps["integrated-gradients"].values, share, atol=1e-4)
    np.testing.assert_allclose(maps["gradient-x-input"].values, share, atol=1e-4)
    for name in ("saliency", "smoothgrad"):
        np.testing.assert_allclose(maps[name].values, np.abs(weight) / weight.size, atol=1e-6)
    assert maps["integrated-gradients"].completeness_error < 1e-3


def test_steps_are_doubled_until_the_map_is_complete(image):
    class Step(nn.Module):
        def forward(self, images):
            own = torch.sigmoid((images - 200) / 4)
            return torch.cat([torch.zeros_like(own), 40 * own], dim=1)

    region = np.zeros((64, 64), bool)
    region[np.unravel_index(image[..., 0].argmax(), (64, 64))] = True
    subject = subject_of(Step(), image, region)
    effort = Effort(steps=2, most_steps=256, tolerance=0.02)
    found = attribute(subject, [Method("integrated-gradients")], effort)["integrated-gradients"]
    assert found.n_steps > 2
    assert found.completeness_error <= 0.02


def test_only_the_region_and_what_it_depends_on_is_attributed(image):
    region = np.zeros((64, 64), bool)
    region[10:20, 10:20] = True
    subject = subject_of(Linear(np.ones((64, 64))), image, region)
    for name in ("integrated-gradients-blurred", "gradient-x-input", "saliency"):
        values = attribute(subject, [Method(name)])[name].values
        assert values[region].any()
        assert not values[~region].any()


@pytest.mark.parametrize("name", ["region-ablation", "occlusion", "integrated-gradients"])
def test_planted_corner_mark_is_ranked_first(name):
    rng = np.random.default_rng(0)
    image = rng.normal(60, 3, (64, 64, 1)).astype(np.float32)
    image[20:40, 20:40] += 60  # what a person would look at
    image[:8, :8] = 250
    region = np.zeros((64, 64), bool)
    region[40:, 40:] = True
    values = attribute(subject_of(Corner(), image, region), [Method(name)])[name].values
    top = np.argsort(-values.ravel())[:40]
    rows, cols = np.unravel_index(top, (64, 64))
    assert (np.maximum(rows, cols) < 12).all()  # a window of occlusion reaches over the mark


def test_contrast_is_the_rest_a_class_or_nothing(resnet, image):
    region = np.ones((64, 64), bool)
    values = {}
    for contrast in ("none", "rest", 2):
        subject = Subject(resnet, image, Target(1, region, contrast), CPU)
        values[contrast] = target_values(subject, image[None])[0]
    with torch.no_grad():
        logits = resnet(subject.place(image))[0].double()
    assert values["none"] == pytest.approx(float(logits[1].mean()), rel=1e-4)
    assert values[2] == pytest.approx(float((logits[1] - logits[2]).mean()), rel=1e-4)
    rest = logits[[0, 2]].logsumexp(dim=0)
    assert values["rest"] == pytest.approx(float((logits[1] - rest).mean()), rel=1e-4)
    probability = class_probability(subject, image[None])[0]
    assert probability == pytest.approx(float(logits.softmax(dim=0)[1].mean()), abs=1e-5)


@pytest.mark.parametrize("layer", ["encoder.layer1.0.bn2", "encoder.layer2", "decoder.blocks.2"])
def test_grad_cam_is_that_of_captum_despite_operations_in_place(resnet, image, layer):
    from captum.attr import LayerGradCam

    region = np.zeros((64, 64), bool)
    region[20:50, 10:40] = True
    subject = Subject(resnet, image, Target(1, region, "rest"), CPU)
    with at_rest(resnet):
        maps, _ = class_activation_maps(subject, [("gradcam", layer)])
        cam = LayerGradCam(subject.score, resnet.network.get_submodule(layer))
        theirs = cam.attribute(subject.place(image), relu_attributions=True)
    theirs = theirs[0, 0].detach().numpy()
    scale = max(theirs.max(), 1e-12)
    np.testing.assert_allclose(maps["gradcam", layer] / scale, theirs / scale, atol=1e-5)


def test_every_method_gives_a_map_and_leaves_the_network_as_it_was(image):
    torch.manual_seed(0)
    segmenter = build_segmenter(ModelSpec("unet", "resnet18", 1, 2), [120.0], [50.0])
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    methods = [Method(n, "encoder[1]") if n in CAMS else Method(n) for n in METHODS]
    effort = Effort(steps=2, most_steps=2, n_noises=2, window_px=32, stride_px=32, n_regions=6)
    with at_rest(segmenter):
        subject = Subject(segmenter, image, Target(0, np.ones((64, 64), bool)), CPU)
        maps = attribute(subject, methods, effort)
    assert list(maps) == [method.label for method in methods]
    assert all(found.values.shape == (64, 64) for found in maps.values())
    assert maps["hirescam@encoder[1]"].native.shape == (32, 32)
    assert segmenter.training
    assert all(p.requires_grad for p in segmenter.parameters())
    assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())
    hooks = [len(m._forward_hooks) + len(m._backward_hooks) for m in segmenter.modules()]
    assert not any(hooks)


def test_seg_grad_cam_does_not_know_the_contrast(resnet, image):
    region = np.ones((64, 64), bool)
    maps = []
    for contrast in ("rest", "none"):
        subject = Subject(resnet, image, Target(1, region, contrast), CPU)
        wanted = [("seg-gradcam", "encoder[2]"), ("gradcam", "encoder[2]")]
        maps.append(class_activation_maps(subject, wanted)[0])
    first, second = maps
    np.testing.assert_allclose(*(m["seg-gradcam", "encoder[2]"] for m in maps), rtol=1e-5)
    np.testing.assert_array_equal(
        second["seg-gradcam", "encoder[2]"], second["gradcam", "encoder[2]"]
    )
    assert not np.allclose(first["seg-gradcam", "encoder[2]"], first["gradcam", "encoder[2]"])


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "tu-tf_efficientnet_lite0"])
def test_guided_backpropagation_is_refused_where_it_is_not_defined(encoder, image):
    segmenter = build_segmenter(ModelSpec("unet", encoder, 1, 2), [0.0], [1.0]).eval()
    subject = Subject(segmenter, image, Target(0, np.ones((64, 64), bool)), CPU)
    with pytest.raises(UsageError, match="ReLU6"):
        attribute(subject, [Method("guided-backprop")])


def test_guided_backpropagation_is_refused_where_relu_is_called_as_a_function(image):
    class Functional(nn.Module):
        def forward(self, images):
            return torch.cat([images, nn.functional.relu(images)], dim=1)

    with pytest.raises(UsageError, match="as a function"):
        attribute(subject_of(Functional(), image), [Method("guided-backprop")])


def test_same_seed_same_noise(image):
    subject = subject_of(Linear(np.ones((64, 64))), image)
    maps = [attribute(subject, [Method("smoothgrad")])["smoothgrad"].values for _ in range(2)]
    np.testing.assert_array_equal(*maps)


def test_blurred_image_keeps_its_brightness(image):
    assert blurred(image).mean() == pytest.approx(image.mean(), rel=0.01)
    assert replace(Method("saliency")).is_signed is False


def test_probabilities_of_an_array_of_any_shape_sum_to_one(resnet):
    image = np.random.default_rng(0).uniform(0, 255, (50, 70, 1)).astype(np.float32)
    found = image_probabilities(resnet, image, CPU)
    assert found.shape == (3, 50, 70)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    with torch.no_grad():
        expected = resnet(CPU.place_images(image))[0].softmax(dim=0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_margin_is_that_of_whatever_class_wins_on_the_region(image):
    region = np.zeros((64, 64), bool)
    region[:8] = True
    weight = np.full((64, 64), -1.0)
    weight[4:] = 1.0
    margin = decision_margin(subject_of(Linear(weight), image, region))
    assert margin == pytest.approx(image[:8].mean(), rel=1e-5)
