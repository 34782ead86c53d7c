"""Cases that are put through verbs, and the table of how they ended."""

import csv
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
import tifffile
import torch
from safetensors.torch import load_file

LIMIT_S, LIMIT_MB = 20.0, 1024.0
CEILING_MB = 3 * 1024  # of address space, so that what is too big harms nobody else
REFUSALS = (2, 65, 66, 69, 73, 74)
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Table:
    """How the cases of each kind ended, a row a kind; what should never be is listed below."""

    rows: dict[str, Counter] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, kind: str, ending: str, words: str = "") -> None:
        """Count a case; `ending` is ``done``, ``refused``, or a fault, which `words` describe.

        What is damaged is done when it was read all the same, and what was interrupted when it is
        there in the end as if nothing had been.
        """
        self.rows.setdefault(kind, Counter())[ending] += 1
        if ending not in ("done", "refused"):
            self.faults.append(f"{kind}: {ending}: {words}")

    def lines(self) -> list[str]:
        """The table in text."""
        header = f"{'campaign':34}{'tried':>7}{'done':>7}{'refused':>9}{'else':>6}"
        return [header] + [
            f"{kind:34}{sum(ended.values()):7}{ended['done']:7}{ended['refused']:9}"
            f"{sum(ended.values()) - ended['done'] - ended['refused']:6}"
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
        return self.run_together(cwd, (argv, 0.0), limit_s=limit_s)[0]

    def run_together(self, cwd, *calls, limit_s=2 * LIMIT_S):
        """Run commands beside each other, given as what is typed and when it begins [s]."""
        limits = {"cwd": str(cwd), "limit_s": limit_s, "limit_mb": CEILING_MB}
        cases = [{"argv": [*map(str, argv)], "after_s": at} | limits for argv, at in calls]
        self.process.stdin.write(json.dumps(cases) + "\n")
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
        ending = fault or ("done" if ended["code"] == 0 else "refused")
        table.count(kind, ending, f"{what}: {ended['stderr'][-400:].strip()}")
        return f"{what}: {fault}: {ended['stderr'][-400:].strip()}" if fault else ""

    return run


CONFIG = 'size = "48"\noverlap = 16\nlabels = ["labels"]\ngrey = true\n'
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


# Each verb that fills a folder or a file, at its smallest; all of it lands in ``out``.
NETWORK = "--epochs 2 --seed 1 --device cpu --threads 1"
VERBS = {
    "phantom": "phantom --images 2 --size 64 -o out/new",
    "tile": "tile raw --labels labels --size 48 --overlap 16 -o out/new",
    "split": "split tiles --folds 3 -o out/new.csv",
    "pretrain": f"pretrain tiles --encoder resnet18 --weights none --crop 32 {NETWORK} -o out/new",
    "train": "train tiles --split split.csv --test-fold 0 --arch unet-plain --depth 2 --width 4 "
    f"--augment none {NETWORK} -o out/new",
    "predict": "predict tiles --model model --device cpu -o out/new",
    "stitch": "stitch probs --overlay --confidence -o out/new",
    "segment": "segment raw --model model --size 48 --overlap 16 --device cpu -o out/new",
    "score": "score masks labels -o out/new.json",
    "explain": "explain raw/img0.tif --model model --class 1 --checks sanity --window 64 "
    "--regions 2 --methods saliency --device cpu --threads 1 -o out/new",
    "domain-shift": "domain-shift raw dark --model model --permutations 499 --simulate none "
    "--mitigate histogram --device cpu --threads 1 -o out/new",
    "report": "report score.json -o out/new.html",
}


@pytest.fixture(scope="session")
def workplace(trained_study, tmp_path_factory, mstool_in):
    """A study with what each verb reads, and an empty folder ``out``."""
    folder = tmp_path_factory.mktemp("workplace") / "study"
    shutil.copytree(trained_study, folder)
    mstool_in(folder, "predict tiles --model model --device cpu -q")
    mstool_in(folder, "stitch probs -q")
    mstool_in(folder, "score masks labels -q -o score.json")
    for name in ("dark", "out"):
        (folder / name).mkdir()
    for path in (folder / "raw").iterdir():
        tifffile.imwrite(folder / "dark" / path.name, tifffile.imread(path) // 2)
    return folder


# What of a record differs between two runs of the same work.
OF_THE_RUN = re.compile(r"argv|started|.*_s|.*_mb|.*s_per_.*|.*_predicted|resumed.*")


def lasting(value):
    """What a record says of its folder, without what it says of the run."""
    if isinstance(value, dict):
        return {key: lasting(value[key]) for key in value if not OF_THE_RUN.fullmatch(key)}
    return [*map(lasting, value)] if isinstance(value, list) else value


def contents(path):
    """Bytes of a file; of a record, and of the history of a training, what lasts."""
    if path.suffix == ".json":
        return lasting(json.loads(path.read_text()))
    if path.name == "history.csv":
        with open(path, newline="") as stream:
            return lasting([*csv.DictReader(stream)])
    return path.read_bytes()


class Bench:
    """One verb, and what it makes when nobody disturbs it."""

    def __init__(self, verb, cwd, forks):
        self.verb, self.cwd, self.out, self.forks = verb, cwd, cwd / "out", forks
        self.argv = VERBS[verb].split()
        self.empty()
        ended = self.run()
        assert ended["code"] == 0, ended
        self.took_s, self.made = ended["s"], self.files()
        sizes = [path.stat().st_size for path in self.out.rglob("*") if path.is_file()]
        self.n_pages = sum(-(-size // PAGE) for size in sizes)
        self.empty()

    def empty(self):
        """Remove all that it made."""
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def run(self, *more, limit_s=2 * LIMIT_S):
        """Run the command."""
        return self.forks.run(self.cwd, *self.argv, "-q", *more, limit_s=limit_s)

    def run_twice(self, at_s, *more):
        """Run the command and, so much later, once more beside it."""
        argv = [*self.argv, *more]
        return self.forks.run_together(self.cwd, (argv, 0.0), (argv, at_s))

    def files(self):
        """What lies in ``out``, by name; what a temporary file holds does not matter."""
        paths = [path for path in sorted(self.out.rglob("*")) if path.is_file()]
        return {
            path.relative_to(self.out).as_posix(): ""
            if path.name.startswith(".")
            else contents(path)
            for path in paths
        }

    def name_difference(self):
        """How ``out`` differs from what an undisturbed run leaves; empty if it does not."""
        found = self.files()
        stale, lost = found.keys() - self.made.keys(), self.made.keys() - found.keys()
        wrong = [name for name in found.keys() & self.made.keys() if found[name] != self.made[name]]
        named = {"stale files": stale, "files lost": lost, "wrong bytes": wrong}
        return ", ".join(f"{what} {' '.join(sorted(of))}" for what, of in named.items() if of)

    def name_fault(self, ended):
        """What is wrong with how the last run of all ended; empty if nothing is."""
        return f"exit code {ended['code']}" if ended["code"] else self.name_difference()


@pytest.fixture(params=VERBS)
def verb(request):
    """Name of a verb."""
    return request.param


@pytest.fixture
def bench(verb, workplace, forks):
    """A verb that is about to be disturbed."""
    made = Bench(verb, workplace, forks)
    yield made
    made.empty()
