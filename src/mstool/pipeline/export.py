"""Models for other programs."""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.geometry.padding import pad_by_reflection
from mstool.io.atomic import write_bytes
from mstool.io.images import open_micrograph
from mstool.io.records import read_record, sha256_of_file
from mstool.nn.checkpoint import LoadedModel, load_checkpoint
from mstool.nn.engines import engine_version
from mstool.nn.graph import opset_of
from mstool.nn.whole_graph import (
    probabilities_by_graph,
    probabilities_by_torch,
    to_graph_input,
    whole_graph,
)
from mstool.phantoms.stand_in import make_stand_in
from mstool.pipeline.engine_choice import LEAST_AGREEMENT
from mstool.pipeline.job import Job
from mstool.pipeline.model_package import (
    DESCRIPTION,
    GRAPH,
    README,
    TEST_IMAGE,
    TEST_PROBABILITIES,
    describe_package,
    describe_processing,
    is_package,
    pack,
    write_readme,
)
from mstool.reporting import Reporter

RECORD = "export.json"
PACKAGE = "model.zip"
BIOIMAGEIO = "bioimageio"

_CHECKER = "onnxruntime"
_CONTENTS = (GRAPH, TEST_IMAGE, TEST_PROBABILITIES, PACKAGE)  # of either format


@dataclass(frozen=True)
class ExportSettings:
    """What is written."""

    format: str  # "onnx" or "bioimageio"
    size: int  # edge of the tiles [px]
    authors: tuple[str, ...]  # for the package, like the licence
    license: str | None

    def __post_init__(self):
        named = {"--author": self.authors, "--license": self.license}
        if self.format != BIOIMAGEIO and (unused := [flag for flag in named if named[flag]]):
            raise UsageError(
                f"{unused[0]}: is for the package; give --format {BIOIMAGEIO} as well, or leave it "
                "out"
            )


@dataclass(frozen=True)
class Tested:
    """A graph, and how it did on the test image."""

    graph: bytes
    image: np.ndarray  # float32 (1, C, H, W)
    expected: np.ndarray  # probabilities by torch, float32 (1, K, H, W)
    found: np.ndarray  # by the graph

    @property
    def agreement(self) -> float:
        """Share of pixels with the same label."""
        return float(np.mean(self.expected.argmax(axis=1) == self.found.argmax(axis=1)))

    @property
    def largest_difference(self) -> float:
        """Of any probability."""
        return float(np.abs(self.found - self.expected).max())

    @property
    def shares(self) -> np.ndarray:
        """Share of the pixels that each class has, float (K,)."""
        labels, n_classes = self.expected.argmax(axis=1), self.expected.shape[1]
        return np.bincount(labels.ravel(), minlength=n_classes) / labels.size


def open_model(path: Path) -> LoadedModel:
    """Model to export; see `load_checkpoint`.

    Raises
    ------
    InputError
        If it is a package that was exported already, or anything else that is no model.
    """
    if is_package(path):
        raise InputError(
            f"{path}: a package for other programs; give the model that mstool train wrote"
        )
    return load_checkpoint(path)


def export_model(
    model: LoadedModel, settings: ExportSettings, image: Path | None, n_threads: int, job: Job
) -> None:
    """Write a folder with a model for other programs, unless its labels are others there.

    Parameters
    ----------
    image : Path or None
        Whose middle is the test image; None for one that is made.
    n_threads : int
        On which the networks run, for the record.

    Raises
    ------
    InputError
        If the network cannot be exported, or what an earlier run has written is damaged.
    """
    names = _names_of(settings.format)
    if not job.overwrite:
        _refuse_damaged(job.out)
    inputs = [model.path, *([] if image is None else [image])]
    pieces = [job.out / name for name in names]
    work = job.claim(RECORD, _CONTENTS, asdict(settings), inputs, lambda: pieces)
    if work is None:
        return
    with work.filling():
        tested = _test(model, _test_image(model, settings.size, image), settings.size)
        _note_test(tested, model, job.report)
        processing = describe_processing(model, settings.size, opset_of(tested.graph))
        contents = _contents(tested, model, settings, processing)
        for name in names:
            write_bytes(job.out / name, contents[name])
    work.finish(
        work.describe("cpu", n_threads)
        | {
            "model": {"name": model.path.name, "sha256": model.sha256},
            "processing": processing,
            "test": _describe_test(tested, model),
            "files": {name: sha256_of_file(job.out / name) for name in names},
        }
    )
    job.report.note(f"{job.out}: {', '.join(names)}")


def _names_of(kind: str) -> tuple[str, ...]:
    return (PACKAGE,) if kind == BIOIMAGEIO else (GRAPH, TEST_IMAGE, TEST_PROBABILITIES)


def _refuse_damaged(out: Path) -> None:
    """See that files of an earlier run are as it has left them."""
    record = out / RECORD
    known = read_record(record).get("files", {}) if record.is_file() else {}
    for name in _CONTENTS:
        path = out / name
        if name in known and path.is_file() and sha256_of_file(path) != known[name]:
            raise InputError(
                f"{path}: damaged or changed since it was exported; export again with --overwrite"
            )


def _test_image(model: LoadedModel, size: int, path: Path | None) -> np.ndarray:
    """Image (size, size[, C]) of stored values."""
    known = model.checkpoint
    if path is None:
        return make_stand_in((size, size), known.mean, known.std, known.dtype)
    micrograph = open_micrograph(path)
    n_channels = micrograph.shape[2] if len(micrograph.shape) == 3 else 1
    if (n_channels, micrograph.dtype.name) != (known.spec.n_channels, known.dtype):
        raise InputError(
            f"{path}: {n_channels} channels of {micrograph.dtype.name}, where the model takes "
            f"{known.spec.n_channels} of {known.dtype}; give one of the tiles it was trained on"
        )
    height, width = (min(size, length) for length in micrograph.shape[:2])
    row, col = (micrograph.height - height) // 2, (micrograph.width - width) // 2
    return pad_by_reflection(micrograph.read(row, col, height, width), size, size)


def _test(model: LoadedModel, image: np.ndarray, size: int) -> Tested:
    """Write the graph, and run it beside torch.

    Raises
    ------
    InputError
        If there is none, or it gives other labels.
    """
    try:
        graph = whole_graph(model.segmenter, size)
    except UsageError as error:
        raise InputError(f"{model.path}: {error}; use it with mstool segment") from error
    array = to_graph_input(image)
    expected = probabilities_by_torch(model.segmenter, image)
    tested = Tested(graph, array, expected, probabilities_by_graph(graph, array))
    if not tested.agreement >= LEAST_AGREEMENT or not np.isfinite(tested.found).all():
        raise InputError(
            f"{model.path}: as a graph it gives other labels in {1 - tested.agreement:.3%} of the "
            "pixels of the test image, so that it is not exported; use it with mstool segment"
        )
    return tested


def _note_test(tested: Tested, model: LoadedModel, report: Reporter) -> None:
    report.note(
        f"ONNX Runtime gives the labels of torch in {tested.agreement:.4%} of the pixels of the "
        f"test image; probabilities differ by {tested.largest_difference:.1g} at most"
    )
    if np.count_nonzero(tested.shares) == 1:
        name = model.checkpoint.classes[int(tested.shares.argmax())]
        report.note(
            f"the test image is {name} everywhere, which checks little; give a tile with several "
            "classes as --image"
        )


def _describe_test(tested: Tested, model: LoadedModel) -> dict[str, Any]:
    shares = dict(zip(model.checkpoint.classes, map(float, tested.shares), strict=True))
    return {
        "engine": {"name": _CHECKER, "version": engine_version(_CHECKER)},
        "agreement": tested.agreement,
        "largest_difference": tested.largest_difference,
        "class_shares": shares,
    }


def _contents(
    tested: Tested, model: LoadedModel, settings: ExportSettings, processing: dict[str, Any]
) -> dict[str, bytes]:
    """Content of each file, by name."""
    plain = {
        GRAPH: tested.graph,
        TEST_IMAGE: _to_npy(tested.image),
        TEST_PROBABILITIES: _to_npy(tested.expected),
    }
    if settings.format != BIOIMAGEIO:
        return plain
    known = model.checkpoint
    files = plain | {README: write_readme(known, processing).encode()}
    description = describe_package(known, processing, files, settings.authors, settings.license)
    return {PACKAGE: pack({DESCRIPTION: description, **files})}


def _to_npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
