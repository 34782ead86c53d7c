"""Processes that torchrun starts train what one process trains."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TINY = shlex.split(
    "train tiles --split split.csv --test-fold 0 --arch unet-plain --depth 2 --width 4 --seed 1 "
    "--device cpu --lr 0.02 --batch-size 8 --threads 1"
)
OURS = "mstool train: "


def torchrun(*arguments, n=2, node=("--nnodes", "1")):
    """Start ``torchrun`` with `n` processes on a node."""
    launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={n}", *node]
    command = [*launcher, "-m", "mstool", *TINY, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process):
    """Exit code, standard output and our lines on standard error."""
    stdout, stderr = process.communicate(timeout=300)
    lines = [line for line in stderr.splitlines() if line.startswith(OURS)]
    return process.returncode, stdout, [line.removeprefix(OURS) for line in lines]


def history_of(folder):
    with open(Path(folder, "history.csv")) as stream:
        rows = list(csv.DictReader(stream))
    return np.array([[float(row[key]) for key in ("train_loss", "val_mean_iou")] for row in rows])


def wait_for(process, word):
    """Read standard error until a line holds a word."""
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"ended without {word}")


def rank_of(pid):
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((int(each[5:]) for each in environment if each.startswith(b"RANK=")), None)


def process_of_rank(parent, rank):
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return next(int(child) for child in children if rank_of(child) == rank)


def assert_same_curves(run_mstool, *folders):
    assert run_mstool(*TINY, "--epochs", 6, "-o", "one", "-q").code == 0
    for folder in folders:
        np.testing.assert_allclose(history_of(folder), history_of("one"), atol=1e-3)


def test_two_processes_learn_what_one_does(run_mstool, study):
    ended = end(torchrun("--epochs", 6, "-o", "two"))
    assert ended[:2] == (0, "")
    assert [line[:9] for line in ended[2]].count("epoch 1/6") == 1
    assert_same_curves(run_mstool, "two")
    record = json.loads(Path("two/train.json").read_text())
    assert (record["processes"], record["threads"]["used"]) == (2, 1)
    assert sorted(os.listdir("two")) == sorted(os.listdir("one"))
    assert run_mstool("predict", "tiles", "--model", "two", "-q", "--device", "cpu").code == 0


@pytest.mark.slow
def test_four_processes_and_two_nodes_learn_what_one_does(run_mstool, study):
    assert end(torchrun("--epochs", 6, "-o", "four", n=4))[0] == 0
    node = ("--nnodes=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:29731")
    nodes = [torchrun("--epochs", 6, "-o", "nodes", n=1, node=node) for _ in range(2)]
    ended = [end(each) for each in nodes]
    assert [code for code, _, _ in ended] == [0, 0]
    assert [len(lines) > 0 for _, _, lines in ended].count(True) == 1
    assert_same_curves(run_mstool, "four", "nodes")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for a process in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_and_the_same_command_goes_on(study, rank):
    call = ("--epochs", 40)
    stopped = torchrun(*call, "-o", "model2")
    wait_for(stopped, "epoch 3/40")
    stopped.send_signal(signal.SIGTERM)
    _, _, lines = end(stopped)
    assert ["run the same command to go on" in line for line in lines].count(True) == 1
    assert Path("model2/resume/state.safetensors").is_file()

    killed = torchrun(*call, "-o", "model2")
    wait_for(killed, "going on at epoch")
    wait_for(killed, "epoch 1")
    os.kill(process_of_rank(killed.pid, rank), signal.SIGKILL)
    code, _, lines = end(killed)
    assert code == 1
    assert [line for line in lines if not line.startswith("epoch")] == [
        "another process of this training has ended; run the same command to go on"
    ]
    assert not list(Path("model2").glob("*.safetensors"))

    assert end(torchrun(*call, "-o", "model2"))[0] == 0
    assert end(torchrun(*call, "-o", "at-once"))[0] == 0
    assert np.array_equal(history_of("model2"), history_of("at-once"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batch-size", 1), "is that of all 2 processes together"),
        (("--arch", "pixel-classifier", "--depth", 2), ""),
        (("--test-fold", "all"), "give one fold a run"),
        (("--split", "none.csv"), "none.csv"),
    ],
)
def test_bad_input_gets_one_line(study, arguments, words):
    process = torchrun("--epochs", 6, "-o", "other", *arguments)
    code, _, lines = end(process)
    told = [line for line in lines if "weights to train on" not in line]
    assert (code, len(told)) == (1, 1), told
    assert words in told[0]
    assert not Path("other").exists()


def test_what_is_done_is_not_done_again(run_mstool, study):
    assert run_mstool(*TINY, "--epochs", 1, "-o", "model1", "-q").code == 0
    began = time.time()
    code, _, lines = end(torchrun("--epochs", 1, "-o", "model1"))
    assert (code, lines) == (0, ["model1: nothing left to do"])
    assert time.time() - began < 120
