"""Cases that are put through verbs, and the table of how they ended."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

LIMIT_S, LIMIT_MB = 20.0, 1024.0
CEILING_MB = 3 * 1024  # of address space, so that what is too big harms nobody else
REFUSALS = (2, 65, 66, 69, 73, 74)


@dataclass
class Table:
    """How the cases of each kind ended, a row a kind; what should never be is listed below."""

    rows: dict[str, Counter] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, kind: str, ending: str, words: str = "") -> None:
        """Count a case; `ending` is ``read``, ``refused``, or a fault, which `words` describe."""
        self.rows.setdefault(kind, Counter())[ending] += 1
        if ending not in ("read", "refused"):
            self.faults.append(f"{kind}: {ending}: {words}")

    def lines(self) -> list[str]:
        """The table in text."""
        header = f"{'campaign':34}{'tried':>7}{'read':>7}{'refused':>9}{'else':>6}"
        return [header] + [
            f"{kind:34}{sum(ended.values()):7}{ended['read']:7}{ended['refused']:9}"
            f"{sum(ended.values()) - ended['read'] - ended['refused']:6}"
            for kind, ended in sorted(self.rows.items())
        ]


TABLE = Table()


@pytest.fixture(scope="session")
def table():
    """The table that is printed in the end."""
    return TABLE


def pytest_terminal_summary(terminalreporter):
    """Print the table."""
    if TABLE.rows:
        terminalreporter.write_sep("-", "campaign")
        for line in TABLE.lines():
            terminalreporter.write_line(line)


class Forks:
    """Runs commands in processes forked from one that has loaded the libraries."""

    def __init__(self):
        script = Path(__file__).with_name("forked.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MPLBACKEND": "agg"},
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, cwd, *argv, limit_s=2 * LIMIT_S):
        """Run ``mstool ARGV`` in a folder; give how it ended, see ``forked.py``."""
        case = {"argv": [*map(str, argv)], "cwd": str(cwd), "limit_s": limit_s}
        self.process.stdin.write(json.dumps(case | {"limit_mb": CEILING_MB}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def forks():
    """The process that forks the others."""
    made = Forks()
    yield made
    made.close()


def names_a_file(line, name, cwd):
    """Whether a line names the damaged file, or another that it contradicts."""
    words = [word.rstrip(":") for word in line.split()[2:3]]
    named = [re.sub(r":\d+$", "", word) for word in words]
    return name in line or any((Path(cwd) / word).exists() for word in named)


def name_fault(ended, name, cwd):
    """What is wrong with how a command ended that was given a damaged file; empty if nothing is."""
    lines = ended["stderr"].splitlines()
    if ended["s"] > LIMIT_S:
        return f"too slow, {ended['s']:.0f} s"
    if ended["mb"] > LIMIT_MB:
        return f"too big, {ended['mb']:.0f} MB"
    if "Traceback" in ended["stderr"] or "a bug" in ended["stderr"]:
        return "a bug"
    if ended["code"] == 0:
        return ""
    if ended["code"] not in REFUSALS:
        return f"exit code {ended['code']}"
    if len(lines) != 1:
        return f"{len(lines)} lines"
    return "" if names_a_file(lines[0], name, cwd) else "does not name the file"


@pytest.fixture(scope="session")
def try_case(forks, table):
    """Put a damaged file through a verb, and count how that ended."""

    def run(kind, what, cwd, name, *argv):
        ended = forks.run(cwd, *argv)
        fault = name_fault(ended, name, cwd)
        ending = fault or ("read" if ended["code"] == 0 else "refused")
        table.count(kind, ending, f"{what}: {ended['stderr'][-400:].strip()}")
        return f"{what}: {fault}: {ended['stderr'][-400:].strip()}" if fault else ""

    return run


CONFIG = 'size = "48"\noverlap = 16\nlabels = "labels"\ngrey = true\n'
AUGMENT = "flip = 0.5\nzoom = [0.8, 1.25]\nright_angles = true\n"
LEGEND = """[[class]]
name = "a"
value = 0
[[class]]
name = "b"
value = 1
colour = "#ff0000"
"""
PLAN = """[study]
folds = [0]
[data.small]
images = "raw"
labels = "labels"
folds = 3
[base.tile]
size = 48
overlap = 16
[base.train]
arch = "unet-plain"
epochs = 1
[factors.blend]
option = "stitch.blend"
levels = ["hann", "crop"]
"""
TRAIN = "--split split.csv --arch unet-plain --depth 2 --width 4 --augment none --epochs 2"
TRAIN = f"train tiles {TRAIN} --seed 1 --device cpu -q"


@pytest.fixture(scope="session")
def records(trained_study, tmp_path_factory, mstool_in):
    """A study with a record of each kind, one training unfinished; read only."""
    from mstool.nn import fit

    folder = tmp_path_factory.mktemp("records") / "study"
    shutil.copytree(trained_study, folder)
    texts = {"config": CONFIG, "augment": AUGMENT, "legend": LEGEND, "plan": PLAN}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    mstool_in(folder, "predict tiles --model model --device cpu -q")
    mstool_in(folder, "stitch probs -q")
    mstool_in(folder, "score masks labels -q -o score.json")
    mstool_in(folder, f"{TRAIN} --test-fold all -o cv")
    torch.save(load_file(folder / "model/model.safetensors"), folder / "weights.pth")
    whole = fit.Fit._train_step

    def step_and_stop(self, *arguments):
        whole(self, *arguments)
        os.kill(os.getpid(), signal.SIGUSR1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit.Fit, "_train_step", step_and_stop)
        with pytest.raises(AssertionError):
            mstool_in(folder, f"{TRAIN} --test-fold 0 -o half")
    assert (folder / "half/resume/state.safetensors").is_file()
    return folder
