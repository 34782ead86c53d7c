import warnings
from dataclasses import replace

import pytest
import torch

from mstool.errors import InputError, UsageError
from mstool.labels.legend import legend_from_values, legend_to_toml
from mstool.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstool.nn.finetune import encoder_stages, freeze, parse_finetune, train_mode
from mstool.nn.model import (
    PIXEL,
    PLAIN,
    ModelSpec,
    architectures,
    build_network,
    build_segmenter,
    count_parameters,
)
from mstool.nn.pixel_classifier import DEFAULT_FEATURES
from mstool.nn.receptive_field import theoretical_receptive_field
from mstool.nn.unet_plain import UNetPlain, valid_input_sizes, valid_margin

LITE = "efficientnet-lite0"
CLASSES = legend_to_toml(legend_from_values([0, 1]))


def segmenter(arch=PLAIN, encoder=None, n_channels=1, n_classes=2, **options):
    torch.manual_seed(0)
    spec = ModelSpec(arch, encoder, n_channels, n_classes, **{"depth": 2, "width": 4, **options})
    return build_segmenter(spec, [0.0] * n_channels, [1.0] * n_channels).eval()


@pytest.mark.parametrize("arch", [arch for arch in architectures() if arch != "dpt"])
def test_every_architecture_keeps_the_size_of_any_image(arch):
    encoder = None if arch == PLAIN else LITE
    features = DEFAULT_FEATURES if arch == PIXEL else None
    model = segmenter(arch, encoder, n_channels=3, n_classes=4, features=features)
    with torch.inference_mode():
        logits = model(torch.rand(1, 3, 129, 100))
    assert logits.shape == (1, 4, 129, 100)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_unpadded_network_shrinks_by_its_margin(depth):
    size = valid_input_sizes(depth, 500)[0]
    network = UNetPlain(1, 2, depth, 1, "valid").eval()
    with torch.inference_mode():
        out = network(torch.rand(1, 1, size, size))
    assert out.shape[-1] == size - 2 * valid_margin(depth)


def test_original_network_takes_572_and_gives_388():
    assert 572 in valid_input_sizes(4, 572)
    assert 572 - 2 * valid_margin(4) == 388  # Ronneberger et al. (2015), figure 1


@pytest.mark.parametrize("size", [1, 7, 44, 61])
def test_unpadded_network_still_answers_for_every_pixel(size):
    with torch.inference_mode():
        assert segmenter(padding="valid")(torch.rand(1, 1, size, size)).shape[-1] == size


def test_core_of_an_unpadded_network_rests_on_real_pixels():
    model = segmenter(padding="valid")
    images = torch.rand(1, 1, 61, 61)
    with torch.inference_mode():
        core, margin = model.forward_core(images)
        whole = model(images)
    inside = whole[..., margin : margin + core.shape[-1], margin : margin + core.shape[-1]]
    assert core.shape[-1] == 60 - 2 * valid_margin(2)
    assert core.shape[-1] + margin <= 61
    assert inside.shape == core.shape


def test_crop_too_small_for_an_unpadded_network_is_refused():
    with pytest.raises(UsageError, match="--padding valid"):
        segmenter(padding="valid").forward_core(torch.rand(1, 1, 30, 30))


def test_normalisation_is_inside_the_network():
    spec = ModelSpec(PLAIN, None, 1, 2, 2, 4)
    torch.manual_seed(0)
    plain = build_segmenter(spec, [0.0], [1.0]).eval()
    torch.manual_seed(0)
    shifted = build_segmenter(spec, [100.0], [20.0]).eval()
    image = torch.rand(1, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(shifted(image * 20 + 100), plain(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"fit": 0.5}, "training.settings.fit: is number, not table"),
        ({"fit": None}, "training.settings.fit: is null, not table"),
        (
            {"fit": {}, "test_fold": [1]},
            "training.settings.test_fold: is list of integer, not integer or null",
        ),
    ],
)
def test_damaged_settings_of_the_training_are_refused(tmp_path, settings, words):
    def write(settings):
        spec, numbers = ModelSpec(PLAIN, None, 1, 2, 2, 4), ((0.0,), (1.0,), "uint8", None, 32, 5)
        sources, training = {"train": [], "val": [], "test": []}, {"settings": settings}
        checkpoint = Checkpoint(spec, ("a", "b"), CLASSES, *numbers, sources, {}, training)
        save_checkpoint(tmp_path / "m.safetensors", segmenter(), checkpoint)

    write({"fit": {}, "test_fold": None})
    assert load_checkpoint(tmp_path / "m.safetensors").checkpoint.training
    write(settings)
    with pytest.raises(InputError, match=f"its description is damaged .{words}"):
        load_checkpoint(tmp_path / "m.safetensors")


def test_a_model_tells_whether_greys_were_each_micrographs_own(tmp_path):
    path = tmp_path / "m.safetensors"
    spec, numbers = ModelSpec(PLAIN, None, 1, 2, 2, 4), ((0.0,), (1.0,), "uint8", None, 32, 5)
    plain = Checkpoint(
        spec, ("a", "b"), CLASSES, *numbers, {"train": [], "val": [], "test": []}, {}, {}
    )
    for own in (False, True):
        save_checkpoint(path, segmenter(), replace(plain, has_own_greys=own))
        assert load_checkpoint(path).needs.has_own_greys is own
    for damaged in ("each", None, 1):
        save_checkpoint(path, segmenter(), replace(plain, has_own_greys=damaged))
        with pytest.raises(InputError, match="its description is damaged .*has_own_greys"):
            load_checkpoint(path)


@pytest.mark.parametrize("padding", range(0, 256, 16))
def test_no_model_is_taken_for_a_pickle_whatever_the_length_of_its_header(tmp_path, padding):
    model = segmenter()
    spec = ModelSpec(PLAIN, None, 1, 2, 2, 4)
    sources = {"train": [], "val": [], "test": []}
    for length in range(padding, padding + 16):  # safetensors pads the header to eight bytes
        legend = f"{CLASSES}# {'x' * 8 * length}"
        numbers = ((0.0,), (1.0,), "uint8", None, 32, 5)
        checkpoint = Checkpoint(spec, ("a", "b"), legend, *numbers, sources, {}, {})
        save_checkpoint(tmp_path / "m.safetensors", model, checkpoint)
        assert load_checkpoint(tmp_path / "m.safetensors").checkpoint.legend == legend


def test_receptive_field_equals_the_closed_form():
    # without padding, the least input (44) gives the least output (4 pixels): each of them sees all
    # but what its place in the block of four keeps out of reach on the other side
    assert valid_input_sizes(2, 99)[0] == 44
    field = theoretical_receptive_field(segmenter().network, 1)
    assert 44 - 4 < field <= 44


def test_receptive_field_of_one_convolution_is_its_kernel():
    assert theoretical_receptive_field(torch.nn.Conv2d(1, 1, 5, padding=2), 1) == 5


def test_global_pooling_has_no_receptive_field():
    class Global(torch.nn.Module):
        def forward(self, images):
            return images + images.mean(dim=(2, 3), keepdim=True)

    assert theoretical_receptive_field(Global(), 1) is None


@pytest.mark.parametrize("depth", [1, 6])
def test_depth_out_of_range_is_refused(depth):
    with pytest.raises(UsageError, match=f"--depth {depth}"):
        build_network(ModelSpec(PLAIN, None, 1, 2, depth, 4))


@pytest.mark.parametrize(("arch", "encoder"), [("unett", LITE), ("unet", "resnet17")])
def test_unknown_names_are_refused_with_choices(arch, encoder):
    with pytest.raises(UsageError, match="unett.*unetplusplus|resnet17.*resnet18"):
        build_network(ModelSpec(arch, encoder, 1, 2))


@pytest.mark.parametrize(
    ("text", "expected"), [("full", None), ("decoder", 0), ("top-1", 1), ("top-12", 12)]
)
def test_finetune_is_parsed(text, expected):
    assert parse_finetune(text) == expected


@pytest.mark.parametrize("text", ["top-0", "top", "encoder", ""])
def test_other_finetune_is_refused(text):
    with pytest.raises(UsageError, match="--finetune"):
        parse_finetune(text)


@pytest.mark.parametrize(("arch", "encoder"), [(PLAIN, None), ("unet", LITE)])
def test_freezing_takes_the_encoder_from_the_shallow_end(arch, encoder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = segmenter(arch, encoder).network
    stages = encoder_stages(network)
    total = count_parameters(network)
    freeze(network, 1)
    frozen = sum(p.numel() for stage in stages[:-1] for p in stage)
    assert count_parameters(network) == total - frozen
    assert not any(p.requires_grad for p in stages[0])
    assert all(p.requires_grad for p in stages[-1])


def test_every_encoder_parameter_that_is_used_belongs_to_one_stage():
    network = segmenter("unet", LITE).network
    members = [id(p) for stage in encoder_stages(network) for p in stage]
    assert sorted(members) == sorted(id(p) for p in network.encoder.parameters())


@pytest.mark.parametrize(
    ("arch", "encoder"), [("dpt", "tu-vit_tiny_patch16_224"), ("unet", "efficientnet-b0")]
)
def test_a_frozen_encoder_is_frozen_whole_and_needs_no_stages(arch, encoder):
    network = build_network(ModelSpec(arch, encoder, 1, 2))
    freeze(network, 0)
    assert not any(p.requires_grad for p in network.encoder.parameters())
    assert all(p.requires_grad for p in network.segmentation_head.parameters())


def test_frozen_normalisation_keeps_its_statistics():
    network = segmenter().network
    freeze(network, 0)
    train_mode(network)
    before = network.encoder[0][1].running_mean.clone()
    network(torch.rand(2, 1, 16, 16))
    torch.testing.assert_close(network.encoder[0][1].running_mean, before, rtol=0, atol=0)
    assert network.decoder[0][1].training


def test_more_stages_than_there_are_is_refused():
    with pytest.raises(UsageError, match="has 3 stages"):
        freeze(segmenter().network, 9)
