"""The verb ``phantom``: what it writes, resumes and refuses."""

import inspect
import json

import numpy as np
import pytest

from mstool.commands.phantom import phantom
from mstool.errors import UsageError
from mstool.io.images import open_micrograph, read_values
from mstool.labels.legend import legend_from_toml
from mstool.phantoms import PhantomSettings, make_phantom, quantise
from mstool.pipeline.phantom import parse_size, resolve_settings

SMALL = ("--images", 2, "--size", "96x128", "--seed", 3)


def read_bytes(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "phantom.json"
    }


def read_json(folder):
    return json.loads((folder / "phantom.json").read_text())


@pytest.fixture
def out(tmp_path):
    return tmp_path / "phantom"


def test_writes_what_the_kernel_draws(run_mstool, out):
    result = run_mstool("phantom", "-o", out, *SMALL)
    assert (result.code, result.stdout) == (0, "")
    drawn = make_phantom(PhantomSettings(height=96, width=128), seed=3, index=1)
    image = open_micrograph(out / "images" / "phantom_001.tif")
    assert image.pixel_size_um == pytest.approx(0.1)
    np.testing.assert_array_equal(image.read(), quantise(drawn.image))
    np.testing.assert_array_equal(read_values(out / "labels" / "phantom_001.png"), drawn.labels)
    assert {path.name for path in out.iterdir()} == {
        "images",
        "labels",
        "legend.toml",
        "phantom.json",
    }


def test_record_holds_common_keys_and_true_parameters(run_mstool, out):
    run_mstool("phantom", "-o", out, *SMALL, "--raters", 1)
    record = read_json(out)
    assert list(record)[:4] == ["mstool", "status", "inputs", "settings"]
    assert record["status"] == "done"
    assert record["inputs"] == {}
    assert record["settings"]["seed"] == 3
    assert record["settings"]["width"] == 128
    drawn = make_phantom(PhantomSettings(height=96, width=128), seed=3, index=0)
    first = record["images"][0]
    assert first["name"] == "phantom_000.tif"
    assert {key: first[key] for key in drawn.parameters} == drawn.parameters
    assert record["raters"][0]["name"] == first["raters"][0]["name"] == "rater_1"
    assert first["raters"][0]["shift_rms_um"] == record["raters"][0]["shift_rms_um"]


def test_legend_names_the_classes(run_mstool, out):
    run_mstool("phantom", "-o", out, "--images", 1, "--size", 96, "--classes", 3)
    legend = legend_from_toml((out / "legend.toml").read_text())
    assert legend.names == ("ferrite", "lath-bainite", "pearlite")
    assert legend.ignore == (255,)


def test_raters_differ_from_the_truth_and_each_other(run_mstool, out):
    run_mstool("phantom", "-o", out, *SMALL, "--raters", 2)
    maps = [
        read_values(out / folder / "phantom_000.png")
        for folder in ("labels", "raters/rater_1", "raters/rater_2")
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert 0 < np.mean(maps[one] != maps[other]) < 0.5


def test_sixteen_bits_and_info_bar(run_mstool, out):
    run_mstool("phantom", "-o", out, *SMALL, "--bit-depth", 16, "--info-bar", "--scale-bar")
    image = open_micrograph(out / "images" / "phantom_000.tif").read()
    assert image.dtype == np.uint16
    assert len(np.unique(image)) > 256
    labels = read_values(out / "labels" / "phantom_000.png")
    assert (labels[-1] == 255).all()
    assert (labels[0] != 255).all()


def test_same_seed_same_bytes_other_seed_other_bytes(run_mstool, tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder, seed in zip(folders, (3, 3, 4), strict=True):
        run_mstool("phantom", "-o", folder, "--images", 1, "--size", 96, "--seed", seed)
    first, same, other = map(read_bytes, folders)
    assert first == same
    assert first != other


def test_running_again_changes_nothing(run_mstool, out):
    run_mstool("phantom", "-o", out, *SMALL)
    before = (out / "phantom.json").read_bytes()
    result = run_mstool("phantom", "-o", out, *SMALL)
    assert result.code == 0
    assert "nothing left to do" in result.stderr
    assert (out / "phantom.json").read_bytes() == before


def test_resumes_and_keeps_finished_files(run_mstool, out, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    run_mstool("phantom", "-o", whole, *SMALL, "--raters", 1)

    def stop_at_second(settings, seed, index):
        if index == 1:
            raise KeyboardInterrupt
        return make_phantom(settings, seed, index)

    with monkeypatch.context() as patch:
        patch.setattr("mstool.pipeline.phantom.make_phantom", stop_at_second)
        assert run_mstool("phantom", "-o", out, *SMALL, "--raters", 1).code == 130
    finished = out / "images" / "phantom_000.tif"
    made = finished.stat().st_mtime_ns
    assert not (out / "phantom.json").exists()
    assert run_mstool("phantom", "-o", out, *SMALL, "--raters", 1).code == 0
    assert finished.stat().st_mtime_ns == made
    assert read_bytes(out) == read_bytes(whole)
    assert read_json(out)["images"] == read_json(whole)["images"]


def test_other_settings_stop_unless_overwritten(run_mstool, out):
    run_mstool("phantom", "-o", out, *SMALL, "--raters", 1)
    other = ("phantom", "-o", out, "--images", 1, "--size", 96)
    result = run_mstool(*other)
    assert result.code == 73
    assert "n_images" in result.stderr
    assert run_mstool(*other, "--overwrite").code == 0
    assert sorted(path.name for path in out.rglob("*.*")) == [
        "legend.toml",
        "phantom.json",
        "phantom_000.png",
        "phantom_000.tif",
    ]


def test_foreign_folder_is_left_alone(run_mstool, out):
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert run_mstool("phantom", "-o", out, *SMALL, "--overwrite").code == 73
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_dry_run_prints_settings_and_writes_nothing(run_mstool, out):
    result = run_mstool("phantom", "-o", out, *SMALL, "--etch", 1, "--dry-run")
    plan = json.loads(result.stdout)
    assert (result.code, plan["verb"], plan["out"]) == (0, "phantom", str(out))
    assert plan["settings"]["dose"] == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--images", "0"),
        ("--size", "big"),
        ("--size", "8x512"),
        ("--classes", "4"),
        ("--etch", "9"),
        ("--raters", "-1"),
        ("--pixel-size", "nan"),
        ("--bit-depth", "12"),
        ("--lath-width", "0.01"),
        ("--grain-size", "0.1"),
        ("--noise", "7"),
        ("--scratches", "-2"),
        ("--precipitates", "1e9"),
        ("--seed", "-1"),
    ],
)
def test_unusable_value_exits_2_and_names_the_flag(run_mstool, out, flag, value):
    result = run_mstool("phantom", "-o", out, flag, value)
    assert result.code == 2
    assert flag in result.stderr
    assert not out.exists()


def test_flags_default_to_the_settings_of_the_kernel():
    parameters = inspect.signature(phantom).parameters
    names = {"etch": "dose", "classes": "n_classes", "scratches": "n_scratches"}
    units = ("", "_um", "_fraction", "_per_um2")
    kernel = vars(PhantomSettings())
    compared = 0
    for name, parameter in parameters.items():
        for key in {names.get(name, name) + unit for unit in units} & set(kernel):
            assert parameter.default == kernel[key], name
            compared += 1
    assert compared == 18


@pytest.mark.parametrize("text", ["", "512x", "x512", "5.5", "-4", "1x2x3", "0x10 px"])
def test_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--size"):
        parse_size(text)


def test_message_names_flags_not_fields():
    with pytest.raises(UsageError, match="raise it or lower --pixel-size"):
        resolve_settings(n_images=1, n_raters=0, bit_depth=8, seed=0, lath_width_um=0.1)
