import numpy as np
import pytest
import torch

from mstool.errors import InputError, UsageError
from mstool.nn.augment import (
    PRESETS,
    Augmentation,
    augmentation_from_toml,
    change_grey_levels,
    cut_crop,
    load_augmentation,
)
from mstool.nn.dataset import CropSet, Normalisation, TileStore, epoch_batches

EVERYTHING = Augmentation(
    0.5, True, 30.0, (0.5, 1.5), 1.0, 2.0, 8.0, 0.3, (0.7, 1.4), (0.7, 1.4), (0.0, 1.0), (0.0, 0.2)
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def marked_tile(size=40):
    """Image that equals its labels, so that both must move alike."""
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (5, 5)).astype(np.uint8))
    labels = labels.repeat_interleave(size // 5, 0).repeat_interleave(size // 5, 1)
    return labels.float()[None] * 100, labels


@pytest.mark.parametrize("seed", range(8))
def test_image_and_labels_move_together(seed):
    image, labels = cut_crop(*marked_tile(), 32, EVERYTHING, generator(seed))
    assert image.shape == (1, 32, 32)
    assert labels.shape == (32, 32)
    known = labels != 255
    agree = ((image[0] > 50).to(torch.uint8) == labels)[known].float().mean()
    assert agree > 0.9  # edges are interpolated in the image and not in the labels


def test_without_changes_a_crop_is_a_window_of_the_tile():
    image, labels = marked_tile()
    crop, crop_labels = cut_crop(image, labels, 16, Augmentation(), generator())
    places = [
        (row, col)
        for row in range(25)
        for col in range(25)
        if torch.equal(image[:, row : row + 16, col : col + 16], crop)
    ]
    assert places
    assert torch.equal(crop_labels.float() * 100, crop[0])


def test_crop_larger_than_the_tile_is_filled_by_reflection():
    image, labels = marked_tile()
    crop, crop_labels = cut_crop(image, labels, 64, Augmentation(), generator())
    assert crop.shape == (1, 64, 64)
    assert torch.equal(crop_labels.float() * 100, crop[0])
    assert not (crop_labels == 255).any()


def test_classes_never_mix_and_nothing_is_invented():
    for seed in range(5):
        labels = cut_crop(*marked_tile(), 32, EVERYTHING, generator(seed))[1]
        assert set(labels.unique().tolist()) <= {0, 1, 255}
        assert (labels == 255).float().mean() < 0.12  # a rim, where the warp looks outside


def test_zoom_magnifies():
    image = torch.zeros(1, 64, 64)
    image[:, 28:36, 28:36] = 1
    labels = image[0].to(torch.uint8)
    larger = cut_crop(image, labels, 64, Augmentation(zoom=(2.0, 2.0)), generator())[1]
    assert int(larger.sum()) == pytest.approx(4 * 64, rel=0.2)


@pytest.mark.parametrize("preset", ["spatial", "default"])
def test_half_of_the_crops_keep_the_very_pixels_of_the_micrograph(preset):
    values = np.random.default_rng(0).permutation(64 * 64).reshape(64, 64)
    image, labels = torch.from_numpy(values).float()[None], torch.zeros(64, 64, dtype=torch.uint8)
    source, kept = generator(1), 0
    for _ in range(200):
        crop, _ = cut_crop(image, labels, 16, PRESETS[preset], source)
        kept += bool(torch.equal(crop, crop.round()) and len(crop.unique()) == 16 * 16)
    assert 80 <= kept <= 120


def test_the_share_of_distorted_crops_is_what_is_asked_for():
    image, labels = torch.rand(1, 64, 64, generator=generator()), torch.zeros(64, 64).byte()
    known = set(image.flatten().tolist())
    for share in (0.0, 1.0):
        change = Augmentation(rotation_deg=20, zoom=(0.5, 0.9), elastic_px=2, distorted=share)
        for seed in range(10):
            crop, _ = cut_crop(image, labels, 16, change, generator(seed))
            assert (set(crop.flatten().tolist()) <= known) == (share == 0)


def test_identity_leaves_grey_levels_alone():
    image = torch.rand(1, 8, 8) * 255
    same = change_grey_levels(image, Augmentation(), (0.0, 255.0), 50.0, generator())
    torch.testing.assert_close(same, image, rtol=0, atol=1e-4)


def test_gamma_acts_between_black_and_white():
    image = torch.full((1, 4, 4), 64.0)
    changed = change_grey_levels(
        image, Augmentation(gamma=(2.0, 2.0)), (0.0, 256.0), 1.0, generator()
    )
    torch.testing.assert_close(changed, torch.full((1, 4, 4), 16.0), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("sigma", [2.0, 100.0])
def test_blur_reaches_no_further_than_the_crop(sigma):
    image = torch.zeros(1, 16, 24)
    image[0, 8, 12] = 384.0
    ranges = Augmentation(blur_px=(sigma, sigma))
    blurred = change_grey_levels(image, ranges, (0.0, 384.0), 1.0, generator())
    assert float(blurred.mean()) == pytest.approx(1.0, rel=0.2)  # mirrors keep it nearly
    if sigma > 16:
        assert float(blurred.std()) < 1.0  # of 20


def test_noise_has_the_stated_strength():
    image = torch.zeros(1, 200, 200)
    noisy = change_grey_levels(image, Augmentation(noise=(0.1, 0.1)), (0, 255), 40.0, generator())
    assert float(noisy.std()) == pytest.approx(4.0, rel=0.05)


def crop_set(seed=0):
    image, labels = (part.numpy() for part in marked_tile())
    store = TileStore(["a", "b", "c"], lambda tile: (image[0], labels))
    return CropSet(store, 32, EVERYTHING, Normalisation((50.0,), (50.0,), (0.0, 100.0)), seed)


def test_crop_depends_on_seed_epoch_and_tile_and_on_nothing_else():
    torch.manual_seed(1)
    first = crop_set()[3, 1][0]
    torch.manual_seed(2)
    assert torch.equal(crop_set()[3, 1][0], first)
    for other in (crop_set()[4, 1][0], crop_set()[3, 2][0], crop_set(7)[3, 1][0]):
        assert not torch.equal(other, first)


@pytest.mark.parametrize(("n_tiles", "batch_size"), [(9, 4), (8, 4), (3, 8), (17, 16)])
def test_epoch_sees_each_tile_once_in_batches_of_like_size(n_tiles, batch_size):
    batches = epoch_batches(n_tiles, batch_size, seed=0, epoch=5)
    assert sorted(index for batch in batches for _, index in batch) == list(range(n_tiles))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_ranges_are_read_from_toml():
    text = "zoom = [0.5, 1.2]\nright_angles = true\nrotation_deg = 10\n"
    read = augmentation_from_toml(text, "a.toml")
    assert read == Augmentation(zoom=(0.5, 1.2), right_angles=True, rotation_deg=10.0)


@pytest.mark.parametrize(
    "text",
    [
        "zoom = 2",
        "zoom = [2, 1]",
        "gamma = [0, 1]",
        "flip = -1",
        "flips = 1",
        "flip = true",
        "=",
    ],
)
def test_bad_ranges_are_refused_with_file_and_key(text):
    with pytest.raises(InputError, match=r"a\.toml"):
        augmentation_from_toml(text, "a.toml")


def test_presets_are_known_by_name_and_others_refused():
    assert load_augmentation("none") == Augmentation()
    assert set(PRESETS) == {"none", "spatial", "intensity", "default"}
    with pytest.raises(UsageError, match="--augment nothing"):
        load_augmentation("nothing")
