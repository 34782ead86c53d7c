import pytest
import torch

from mstool.errors import UsageError
from mstool.nn.losses import build_loss, parse_loss

NAMES = ["ce", "focal", "dice", "jaccard", "lovasz", "ce+dice", "0.5*ce+2*lovasz"]


def example(seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 8, 8, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator).to(torch.uint8)
    return logits, labels


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_change_neither_loss_nor_gradient(name):
    logits, labels = example()
    labels[:, :3] = 255
    loss = build_loss(name)
    first = loss(logits, labels)
    (gradient,) = torch.autograd.grad(first, logits)
    assert (gradient[:, :, :3] == 0).all()
    changed = logits.detach().clone()
    changed[:, :, :3] = 100 * torch.randn(2, 3, 3, 8)
    assert float(loss(changed, labels)) == pytest.approx(float(first.detach()), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_are_left_out_and_not_counted_as_right(name):
    logits, labels = example()
    # the same pixels with and without company that is ignored
    padded_logits = torch.cat([logits, torch.randn(2, 3, 8, 5)], dim=3)
    padded_labels = torch.cat([labels, torch.full((2, 8, 5), 255, dtype=torch.uint8)], dim=2)
    per_batch = build_loss(name)
    flat = logits.permute(1, 0, 2, 3).reshape(1, 3, 1, -1)
    alone = per_batch(flat, labels.reshape(1, 1, -1))
    together = per_batch(padded_logits, padded_labels)
    assert float(together.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_all_ignored_gives_zero_that_can_be_differentiated(name):
    logits, labels = example()
    loss = build_loss(name)(logits, torch.full_like(labels, 255))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_perfect_prediction_costs_next_to_nothing(name):
    labels = example()[1]
    logits = torch.nn.functional.one_hot(labels.long(), 3).permute(0, 3, 1, 2) * 100.0 - 50
    assert float(build_loss(name)(logits, labels)) < 1e-3


def test_cross_entropy_by_hand_with_class_weights():
    logits = torch.zeros(1, 2, 1, 2)
    labels = torch.tensor([[[0, 1]]])
    weighted = build_loss("ce", [1.0, 3.0])(logits, labels)
    assert float(weighted) == pytest.approx(0.6931, abs=1e-4)  # ln 2 whatever the weights
    logits = torch.tensor([[[[2.0, 2.0]], [[0.0, 0.0]]]])
    costs = torch.tensor([0.1269, 2.1269])  # -log softmax
    expected = (costs * torch.tensor([1.0, 3.0])).sum() / 4
    assert float(build_loss("ce", [1.0, 3.0])(logits, labels)) == pytest.approx(
        float(expected), abs=1e-3
    )


def test_sums_are_parsed():
    assert parse_loss("ce + 0.3*dice") == {"ce": 1.0, "dice": 0.3}


@pytest.mark.parametrize("text", ["", "ce+", "bce", "ce*2", "-1*ce"])
def test_other_losses_are_refused(text):
    with pytest.raises(UsageError, match="--loss"):
        parse_loss(text)


def test_class_weights_that_nobody_would_use_are_refused():
    with pytest.raises(UsageError, match="--class-weights"):
        build_loss("dice", [1.0, 2.0])
