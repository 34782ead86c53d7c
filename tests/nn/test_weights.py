import hashlib
import http.server
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import skimage.data
import torch
from safetensors.torch import save_file

from mstool.errors import InputError, UnavailableError, UsageError
from mstool.nn.model import DEFAULT_ENCODER, PLAIN, ModelSpec, build_network
from mstool.nn.weight_files import read_state
from mstool.nn.weights import (
    describe_loaded,
    fetch,
    load_weights,
    locate_weights,
    packaged_imagenet_file,
    weight_inputs,
)

SPEC = ModelSpec("unet", DEFAULT_ENCODER, 1, 2)
RESNET = ModelSpec("unet", "resnet18", 3, 2)


def network(spec=SPEC, seed=0):
    torch.manual_seed(seed)
    return build_network(spec)


@pytest.fixture
def homeless(monkeypatch):
    """No home directory, as in a container whose user has no name."""
    for name in ("HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)


def test_cache_without_a_home_directory_is_asked_for(homeless):
    with pytest.raises(UsageError, match="--cache ~/x: there is no home directory"):
        fetch("http://nowhere/a.pth", Path("~/x"))


def test_hub_without_a_home_directory_is_not_asked(homeless, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnavailableError, match="no home directory.*--cache.*--weights FILE"):
        load_weights(network(RESNET), RESNET, "imagenet", None)
    with pytest.raises(UsageError, match="--cache ~/x: there is no home directory"):
        load_weights(network(RESNET), RESNET, "imagenet", Path("~/x"))
    assert list(tmp_path.iterdir()) == []


def test_cache_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--cache .*file.cache: Not a directory; name another"):
        fetch("http://nowhere/a.pth", tmp_path / "file" / "cache")


def test_cat_comes_out_as_a_cat(tmp_path):
    import timm

    classifier = timm.create_model("tf_efficientnet_lite0").eval()
    state = torch.load(packaged_imagenet_file(), map_location="cpu", weights_only=True)
    assert len(state) == len(classifier.state_dict()) == 296
    model = network(ModelSpec("unet", DEFAULT_ENCODER, 3, 2))
    loaded = load_weights(model, ModelSpec("unet", DEFAULT_ENCODER, 3, 2), "imagenet", tmp_path)
    encoder = {
        name.removeprefix("model."): tensor for name, tensor in model.encoder.state_dict().items()
    }
    tail = dict(zip([*classifier.state_dict()][-8:], [*state.values()][-8:], strict=True))
    classifier.load_state_dict({**encoder, **tail})
    cat = torch.from_numpy(skimage.data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None] / 255
    cat = torch.nn.functional.interpolate(cat, (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        best = int(classifier((cat - 0.5) / 0.5).argmax())
    assert best in (281, 282, 285)
    assert best == 285  # Egyptian cat
    assert loaded.n_matched == loaded.n_encoder > 200


def test_grey_network_answers_as_the_colour_one_on_grey(tmp_path):
    grey, colour = network(SPEC), network(ModelSpec("unet", DEFAULT_ENCODER, 3, 2))
    load_weights(grey, SPEC, "imagenet", tmp_path)
    load_weights(colour, ModelSpec("unet", DEFAULT_ENCODER, 3, 2), "imagenet", tmp_path)
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        ours = grey.eval().encoder(image)[-1]
        theirs = colour.eval().encoder(image.expand(1, 3, 64, 64))[-1]
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder.", "network.encoder."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_is_matched_by_name_whatever_wraps_it(tmp_path, prefix, suffix):
    donor, model = network(RESNET, seed=1), network(RESNET, seed=2)
    state = {prefix + name: tensor for name, tensor in donor.encoder.state_dict().items()}
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    loaded = load_weights(model, RESNET, str(path), tmp_path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, tensor in donor.encoder.state_dict().items():
        torch.testing.assert_close(model.encoder.state_dict()[name], tensor, rtol=0, atol=0)


def test_wrong_key_does_not_pass_in_silence(tmp_path):
    state = network(RESNET, seed=1).encoder.state_dict()
    state["layer1.0.conv1.weights"] = state.pop("layer1.0.conv1.weight")
    torch.save(state, tmp_path / "w.pth")
    model = network(RESNET)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=r"99 of 100.*layer1\.0\.conv1\.weight"):
        load_weights(model, RESNET, str(tmp_path / "w.pth"), tmp_path)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_weights_of_another_encoder_are_refused(tmp_path):
    other = ModelSpec("unet", "resnet34", 3, 2)
    torch.save(network(other).encoder.state_dict(), tmp_path / "w.pth")
    load_weights(
        network(RESNET), RESNET, str(tmp_path / "w.pth"), tmp_path
    )  # a longer sibling fits
    with pytest.raises(InputError, match="tensors of the encoder|has shape"):
        load_weights(network(), SPEC, str(tmp_path / "w.pth"), tmp_path)


def test_file_that_changes_nothing_is_refused(tmp_path):
    torch.save(network(RESNET).encoder.state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="changed no tensor"):
        load_weights(network(RESNET), RESNET, str(tmp_path / "w.pth"), tmp_path)


class Evil:
    def __reduce__(self):
        return (open, ("owned", "w"))


def test_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth"):
        read_state(tmp_path / "w.pth")
    assert not (tmp_path / "owned").exists()


@pytest.fixture
def server(tmp_path):
    """A local server of the folder ``served``; gives its address."""
    (tmp_path / "served").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_micronet_is_downloaded_once_checked_and_loaded(tmp_path, server):
    donor = network(RESNET, seed=3)
    served = tmp_path / "served" / "resnet18_pretrained_microscopynet_v1.0.pth.tar"
    torch.save({"state_dict": donor.encoder.state_dict()}, served)
    url = server + "/{encoder}_pretrained_microscopynet_{version}.pth.tar"
    model, cache = network(RESNET), tmp_path / "cache"
    loaded = load_weights(model, RESNET, "micronet", cache, url)
    assert loaded.sha256 == hashlib.sha256(served.read_bytes()).hexdigest()
    served.unlink()
    again = load_weights(network(RESNET), RESNET, "micronet", cache, url)
    assert again == loaded
    assert torch.equal(model.encoder.conv1.weight, donor.encoder.conv1.weight)


def test_missing_download_says_which_file_to_put_where(tmp_path, server):
    with pytest.raises(UnavailableError, match=r"nothing\.pth.*put it at .*cache.nothing\.pth"):
        fetch(f"{server}/nothing.pth", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_hub_that_cannot_be_reached_says_which_file_to_give(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("timm.models.load_state_dict_from_hf", fail)
    with pytest.raises(UnavailableError, match=r"resnet18.*model\.safetensors.*--weights FILE"):
        load_weights(network(RESNET), RESNET, "imagenet", tmp_path)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18.a1_in1k", "dinov2-small"])
def test_weights_of_the_hub_are_kept_in_the_cache_that_is_named(tmp_path, monkeypatch, encoder):
    spec = ModelSpec("pixel-classifier", encoder, 3, 2)
    asked = []

    def look(*args, repo_id, cache_dir=None, **kwargs):
        asked.append((repo_id, cache_dir))
        raise OSError("no network")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", look)
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(UnavailableError):
            load_weights(torch.nn.Module(), spec, "imagenet", cache)
    (usual, named) = asked
    assert usual[0] == named[0]
    assert (usual[1], named[1]) == (None, tmp_path / "cache")


def test_weights_of_the_hub_fill_the_encoder(tmp_path, monkeypatch):
    donor, asked = network(RESNET, seed=1).encoder.state_dict(), []

    def serve(place, file, cache_dir):
        asked.append((place.split("@")[0], file))
        return donor | {"fc.weight": torch.ones(9, 9), "fc.bias": torch.ones(9)}

    monkeypatch.setattr("timm.models.load_state_dict_from_hf", serve)
    model = network(RESNET)
    loaded = load_weights(model, RESNET, "imagenet", tmp_path)
    assert asked == [("smp-hub/resnet18.imagenet", "model.safetensors")]
    assert (loaded.origin, loaded.n_matched) == ("ImageNet (hub, resnet18)", 100)
    assert torch.equal(model.encoder.conv1.weight, donor["conv1.weight"])


def test_encoder_without_weights_of_imagenet_is_told(tmp_path):
    spec = ModelSpec("unet", "resnext101_32x16d", 3, 2)
    with pytest.raises(UsageError, match="imagenet: none known for --encoder resnext101_32x16d"):
        load_weights(torch.nn.Module(), spec, "imagenet", tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_name_of_weights_is_no_file_that_is_called_so(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    for word in ("none", "imagenet", "micronet"):
        make(Path(word))
        assert locate_weights(word) == word
        assert weight_inputs(word) == []
    Path("w.pth").touch()
    assert weight_inputs(locate_weights("w.pth")) == [Path("w.pth")]


@pytest.mark.parametrize("weights", ["imagenet", "micronet"])
def test_plain_network_has_no_pretrained_weights(tmp_path, weights):
    spec = ModelSpec(PLAIN, None, 1, 2, 2, 4)
    with pytest.raises(UsageError, match=PLAIN):
        load_weights(network(spec), spec, weights, tmp_path)


def test_tensors_that_have_no_place_are_counted(tmp_path):
    spec = ModelSpec("unet", "resnet18", 1, 2)
    state = build_network(spec).encoder.state_dict()
    torch.save(
        {**state, "fc.weight": torch.ones(9, 9), "fc.bias": torch.ones(9)}, tmp_path / "a.pth"
    )
    loaded = load_weights(build_network(spec), spec, str(tmp_path / "a.pth"), tmp_path)
    assert loaded.n_unused == 2
    assert describe_loaded(loaded).endswith("begin at random; 2 of the file have no place in it")


def test_tensors_of_a_deeper_encoder_are_counted(tmp_path):
    torch.save(network(ModelSpec("unet", "resnet34", 3, 2)).state_dict(), tmp_path / "a.pth")
    loaded = load_weights(network(RESNET), RESNET, str(tmp_path / "a.pth"), tmp_path)
    assert (loaded.n_matched, loaded.n_random, loaded.n_unused) == (100, 0, 96)


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("unet", "resnet18", 1, 2),
        ModelSpec(PLAIN, None, 1, 2, 2, 4),
        ModelSpec("pixel-classifier", None, 1, 2, width=4, features="filters"),
        ModelSpec("pixel-classifier", "tu-test_resnet", 1, 2, width=4, features="encoder"),
    ],
    ids=["library", "plain", "filters", "pixels"],
)
def test_last_layer_of_other_classes_is_left_out_and_told(tmp_path, spec):
    path = tmp_path / "a.pth"
    torch.save(network(replace(spec, n_classes=5), seed=1).state_dict(), path)
    loaded = load_weights(network(spec), spec, str(path), tmp_path)
    assert (loaded.n_classes, loaded.n_random, loaded.n_unused) == (5, 2, 2)
    assert describe_loaded(loaded).endswith(
        "; 2 of the file have no place in it, its last layer among them, which is for 5 classes"
    )
    torch.save(network(spec, seed=1).state_dict(), path)
    loaded = load_weights(network(spec), spec, str(path), tmp_path)
    assert (loaded.n_classes, loaded.n_random, loaded.n_unused) == (None, 0, 0)
