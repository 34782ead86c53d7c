"""Encoders that learnt without labels, on disk: safetensors that explain themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mstool.errors import InputError
from mstool.io.parsing import parse_json
from mstool.io.record_check import check_kinds
from mstool.splits.roles import UNLABELLED

ENCODER_FILE = "encoder.safetensors"


@dataclass(frozen=True)
class PretrainedEncoder:
    """All that is known of an encoder, but its weights.

    Attributes
    ----------
    method : str
        How it learnt: ``masked`` or ``contrast``.
    encoder : str
        Name, as ``--encoder`` has it.
    n_channels : int
        1 for grey, 3 for colour.
    crop : int
        Edge of the crops that it saw [px].
    mean, std : tuple of float
        Normalisation of what it saw, in stored pixel values, one a channel.
    dtype : str
        Type of the stored pixel values.
    pixel_size_um : float or None
        Of the tiles [um/px]; None where they do not say, or say different things.
    sources : dict of str to list of dict
        Under ``unlabelled``: name, group and content hash of each micrograph that it saw; under
        ``inherited`` those that decided the weights it began with.
    training : dict
        Settings, versions, and provenance of the weights it began with.
    """

    method: str
    encoder: str
    n_channels: int
    crop: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    pixel_size_um: float | None
    sources: dict[str, list[dict[str, str]]]
    training: dict[str, Any]


def is_encoder_alone(description: str) -> bool:
    """Whether metadata under the key ``mstool`` are of an encoder, and not of a model."""
    try:
        fields = parse_json(description)
    except ValueError:
        return False
    return isinstance(fields, dict) and "method" in fields and "spec" not in fields


def sources_of_encoder(description: str, path: Path) -> list[dict[str, str]]:
    """Micrographs that an encoder saw, and those behind the weights it began with.

    Each carries under ``part`` what it was: ``unlabelled``, or as inherited.

    Raises
    ------
    InputError
        If the description in the file at `path` is damaged.
    """
    try:
        fields = parse_json(description)
        if findings := check_kinds(fields, "encoder"):
            raise ValueError(findings[0])
        sources = fields["sources"]
        own = [{**source, "part": UNLABELLED} for source in sources["unlabelled"]]
        rows = own + sources["inherited"]
        keys = ("name", "group", "sha256", "part")
        return [
            {key: row[key] for key in keys}
            | ({"specimen": row["specimen"]} if "specimen" in row else {})
            for row in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: its description is damaged ({error}); pretrain it again"
        ) from None
