"""Packages of the BioImage Model Zoo: a graph, test arrays and a description in one archive."""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mstool.io.records import to_json
from mstool.labels.legend import legend_from_toml
from mstool.micrographs.own_greys import OWN_GREYS
from mstool.nn.checkpoint import Checkpoint, LoadedModel
from mstool.nn.whole_graph import IMAGE, PROBABILITIES

DESCRIPTION = "rdf.yaml"
README = "README.md"
GRAPH = "model.onnx"
TEST_IMAGE, TEST_PROBABILITIES = "test-image.npy", "test-probabilities.npy"

_SPECIFICATION = "0.5.3"  # the oldest that has all that is said here, for the sake of old readers
_NOBODY = "unknown"
_HALO_SHARE = 16  # of a tile is halo: half the overlap that tile and segment take by default
_LONGEST_NAME = 64
_OWN_GREYS = (
    "",
    "Before tiles are cut, the greys of each micrograph are stretched: 4 standard deviations below "
    "its mean become black, 4 above it white, as mstool tile --rescale-greys each does.",
)


def describe_processing(model: LoadedModel, size: int, opset: int) -> dict[str, Any]:
    """What is done to an image before, in and after the graph.

    Parameters
    ----------
    size : int
        Edge of the tiles [px].
    opset : int
        Version of the operations of the graph.

    Returns
    -------
    dict
        As the section ``export`` of record_keys.toml has it under ``processing``.
    """
    known, segmenter = model.checkpoint, model.segmenter
    halo = size // _HALO_SHARE
    shape = [1, known.spec.n_channels, size, size]
    phases = legend_from_toml(known.legend).classes
    return {
        "input": {"name": IMAGE, "axes": "bcyx", "dtype": "float32", "shape": shape},
        "output": {
            "name": PROBABILITIES,
            "axes": "bcyx",
            "dtype": "float32",
            "shape": [1, known.spec.n_classes, size, size],
        },
        "opset": opset,
        "before": {
            "dtype": known.dtype,
            "greys": known.greys,
            "rescale_greys": OWN_GREYS if known.has_own_greys else None,
            "pixel_size_um": known.pixel_size_um,
            "scale": known.tile_scale,
        },
        "inside": {
            "mean": known.mean,
            "std": known.std,
            "pad_to_multiple": segmenter.multiple,
            "pad_margin": segmenter.margin,
            "temperature": known.temperature,
        },
        "after": {"tile": size, "halo": halo, "overlap": 2 * halo},
        "classes": [
            {"index": index, "name": phase.name, "colour": _hex(phase.colour)}
            for index, phase in enumerate(phases)
        ],
    }


def describe_package(
    known: Checkpoint,
    processing: Mapping[str, Any],
    files: Mapping[str, bytes],
    authors: Sequence[str],
    licence: str | None,
) -> bytes:
    """Description of a package, by the model specification 0.5 of BioImage.IO.

    Parameters
    ----------
    processing : dict
        From `describe_processing`.
    files : dict of str to bytes
        Content of the others in the package, by name.
    authors : sequence of str
        Names.
    licence : str or None
        Identifier of SPDX.

    Returns
    -------
    bytes
        YAML, written as JSON, which all YAML parsers read.
    """
    grey = ["grey"] if known.spec.n_channels == 1 else ["red", "green", "blue"]
    classes = [_identifier(name, number) for number, name in enumerate(known.classes)]
    halo = processing["after"]["halo"]
    stored = "tile --rescale-greys each gives" if known.has_own_greys else "stored"
    described = {
        "type": "model",
        "format_version": _SPECIFICATION,
        "name": _title(known),
        "description": f"Segments micrographs into {', '.join(known.classes)}."[:512],
        "authors": [{"name": name.replace("/", " ")} for name in authors or (_NOBODY,)],
        "license": licence,
        "tags": ["semantic-segmentation", "2d", "microstructure", "materials", "mstool"],
        "documentation": README,
        "inputs": [
            {
                "id": IMAGE,
                "description": f"Pixel values as {stored} ({known.dtype}), not normalised",
                "axes": _axes(grey, [_space(axis, processing) for axis in "yx"]),
                "data": {"type": "float32"},
                "test_tensor": _file(TEST_IMAGE, files),
            }
        ],
        "outputs": [
            {
                "id": PROBABILITIES,
                "description": "Class probabilities, which sum to 1",
                "axes": _axes(classes, [_space(axis, processing, halo) for axis in "yx"]),
                "data": {"type": "float32", "range": [0.0, 1.0]},
                "test_tensor": _file(TEST_PROBABILITIES, files),
            }
        ],
        "weights": {"onnx": {**_file(GRAPH, files), "opset_version": processing["opset"]}},
        "config": {"mstool": dict(processing)},
    }
    return to_json({key: value for key, value in described.items() if value is not None}).encode()


def write_readme(known: Checkpoint, processing: Mapping[str, Any]) -> str:
    """What a person is told who finds the package."""
    before, after = processing["before"], processing["after"]
    stored = "stretched as below" if before["rescale_greys"] else "stored"
    size_um = before["pixel_size_um"]
    pixel_size = "an unknown pixel size" if size_um is None else f"{size_um:g} um/px"
    rows = [f"| {e['index']} | {e['name']} | {e['colour']} |" for e in processing["classes"]]
    iou = known.metrics.get("val_mean_iou")
    score = "not measured" if iou is None else f"{iou:.3f}"
    lines = [
        f"# {_title(known)}",
        "",
        "A network that segments micrographs, trained and exported by mstool.",
        "",
        f"Input: one tile of {after['tile']} x {after['tile']} pixels at {pixel_size}, values as "
        f"{stored} ({before['dtype']}), as float32. Do not normalise: that is in the graph, as are "
        "padding and softmax.",
        *(_OWN_GREYS if before["rescale_greys"] else ()),
        "",
        "Output: class probabilities of the same size. The label is the most probable class. Tiles "
        f"of a larger image should overlap by {after['overlap']} pixels; of each, the outermost "
        f"{after['halo']} are better taken from its neighbour.",
        "",
        "| index | class | colour |",
        "| --- | --- | --- |",
        *rows,
        "",
        "## Validation",
        "",
        f"Mean IoU of the validation micrographs: {score}. Score masks of labelled micrographs "
        "that the model has not seen before you trust it, with mstool score or another program.",
    ]
    return "\n".join(lines) + "\n"


def pack(files: Mapping[str, bytes]) -> bytes:
    """Zip archive of files by name; the same files give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980, whenever it is made
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return stream.getvalue()


def is_package(path: Path) -> bool:
    """Whether a file, or folder, is a package for other programs; damaged archives are none."""
    if path.is_dir():
        return (path / DESCRIPTION).is_file()
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return DESCRIPTION in archive.namelist()


def _title(known: Checkpoint) -> str:
    """Name of letters, digits and blanks, which is all that the specification takes."""
    words = ["mstool", known.spec.arch, known.spec.encoder or "", "for", *known.classes]
    text = re.sub(r"[^A-Za-z0-9_+ ()-]", " ", " ".join(words))
    return " ".join(text.split())[:_LONGEST_NAME].strip()


def _identifier(name: str, number: int) -> str:
    """Class as a Python identifier, which old readers ask for; its number keeps it unique."""
    return f"class{number}_" + re.sub(r"\W", "_", name, flags=re.ASCII)


def _axes(channels: list[str], space: list[dict[str, Any]]) -> list[dict[str, Any]]:
    batch = {"type": "batch", "size": 1}
    return [batch, {"type": "channel", "id": "channel", "channel_names": channels}, *space]


def _space(axis: str, processing: Mapping[str, Any], halo: int | None = None) -> dict[str, Any]:
    """Axis of the input, or with `halo`, which may be 0, of the output."""
    size_um = processing["before"]["pixel_size_um"]
    scale = {} if size_um is None else {"unit": "micrometer", "scale": size_um}
    size: Any = processing["after"]["tile"]
    border: dict[str, Any] = {}
    if halo:
        size = {"tensor_id": IMAGE, "axis_id": axis}
        border = {"halo": halo}
    return {"type": "space", "id": axis, "size": size, **border, **scale}


def _file(name: str, files: Mapping[str, bytes]) -> dict[str, str]:
    return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
