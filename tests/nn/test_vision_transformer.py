import socket

import pytest
import torch
from safetensors.torch import save_file

from mstool.errors import InputError, UnavailableError, UsageError
from mstool.labels.legend import legend_from_values, legend_to_toml
from mstool.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstool.nn.model import ModelSpec, build_encoder, build_network, build_segmenter
from mstool.nn.receptive_field import theoretical_receptive_field
from mstool.nn.vision_transformer import TokenEncoder, is_vision_transformer
from mstool.nn.weights import load_weights

DINO_V2 = "tu-vit_small_patch14_dinov2.lvd142m"
DINO_V3 = "tu-vit_small_patch16_dinov3.lvd1689m"
TINY = "tu-vit_tiny_patch16_224.augreg_in21k"


def spec(encoder="dinov2-small", features="filters+encoder@1", n_channels=1):
    return ModelSpec("pixel-classifier", encoder, n_channels, 2, width=8, features=features)


def build(encoder="dinov2-small", features="filters+encoder@1", seed=0):
    return build_segmenter(spec(encoder, features), [100.0], [50.0], seed).eval()


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(DINO_V2, True), (DINO_V3, True), (TINY, True), ("tu-resnet18", False), ("resnet18", False)],
)
def test_vision_transformers_are_known_by_name(name, is_one):
    assert is_vision_transformer(name) == is_one
    assert not is_vision_transformer("tu-nothing")


@pytest.mark.parametrize(("name", "patch"), [(DINO_V2, 14), (DINO_V3, 16)])
def test_a_map_has_a_pixel_a_patch(name, patch):
    encoder = TokenEncoder(name, 1).eval()
    image = torch.randn(2, 1, 3 * patch, 5 * patch)
    with torch.no_grad():
        same, *maps = encoder(image)
    assert same is image
    assert [tuple(found.shape) for found in maps] == [(2, 384, 3, 5)] * 4
    assert all(found.mean(dim=1).abs().max() < 1e-4 for found in maps)  # of a layer norm
    assert encoder.out_channels == [1, 384, 384, 384, 384]
    assert encoder.taken == [2, 5, 8, 11]


def test_tokens_lie_where_their_patches_do():
    encoder = TokenEncoder(DINO_V2, 1).eval()
    for block in encoder.model.blocks:  # without attention nothing else spreads
        block.attn.proj.weight.data.zero_()
        block.attn.proj.bias.data.zero_()
    plain, marked = torch.zeros(1, 1, 42, 70), torch.zeros(1, 1, 42, 70)
    marked[0, 0, 30, 15] = 5.0
    with torch.no_grad():
        change = (encoder(marked)[-1] - encoder(plain)[-1]).abs().sum(dim=1)[0]
    assert [tuple(place) for place in change.nonzero().tolist()] == [(2, 1)]


@pytest.mark.parametrize(
    ("features", "multiple"),
    [
        ("encoder@1", 14),
        ("encoder@2", 7),
        ("encoder@2+encoder@1", 14),
        ("encoder@0.5", 28),
        ("encoder@4", 7),
        ("encoder@0.25+encoder@4", 56),
    ],
)
def test_images_become_whole_patches_at_every_scale(features, multiple):
    segmenter = build(features=features)
    assert segmenter.multiple == multiple
    with torch.no_grad():
        assert segmenter(torch.randn(1, 1, 71, 33)).shape == (1, 2, 71, 33)


def test_attention_looks_at_the_whole_image():
    for encoder in ("dinov2-small", "dinov3-small"):
        assert theoretical_receptive_field(build(encoder).network, 1) is None


def test_slopes_reach_the_image_through_tokens():
    segmenter = build(features="encoder@1")
    image = (100 + 50 * torch.randn(1, 1, 56, 56)).requires_grad_()
    segmenter(image)[0, 1, 30, 30].backward()
    assert (image.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("arch", ["unet", "fpn", "dpt"])
def test_where_maps_must_differ_in_size_it_is_refused(arch):
    with pytest.raises(UsageError, match=r"dinov2-small: a vision transformer.*pixel-classifier"):
        build_network(ModelSpec(arch, "dinov2-small", 1, 2))


def test_it_cannot_be_pretrained():
    with pytest.raises(UsageError, match="a vision transformer"):
        build_encoder(ModelSpec("unet", "dinov3-small", 1, 2))


def test_dpt_takes_transformers_of_even_patches_at_any_size():
    segmenter = build_segmenter(ModelSpec("dpt", TINY, 1, 2), [0.0], [1.0], 0).eval()
    with torch.no_grad():
        assert segmenter(torch.randn(1, 1, 70, 100)).shape == (1, 2, 70, 100)


def timm_state(name, seed=9):
    import timm

    torch.manual_seed(seed)
    return timm.create_model(name.removeprefix("tu-")).state_dict()


@pytest.mark.parametrize("name", [DINO_V2, DINO_V3, TINY])
def test_a_file_of_timm_is_loaded_as_it_is(tmp_path, name):
    state, network = timm_state(name), build(name).network
    save_file(state, tmp_path / "w.safetensors")
    loaded = load_weights(network, spec(name), str(tmp_path / "w.safetensors"), tmp_path)
    assert loaded.n_matched == loaded.n_encoder > 100
    given, found = state["blocks.3.mlp.fc1.weight"], network.encoder.model.blocks[3].mlp.fc1.weight
    assert torch.equal(found, given)
    grey = state["patch_embed.proj.weight"].sum(dim=1, keepdim=True)
    assert torch.equal(network.encoder.model.patch_embed.proj.weight, grey)


def test_a_file_of_another_transformer_is_refused(tmp_path):
    save_file(timm_state(DINO_V2), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"w\.safetensors"):
        load_weights(
            build("dinov3-small").network,
            spec("dinov3-small"),
            str(tmp_path / "w.safetensors"),
            tmp_path,
        )


def test_the_hub_gives_what_the_name_says(tmp_path, monkeypatch):
    state, asked = timm_state(DINO_V2), []

    def serve(repository, *args, **kwargs):
        asked.append(repository)
        return dict(state)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", serve)
    network = build().network
    loaded = load_weights(network, spec(), "imagenet", tmp_path)
    assert asked == ["timm/vit_small_patch14_dinov2.lvd142m"]
    assert (loaded.origin, loaded.sha256) == ("hub, dinov2-small", None)
    assert torch.equal(network.encoder.model.pos_embed, state["pos_embed"])


def test_a_hub_that_is_away_says_which_file_to_give(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    name = "tu-vit_small_patch14_dinov2"  # the tag is the library's choice
    words = r"model\.safetensors of huggingface\.co/timm/vit_small_patch14_dinov2\.lvd142m on"
    with pytest.raises(UnavailableError, match=words):
        load_weights(build(name).network, spec(name), "imagenet", tmp_path)


def test_micronet_has_no_transformer(tmp_path):
    with pytest.raises(UsageError, match="--weights micronet: none known"):
        load_weights(build().network, spec(), "micronet", tmp_path)


def test_a_model_needs_no_network(tmp_path, monkeypatch):
    segmenter = build(TINY)
    sources = {"train": [], "val": [], "test": []}
    legend = legend_to_toml(legend_from_values([0, 1]))
    known = Checkpoint(
        *(
            spec(TINY),
            ("a", "b"),
            legend,
            (100.0,),
            (50.0,),
            "uint8",
            None,
            64,
            None,
            sources,
            {},
            {},
        )
    )
    save_checkpoint(tmp_path / "m.safetensors", segmenter, known)

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    again = load_checkpoint(tmp_path / "m.safetensors").segmenter
    image = 100 + 50 * torch.randn(1, 1, 40, 50)
    with torch.no_grad():
        assert torch.equal(again(image), segmenter(image))
