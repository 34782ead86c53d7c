"""What a busy machine does to training: mstool train alone and beside processes that never wait.

    python benchmarks/busy.py [--threads 1 2 auto] [--pairs 3] [--busy 1] [--epochs 4]

Makes micrographs, trains in pairs (alone, then beside), and prints a CSV: a row for each pair with
seconds of the training loop, their ratio, core-seconds of the processes, the threads at the end,
and whether the two models are the same bytes. The goal is a ratio of at most 2.2. To see what
spinning costs, set OMP_WAIT_POLICY=ACTIVE. Other work on the machine spoils the figures; the load
before each pair is in the last column.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MSTOOL = (sys.executable, "-m", "mstool")
NETWORK = ("--arch", "unet-plain", "--depth", "3", "--width", "16", "--device", "cpu", "-q")


class Trained(NamedTuple):
    """What a training took, and gave."""

    loop_s: float
    core_s: float
    n_threads: int
    weights: bytes


@contextmanager
def busy_processes(n: int):
    """Keep `n` processes running that never wait."""
    spin = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(spin) for _ in range(n)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def prepare(folder: Path) -> None:
    """Make tiles and a split."""
    made = ("phantom", "--images", "6", "--size", "256", "-q")
    subprocess.run([*MSTOOL, *made], cwd=folder, check=True)
    labels = ("--labels", "phantom/labels", "--legend", "phantom/legend.toml")
    cut = ("tile", "phantom/images", *labels, "--size", "128", "--overlap", "16", "-q")
    subprocess.run([*MSTOOL, *cut], cwd=folder, check=True)
    with open(folder / "split.csv", "wb") as stream:
        split = [*MSTOOL, "split", "tiles", "--folds", "3", "-q"]
        subprocess.run(split, cwd=folder, check=True, stdout=stream)


def train(folder: Path, threads: str, epochs: int) -> Trained:
    """Train once, in a process of its own."""
    data = ("train", "tiles", "--split", "split.csv", "--test-fold", "0", "--overwrite")
    how = ("--epochs", str(epochs), "--threads", threads)
    process = subprocess.Popen([*MSTOOL, *data, *NETWORK, *how], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    record = json.loads((folder / "model" / "train.json").read_text())
    return Trained(
        record["train_s"],
        usage.ru_utime + usage.ru_stime,
        record["mstool"]["threads"],
        (folder / "model" / "model.safetensors").read_bytes(),
    )


def compare(folder: Path, threads: str, options: argparse.Namespace) -> None:
    """Train a pair, and print its row."""
    load = os.getloadavg()[0]
    alone = train(folder, threads, options.epochs)
    with busy_processes(options.busy):
        beside = train(folder, threads, options.epochs)
    print(
        f"{threads},{alone.n_threads},{beside.n_threads},{alone.loop_s:.1f},{beside.loop_s:.1f},"
        f"{beside.loop_s / alone.loop_s:.2f},{alone.core_s:.1f},{beside.core_s:.1f},"
        f"{'yes' if alone.weights == beside.weights else 'no'},{load:.1f}",
        flush=True,
    )


def main() -> None:
    """Compare with each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", nargs="+", default=["1", "2", "auto"])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    print(
        "threads,used_alone,used_beside,alone_s,beside_s,ratio,alone_core_s,beside_core_s,"
        "same_bytes,load_before",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for _ in range(options.pairs):
            for threads in options.threads:
                compare(Path(folder), threads, options)


if __name__ == "__main__":
    main()
