import pytest
import torch

from mstool.errors import UsageError
from mstool.nn.adapt import adapt_norms
from mstool.nn.finetune import freeze
from mstool.nn.model import PLAIN, ModelSpec, build_segmenter
from mstool.nn.norms import list_norms, refuse_lonely_crops


def segmenter(arch, depth=4):
    encoder = None if arch == PLAIN else "resnet18"
    spec = ModelSpec(arch, encoder, 1, 2, depth=depth, width=4)
    return build_segmenter(spec, [0.0], [1.0], 0)


@pytest.mark.parametrize(
    ("arch", "crop", "is_refused"),
    [
        (PLAIN, 16, True),
        (PLAIN, 32, False),
        ("unet", 32, True),
        ("unet", 64, False),
        ("deeplabv3plus", 64, True),  # pools the whole crop
        ("pspnet", 64, False),  # too, but does not normalise that
    ],
)
def test_batch_of_one_is_refused_where_a_norm_sees_one_value(arch, crop, is_refused):
    network = segmenter(arch)
    if is_refused:
        with pytest.raises(UsageError, match=rf"--batch-size 2: .* 5, and X .* {crop} pixels"):
            refuse_lonely_crops(network, crop, 5, 2, "X")
    else:
        refuse_lonely_crops(network, crop, 5, 2, "X")
        assert network.train()(torch.rand(1, 1, crop, crop)).isfinite().all()
    refuse_lonely_crops(network, crop, 4, 2, "X")


def test_norms_of_a_frozen_encoder_need_no_variance():
    network = segmenter("unet")
    freeze(network.network, 0)
    refuse_lonely_crops(network, 32, 1, 1, "X")


def test_a_look_leaves_statistics_and_modes_alone():
    network = segmenter("unet")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    refuse_lonely_crops(network, 64, 1, 1, "X")
    assert all(norm.training for norm in list_norms(network))
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_norm_behind_a_pooling_to_a_point_keeps_its_statistics():
    network = segmenter("deeplabv3plus").eval()
    for norm in list_norms(network):
        norm.running_mean.fill_(7.0)
    adapted = adapt_norms(network, [torch.rand(1, 64, 64)], prior=0)
    kept = [norm for norm in list_norms(adapted) if (norm.running_mean == 7.0).all()]
    assert len(kept) == 1
    assert all(norm.num_batches_tracked == 1 for norm in list_norms(adapted) if norm not in kept)
