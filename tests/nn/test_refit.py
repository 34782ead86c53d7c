from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mstool.nn.attribution import Method, attribute
from mstool.nn.device import choose_compute
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.refit import fine_tune, refit
from mstool.nn.target import Subject, Target, at_rest

EDGE, MARK = 48, 8
CPU = choose_compute("cpu", "fp32")


def fresh(seed=0):
    torch.manual_seed(seed)
    spec = ModelSpec("unet-plain", None, 1, 2, depth=3, width=6)
    return build_segmenter(spec, [120.0], [50.0]).eval()


def marked_images(n, seed=0):
    """Noise; the middle is of class 1 where the upper left corner has a mark, else of class 0."""
    rng = np.random.default_rng(seed)
    images = rng.normal(120, 25, (n, EDGE, EDGE, 1)).astype(np.float32)
    labels = np.full((n, EDGE, EDGE), 255, np.uint8)
    labels[:, 12:24, 12:24] = (np.arange(n) % 2)[:, None, None]
    images[1::2, :MARK, :MARK] = 230
    return images, labels


def test_refitting_learns_its_labels_and_leaves_the_network_alone():
    segmenter = fresh()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (4, 4, 4)).repeat(8, axis=1).repeat(8, axis=2)
    images = rng.normal(60 + 120 * labels, 20)[..., None].astype(np.float32)
    told = []
    copy, accuracy = refit(segmenter, images, labels, 0, CPU, max_steps=100, on_step=told.append)
    assert accuracy >= 0.95
    assert not copy.training
    assert 0 < sum(told) <= 100
    again, _ = refit(segmenter, images, labels, 0, CPU, max_steps=100)
    for first, second in zip(copy.parameters(), again.parameters(), strict=True):
        assert torch.equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())
    _, less = refit(segmenter, images, labels, 0, CPU, max_steps=100, is_over=lambda: True)
    assert less <= accuracy


@pytest.mark.parametrize("is_at_rest", [False, True])
def test_a_frozen_encoder_does_not_learn(is_at_rest):
    spec = ModelSpec("pixel-classifier", "tu-test_resnet", 1, 2, features="encoder", width=4)
    segmenter = build_segmenter(spec, [120.0], [50.0], 0).eval()
    images, labels = marked_images(2)
    batch, truth = CPU.place_images(images), torch.from_numpy(labels.astype(np.int64))
    with at_rest(segmenter) if is_at_rest else nullcontext():
        copies = [
            refit(segmenter, images, labels, 0, CPU, max_steps=3)[0],
            fine_tune(segmenter, batch, truth, 0, n_steps=3),
        ]
    before = dict(segmenter.network.named_parameters())
    for copy in copies:
        for name, weights in copy.network.named_parameters():
            is_kept = torch.equal(weights, before[name])
            assert is_kept == name.startswith("encoder."), name


def test_a_shortcut_that_was_learnt_is_ranked_first():
    images, labels = marked_images(24)
    network, accuracy = refit(fresh(), images, labels, 0, CPU, enough=1.0, batch_size=8)
    assert accuracy == 1
    image = marked_images(4, seed=9)[0][1]
    region = labels[1] != 255
    with at_rest(network):
        subject = Subject(network, image, Target(1, region), CPU)
        maps = attribute(subject, [Method("integrated-gradients"), Method("occlusion")])
    for found in maps.values():
        mass = np.abs(found.values).reshape(EDGE // MARK, MARK, EDGE // MARK, MARK).sum((1, 3))
        assert mass.argmax() == 0
        assert mass[0, 0] > 1.5 * np.delete(mass.ravel(), 0).max()
