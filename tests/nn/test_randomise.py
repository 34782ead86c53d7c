import numpy as np
import pytest
import torch
from torch import nn

from mstool.explanations.regions import surroundings
from mstool.nn.attack import attack, place_patch
from mstool.nn.device import choose_compute
from mstool.nn.model import ModelSpec, Segmenter, build_segmenter
from mstool.nn.randomise import cascade, list_blocks, perturbed, randomised
from mstool.nn.target import Subject, Target, at_rest

CPU = choose_compute("cpu", "fp32")
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 1)).astype(np.float32)
TENSOR = CPU.place_images(IMAGES)


@pytest.fixture(scope="module", params=["unet-plain", "unet"])
def segmenter(request):
    torch.manual_seed(0)
    encoder = None if request.param == "unet-plain" else "resnet18"
    spec = ModelSpec(request.param, encoder, 1, 2, depth=3, width=4)
    return build_segmenter(spec, [120.0], [50.0]).eval()


def test_blocks_hold_every_weight_once_from_output_to_input(segmenter):
    blocks = list_blocks(segmenter, 1)
    names = [name for block in blocks for name in block.modules]
    holders = [
        name
        for name, module in segmenter.network.named_modules()
        if list(module.parameters(recurse=False))
    ]
    assert sorted(names) == sorted(holders)
    assert blocks[0].name.startswith("segmentation_head")
    assert any(name.startswith("encoder") for name in blocks[-1].modules)
    assert len(blocks) == 8


@pytest.mark.parametrize("reinit", ["he", "shuffle"])
def test_randomising_changes_the_copy_alone_and_only_the_blocks(segmenter, reinit):
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    block = list_blocks(segmenter, 1)[3]
    other = randomised(segmenter, [block], 1, IMAGES, CPU, reinit)
    assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())
    changed = {
        name.rpartition(".")[0]
        for name, value in other.network.named_parameters()
        if not torch.equal(value, segmenter.network.get_parameter(name))
    }
    assert changed
    assert changed <= set(block.modules)
    assert not other.training


def test_shuffled_weights_are_the_same_weights(segmenter):
    blocks = list_blocks(segmenter, 1)
    other = randomised(segmenter, blocks, 1, IMAGES, CPU, "shuffle")
    for mine, theirs in zip(segmenter.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.flatten().sort()[0], theirs.flatten().sort()[0])


def test_norms_of_a_random_network_fit_what_it_sees(segmenter):
    other = randomised(segmenter, list_blocks(segmenter, 1), 1, IMAGES, CPU)
    norm = next(m for m in other.modules() if isinstance(m, nn.BatchNorm2d))
    seen = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        other(TENSOR)
    assert float(seen[0].mean()) == pytest.approx(0, abs=0.05)
    assert float(seen[0].std()) == pytest.approx(1, abs=0.1)


def test_cascade_ends_with_everything_random_and_is_the_same_for_the_same_seed(segmenter):
    blocks = list_blocks(segmenter, 1)
    ends = [list(cascade(segmenter, blocks, 7, IMAGES, CPU))[-1][1] for _ in range(2)]
    for first, second in zip(*(end.parameters() for end in ends), strict=True):
        assert torch.equal(first, second)
    kernels = [name for name, p in segmenter.network.named_parameters() if p.ndim > 1]
    for name in kernels:
        assert not torch.equal(
            ends[0].network.get_parameter(name), segmenter.network.get_parameter(name)
        )


def test_faint_noise_leaves_nearly_the_same_network(segmenter):
    with torch.no_grad():
        difference = perturbed(segmenter, 0)(TENSOR) - segmenter(TENSOR)
        assert 0 < float(difference.abs().mean()) < 0.5 * float(segmenter(TENSOR).std())


class Bright(nn.Module):
    """Every pixel is of class 1 if the image is bright around it."""

    def forward(self, images):
        near = nn.functional.avg_pool2d(images, 21, stride=1, padding=10) / 10
        return torch.cat([torch.zeros_like(near), near - 12], dim=1)


def test_patch_turns_the_decision_and_touches_nothing_else():
    image = np.full((48, 48, 1), 130, np.float32)
    region = np.zeros((48, 48), bool)
    region[20:28, 20:28] = True
    segmenter = Segmenter(Bright(), 1, 0, [0.0], [1.0]).eval()
    subject = Subject(segmenter, image, Target(1, region), CPU)
    inside = place_patch(np.ones((48, 48)), surroundings(region, 2), 8)
    assert not (inside & region).any()
    with at_rest(segmenter):
        inside = np.zeros((48, 48), bool)
        inside[20:28, 30:38] = True
        patch = attack(subject, inside, (0.0, 255.0))
    assert patch.margin_shift > 0.5
    changed = patch.subject.image
    assert (patch.subject.target.class_index, patch.subject.target.contrast) == (0, 1)
    np.testing.assert_array_equal(changed[~inside], image[~inside])
    assert changed[inside].mean() < 60
    assert changed.min() >= 0


def test_there_may_be_no_room_for_a_patch():
    assert place_patch(np.ones((4, 4)), np.ones((4, 4), bool), 2) is None
    assert place_patch(np.ones((4, 4)), np.zeros((4, 4), bool), 5) is None
