"""Networks on disk: safetensors that explain themselves."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.io.atomic import write_bytes
from mstool.io.parsing import parse_json
from mstool.io.plain import to_plain
from mstool.io.record_check import check_kinds
from mstool.io.records import sha256_of_file
from mstool.labels.legend import legend_from_toml
from mstool.micrographs.needs import Needs
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.nn.decoder_width import decoder_arguments
from mstool.nn.model import ModelSpec, Segmenter, build_segmenter
from mstool.nn.pretrained import PretrainedEncoder, is_encoder_alone, sources_of_encoder
from mstool.nn.size_limit import no_larger_than
from mstool.nn.weight_files import is_safetensors

MODEL = "model.safetensors"  # name of the file in a folder that train writes

_MOST_WIDTH = 4096


@dataclass(frozen=True)
class Checkpoint:
    """All that is needed to use a network, but its weights.

    Attributes
    ----------
    spec : ModelSpec
        Architecture.
    classes : tuple of str
        Class names, in order.
    legend : str
        Legend of the label maps it was trained on, as TOML.
    mean, std : tuple of float
        Normalisation in stored pixel values, one a channel.
    dtype : str
        Type of the stored pixel values, such as ``uint8``.
    pixel_size_um : float or None
        Pixel size of the training tiles [um/px].
    tile_size : int
        Edge of the training crops [px].
    receptive_field_px : int or None
        Theoretical receptive field [px]; None where it is the whole image or not known.
    sources : dict of str to list of dict
        Under ``train``, ``val`` and ``test``: name, group, content hash and specimen of each
        micrograph, which is its groups in the tile folder and in the split, joined; under
        ``inherited`` those that decided the weights it began with. Old models know no specimen.
    metrics : dict
        Validation scores of these weights.
    training : dict
        Settings of the training, versions and provenance.
    greys : tuple of float
        Quantiles of the stored values of the training tiles; empty for models that do not know.
    temperature : float
        That logits are divided by; 1 where none was fitted.
    tile_scale : float or None
        Magnification of the micrographs before training tiles were cut; None for models that do
        not know.
    has_own_greys : bool
        Whether the greys of each micrograph were stretched by its own before tiles were cut.
    """

    spec: ModelSpec
    classes: tuple[str, ...]
    legend: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    pixel_size_um: float | None
    tile_size: int
    receptive_field_px: int | None
    sources: dict[str, list[dict[str, str]]]
    metrics: dict[str, Any]
    training: dict[str, Any]
    greys: tuple[float, ...] = ()
    temperature: float = 1.0
    tile_scale: float | None = None
    has_own_greys: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A network ready for use.

    Attributes
    ----------
    path : Path
        Where it was.
    sha256 : str
        Of the file.
    checkpoint : Checkpoint
        What it is.
    segmenter : Segmenter
        In evaluation mode, on the CPU.
    """

    path: Path
    sha256: str
    checkpoint: Checkpoint
    segmenter: Segmenter

    @property
    def needs(self) -> Needs:
        """What it asks of its input."""
        known = self.checkpoint
        return Needs(
            str(self.path),
            known.classes,
            known.spec.n_channels,
            len(set(known.mean)) == len(set(known.std)) == 1,
            known.dtype,
            known.greys,
            known.pixel_size_um,
            known.tile_scale,
            frozenset(
                source["sha256"]
                for part in ("train", "val", "test")
                for source in known.sources[part]
            ),
            known.has_own_greys,
        )


def save_checkpoint(
    path: Path, network: nn.Module, description: Checkpoint | PretrainedEncoder
) -> None:
    """Write the weights of a segmenter, or of an encoder alone, and what they are.

    Same input, same bytes of the one safetensors file.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    text = json.dumps(to_plain(asdict(description)), sort_keys=True, allow_nan=False)
    # one key alone: of several, safetensors writes now this one first and now that
    write_bytes(path, save(tensors, {"mstool": text}))


def load_checkpoint(path: Path) -> LoadedModel:
    """Read a network; no code in the file can run.

    Raises
    ------
    MissingInputError
        If there is no such file.
    InputError
        If it is a pickle, damaged, or not written by mstool.
    """
    if path.is_dir():
        path = path / MODEL
    if not path.is_file():
        raise MissingInputError(f"{path}: no such model; train one with mstool train")
    _refuse_pickle(path)
    try:
        with safe_open(path, "pt") as stream:
            description = (stream.metadata() or {}).get("mstool")
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not readable as safetensors ({error}); copy it again") from None
    if description is None:
        raise InputError(f"{path}: safetensors, but no mstool model; give it to train --weights")
    if is_encoder_alone(description):
        raise InputError(
            f"{path}: an encoder alone, by mstool pretrain; give it to train --weights"
        )
    checkpoint = _parse(description, path)
    try:
        with no_larger_than(sum(tensor.numel() for tensor in tensors.values())):
            segmenter = build_segmenter(
                checkpoint.spec, list(checkpoint.mean), list(checkpoint.std)
            )
        segmenter.load_state_dict(tensors)
        segmenter.temperature = checkpoint.temperature
    except InputError as error:
        raise InputError(f"{path}: {error}; train it again") from None
    except (UsageError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot be built here ({error}); update mstool") from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: weights do not fit its description ({reason})") from None
    return LoadedModel(path, sha256_of_file(path), checkpoint, segmenter.eval())


def read_training_sources(path: Path) -> list[dict[str, str]]:
    """Micrographs that decided the weights in a file; none if it is no model of mstool."""
    if not is_safetensors(path):
        return []
    with safe_open(path, "pt") as stream:
        description = (stream.metadata() or {}).get("mstool")
    if description is None:
        return []
    if is_encoder_alone(description):
        return sources_of_encoder(description, path)
    return deciding_sources(_parse(description, path))


def deciding_sources(checkpoint: Checkpoint) -> list[dict[str, str]]:
    """Micrographs of training and validation, and those behind the weights it began with.

    Each carries under ``part`` which of ``train`` and ``val`` it was, or ``unlabelled`` if only
    its pixels were seen.
    """
    own = [
        {**source, "part": part} for part in ("train", "val") for source in checkpoint.sources[part]
    ]
    return own + checkpoint.sources.get("inherited", [])


def _parse(description: str, path: Path) -> Checkpoint:
    try:
        fields = parse_json(description)
        if findings := check_kinds(fields, "checkpoint"):
            raise ValueError(findings[0])
        tuples = {key: tuple(fields[key]) for key in ("classes", "mean", "std")}
        tuples["greys"] = tuple(fields.get("greys", ()))
        checkpoint = Checkpoint(**{**fields, **tuples, "spec": _parse_spec(fields["spec"])})
        _check(checkpoint)
        return checkpoint
    except (ValueError, KeyError, TypeError, AttributeError, UsageError, InputError) as error:
        reason = " ".join(str(error).split()).partition(";")[0][:120]
        raise InputError(f"{path}: its description is damaged ({reason}); train it again") from None


def _check(checkpoint: Checkpoint) -> None:
    """See that what a description says can be, and agrees with itself."""
    for part in ("train", "val", "test"):
        for source in checkpoint.sources[part]:
            source["name"], source["group"], source["sha256"]
    for source in checkpoint.sources.get("inherited", []):
        source["name"], source["group"], source["sha256"], source["part"]
    spec, names = checkpoint.spec, legend_from_toml(checkpoint.legend).names
    n_known = len(checkpoint.classes) == spec.n_classes == len(names)
    if not n_known or not 1 <= spec.width <= _MOST_WIDTH or spec.n_channels not in (1, 3):
        raise ValueError("classes, width or channels")
    if {len(checkpoint.mean), len(checkpoint.std)} != {spec.n_channels}:
        raise ValueError("mean and std are not one a channel")
    positive = {
        "temperature": checkpoint.temperature,
        "tile_scale": checkpoint.tile_scale,
        "pixel_size_um": checkpoint.pixel_size_um,
        "tile_size": checkpoint.tile_size,
        "std": min(checkpoint.std),
    }
    for name, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name} {value}")


def _parse_spec(fields: dict[str, Any]) -> ModelSpec:
    spec = ModelSpec(**fields)
    if spec.decoder_channels is None:  # so too in models that do not know the field
        return spec
    decoder_arguments(spec.arch, spec.decoder_channels)
    return replace(spec, decoder_channels=tuple(spec.decoder_channels))


def _refuse_pickle(path: Path) -> None:
    with open(path, "rb") as stream:
        head = stream.read(9)
    # safetensors begin with the length of their header, which may look like anything, and a brace
    is_pickle = head[:1] == b"\x80" or head[:4] == b"PK\x03\x04"
    if is_pickle and head[8:9] != b"{":
        raise InputError(
            f"{path}: a pickle, which can run code when opened; save the weights as safetensors "
            "and give them to train --weights"
        )


def check_ensemble(models: list[LoadedModel]) -> None:
    """Refuse an ensemble whose members name different classes, or need greys read differently.

    Raises
    ------
    InputError
        Naming the first model that differs.
    """
    first = models[0]
    for other in models[1:]:
        if other.checkpoint.classes != first.checkpoint.classes:
            raise InputError(
                f"{other.path}: classes {', '.join(other.checkpoint.classes)} differ from those of "
                f"{first.path} ({', '.join(first.checkpoint.classes)}); ensemble like with like"
            )
        if other.checkpoint.has_own_greys != first.checkpoint.has_own_greys:
            pair = (other, first) if other.checkpoint.has_own_greys else (first, other)
            raise InputError(
                f"{pair[0].path} was trained with --rescale-greys {OWN_GREYS}, {pair[1].path} "
                "without it, and no micrograph can be read in both ways; ensemble like with like"
            )


def versions() -> dict[str, str]:
    """Versions of the libraries on which weights depend."""
    from importlib.metadata import version

    names = ("torch", "segmentation-models-pytorch", "timm", "numpy")
    return {name: version(name) for name in names} | {"cuda": str(torch.version.cuda)}
