"""Threads: how they wait, how many there are, and what a busy machine does to the weights."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from mstool.nn import fit, threads

TRAIN = ("train", "tiles", "--split", "split.csv", "--test-fold", "0", "--device", "cpu")
TRAIN += ("--arch", "unet-plain", "--depth", "2", "--width", "4", "--seed", "1")


@pytest.fixture
def four_cores(monkeypatch):
    """A machine of four cores; the threads are put back."""
    n_before = torch.get_num_threads()
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    monkeypatch.setattr(threads, "_OWN_CHOICE", 4)
    yield
    torch.set_num_threads(n_before)


def read_threads(folder):
    record = json.loads((folder / "train.json").read_text())
    assert "threads" not in record["settings"]
    assert record["mstool"]["threads"] == record["threads"]["used"]
    return record["threads"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks GNU's OpenMP")
@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_threads_wait_passively_unless_the_user_says_otherwise(tmp_path, given):
    kept = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    ended = subprocess.run(
        [sys.executable, "-m", "mstool", "predict", "nothing"],
        env=kept | {"OMP_DISPLAY_ENV": "VERBOSE"} | ({"OMP_WAIT_POLICY": given} if given else {}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 66
    assert f"OMP_WAIT_POLICY = '{given or 'PASSIVE'}'" in ended.stderr
    assert ("GOMP_SPINCOUNT = '0'" in ended.stderr) == (given is None)


@pytest.mark.parametrize("verb", ["predict", "explain", "domain-shift"])
def test_number_of_threads_is_used_and_recorded(run_mstool, study, four_cores, verb):
    rest = {
        "predict": ("tiles", "-o", "out"),
        "explain": ("raw/img0.tif", "--class", "1", "--quick", "-o", "out"),
        "domain-shift": ("raw", "labels", "--permutations", 499, "-o", "out"),
    }[verb]
    ended = run_mstool(verb, *rest, "--threads", 5, "--device", "cpu")
    assert ended.code == 0, ended.stderr
    assert "5 threads share 4 available cores" in ended.stderr
    (record,) = (path for path in (study / "out").glob("*.json") if path.stem in (verb, "shift"))
    assert json.loads(record.read_text())["mstool"]["threads"] == 5


def test_number_of_threads_is_not_tried(run_mstool, study, four_cores):
    assert run_mstool(*TRAIN, "--epochs", 1, "--threads", 3, "-o", "m").code == 0
    expected = {"asked": "3", "used": 3, "many_s": None, "one_s": None}
    assert read_threads(study / "m") == expected


def test_auto_tries_says_and_records(run_mstool, study, four_cores):
    command = (*TRAIN, "--epochs", 5, "--batch-size", 2, "-o", "m")
    ended = run_mstool(*command)
    assert ended.code == 0
    found = read_threads(study / "m")
    assert found["used"] == (4 if found["many_s"] <= 0.9 * found["one_s"] else 1)
    assert f"s with 4 threads and {found['one_s']:.3g} s with one; going on with" in ended.stderr
    again = run_mstool(*command, "--threads", 2)  # which is no other work
    assert (again.code, "nothing left to do" in again.stderr) == (0, True)


def test_pixel_classifier_computes_features_with_all_threads(run_mstool, study, four_cores):
    pixels = ("--arch", "pixel-classifier", "--features", "filters", "--pixels", 3000)
    options = ("--split", "split.csv", "--test-fold", 0, "--device", "cpu", "-o", "m")
    assert run_mstool("train", "tiles", *options, *pixels, "--views", 1, "--epochs", 9).code == 0
    expected = {"asked": "auto", "used": 4, "many_s": None, "one_s": None}
    assert read_threads(study / "m") == expected


def stop_after(n_calls):
    """Stand-in for `Fit._train_step` that has the run stopped in one step."""
    train_step, n_done = fit.Fit._train_step, 0

    def step(self, *arguments):
        nonlocal n_done
        train_step(self, *arguments)
        n_done += 1
        if n_done == n_calls:
            os.kill(os.getpid(), signal.SIGUSR1)

    return step


@pytest.mark.parametrize(
    ("options", "used", "is_said"),
    [((), 3, False), (("--threads", "3"), 3, False), (("--threads", "2"), 2, True)],
    ids=["auto", "same", "other"],
)
def test_unfinished_training_keeps_its_threads_unless_told(
    run_mstool, study, four_cores, monkeypatch, options, used, is_said
):
    command = (*TRAIN, "--epochs", 3, "-o", "m")
    with monkeypatch.context() as patched:
        patched.setattr(fit.Fit, "_train_step", stop_after(1))
        assert run_mstool(*command, "--threads", 3).code == 75
    ended = run_mstool(*command, *options)
    assert ended.code == 0, ended.stderr
    assert read_threads(study / "m")["used"] == used
    assert ("2 threads after 3: the weights will differ, in rounding" in ended.stderr) == is_said


@pytest.fixture
def busy_process():
    """A process beside that never waits."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_weights_are_the_same_bytes_on_a_busy_machine(
    run_mstool, study, four_cores, request, n_threads
):
    def train(name):
        options = ("--epochs", 1, "--threads", n_threads, "-o", name, "-q")
        assert run_mstool(*TRAIN, *options).code == 0
        return (study / name / "model.safetensors").read_bytes()

    alone = train("alone")
    request.getfixturevalue("busy_process")
    assert train("beside") == alone
