import pytest
import torch

from mstool.nn.adapt import adapt_norms, minimise_entropy
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.norms import list_norms
from mstool.nn.refit import fine_tune


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    return build_segmenter(ModelSpec("unet-plain", None, 1, 2, depth=2, width=4), [120.0], [50.0])


IMAGES = list(60 + 20 * torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)))


def test_norms_take_the_statistics_of_new_images_and_the_source_stays(segmenter):
    segmenter.eval()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    means = [norm.running_mean for norm in list_norms(adapt_norms(segmenter, IMAGES))]
    mixed = [norm.running_mean for norm in list_norms(adapt_norms(segmenter, IMAGES, prior=4))]
    kept = [norm.running_mean for norm in list_norms(segmenter)]
    torch.testing.assert_close(mixed[0], (means[0] + kept[0]) / 2)
    assert not torch.equal(means[0], kept[0])
    assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())


def test_no_steps_of_entropy_minimisation_is_adaptation_of_norms(segmenter):
    segmenter.eval()
    first, second = minimise_entropy(segmenter, IMAGES, 0), adapt_norms(segmenter, IMAGES)
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_entropy_falls(segmenter):
    segmenter.eval()

    def entropy(network):
        with torch.no_grad():
            log_p = network(torch.stack(IMAGES)).log_softmax(dim=1)
        return float(-(log_p.exp() * log_p).sum(dim=1).mean())

    adapted = minimise_entropy(segmenter, IMAGES, n_steps=30, lr=0.01)
    assert entropy(adapted) < entropy(adapt_norms(segmenter, IMAGES))
    assert not adapted.training


def test_fine_tuning_learns_and_keeps_normalisation(segmenter):
    segmenter.eval()
    images = torch.stack(IMAGES)
    labels = (images[:, 0] > 60).long()
    tuned = fine_tune(segmenter, images, labels, 0, n_steps=60, lr=0.02)
    hit = [(network(images).argmax(1) == labels).float().mean() for network in (segmenter, tuned)]
    assert hit[1] > max(0.7, hit[0])
    for before, after in zip(list_norms(segmenter), list_norms(tuned), strict=True):
        assert torch.equal(before.running_mean, after.running_mean)
