import numpy as np
import pytest
import segmentation_models_pytorch as smp
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


LIBRARY = {
    "ce": torch.nn.functional.cross_entropy,
    "dice": smp.losses.DiceLoss("multiclass"),
    "jaccard": smp.losses.JaccardLoss("multiclass"),
    "lovasz": smp.losses.LovaszLoss("multiclass"),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("n_absent", [0, 1])
@pytest.mark.parametrize("name", LIBRARY)
def test_losses_are_those_of_the_libraries(name, n_absent, layout):
    logits, labels = example()
    logits = logits.detach().contiguous(memory_format=layout).requires_grad_()
    labels = labels.clamp(max=2 - n_absent)
    values, gradients = [], []
    image = (logits, labels.long())  # Lovasz sorts pixels of the whole batch there too
    for loss in (build_loss(name), LIBRARY[name]):
        values.append(loss(*image))
        gradients.append(torch.autograd.grad(values[-1], logits)[0])
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


def test_cross_entropy_with_class_weights_is_that_of_torch():
    logits, labels = example()
    weights = [1.0, 0.0, 2.5]
    expected = torch.nn.functional.cross_entropy(
        logits, labels.long(), weight=torch.tensor(weights)
    )
    torch.testing.assert_close(build_loss("ce", weights)(logits, labels), expected)


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


def log_odds(*probabilities):
    """Logits (1, K, 1, P), of which softmax makes these probabilities, one list a pixel."""
    return torch.tensor(probabilities).double().log().T[None, :, None, :]


def test_focal_by_hand():
    logits = log_odds([0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05])
    labels = torch.tensor([[[0, 2, 0]]])
    each = [0.25 * np.log(2), 0.81 * np.log(10), 0.01 * -np.log(0.9)]
    assert float(build_loss("focal")(logits, labels)) == pytest.approx(np.mean(each), rel=1e-5)


def test_focal_does_not_change_when_all_logits_of_a_pixel_move_alike():
    logits, labels = example()  # true of softmax, not of a sigmoid for each class
    still, moved = (float(build_loss("focal")(logits.detach() + by, labels)) for by in (0, 7))
    assert moved == pytest.approx(still, rel=1e-5)


@pytest.mark.parametrize("gap", [1e-4, 30.0, 1e4, -1e4])
def test_focal_and_its_gradient_are_finite_however_sure_a_pixel_is(gap):
    logits = torch.tensor([gap, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
    loss = build_loss("focal")(logits, torch.zeros(1, 1, 1))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(max(0.0, -gap), abs=0.2)
    assert torch.isfinite(logits.grad).all()


def fit_free_logits(name, n_px):
    """Probabilities that a loss makes of so many pixels of each class, without a network."""
    labels = torch.arange(len(n_px)).repeat_interleave(torch.tensor(n_px))[None, None]
    logits = torch.zeros(len(n_px), requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")
    loss = build_loss(name)

    def evaluate():
        optimizer.zero_grad()
        value = loss(logits[None, :, None, None].expand(1, -1, *labels.shape[1:]), labels)
        value.backward()
        return value

    optimizer.step(evaluate)
    return logits.detach().softmax(dim=0).numpy()


def test_cross_entropy_gives_back_the_frequencies():
    np.testing.assert_allclose(fit_free_logits("ce", (61, 29, 10)), [0.61, 0.29, 0.10], atol=1e-3)


@pytest.mark.parametrize(
    ("n_px", "said"), [((61, 29, 10), (0.49, 0.35, 0.16)), ((90, 10), (0.69, 0.31))]
)
def test_focal_gives_the_probabilities_that_its_documentation_says(n_px, said):
    found = fit_free_logits("focal", n_px)
    np.testing.assert_allclose(found, said, atol=5e-3)
    # at the minimum frequency times slope is alike for all classes
    slope = (1 - found) ** 2 / found - 2 * (1 - found) * np.log(found)
    np.testing.assert_allclose(n_px * slope, (n_px * slope).mean().repeat(len(n_px)), rtol=5e-3)


def test_sums_are_parsed():
    assert parse_loss("ce + 0.3*dice") == {"ce": 1.0, "dice": 0.3}


@pytest.mark.parametrize("text", ["", "ce+", "bce", "ce*2", "-1*ce", "0*ce+0*dice"])
def test_other_losses_are_refused(text):
    with pytest.raises(UsageError, match="--loss"):
        parse_loss(text)


def test_class_weights_that_nobody_would_use_are_refused():
    with pytest.raises(UsageError, match="--class-weights"):
        build_loss("dice", [1.0, 2.0])
