import numpy as np
import pytest

from mstool.errors import UsageError
from mstool.shift.doses import FAMILIES, apply_dose, breaking_dose, parse_doses


@pytest.fixture
def labelled(draw):
    image = draw(1)[0].astype(np.float32)
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[20:60, 30:70] = 1
    image[labels == 1] *= 0.6
    return image, labels


@pytest.mark.parametrize("family", FAMILIES)
def test_doses_grow_from_the_identity_and_repeat(labelled, family):
    image, labels = labelled
    same, same_labels = apply_dose(family, 0.0, image, labels, 1)
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(same_labels, labels)
    for sign in (-1, 1):
        doses = sorted((d for d in FAMILIES[family].doses if d * sign > 0), key=abs)
        found = [apply_dose(family, dose, image, labels, 1) for dose in doses]
        effects = [float(np.abs(changed - image).mean()) for changed, _ in found]
        assert effects == sorted(effects) or family == "magnification"
        for (changed, moved), dose in zip(found, doses, strict=True):
            assert changed.dtype == np.float32
            assert 0 <= changed.min() <= changed.max() <= 1
            assert FAMILIES[family].moves_labels or moved is labels
            again = apply_dose(family, dose, image, labels, 1)[0]
            np.testing.assert_array_equal(changed, again)


def test_colour_and_missing_labels_are_taken(labelled):
    colour = np.repeat(labelled[0], 3, axis=2)
    for name, family in FAMILIES.items():
        changed, none = apply_dose(name, family.doses[-1], colour, None, 0)
        assert changed.shape == colour.shape
        assert none is None


def test_labels_move_with_magnified_structures():
    image = np.zeros((64, 64, 1), np.float32)
    image[20:40, 24:44] = 1
    labels = (image[..., 0] > 0.5).astype(np.uint8)
    for dose in (-0.5, 0.5, 1.0):
        changed, moved = apply_dose("magnification", dose, image, labels, 0)
        assert ((changed[..., 0] > 0.5) != moved).mean() < 0.03


def test_over_etching_darkens_boundaries_most(labelled):
    image, labels = labelled
    changed, _ = apply_dose("etch", 0.5, image, labels, 0)
    loss = (image - changed)[..., 0]
    assert loss[19:22, 35:65].mean() > 2 * loss[70:90, 75:95].mean()


def test_doses_are_parsed():
    assert parse_doses("etch=0:1:0.25") == ("etch", (0.0, 0.25, 0.5, 0.75, 1.0))
    assert parse_doses("gamma=-0.5,1") == ("gamma", (-0.5, 1.0))
    assert parse_doses("blur") == ("blur", FAMILIES["blur"].doses)


@pytest.mark.parametrize(
    "text", ["smoke", "etch=a", "etch=0:1:0", "etch=0:1:-0.1", "noise=0:1:0.001", "blur=-1"]
)
def test_bad_doses_are_refused(text):
    with pytest.raises(UsageError, match="--simulate"):
        parse_doses(text)


def test_breaking_dose_is_interpolated():
    assert breaking_dose([0, 1, 2], [0.0, 0.02, 0.08]) == pytest.approx(1.5)
    assert np.isnan(breaking_dose([0, 1], [0.0, 0.01]))
