import numpy as np
import pytest
from scipy import ndimage

from mstool.errors import UsageError
from mstool.shift.doses import FAMILIES, apply_dose, breaking_dose, parse_doses
from mstool.shift.etch_dose import ROUGHENING, etch


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


@pytest.mark.parametrize("n_phases", [1, 2])
def test_the_rim_of_what_is_left_out_is_no_boundary(draw, n_phases):
    image, labels = draw(1)[0], np.zeros((96, 96), np.uint8)
    labels[:, :30] = n_phases - 1
    ignoring = labels.copy()
    ignoring[70:] = 255
    whole, part = (etch(image, one, 1.0, np.random.default_rng(0)) for one in (labels, ignoring))
    if n_phases == 1:
        np.testing.assert_array_equal(part, whole)
    np.testing.assert_allclose(part[:60], whole[:60], atol=1e-3)
    assert abs((part - whole)[60:70].mean()) < 0.02


def etch_even_phases(dose):
    """Loss of grey well inside the darker left and the brighter right half."""
    labels = np.zeros((256, 256), np.uint8)
    labels[:, 128:] = 1
    image = np.where(labels, 0.8, 0.5)[..., None]
    loss = (image - etch(image, labels, dose, np.random.default_rng(0)))[..., 0]
    return loss[:, :96], loss[:, 160:]


def fine(loss):
    """What is finer than stains."""
    return (loss - ndimage.gaussian_filter(loss, 3))[8:-8, 8:-8]


@pytest.mark.parametrize("dose", [0.25, 1.0])
def test_over_etching_roughens_the_darkest_phase_and_no_other(dose):
    attacked, other = map(fine, etch_even_phases(dose))
    assert attacked.std() == pytest.approx(ROUGHENING * dose, rel=0.15)
    assert other.std() < 0.2 * attacked.std()


def test_over_etching_stains_in_blotches():
    _, other = etch_even_phases(1.0)
    assert other.min() > -0.01
    assert 0.1 < other.max() <= 0.26
    assert (other > 0.1).mean() < 0.5


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
