"""Learning without labels: masked reconstruction and matching of views, on arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mstool.errors import UsageError
from mstool.io.records import Run
from mstool.io.tiles import Tile
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import CropSet, TileStore, fit_normalisation
from mstool.nn.device import Compute
from mstool.nn.fit import Fit
from mstool.nn.fit_state import FitSettings
from mstool.nn.masking import MaskedSet, Rebuilder, draw_blocks, masked_error
from mstool.nn.pretrainer import StageSum, build_stage_sum, crop_edge
from mstool.nn.threads import ThreadTrial
from mstool.nn.views import N_EMBEDDED, Matcher, ViewSet, disagreement, turn, turn_back
from mstool.reporting import Reporter

TURNS = range(8)


class Toy(torch.nn.Module):
    """Encoder of one convolution of stride 2 with padding, the kernel of which is symmetric."""

    out_channels = (1, 2)

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3, stride=2, padding=1)
        torch.nn.init.constant_(self.conv.weight, 0.2)
        self.calls = []

    def forward(self, images):
        self.calls.append(images)
        return [images, self.conv(images)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return StageSum(Toy(), 3)


def make_crops(size=65, augment="default", n_tiles=4):
    rng = np.random.default_rng(0)
    stripes = 100 + 40 * np.sign(np.sin(np.arange(80) / 3))
    greys = [rng.normal(stripes, 10, (80, 80)).astype(np.uint8) for _ in range(n_tiles)]
    tiles = [Tile(str(n), "a.tif", "a", 0, 0, 80, 80) for n in range(n_tiles)]
    store = TileStore(tiles, lambda tile: (greys[int(tile.id)], np.zeros((80, 80), np.uint8)))
    return CropSet(store, size, PRESETS[augment], fit_normalisation(store, Path("tiles")), 3)


# Masked reconstruction


@pytest.mark.parametrize("size", [33, 64, 65, 97, 257])
def test_about_half_is_hidden_in_whole_blocks_and_never_nothing(size):
    shares = []
    for seed in range(60):
        hidden = draw_blocks(size, torch.Generator().manual_seed(seed))
        assert (hidden.shape, hidden.dtype) == ((size, size), torch.bool)
        assert hidden.any()
        shares.append(float(hidden.float().mean()))
        edges = torch.nonzero((hidden[:, 1:] != hidden[:, :-1]).any(0))[:, 0]
        assert len({int(edge) % min(32, (size - 1) // 2) for edge in edges}) <= 1  # one grid
    assert 0.45 < np.mean(shares) < 0.55


def test_only_hidden_pixels_count():
    rebuilt, images = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    hidden = torch.zeros(2, 4, 4, dtype=torch.bool)
    hidden[0, 0], hidden[1, :2] = True, True
    images[0, 0, 1:], images[1, 0, 2:] = 99, 99  # seen, and rebuilt wrongly
    assert masked_error(rebuilt, (images, hidden)) == 0
    images[0, 0, 0] = -3  # 4 of 12 hidden pixels
    assert float(masked_error(rebuilt, (images, hidden))) == pytest.approx(1)


def test_the_network_does_not_see_what_is_hidden_but_the_mean(network):
    learner = Rebuilder(network, [10.0], [2.0])
    images = torch.full((1, 1, 65, 65), 16.0)
    hidden = torch.zeros(1, 65, 65, dtype=torch.bool)
    hidden[:, :32] = True
    rebuilt, (truth, _) = learner.answer(images, hidden)
    (shown,) = network.encoder.calls
    assert (shown[0, 0, :32] == 0).all() and (shown[0, 0, 32:] == 3).all()
    assert (truth == 3).all()
    assert rebuilt.shape == (1, 3, 65, 65)


def test_hidden_blocks_belong_to_seed_epoch_and_tile():
    masked, again = MaskedSet(make_crops()), MaskedSet(make_crops())
    image, hidden = masked[2, 1]
    assert (image.shape, hidden.shape) == ((1, 65, 65), (65, 65))
    assert all(torch.equal(a, b) for a, b in zip(masked[2, 1], again[2, 1], strict=True))
    assert not torch.equal(hidden, masked[3, 1][1])
    assert not torch.equal(hidden, masked[2, 2][1])


# Views


@pytest.mark.parametrize("number", TURNS)
def test_a_turn_is_undone(number):
    image = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(turn_back(turn(image, number), number), image)


def test_turns_are_all_different():
    image = torch.arange(4.0).view(1, 2, 2)
    assert len({tuple(turn(image, number).flatten().tolist()) for number in TURNS}) == 8


@pytest.mark.parametrize("number", TURNS)
@pytest.mark.parametrize("other", [0, 3, 6])
def test_embedded_pixels_of_both_views_correspond(network, number, other):
    """A network that turns with its image gives the same map, once both are turned back."""
    learner = Matcher(network.eval(), [0.0], [1.0])
    crop = torch.rand(1, 65, 65)
    views = torch.cat([turn(crop, number), turn(crop, other)])[None]
    one, two = learner.answer(views, torch.tensor([[number, other]]))
    assert one.shape == (1, 3, 17, 17)
    torch.testing.assert_close(one, two)
    wrong, right = learner.answer(views, torch.tensor([[(number + 1) % 8, other]]))
    assert (wrong - right).abs().max() > 0.05  # any other geometry is seen


def test_batches_keep_their_views_apart(network):
    learner = Matcher(network.eval(), [0.0], [1.0])
    crops = torch.rand(3, 1, 65, 65)
    turns = torch.tensor([[1, 6], [0, 3], [7, 2]])
    views = torch.stack(
        [
            torch.cat([turn(crop, int(n)) for n in pair])
            for crop, pair in zip(crops, turns, strict=True)
        ]
    )
    one, two = learner.answer(views, turns)
    torch.testing.assert_close(one, two)
    torch.testing.assert_close(one, network(crops))


@pytest.mark.parametrize(
    ("encoder", "edge"), [("efficientnet-lite0", 257), ("resnet18", 257), ("tu-convnext_atto", 256)]
)
def test_edges_of_crops_are_those_on_which_features_turn_with_the_image(encoder, edge):
    network = build_stage_sum(encoder, 1, 4, seed=0).eval()
    assert crop_edge(network, 256) == edge
    assert crop_edge(network, edge + 1) == edge + 32
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.copy_(sum(turn(module.weight, number) for number in TURNS) / 8)
        learner = Matcher(network, [0.0], [1.0])

        def error(edge):
            crop = torch.rand(1, edge, edge, generator=torch.Generator().manual_seed(1))
            views = torch.cat([crop, turn(crop, 6)])[None]
            one, two = learner.answer(views, torch.tensor([[0, 6]]))
            return float((one - two).abs().max() / one.std())

        right = 64 + edge % 32
        assert error(right) < 1e-3
        assert error(129 - right) > 0.1  # 64 for 65, and 65 for 64


def test_views_show_the_same_crop_with_other_greys():
    plain = ViewSet(make_crops(augment="spatial"))
    views, turns = plain[0, 2]
    assert views.shape == (2, 65, 65)
    one, two = (turn_back(view, int(n)) for view, n in zip(views, turns, strict=True))
    assert torch.equal(one, two)  # rotation, zoom and warp are shared
    views, turns = ViewSet(make_crops())[0, 2]
    one, two = (turn_back(view, int(n)) for view, n in zip(views, turns, strict=True))
    assert not torch.equal(one, two)
    assert np.corrcoef(one.flatten(), two.flatten())[0, 1] > 0.8
    assert len({tuple(plain[0, n][1].tolist()) for n in range(4)}) > 1


def test_agreeing_spread_and_different_channels_cost_nothing():
    rng = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(512, 4, generator=rng))[0]
    rows = rows - rows.mean(0)
    rows = torch.linalg.qr(rows)[0] * 511**0.5  # standard deviation 1, no correlation
    maps = rows.T.reshape(4, 2, 16, 16).movedim(0, 1)
    assert float(disagreement(maps, maps)) < 0.01
    assert float(disagreement(maps, maps + 1)) == pytest.approx(25, rel=0.01)
    assert float(disagreement(0 * maps, 0 * maps)) == pytest.approx(2 * 25 * 0.99)
    same = maps[:, :1].expand(-1, 4, -1, -1)
    assert float(disagreement(same, same)) == pytest.approx(2 * 3, rel=0.02)  # 12 pairs over 4


def test_an_encoder_that_takes_no_such_crops_is_refused():
    with pytest.raises(UsageError, match="--encoder resnet17"):
        build_stage_sum("resnet17", 1, 2, seed=0)


# Learning

WAYS = {
    "masked": (MaskedSet, Rebuilder, masked_error),
    "contrast": (ViewSet, Matcher, disagreement),
}


def make_fit(method, folder, epochs=12):
    examples, learner, loss = WAYS[method]
    crops = make_crops(33)
    norm = crops.normalisation
    n_outputs = 1 if method == "masked" else N_EMBEDDED
    network = build_stage_sum("resnet18", 1, n_outputs, seed=0)
    return Fit(
        learner(network, norm.mean, norm.std),
        examples(crops),
        loss,
        None,
        FitSettings(epochs, 2, 2e-3, 1.0, 0.0, 0.9, 0, 1, None, 0, 0),
        Compute(torch.device("cpu"), torch.float32),
        folder,
        Run(clock=0.0),
        ThreadTrial(1),
    )


@pytest.mark.parametrize("method", WAYS)
def test_the_loss_falls_and_the_encoder_learns(method, tmp_path):
    fit = make_fit(method, tmp_path)
    before = fit.segmenter.network.encoder.conv1.weight.clone()
    assert fit.run(Reporter(), lambda: False)
    losses = [row["train_loss"] for row in fit.state.history]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]
    assert not torch.equal(fit.segmenter.network.encoder.conv1.weight, before)


@pytest.mark.parametrize("method", WAYS)
def test_stopped_learning_goes_on_to_the_same_weights(method, tmp_path):
    whole = make_fit(method, tmp_path / "whole", 3)
    assert whole.run(Reporter(), lambda: False)
    stopped = make_fit(method, tmp_path / "stopped", 3)
    assert not stopped.run(Reporter(), iter([False, False, True]).__next__)
    again = make_fit(method, tmp_path / "stopped", 3)
    assert again.resume()
    assert again.run(Reporter(), lambda: False)
    expected = whole.segmenter.state_dict()
    assert all(torch.equal(expected[k], v) for k, v in again.segmenter.state_dict().items())
