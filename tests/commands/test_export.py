"""Models for other programs: they open there, and give the same labels."""

import hashlib
import importlib.util
import io
import json
import shlex
import shutil
import zipfile
from importlib.metadata import version

import numpy as np
import pytest
import tifffile
import torch

from mstool.errors import UsageError
from mstool.nn import whole_graph
from mstool.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mstool.nn.engines import installed_engines
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.nn.whole_graph import probabilities_by_torch
from mstool.phantoms.stand_in import make_stand_in
from mstool.pipeline.model_package import describe_package, describe_processing, write_readme

pytestmark = pytest.mark.skipif(
    "onnxruntime" not in installed_engines(), reason="needs onnx, onnxscript and onnxruntime"
)

SIZE, MEAN, STD = 32, 100.0, 40.0
CLASSES = ("ferrite", "lath-bainite", "3")
LEGEND = """
[[class]]
name = "ferrite"
value = 0
colour = "#102030"
[[class]]
name = "lath-bainite"
value = 1
[[class]]
name = "3"
value = 2
"""
NAMED = "--author 'A. Martens' --license CC-BY-4.0"
PLAIN = {"model.onnx", "test-image.npy", "test-probabilities.npy"}


def make_model(folder, **changes):
    """A network that nobody has trained, whose classes are all found in the stand-in."""
    spec = ModelSpec("unet-plain", None, 1, len(CLASSES), depth=2, width=4)
    segmenter = build_segmenter(spec, [MEAN], [STD], 0).eval()
    image = torch.from_numpy(make_stand_in((SIZE, SIZE), [MEAN], [STD], "uint8")).float()
    with torch.no_grad():
        means = segmenter(image[None, None]).mean(dim=(0, 2, 3))
        last = [part for part in segmenter.modules() if isinstance(part, torch.nn.Conv2d)][-1]
        last.bias -= means
    known = {
        "spec": spec, "classes": CLASSES, "legend": LEGEND, "mean": (MEAN,), "std": (STD,),
        "dtype": "uint8", "pixel_size_um": 0.05, "tile_size": SIZE, "receptive_field_px": 44,
        "sources": {"train": [], "val": [], "test": []}, "metrics": {}, "training": {},
        "greys": (20.0, 40.0, 80.0, 100.0, 120.0, 160.0, 200.0), "temperature": 1.7,
        "tile_scale": 1.0,
    }  # fmt: skip
    folder.mkdir()
    save_checkpoint(folder / "model.safetensors", segmenter, Checkpoint(**(known | changes)))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory, mstool_in):
    """A folder with model/, and what both formats make of it; read only."""
    folder = tmp_path_factory.mktemp("exported")
    make_model(folder / "model")
    mstool_in(folder, "export model -o plain -q")
    graph = (folder / "plain" / "model.onnx").read_bytes()
    with pytest.MonkeyPatch.context() as patched:  # to write it again takes seconds
        patched.setattr("mstool.pipeline.export.whole_graph", lambda *_: graph)
        mstool_in(folder, f"export model -o zoo --format bioimageio {NAMED} -q")
    return folder


@pytest.fixture
def here(exported, tmp_path, monkeypatch):
    """A copy that a test may change, as the working directory, where graphs are at hand."""
    folder = tmp_path / "here"
    shutil.copytree(exported, folder)
    monkeypatch.chdir(folder)
    graph = (folder / "plain" / "model.onnx").read_bytes()
    monkeypatch.setattr("mstool.pipeline.export.whole_graph", lambda segmenter, size: graph)
    return folder


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_npy(content):
    return np.load(io.BytesIO(content))


def files_in(folder):
    return {path.name for path in folder.iterdir()}


def assert_refused(ended, code, *words):
    assert (ended.code, ended.stdout) == (code, "")
    assert ended.stderr.count("\n") == 1
    for word in words:
        assert word in ended.stderr


# The graph


def test_the_graph_gives_the_labels_of_the_model_elsewhere(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "plain" / "model.onnx")
    image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE)).astype(np.uint8)
    (found,) = session.run(["probabilities"], {"image": image[None, None].astype(np.float32)})
    segmenter = load_checkpoint(exported / "model").segmenter
    expected = probabilities_by_torch(segmenter, image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert set(np.unique(found.argmax(axis=1))) == {0, 1, 2}


def test_the_test_arrays_belong_together(exported):
    image, expected = (
        np.load(exported / "plain" / f"test-{n}.npy") for n in ("image", "probabilities")
    )
    assert (image.shape, image.dtype) == ((1, 1, SIZE, SIZE), np.float32)
    segmenter = load_checkpoint(exported / "model").segmenter
    again = probabilities_by_torch(segmenter, image[0, 0].astype(np.uint8))
    assert np.array_equal(again, expected)
    assert np.array_equal(image, np.rint(image))  # as stored


def test_the_record_says_what_is_done_around_the_graph(exported):
    record = json.loads((exported / "plain" / "export.json").read_text())
    known = record["processing"]
    assert known["input"]["shape"] == [1, 1, SIZE, SIZE]
    assert known["output"]["shape"] == [1, 3, SIZE, SIZE]
    assert known["before"]["dtype"] == "uint8"
    assert (known["before"]["pixel_size_um"], known["before"]["scale"]) == (0.05, 1.0)
    assert known["inside"] == {
        "mean": [MEAN], "std": [STD], "pad_to_multiple": 4, "pad_margin": 0, "temperature": 1.7,
    }  # fmt: skip
    assert known["after"] == {"tile": SIZE, "halo": 2, "overlap": 4}
    assert [entry["name"] for entry in known["classes"]] == list(CLASSES)
    assert known["classes"][0] == {"index": 0, "name": "ferrite", "colour": "#102030"}
    assert record["test"]["agreement"] >= 0.9999
    assert sum(record["test"]["class_shares"].values()) == pytest.approx(1)
    assert set(record["files"]) == PLAIN
    content = (exported / "plain" / "model.onnx").read_bytes()
    assert record["files"]["model.onnx"] == hashlib.sha256(content).hexdigest()


# The package


def test_the_package_holds_what_its_description_says(exported):
    files = read_zip(exported / "zoo" / "model.zip")
    described = json.loads(files.pop("rdf.yaml"))
    for entry in (
        described["inputs"][0]["test_tensor"],
        described["outputs"][0]["test_tensor"],
        described["weights"]["onnx"],
    ):
        assert entry["sha256"] == hashlib.sha256(files[entry["source"]]).hexdigest()
    assert described["authors"] == [{"name": "A. Martens"}]
    assert described["license"] == "CC-BY-4.0"
    assert "| 1 | lath-bainite |" in files["README.md"].decode()
    record = json.loads((exported / "zoo" / "export.json").read_text())
    assert described["config"]["mstool"] == record["processing"]


@pytest.mark.parametrize("own", [True, False])
def test_a_package_says_how_greys_are_to_be_read(tmp_path, own):
    model = load_checkpoint(make_model(tmp_path / "model", has_own_greys=own))
    processing = describe_processing(model, SIZE, 17)
    text = write_readme(model.checkpoint, processing)
    files = dict.fromkeys(("model.onnx", "test-image.npy", "test-probabilities.npy"), b"")
    described = json.loads(describe_package(model.checkpoint, processing, files, (), None))
    said = described["inputs"][0]["description"]
    assert processing["before"]["rescale_greys"] == ("each" if own else None)
    assert ("values as stored (uint8)" in text, "4 standard deviations" in text) == (not own, own)
    assert ("--rescale-greys each" in said, "as stored" in said) == (own, not own)


def test_both_formats_have_the_same_graph_and_arrays(exported):
    files = read_zip(exported / "zoo" / "model.zip")
    for name in PLAIN:
        assert files[name] == (exported / "plain" / name).read_bytes()


def test_the_same_package_has_the_same_bytes(here, run_mstool):
    options = shlex.split(f"--format bioimageio {NAMED}")
    assert run_mstool("export", "model", "-o", "new", *options).code == 0
    assert (here / "new/model.zip").read_bytes() == (here / "zoo/model.zip").read_bytes()


@pytest.fixture
def zoo_package(exported, tmp_path, monkeypatch):
    """The package, where the library that reads such is there and works."""
    if importlib.util.find_spec("bioimageio") is None:
        pytest.skip("needs bioimageio.core")
    spec, pydantic = (
        [int(number) for number in version(name).split(".")[:3]]
        for name in ("bioimageio.spec", "pydantic")
    )
    if spec <= [0, 5, 12] and pydantic >= [2, 14]:
        pytest.skip("bioimageio.spec up to 0.5.12 refuses every model with pydantic 2.14")
    monkeypatch.setenv("BIOIMAGEIO_CACHE_PATH", str(tmp_path / "cache"))
    return shutil.copy(exported / "zoo" / "model.zip", tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_package_is_valid_and_gives_the_same_labels_in_bioimageio_core(zoo_package):
    from bioimageio.core import create_prediction_pipeline, load_description, test_model
    from bioimageio.core.digest_spec import create_sample_for_model

    described = load_description(zoo_package)
    assert described.validation_summary.status == "valid-format"
    assert test_model(zoo_package).status == "passed"
    files = read_zip(zoo_package)
    image, expected = (read_npy(files[f"test-{n}.npy"]) for n in ("image", "probabilities"))
    with create_prediction_pipeline(described) as pipeline:
        sample = create_sample_for_model(described, inputs={"image": image})
        tile = pipeline.predict_sample_without_blocking(
            sample, skip_input_padding=True, skip_output_cropping=True
        )
        large = np.random.default_rng(0).integers(0, 256, (1, 1, 61, 75)).astype(np.float32)
        sample = create_sample_for_model(described, inputs={"image": large})
        whole = pipeline.predict_sample_with_blocking(sample)
    found = tile.members["probabilities"].data.values
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert whole.members["probabilities"].data.values.shape == (1, 3, 61, 75)


# What is refused


def test_other_labels_are_refused_and_nothing_is_left(here, run_mstool, monkeypatch):
    flipped = np.load("plain/test-probabilities.npy")[:, ::-1]
    monkeypatch.setattr("mstool.pipeline.export.probabilities_by_graph", lambda *_: flipped)
    ended = run_mstool("export", "model", "-o", "new")
    assert_refused(ended, 65, "model.safetensors: as a graph it gives other labels in ", "segment")
    assert not (here / "new").exists()


@pytest.mark.parametrize("n_wrong", [0, 1])
def test_one_pixel_in_a_thousand_is_too_much(here, run_mstool, monkeypatch, n_wrong):
    found = np.load("plain/test-probabilities.npy")
    label = found[0, :, 0, 0].argmax()
    found[0, label, 0, :n_wrong] = 0
    monkeypatch.setattr("mstool.pipeline.export.probabilities_by_graph", lambda *_: found)
    assert run_mstool("export", "model", "-o", "new").code == (65 if n_wrong else 0)


def test_a_graph_without_numbers_is_refused(here, run_mstool, monkeypatch):
    found = np.load("plain/test-probabilities.npy")
    found[0, found[0, :, 5, 5].argmin(), 5, 5] = np.inf
    found[0, :, 5, 5] = np.where(np.isinf(found[0, :, 5, 5]), -np.inf, found[0, :, 5, 5])
    monkeypatch.setattr("mstool.pipeline.export.probabilities_by_graph", lambda *_: found)
    assert run_mstool("export", "model", "-o", "new").code == 65


def test_a_network_without_a_graph_is_refused_by_name(here, run_mstool, monkeypatch):
    def refuse(segmenter, size):
        raise UsageError("this network cannot be written as an ONNX graph (no such operation)")

    monkeypatch.setattr("mstool.pipeline.export.whole_graph", refuse)
    ended = run_mstool("export", "model", "-o", "new")
    assert_refused(ended, 65, "model.safetensors: this network cannot be written as an ONNX graph")
    assert not (here / "new").exists()


def test_what_has_to_be_installed_is_named(here, run_mstool, monkeypatch):
    monkeypatch.setattr("mstool.nn.whole_graph.installed_engines", lambda: ("openvino",))
    ended = run_mstool("export", "model", "-o", "new")
    assert_refused(ended, 69, "onnxruntime", "pip install 'mstool[fast]'")


@pytest.mark.parametrize("name", ["zoo/model.zip", "unpacked"])
def test_a_package_is_no_model(here, run_mstool, name):
    with zipfile.ZipFile("zoo/model.zip") as archive:
        archive.extractall("unpacked")
    ended = run_mstool("export", name, "-o", "new")
    assert_refused(ended, 65, f"{name}: a package for other programs; give the model")


@pytest.mark.parametrize("name", ["plain/model.onnx", "zoo/cut.zip", "short.safetensors"])
def test_what_is_no_model_is_refused_by_name(here, run_mstool, name):
    for source, cut in (
        ("zoo/model.zip", "zoo/cut.zip"),
        ("model/model.safetensors", "short.safetensors"),
    ):
        content = (here / source).read_bytes()
        (here / cut).write_bytes(content[: len(content) // 2])
    assert_refused(run_mstool("export", name, "-o", "new"), 65, f"{name}: ")


# The folder


def test_there_is_nothing_left_to_do(here, run_mstool):
    before = {path.name: path.read_bytes() for path in (here / "plain").iterdir()}
    ended = run_mstool("export", "model", "-o", "plain")
    assert (ended.code, ended.stderr) == (0, "mstool export: plain: nothing left to do\n")
    assert {path.name: path.read_bytes() for path in (here / "plain").iterdir()} == before


@pytest.mark.parametrize("name", ["plain/model.onnx", "zoo/model.zip"])
def test_a_damaged_export_is_named(here, run_mstool, name):
    content = bytearray((here / name).read_bytes())
    content[len(content) // 2] ^= 1
    (here / name).write_bytes(content)
    out = name.split("/")[0]
    options = ["-o", out]
    if out == "zoo":
        options += shlex.split(f"--format bioimageio {NAMED}")
    ended = run_mstool("export", "model", *options)
    assert_refused(ended, 65, f"{name}: damaged or changed", "--overwrite")
    assert run_mstool("export", "model", *options, "--overwrite").code == 0


def test_another_format_is_refused_and_replaces_with_overwrite(here, run_mstool):
    ended = run_mstool("export", "model", "-o", "plain", "--format", "bioimageio")
    assert_refused(ended, 73, "format")
    ended = run_mstool("export", "model", "-o", "plain", "--format", "bioimageio", "--overwrite")
    assert ended.code == 0
    assert files_in(here / "plain") == {"model.zip", "export.json"}


def test_a_removed_file_is_made_again(here, run_mstool):
    (here / "plain" / "test-image.npy").unlink()
    assert run_mstool("export", "model", "-o", "plain", "-q").code == 0
    assert files_in(here / "plain") == {*PLAIN, "export.json"}


def test_number_of_threads_is_used_and_recorded(here, run_mstool, monkeypatch):
    used, n_before = [], torch.get_num_threads()
    start = whole_graph.start_onnxruntime
    monkeypatch.setattr(
        whole_graph, "start_onnxruntime", lambda graph, n: used.append(n) or start(graph, n)
    )
    try:
        assert run_mstool("export", "model", "--threads", 3, "-q").code == 0
        assert used == [torch.get_num_threads()] == [3]
    finally:
        torch.set_num_threads(n_before)
    assert json.loads((here / "export/export.json").read_text())["mstool"]["threads"] == 3


@pytest.mark.parametrize("options", [("--author", "A. Martens"), ("--license", "CC-BY-4.0")])
def test_what_only_the_package_names_is_refused_elsewhere(here, run_mstool, options):
    ended = run_mstool("export", "model", *options)
    assert_refused(ended, 2, f"{options[0]}: is for the package; give --format bioimageio")
    assert not (here / "export").exists()


@pytest.mark.parametrize("option", ["--author", "--license"])
def test_a_package_names_nobody_empty(here, run_mstool, option):
    ended = run_mstool("export", "model", "--format", "bioimageio", option, " ")
    assert_refused(ended, 2, f"{option}: is empty")
    assert not (here / "export").exists()


def test_dry_run_gives_the_tile_of_the_training(here, run_mstool):
    settings = json.loads(run_mstool("export", "model", "--dry-run").stdout)["settings"]
    assert settings == {"format": "onnx", "size": SIZE, "authors": [], "license": None}
    call = ("export", "model", "--dry-run", "--format", "bioimageio")
    ended = run_mstool(*call, "--size", 48, "--author", "A", "--author", "B")
    settings = json.loads(ended.stdout)["settings"]
    assert (settings["size"], settings["authors"]) == (48, ["A", "B"])


# The test image


def test_the_middle_of_a_micrograph_is_the_test_image(here, run_mstool):
    image = np.random.default_rng(2).integers(0, 256, (SIZE + 4, SIZE - 3)).astype(np.uint8)
    tifffile.imwrite("tile.tif", image)
    assert run_mstool("export", "model", "-o", "new", "--image", "tile.tif", "-q").code == 0
    found = np.load("new/test-image.npy")[0, 0]
    assert np.array_equal(found[:, : SIZE - 3], image[2:-2])
    assert "../tile.tif" in json.loads((here / "new" / "export.json").read_text())["inputs"]


@pytest.mark.parametrize(("shape", "dtype"), [((40, 40, 3), np.uint8), ((40, 40), np.uint16)])
def test_an_image_that_the_model_cannot_take_is_refused(here, run_mstool, shape, dtype):
    tifffile.imwrite("tile.tif", np.arange(np.prod(shape), dtype=dtype).reshape(shape))
    ended = run_mstool("export", "model", "-o", "new", "--image", "tile.tif")
    assert_refused(ended, 65, "tile.tif: ", "where the model takes 1 of uint8")
    assert not (here / "new").exists()


def test_it_is_said_where_one_class_is_everywhere(here, run_mstool, monkeypatch):
    alone = np.zeros((1, 3, SIZE, SIZE), np.float32)
    alone[:, 1] = 1
    for name in ("probabilities_by_torch", "probabilities_by_graph"):
        monkeypatch.setattr(f"mstool.pipeline.export.{name}", lambda *_: alone)
    ended = run_mstool("export", "model", "-o", "new")
    assert "the test image is lath-bainite everywhere, which checks little" in ended.stderr
