"""Which program runs the networks."""

import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mstool.errors import UnavailableError, UsageError
from mstool.nn import engines
from mstool.nn.device import Compute
from mstool.nn.graph_folder import GraphFolder
from mstool.nn.model import ModelSpec, build_segmenter
from mstool.pipeline import engine_choice
from mstool.pipeline.engine_choice import (
    EngineRequest,
    Trial,
    begun_with,
    choose_engine,
    engine_of_job,
)
from mstool.pipeline.job import Job
from mstool.pipeline.shards import Shard
from mstool.reporting import Reporter

MANY, FEW = 1e9, 1e6  # pixels for which a trial is worth it, and is not
ALIKE = 1.0
TOLD = Reporter("predict", 0)


@pytest.fixture
def tried(monkeypatch):
    """Outcome of the trial of each of two engines, which may be changed, and what was tried."""
    outcome = {"openvino": Trial(ALIKE, 2.0), "onnxruntime": Trial(ALIKE, 1.5)}
    log = SimpleNamespace(outcome=outcome, names=[])

    def convert(segmenter, size, graph, name):
        made = build_segmenter(ModelSpec("unet-plain", None, 1, 2, depth=2, width=4), [0], [1], 0)
        made.name = name
        return made

    def try_one(segmenters, on_torch, tiles, compute):
        log.names.append(segmenters[0].name)
        return outcome[segmenters[0].name]

    for module in (engine_choice, engines):
        monkeypatch.setattr(module, "installed_engines", lambda: ("openvino", "onnxruntime"))
    monkeypatch.setattr(engine_choice, "engine_version", lambda name: "1")
    monkeypatch.setattr(engine_choice, "convert", convert)
    monkeypatch.setattr(engine_choice, "graph_of", lambda segmenter, size: b"graph")
    monkeypatch.setattr(engine_choice, "_try", try_one)
    return log


@pytest.fixture
def request_of(tmp_path):
    segmenter = build_segmenter(ModelSpec("unet-plain", None, 1, 2, depth=2, width=4), [0], [1], 0)
    model = SimpleNamespace(sha256="a" * 64, segmenter=segmenter.eval())

    def make(asked="auto", n_pixels=MANY, **changes):
        request = EngineRequest(
            asked, [model], 16, lambda: n_pixels, lambda: [np.zeros((16, 16), np.uint8)],
            Compute(torch.device("cpu"), torch.float32),
            lambda: GraphFolder(tmp_path / "kept", TOLD),
        )  # fmt: skip
        return replace(request, **changes)

    return make


def test_auto_takes_the_fastest(tried, request_of):
    choice = choose_engine(request_of())
    assert (choice.name, choice.trial) == ("openvino", Trial(ALIKE, 2.0))
    assert [one.name for one in choice.segmenters] == ["openvino"]
    entry = {"name": "openvino", "version": "1", "agreement": 1.0, "speedup": 2.0}
    assert choice.as_entry() == entry


def test_auto_never_takes_one_with_other_labels(tried, request_of, capsys):
    tried.outcome["openvino"] = Trial(0.9998, 9.0)
    assert choose_engine(request_of()).name == "onnxruntime"
    assert "openvino gives other labels than torch in 0.020% of pixels" in capsys.readouterr().err


def test_auto_stays_with_torch_where_nothing_is_gained(tried, request_of):
    tried.outcome.update({"openvino": Trial(ALIKE, 1.05), "onnxruntime": Trial(ALIKE, 0.5)})
    choice = choose_engine(request_of())
    assert (choice.name, choice.trial) == ("torch", None)


def test_what_is_asked_for_is_taken_though_it_is_slow(tried, request_of):
    tried.outcome["onnxruntime"] = Trial(ALIKE, 0.5)
    assert choose_engine(request_of("onnxruntime")).name == "onnxruntime"


def test_what_is_asked_for_is_not_taken_with_other_labels(tried, request_of, capsys):
    tried.outcome["onnxruntime"] = Trial(0.5, 3.0)
    assert choose_engine(request_of("onnxruntime")).name == "torch"
    assert "torch runs the network" in capsys.readouterr().err


def test_a_small_task_is_not_worth_a_trial(tried, request_of):
    assert choose_engine(request_of(n_pixels=FEW)).name == "torch"
    assert tried.names == []


def test_a_trial_is_made_once(tried, request_of):
    choose_engine(request_of())
    assert sorted(tried.names) == ["onnxruntime", "openvino"]
    assert choose_engine(request_of(n_pixels=FEW)).name == "openvino"
    assert len(tried.names) == 2
    choose_engine(request_of(size=32))
    assert len(tried.names) == 4


def test_torch_gets_no_networks_where_another_is_known_to_be_taken(tried, request_of, monkeypatch):
    placed = []
    monkeypatch.setattr(Compute, "place", lambda compute, module: placed.append(module) or module)
    choose_engine(request_of())
    assert placed  # to be tried
    placed.clear()
    assert choose_engine(request_of()).name == "openvino"
    assert placed == []


def test_without_a_folder_it_is_made_each_time(tried, request_of):
    for _ in range(2):
        assert (
            choose_engine(request_of(open_kept=lambda: GraphFolder(None, TOLD))).name == "openvino"
        )
    assert len(tried.names) == 4


def test_facts_that_make_no_sense_are_found_anew(tried, request_of, tmp_path):
    choose_engine(request_of())
    (path,) = (tmp_path / "kept").glob("trial-*.json")
    path.write_text(json.dumps({"openvino": {"speed": 1}}))
    assert choose_engine(request_of()).name == "openvino"
    assert len(tried.names) == 4


@pytest.mark.parametrize(
    "compute",
    [Compute(torch.device("meta"), torch.float32), Compute(torch.device("cpu"), torch.bfloat16)],
)
def test_elsewhere_than_on_a_cpu_in_fp32_torch_is_alone(tried, request_of, compute):
    object.__setattr__(request_of().models[0], "segmenter", torch.nn.Identity())
    assert choose_engine(request_of(compute=compute)).name == "torch"
    with pytest.raises(UsageError, match="--engine openvino: computes on the CPU and in fp32"):
        choose_engine(request_of("openvino", compute=compute))


def test_a_network_without_a_graph_is_left_to_torch(tried, request_of, monkeypatch, capsys):
    def refuse(segmenter, size):
        raise UsageError("this network cannot be written as an ONNX graph")

    monkeypatch.setattr(engine_choice, "graph_of", refuse)
    assert choose_engine(request_of()).name == "torch"
    assert "cannot be written as an ONNX graph" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"^--engine openvino: this network cannot"):
        choose_engine(request_of("openvino"))


def test_what_is_asked_for_is_refused_though_auto_has_passed_it_over(
    tried, request_of, monkeypatch
):
    def refuse(segmenter, size):
        raise UsageError("this network cannot be written as an ONNX graph")

    for module in (engine_choice, engines):  # so that auto tries what is asked for below, no more
        monkeypatch.setattr(module, "installed_engines", lambda: ("openvino",))
    with monkeypatch.context() as patched:
        patched.setattr(engine_choice, "graph_of", refuse)
        assert choose_engine(request_of()).name == "torch"
        with pytest.raises(UsageError, match=r"^--engine openvino: this network cannot"):
            choose_engine(request_of("openvino"))
    assert choose_engine(request_of("openvino")).name == "openvino"
    assert choose_engine(request_of()).name == "openvino"


@pytest.mark.parametrize("asked", ["auto", "openvino"])
def test_without_a_tile_nothing_is_tried_and_nothing_kept(tried, request_of, capsys, asked):
    assert choose_engine(request_of(asked, tiles=tuple)).name == "torch"
    assert f"no tile to try {'openvino' if asked != 'auto' else ''}" in capsys.readouterr().err
    assert choose_engine(request_of(asked)).name == "openvino"


def test_where_torch_is_asked_for_nothing_is_looked_up(request_of):
    def forbidden():
        raise AssertionError("looked up")

    lookups = dict.fromkeys(("count_pixels", "tiles", "open_kept"), forbidden)
    assert choose_engine(request_of("torch", **lookups)).name == "torch"


def test_without_other_engines_torch_it_is(request_of, monkeypatch):
    for module in (engine_choice, engines):
        monkeypatch.setattr(module, "installed_engines", lambda: ())
    assert choose_engine(request_of()).name == "torch"
    with pytest.raises(UnavailableError, match="not installed"):
        choose_engine(request_of("openvino"))


def test_agreement_is_the_least_of_all_models():
    class Constant(torch.nn.Module):
        def __init__(self, label):
            super().__init__()
            self.label = label

        def forward(self, images):
            logits = torch.zeros(len(images), 2, *images.shape[2:])
            logits[:, self.label, :, : images.shape[3] // 4 * 4] = 1
            return logits

    same, other = Constant(0), Constant(1)
    tiles = [np.zeros((4, 4), np.uint8)]
    compute = Compute(torch.device("cpu"), torch.float32)
    assert engine_choice._try([same, other], [same, other], tiles, compute).agreement == 1
    assert engine_choice._try([same, other], [same, same], tiles, compute).agreement == 0


@pytest.mark.parametrize(
    ("asked", "settings", "expected"),
    [
        ("auto", {"engine": "openvino"}, "openvino"),
        ("auto", {"engine": "torch"}, "torch"),
        ("auto", {"engine": "another"}, "auto"),
        ("auto", {}, "auto"),
        ("onnxruntime", {"engine": "openvino"}, "onnxruntime"),
    ],
)
def test_a_folder_goes_on_with_its_engine(tried, tmp_path, asked, settings, expected):
    (tmp_path / ".predict.unfinished.json").write_text(json.dumps({"settings": settings}))
    job = Job(tmp_path, False, TOLD)
    assert begun_with(asked, "predict.json", job) == expected


def write_settings(folder, name, engine):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"settings": {"engine": engine}}))


def shard_of(out, index, overwrite=False):
    return Job(out, overwrite, TOLD).divided(Shard(index, 2), out / "predict.json")


@pytest.mark.parametrize("name", ["predict.json", ".predict.unfinished.json"])
def test_a_shard_takes_the_engine_of_another(tried, tmp_path, name):
    out = tmp_path / "probs"
    first, second = (shard_of(out, index) for index in range(2))
    assert begun_with("auto", "predict.json", second) == "auto"
    write_settings(first.out, name, "onnxruntime")
    assert begun_with("auto", "predict.json", second) == "onnxruntime"
    assert begun_with("torch", "predict.json", second) == "torch"


def test_a_late_shard_takes_the_engine_of_what_was_merged(tried, tmp_path):
    out = tmp_path / "probs"
    write_settings(out, "predict.json", "openvino")
    assert begun_with("auto", "predict.json", shard_of(out, 1)) == "openvino"


def test_a_shard_that_differs_is_brought_into_line_when_begun_afresh(tried, tmp_path):
    out = tmp_path / "probs"
    first, second = (shard_of(out, index) for index in range(2))
    write_settings(first.out, "predict.json", "onnxruntime")
    write_settings(second.out, "predict.json", "torch")
    assert begun_with("auto", "predict.json", second) == "torch"
    again = shard_of(out, 1, overwrite=True)
    assert begun_with("auto", "predict.json", again) == "onnxruntime"


def test_work_that_is_begun_afresh_chooses_afresh(tried, tmp_path):
    write_settings(tmp_path, "predict.json", "torch")
    assert begun_with("auto", "predict.json", Job(tmp_path, True, TOLD)) == "auto"


def test_shards_are_joined_where_their_engine_is_not_installed(tmp_path, request_of, monkeypatch):
    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(engine_choice, "engine_version", not_installed)
    out = tmp_path / "probs"
    write_settings(shard_of(out, 0).out, "predict.json", "openvino")
    found = engine_of_job(request_of(), "predict.json", Job(out, False, TOLD, is_merge=True))
    assert (found.name, found.as_entry()) == ("openvino", None)
