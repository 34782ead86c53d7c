from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from mstool.errors import UsageError
from mstool.labels.legend import IGNORE_INDEX
from mstool.nn.augment import PRESETS
from mstool.nn.dataset import CropSet, Normalisation, TileStore
from mstool.nn.device import choose_compute
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.pixel_bank import CHUNK, PixelBank, fill_bank, head_of, spread_pixels, views_in_time
from mstool.nn.pixel_classifier import (
    FeatureChoice,
    PixelClassifier,
    fit_projections,
    parse_features,
)
from mstool.nn.spilling_rows import SpillingRows


def build(features="filters+encoder@1", encoder="resnet18", n_classes=2, seed=0):
    spec = ModelSpec("pixel-classifier", encoder, 1, n_classes, width=8, features=features)
    return build_segmenter(spec, [100.0], [50.0], seed).eval()


def images(n=2, size=64, seed=0):
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("filters", FeatureChoice(True, ())),
        ("encoder", FeatureChoice(False, (1.0,))),
        ("encoder@0.5 + filters+encoder@2", FeatureChoice(True, (0.5, 2.0))),
    ],
)
def test_features_are_a_sum(text, choice):
    assert parse_features(text) == choice


@pytest.mark.parametrize(
    "text", ["", "filter", "encoder@3", "filters+filters", "encoder+encoder@1"]
)
def test_other_features_are_refused(text):
    with pytest.raises(UsageError, match="--features"):
        parse_features(text)


def test_logits_have_the_size_of_any_image():
    segmenter = build("filters+encoder@0.5+encoder@2")
    assert segmenter(100 + 50 * images(1, 70)).shape == (1, 2, 70, 70)
    assert build("filters", None)(100 + 50 * images(1, 7)).shape == (1, 2, 7, 7)


@pytest.mark.parametrize("encoder", ["mit_b0", "tu-test_convnext"])
def test_maps_without_channels_are_left_out(encoder):
    segmenter = build("filters+encoder@1+encoder@2", encoder)
    assert all(projection.n_out for projection in segmenter.network.projections)
    assert segmenter(100 + 50 * images(1)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize("features", ["encoder@4", "filters+encoder@1"])
def test_a_processor_makes_maps_smaller_in_bfloat16_too(features):
    segmenter, image = build(features), 100 + 50 * images(1)
    rows, cols = torch.tensor([3, 40]), torch.tensor([60, 7])
    with torch.no_grad(), choose_compute("cpu", "bf16").autocast():
        prepared = segmenter.prepare(image)
        whole = segmenter.network.features(prepared)[0]
        found = segmenter.network.features_at(prepared, rows, cols)
    assert torch.allclose(whole[:, rows, cols].T, found, atol=1e-5)


def test_features_are_whitened_over_the_images_they_were_fitted_to():
    network, batches = build().network, [images(2), images(2, seed=1)]
    fit_projections(network, batches)
    for number, projection in enumerate(network.projections):
        rows = [projection(network.maps(batch)[number]).movedim(1, -1) for batch in batches]
        values = torch.cat([row.flatten(0, -2) for row in rows]).double()
        if values.abs().max() == 6:
            continue  # what is cut off is no longer white
        covariance = torch.cov(values.T, correction=0)
        found = covariance if number else covariance.diagonal()  # filters stay as they are
        is_kept = (projection.weight.norm(dim=1) > 0).double()
        wanted = is_kept.diag() if number else is_kept
        assert is_kept.sum() >= 15
        assert values.mean(dim=0).abs().max() < 1e-3
        assert torch.allclose(found, wanted, atol=2e-2)


def test_a_direction_without_variance_is_no_feature():
    network = build().network
    fit_projections(network, [images(1)])  # 2 x 2 places of the deepest map span 3 directions
    deepest = network.projections[-1]
    assert (deepest.weight.norm(dim=1) > 0).tolist() == [True] * 3 + [False] * 13
    flat = build("filters", None).network
    fit_projections(flat, [torch.ones(1, 1, 32, 32)])
    assert flat.features(torch.ones(1, 1, 32, 32)).abs().max() < 1e-3


def test_components_are_in_order_of_variance_and_their_sign_is_fixed():
    network = build().network
    batch = [images(4)]
    fit_projections(network, batch)
    first = [projection.weight.clone() for projection in network.projections]
    fit_projections(network, batch)
    assert all(torch.equal(p.weight, w) for p, w in zip(network.projections, first, strict=True))
    weight = network.projections[2].weight  # 64 channels to 16
    largest = weight.gather(1, weight.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()
    lengths = weight.norm(dim=1)  # 1 / standard deviation
    assert (lengths.diff() >= -1e-6).all()


def test_the_encoder_neither_learns_nor_moves_its_statistics():
    segmenter = build()
    before = {name: t.clone() for name, t in segmenter.network.encoder.state_dict().items()}
    segmenter.train()
    segmenter(100 + 50 * images()).sum().backward()
    after = segmenter.network.encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    learning = {name for name, p in segmenter.named_parameters() if p.requires_grad}
    assert learning
    assert all(name.startswith("network.head.") for name in learning)


def test_slopes_reach_the_image():
    segmenter, batch = build(), (100 + 50 * images(1)).requires_grad_()
    segmenter(batch)[0, 1, 30, 30].backward()
    assert float(batch.grad.abs().sum()) > 0


class Tile:
    """Stands for a line of a manifest."""

    def __init__(self, labels):
        self.labels, n = labels, int((labels != IGNORE_INDEX).sum())
        self.height, self.width = labels.shape
        self.counts = {"a": n, "ignored": labels.size - n}


def store(label_maps, size=64):
    rng = np.random.default_rng(0)
    greys = {id(labels): rng.normal(100, 50, (size, size)) for labels in label_maps}
    return TileStore([Tile(x) for x in label_maps], lambda t: (greys[id(t.labels)], t.labels))


def views(label_maps, names=("none",), seed=3, crop=64):
    normalisation = Normalisation((100.0,), (50.0,), (0.0, 255.0))
    tiles = store(label_maps)
    return [CropSet(tiles, crop, PRESETS[name], normalisation, seed) for name in names]


def fill(
    label_maps,
    n_pixels,
    names=("none",),
    folder=Path(),
    most_in_memory=2**30,
    features="filters+encoder@1",
    crop=64,
):
    segmenter, steps = build(features), []
    compute, looks = choose_compute("cpu", "fp32"), views(label_maps, names, crop=crop)
    with closing(SpillingRows(segmenter.network.n_features, folder, most_in_memory)) as rows:
        bank = fill_bank(segmenter, looks, n_pixels, compute, rows, lambda: steps.append(1))
    return segmenter, bank, len(steps)


@pytest.mark.parametrize("features", ["filters+encoder@1", "encoder@0.5+encoder@4"])
def test_bank_holds_the_features_that_the_network_computes(features):
    labels = np.full((64, 64), IGNORE_INDEX, np.uint8)
    labels[5, 7], labels[40, 3] = 1, 0
    segmenter, bank, _ = fill([labels], 100, features=features)
    image = views([labels])[0][0, 0][0]
    with torch.no_grad():
        whole = segmenter.network.features(segmenter.prepare(image[None]))[0]
        logits = segmenter(image[None])[0]
        by_head = head_of(segmenter).eval()(bank.features.T[None, :, :, None])[0, :, :, 0]
    assert sorted(bank.labels.tolist()) == [0, 1]
    for row, label in zip(bank.features, bank.labels, strict=True):
        place = (5, 7) if label == 1 else (40, 3)
        assert torch.allclose(row, whole[:, *place], atol=1e-5)
    places = [(5, 7) if label == 1 else (40, 3) for label in bank.labels]
    wanted = torch.stack([logits[:, row, col] for row, col in places], dim=1)
    assert torch.allclose(by_head, wanted, atol=1e-5)


def test_pixels_are_shared_out_where_labels_are_few():
    full, few = np.zeros((64, 64), np.uint8), np.full((64, 64), IGNORE_INDEX, np.uint8)
    few[:2, :5] = 1
    _, bank, n_steps = fill([full, few, full], 1010)
    assert bank.count_classes(2) == [1000, 10]
    assert n_steps == 3


def test_pixels_are_shared_out_among_what_crops_show():
    full, few = np.zeros((64, 64), np.uint8), np.full((64, 64), IGNORE_INDEX, np.uint8)
    few[0] = 1  # of which a crop shows a half, or nothing
    _, bank, _ = fill([full, few], 1000, features="filters", crop=32)
    assert len(bank.labels) == 1000


def test_tiles_without_labels_are_not_looked_at(monkeypatch):
    looked, look = [], PixelClassifier.features_at
    monkeypatch.setattr(
        PixelClassifier, "features_at", lambda *given: looked.append(1) or look(*given)
    )
    full, none = np.zeros((64, 64), np.uint8), np.full((64, 64), IGNORE_INDEX, np.uint8)
    _, bank, n_steps = fill([none, full, none], 500)
    assert (bank.count_classes(2), n_steps, len(looked)) == ([500, 0], 3, 1)


def test_a_bank_of_no_labels_is_empty():
    _, bank, _ = fill([np.full((64, 64), IGNORE_INDEX, np.uint8)], 500)
    assert (bank.features.shape[0], bank.count_classes(2)) == (0, [0, 0])


def test_a_bank_beyond_the_bound_holds_the_same(tmp_path):
    labels = [np.zeros((64, 64), np.uint8)] * 3
    _, in_memory, _ = fill(labels, 600)
    _, in_a_file, _ = fill(labels, 600, folder=tmp_path, most_in_memory=0)
    assert torch.equal(in_a_file.features, in_memory.features)
    assert torch.equal(in_a_file[1, 0][0], in_memory[1, 0][0])


@pytest.mark.parametrize(
    ("left_s", "n_labelled", "n_views"),
    [(-1, 4, 1), (0, 4, 1), (59, 4, 1), (60, 4, 2), (80, 4, 3), (60, 1, 8), (60, 0, 8)],
)
def test_views_fit_into_the_time_that_one_tile_foretells(monkeypatch, left_s, n_labelled, n_views):
    now, look = [0.0], PixelClassifier.features_at

    def look_slowly(*given):
        now[0] += 20 if now[0] == 0 else 5  # the first one takes longer
        return look(*given)

    monkeypatch.setattr("mstool.nn.pixel_bank.time.monotonic", lambda: now[0])
    monkeypatch.setattr(PixelClassifier, "features_at", look_slowly)
    maps = np.full((4, 64, 64), IGNORE_INDEX, np.uint8)
    maps[:n_labelled] = 0
    (view,) = views([*maps])
    compute = choose_compute("cpu", "fp32")
    found = views_in_time(build("filters", None), view, compute, left_s)
    # 4 tiles are looked at for the components too
    assert found == n_views


def test_later_views_differ():
    labels = np.zeros((64, 64), np.uint8)
    _, bank, _ = fill([labels], 8192, ("none", "default"))
    assert len(bank.labels) == 8192 or bank.n_views == 2
    half = len(bank.features) // 2
    assert not torch.allclose(
        bank.features[:half].mean(dim=0), bank.features[half:].mean(dim=0), atol=1e-3
    )


def test_every_pixel_is_dealt_once_an_epoch_and_differently_in_the_next():
    n = 3 * CHUNK
    bank = PixelBank(torch.arange(n).float()[:, None], torch.zeros(n, dtype=torch.uint8), 0, n)
    epochs = [
        torch.cat([bank[epoch, i][0].flatten() for i in range(len(bank))]) for epoch in (0, 1)
    ]
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == list(range(n))
    assert not torch.equal(*epochs)
    again = PixelBank(bank.features, bank.labels, 0, n)
    assert torch.equal(again[1, 2][0], bank[1, 2][0])


def test_few_pixels_come_again_in_one_epoch():
    bank = PixelBank(torch.arange(7.0)[:, None], torch.zeros(7, dtype=torch.uint8), 0, 2 * CHUNK)
    assert len(bank) == 2
    dealt = torch.cat([bank[0, index][0].flatten() for index in range(2)])
    counts = torch.bincount(dealt.long())
    assert counts.sum() == 2 * CHUNK
    assert counts.max() - counts.min() <= 1


def test_samples_are_spread_over_the_labelled_area():
    labels = np.zeros((128, 128), np.uint8)
    labels[:, :64] = IGNORE_INDEX
    rows, cols = np.divmod(spread_pixels(labels, 160, 0), 128)
    assert (cols >= 64).all()
    assert len(set(zip(rows, cols, strict=True))) == 160
    per_block = np.histogram2d(rows // 32, cols // 32, bins=[range(5), range(2, 5)])[0]
    assert per_block.min() >= 19
    assert per_block.max() <= 21


def test_samples_follow_the_seed():
    labels = np.zeros((64, 64), np.uint8)
    first, again, other = (spread_pixels(labels, 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(spread_pixels(np.full((8, 8), IGNORE_INDEX), 5, 0)) == 0
