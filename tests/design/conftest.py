"""Plans as a user writes them, and what the verbs of a small program take."""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from mstool.design.cells import list_cells
from mstool.design.jobs import list_jobs
from mstool.design.plan_table import parse_plan
from mstool.design.study_plan import Option

VALUE, SWITCH, VALUES = Option("value"), Option("switch", False), Option("values")
OPTIONS = {
    "tile": {"size": Option("value", 512), "overlap": Option("value", 64), "out": VALUE}
    | {"label-suffix": Option("value", ""), "group-by": VALUE, "legend": VALUE, "labels": VALUES}
    | {"classes": VALUE, "grey": SWITCH, "scale": Option("value", 1.0)}
    | {"recursive": SWITCH, "image-suffix": Option("value", ""), "discard-ignored": VALUE},
    "split": {"folds": VALUE, "loo": SWITCH, "holdout": VALUE, "seed": Option("value", 0)}
    | {"by-folder": SWITCH},
    "train": {"arch": Option("value", "unet"), "encoder": VALUE, "epochs": VALUE, "lr": VALUE}
    | {"depth": VALUE, "crop": VALUE, "seed": Option("value", 0), "test-fold": VALUE}
    | {"weights": VALUE, "augment": Option("value", "default"), "allow-leak": SWITCH},
    "predict": {"tta": Option("value", "none"), "shard": VALUE},
    "stitch": {"blend": Option("value", "hann")},
    "score": {
        "label-suffix": Option("value", ""),
        "image-suffix": VALUE,
        "group-by": VALUE,
        "objects": VALUES,
        "min-iou": VALUE,
    },
    "explain": {
        "class": VALUE,
        "quick": SWITCH,
        "recursive": SWITCH,
        "image-suffix": VALUE,
        "legend": VALUE,
        "labels": VALUES,
    },
    "domain-shift": {"target-labels": VALUES, "scale": Option("value", 1.0)},
}
SMALL = """
[study]
seeds = [0, 1]
[data.phantoms]
images = "phantom/images"
labels = "phantom/labels"
folds = 4
[base.tile]
size = 256
[base.train]
epochs = 12
encoder = "efficientnet-lite0"
[factors.encoder]
option = "train.encoder"
levels = ["efficientnet-lite0", "tu-vgg16"]
[factors.context]
data = ["phantoms"]
[factors.context.levels.small]
tile.size = 128
train.crop = 96
[factors.context.levels.blended]
stitch.blend = "crop"
"""


@pytest.fixture
def read():
    """Read a plan from text."""
    return lambda text: parse_plan(tomllib.loads(text), OPTIONS)


@pytest.fixture
def small():
    """Text of a plan of four cells, of which one is the base."""
    return SMALL


# Writes what the verbs write, and a line of its arguments into calls.jsonl; fails where FAIL says.
STAND_IN = """\
#!{python}
import json, os, pathlib, signal, sys, time

RECORDS = {{
    "tile": "tiles.json", "train": "train.json", "predict": "predict.json",
    "stitch": "stitch.json", "explain": "explain.json", "domain-shift": "shift.json",
}}
argv = sys.argv[1:]
with open("calls.jsonl", "a") as log:
    log.write(json.dumps(argv) + "\\n")
if os.environ.get("FAIL", "nothing") in " ".join(argv):
    sys.exit(65)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(75))
if argv[0] == os.environ.get("SLOW") and not pathlib.Path("asked").exists():
    pathlib.Path("asked").touch()
    time.sleep(20)
target = pathlib.Path(argv[argv.index("-o") + 1])
if argv[0] in RECORDS:
    name = "cv.json" if "all" in argv else RECORDS[argv[0]]
    target = target / name
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(" ".join(argv))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A folder with the data of the small plan, and a program that stands in for mstool."""
    folder = tmp_path / "study"
    (folder / "phantom/images").mkdir(parents=True)
    (folder / "phantom/labels").mkdir()
    (folder / "plan.toml").touch()
    program = tmp_path / "bin" / "mstool"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def calls(stand_in):
    """Calls of the stand-in since it was last asked, as lists of words."""
    log = stand_in / "calls.jsonl"

    def read():
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    return read


@pytest.fixture
def write_workflow(read, small, stand_in):
    """Give a function that writes the file of a plan for a program, and gives its jobs."""

    def of_program(render, name):
        def write(text=small, plan="plan.toml"):
            study = read(text)
            cells = list_cells(study)
            jobs = list_jobs(study, cells)
            Path(name).write_text(render(jobs, plan, len(cells)))
            return jobs

        return write

    return of_program
