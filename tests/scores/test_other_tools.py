"""What other tools print: their packages where they are installed, otherwise answers by hand."""

import numpy as np
import pytest

from mstool.scores.confusion import confusion_matrix
from mstool.scores.metrics import accuracy
from mstool.scores.other_tools import CONVENTIONS, convert

# Two images of three classes; class 2 is in the second one only, and never predicted.
TRUTHS = np.array([[[0, 0, 1, 1]], [[0, 1, 2, 2]]], np.uint8)
MASKS = np.array([[[0, 1, 1, 1]], [[0, 1, 0, 1]]], np.uint8)
NAMES = ("a", "b", "c")


def confusions_of(truths, masks, n_classes):
    return np.stack(
        [confusion_matrix(*pair, n_classes) for pair in zip(truths, masks, strict=True)]
    )


BY_HAND = confusions_of(TRUTHS, MASKS, 3)


def make_maps(n_classes, n_present):
    """Four pairs of label maps; classes from n_present on are in none of them."""
    rng = np.random.default_rng(n_classes)
    truths = rng.integers(0, n_present, (4, 20, 21)).astype(np.uint8)
    truths[0] = np.minimum(truths[0], 1)
    is_right = rng.random(truths.shape) < 0.7
    return truths, np.where(is_right, truths, rng.integers(0, n_present, truths.shape)).astype(
        np.uint8
    )


each_set = pytest.mark.parametrize(("n_classes", "n_present"), [(2, 2), (3, 3), (5, 4)])


@pytest.fixture
def double(monkeypatch):
    """PyTorch that calculates in double precision, also where a package asks for single."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(torch.float32)


@each_set
def test_smp_agrees_with_the_package(double, n_classes, n_present):
    metrics = pytest.importorskip("segmentation_models_pytorch").metrics
    truths, masks = make_maps(n_classes, n_present)
    tensors = [double.tensor(one.astype(int)) for one in (masks, truths)]
    stats = metrics.get_stats(*tensors, mode="multiclass", num_classes=n_classes)
    stats = [one.double() for one in stats]
    ours = convert("smp", confusions_of(truths, masks, n_classes), list(map(str, range(n_classes))))
    for name, reductions in ours.items():
        for reduction, value in reductions.items():
            theirs = float(getattr(metrics, name)(*stats, reduction=reduction))
            assert value == pytest.approx(theirs, abs=1e-9), (name, reduction)


@each_set
def test_smp_leaves_ignored_pixels_out_as_the_package_does(double, n_classes, n_present):
    metrics = pytest.importorskip("segmentation_models_pytorch").metrics
    truths, masks = make_maps(n_classes, n_present)
    truths[:, ::3] = 255
    tensors = [double.tensor(one.astype(int)) for one in (masks, truths)]
    stats = metrics.get_stats(*tensors, mode="multiclass", num_classes=n_classes, ignore_index=255)
    theirs = float(metrics.accuracy(*[one.double() for one in stats], reduction="macro"))
    ours = convert("smp", confusions_of(truths, masks, n_classes), list(map(str, range(n_classes))))
    assert ours["accuracy"]["macro"] == pytest.approx(theirs, abs=1e-9)


@each_set
def test_torchmetrics_agrees_with_the_package(double, n_classes, n_present):
    functional = pytest.importorskip("torchmetrics.functional")
    segmentation = pytest.importorskip("torchmetrics.functional.segmentation")
    truths, masks = make_maps(n_classes, n_present)
    tensors = [double.tensor(one.astype(int)) for one in (masks, truths)]
    names = list(map(str, range(n_classes)))
    ours = convert("torchmetrics", confusions_of(truths, masks, n_classes), names)
    for name in ("jaccard_index", "f1_score", "accuracy"):
        function = getattr(functional.classification, f"multiclass_{name}")
        for average, value in ours[name].items():
            theirs = float(function(*tensors, n_classes, average=average))
            assert value == pytest.approx(theirs, abs=1e-9), (name, average)
    theirs = float(functional.classification.multiclass_cohen_kappa(*tensors, n_classes))
    assert ours["cohen_kappa"] == pytest.approx(theirs, abs=1e-9)
    theirs = float(segmentation.mean_iou(*tensors, n_classes, input_format="index").mean())
    assert ours["segmentation_mean_iou"] == pytest.approx(theirs, abs=1e-9)


def test_micronet_agrees_with_the_function_that_it_calls():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("segmentation_models_pytorch.utils.functional")
    for n_classes in (2, 3, 5):
        truths, masks = make_maps(n_classes, n_classes)
        first = n_classes == 2  # of two classes the second is the one channel
        channels = [
            np.stack([one == index for index in range(first, n_classes)], axis=1)
            for one in (masks, truths)
        ]
        theirs = functional.iou(*(torch.tensor(one).double() for one in channels), threshold=0.5)
        names = list(map(str, range(n_classes)))
        ours = convert("micronet", confusions_of(truths, masks, n_classes), names)
        assert ours["iou_score"] == pytest.approx(float(theirs), abs=1e-9)
        assert ours["channels"] == names[first:]


def test_micronet_is_a_formula_of_accuracy():
    share = accuracy(BY_HAND.sum(axis=0))
    ours = convert("micronet", BY_HAND, NAMES)["iou_score"]
    assert ours == pytest.approx(share / (2 - share), abs=1e-7)


def test_nnunet_by_hand():
    found = convert("nnunet", BY_HAND, NAMES)
    # class b: image 1 tp 2, fp 1, fn 0; image 2 tp 1, fp 1, fn 0
    assert found["mean"]["b"]["Dice"] == pytest.approx((4 / 5 + 2 / 3) / 2, abs=1e-9)
    assert found["mean"]["b"]["IoU"] == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-9)
    # class c: not in image 1, which does not count; all missed in image 2
    assert found["mean"]["c"]["Dice"] == found["mean"]["c"]["IoU"] == 0
    assert found["mean"]["c"] | {"Dice": 0, "IoU": 0} == {
        "Dice": 0, "IoU": 0, "TP": 0, "FP": 0, "FN": 1, "TN": 3, "n_pred": 0, "n_ref": 1,
    }  # fmt: skip
    assert found["foreground_mean"]["Dice"] == pytest.approx((11 / 15 + 0) / 2, abs=1e-9)


def test_nnunet_has_no_foreground_mean_where_a_class_is_in_no_case():
    found = convert("nnunet", confusions_of(TRUTHS[:1], MASKS[:1], 3), NAMES)
    assert np.isnan(found["mean"]["c"]["Dice"])
    assert np.isnan(found["foreground_mean"]["Dice"])
    assert found["foreground_mean"]["n_ref"] == 1


def test_matseg_by_hand():
    found = convert("matseg", BY_HAND, (*NAMES, "absent")[:3])
    # pooled: a tp 2, fn 1, fp 1; b tp 3, fn 0, fp 2; c tp 0, fn 2, fp 0
    assert list(found["IoUs"].values()) == pytest.approx([2 / 4, 3 / 5, 0], abs=1e-8)
    assert found["mIoU"] == pytest.approx((2 / (4 + 1e-8) + 3 / (5 + 1e-8)) / 3, abs=1e-12)
    assert found["accuracy"] == 5 / 8
    assert found["fraction_error"] == pytest.approx({"a": 0, "b": 2 / 8, "c": -2 / 8})
    assert found["precision"]["c"] == 0


def test_an_absent_class_lowers_mean_iou_of_matseg_and_raises_that_of_smp():
    wider = np.pad(BY_HAND, ((0, 0), (0, 1), (0, 1)))
    names = (*NAMES, "absent")
    assert convert("matseg", wider, names)["mIoU"] < convert("matseg", BY_HAND, NAMES)["mIoU"]
    macro = [
        convert("smp", *one)["iou_score"]["macro"] for one in ((wider, names), (BY_HAND, NAMES))
    ]
    assert macro[0] > macro[1]
    macro = [
        convert("torchmetrics", *one)["jaccard_index"]["macro"]
        for one in ((wider, names), (BY_HAND, NAMES))
    ]
    assert macro[0] == macro[1]


@pytest.mark.parametrize("tool", CONVENTIONS)
def test_every_tool_says_what_differs(tool):
    assert "Ours:" in CONVENTIONS[tool]
    assert convert(tool, BY_HAND, NAMES)
