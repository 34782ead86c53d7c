"""A plan is checked before anything runs, and make runs it to the end, whatever stops it."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MSTOOL = f"{sys.executable} -m mstool"
PLAN = """
[study]
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
depth = 2
width = 4
epochs = 1
device = "cpu"
threads = 1
augment = "none"
[base.predict]
device = "cpu"
threads = 1
[factors.blend]
option = "stitch.blend"
levels = ["hann", "crop"]
"""


@pytest.fixture
def write(study):
    """Write a plan into the folder of a small study."""
    for name in ("tiles", "model"):
        shutil.rmtree(study / name)
    (study / "split.csv").unlink()

    def plan(text=PLAN, name="plan.toml"):
        Path(name).write_text(text)
        return name

    return plan


def assert_one_line(ended, code, *words):
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (code, "", 1), ended.stderr
    for word in words:
        assert word in ended.stderr


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("epochs = 1", "epoch = 1", 2, "base.train.epoch: mstool train has no option --epoch"),
        ("epochs = 1", "seed = 1", 2, "base.train.seed: the study sets --seed itself"),
        ("epochs = 1", "epochs = 0", 2, "for models/small/base/seed-0/fold-0: mstool train: Inv"),
        ("epochs = 1", "loss = 'hinge'", 2, "mstool train: --loss hinge"),
        ("depth = 2", "features = 'filters'", 2, "--features filters: needs --arch pixel-class"),
        ("overlap = 16", "overlap = 48", 2, "for tiles/small/base: mstool tile: --overlap 48"),
        ("folds = 3", "folds = 3\nloo = true", 2, "mstool split: give one of --folds K, --loo"),
        ('"crop"]', '"spline"]', 2, "masks/small/blend-spline/seed-0/fold-0: mstool stitch: --bl"),
        ('"hann", ', "", 2, "factors.blend: has 1 level"),
        ('"crop"]', '"crop", "cr op", "cr;op"]', 2, "would both write scores/small/blend-cr-op."),
        ("[data.small]", "[factors.x]\ndata = ['big']\n[data.small]", 2, "factors.x"),
        ('labels = "labels"', 'labels = "truth"', 66, "truth: no such file or folder; paths are"),
        ("folds = 3", "split = 'none.csv'", 66, "none.csv: no such file or folder"),
        ("[study]", "[study", 65, "plan.toml: not TOML"),
    ],
)
def test_wrong_plan_is_refused_before_anything_runs(write, run_mstool, old, new, code, words):
    assert old in PLAN
    plan = write(PLAN.replace(old, new, 1))
    before = {*Path().rglob("*")}
    assert_one_line(run_mstool("study", plan), code, "mstool study: plan.toml:", words)
    assert {*Path().rglob("*")} == before


def test_missing_plan_is_told(run_mstool, tmp_path):
    assert_one_line(run_mstool("study", tmp_path / "plan.toml"), 66, "no such plan")


def test_makefile_must_lie_beside_the_plan(write, run_mstool):
    Path("other").mkdir()
    ended = run_mstool("study", write(), "-o", "other/Makefile")
    assert_one_line(ended, 2, "--out other/Makefile: must lie beside plan.toml")


def test_another_makefile_is_not_overwritten(write, run_mstool):
    Path("Makefile").write_text("all:\n")
    assert_one_line(run_mstool("study", write(), "-o", "Makefile"), 73, "--overwrite")
    assert run_mstool("study", "plan.toml", "-o", "Makefile", "--overwrite", "-q").code == 0
    assert "$(MSTOOL) tile raw" in Path("Makefile").read_text()


def test_plan_is_not_overwritten(write, run_mstool):
    plan = write()
    before = Path(plan).read_bytes()
    ended = run_mstool("study", plan, "-o", plan, "--overwrite")
    assert_one_line(ended, 2, f"--out {plan}: is one of the inputs")
    assert Path(plan).read_bytes() == before


def test_training_done_twice_is_told(write, run_mstool):
    factor = "[factors.depth]\noption = 'train.depth'\nlevels = [4, 3]\n"
    ended = run_mstool("study", write(PLAN.replace("depth = 2\n", "") + factor))
    assert ended.code == 0
    assert "depth-4/seed-0/fold-0 are the same training, done twice" in ended.stderr


# What is printed


def test_dry_run_lists_the_cells(write, run_mstool):
    ended = run_mstool("study", write(), "--dry-run")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [(row["cell"], row["blend"], row["seeds"], row["folds"]) for row in rows] == [
        ("small/base", "base", "0", "0"),
        ("small/blend-crop", "crop", "0", "0"),
    ]


def test_factor_named_as_a_column_has_one_of_its_own(write, run_mstool):
    ended = run_mstool("study", write(PLAN.replace("factors.blend", "factors.folds")), "--dry-run")
    header = ended.stdout.splitlines()[0]
    assert header == "cell,data,factor.folds,seeds,folds,score"


@pytest.mark.parametrize("engine", ["make", "slurm", "snakemake"])
def test_every_engine_has_every_command(write, run_mstool, engine):
    text = run_mstool("study", write(), "--engine", engine).stdout
    assert text.startswith("#")
    assert "stitch probs/small/base/seed-0/fold-0 --blend crop" in text


def test_paths_are_those_of_the_plan_wherever_it_is_read(write, run_mstool, monkeypatch, study):
    write()
    here = run_mstool("study", "plan.toml").stdout
    monkeypatch.chdir("/")
    assert run_mstool("study", study / "plan.toml").stdout == here


# What make makes of it


def make(*arguments, code=0):
    call = ["make", "-j2", f"MSTOOL={MSTOOL}", "FLAGS=-q", *arguments]
    ended = subprocess.run(call, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == code, ended.stderr
    return ended


@pytest.fixture
def follow(run_mstool):
    """Do what make would, in this process, which is sooner done."""

    def run(target):
        for line in make("-n", target).stdout.replace("\\\n", " ").splitlines():
            ended = run_mstool(*line.removeprefix(MSTOOL).split())
            assert ended.code == 0, ended.stderr

    return run


def read_scores(folder="."):
    """Scores by file, without what a run says of itself."""
    found = {}
    for path in sorted(Path(folder).glob("scores/**/*.json")):
        record = json.loads(path.read_text())
        del record["mstool"], record["inputs"]  # times, and hashes of records with times
        found[path.relative_to(folder).as_posix()] = record
    return found


def kill_when(path):
    """Run make until a file is there, then kill all of it, as a power cut would."""
    process = subprocess.Popen(
        ["make", "-j2", f"MSTOOL={MSTOOL}", "FLAGS=-q", "scores"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ends = time.monotonic() + 600
    while not any(Path().glob(path)):
        assert process.poll() is None, "make ended before"
        assert time.monotonic() < ends
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_study_that_is_killed_ends_with_the_same_scores(write, run_mstool, follow):
    run_mstool("study", write(), "-o", "Makefile", "-q")
    kill_when("models/small/base/seed-0/fold-0/.train.unfinished.json")
    assert not list(Path("scores").glob("**/*.json"))
    make("scores")
    killed = read_scores()
    assert list(killed) == ["scores/small/base.json", "scores/small/blend-crop.json"]
    assert "Nothing to be done" in make("scores").stdout
    make("clean")
    assert not Path("scores").exists()
    follow("scores")
    assert read_scores() == killed


def test_changed_settings_are_told_and_not_mixed(write, run_mstool):
    run_mstool("study", write(), "-o", "Makefile", "-q")
    make("splits/small/base.csv")
    run_mstool("study", write(PLAN.replace("48", "64")), "-o", "Makefile", "--overwrite", "-q")
    later = time.time() + 5
    os.utime("plan.toml", (later, later))
    ended = make("tiles/small/base/tiles.json", code=2)
    assert "already there, with other size (48, now 64)" in ended.stderr
    make("tiles/small/base/tiles.json", "FLAGS=--overwrite -q")
    assert json.loads(Path("tiles/small/base/tiles.json").read_text())["settings"]["size"] == 64


TWELVE = (
    PLAN.replace("folds = [0]", "design = 'factorial'")
    + """
[factors.loss]
option = "train.loss"
levels = ["ce", "focal", "dice"]
[factors.context.levels.small]
tile.size = 48
[factors.context.levels.large]
tile.size = 64
"""
)


@pytest.mark.slow
def test_twelve_cells_killed_at_three_moments_equal_the_undisturbed_study(write, run_mstool):
    run_mstool("study", write(TWELVE), "-o", "Makefile", "-q")
    kill_when("tiles/small/*/.tiles.unfinished.json")
    kill_when("models/small/*/seed-0/fold-1/.train.unfinished.json")
    kill_when("scores/small/*.json")
    make("scores")
    killed = read_scores()
    assert len(killed) == 12
    make("clean")
    make("scores")
    assert read_scores() == killed


def run_snakemake(run_mstool):
    run_mstool("study", "plan.toml", "--engine", "snakemake", "-o", "Snakefile", "-q")
    config = f"mstool={MSTOOL}", "flags=-q"
    call = ["snakemake", "--cores", "2", "--rerun-triggers", "mtime", "--config", *config]
    subprocess.run(call, check=True, capture_output=True, timeout=1800)


def run_slurm(run_mstool):
    run_mstool("study", "plan.toml", "--engine", "slurm", "-o", "study.sh", "-q")
    environment = os.environ | {"MSTOOL": MSTOOL, "FLAGS": "-q"}
    subprocess.run(
        ["bash", "study.sh"], check=True, capture_output=True, timeout=60, env=environment
    )
    ends = time.monotonic() + 1800
    while not Path("report.csv").exists():
        assert time.monotonic() < ends
        time.sleep(1)


def has_slurm():
    """Whether a SLURM runs here."""
    call = ["sinfo"]
    return (
        shutil.which("sinfo")
        and subprocess.run(call, capture_output=True, check=False).returncode == 0
    )


def read_table():
    """Table of a report, without what a run takes."""
    with open("report.csv", encoding="utf-8", newline="") as lines:
        rows = [*csv.DictReader(lines)]
    own = "core_s", "peak_rss"
    return [{k: v for k, v in row.items() if not any(word in k for word in own)} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(
            run_snakemake,
            marks=pytest.mark.skipif(not shutil.which("snakemake"), reason="needs snakemake"),
        ),
        pytest.param(
            run_slurm, marks=pytest.mark.skipif(not has_slurm(), reason="needs a SLURM that runs")
        ),
    ],
)
def test_every_engine_ends_with_the_same_table(write, run_mstool, run):
    write(TWELVE)
    run(run_mstool)
    scores, table = read_scores(), read_table()
    assert len(scores) == 12
    run_mstool("study", "plan.toml", "-o", "Makefile", "-q")
    make("clean")
    assert not Path("report.csv").exists()
    make()
    assert read_scores() == scores
    assert read_table() == table


# What it costs


@pytest.mark.slow
def test_estimate_is_within_thirty_percent_of_what_it_takes(write, run_mstool):
    plan = PLAN.replace("epochs = 1\n", "epochs = 30\n").replace("folds = [0]", "")
    ended = run_mstool("study", write(plan), "--estimate")
    total = [*csv.DictReader(io.StringIO(ended.stdout))][-1]
    run_mstool("study", "plan.toml", "-o", "Makefile", "-q")
    before = os.times()
    make("scores")
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    assert float(total["core_hours"]) * 3600 == pytest.approx(spent, rel=0.3)
    n_bytes = sum(path.stat().st_size for path in Path().rglob("*/small/**/*") if path.is_file())
    assert n_bytes < 1.1 * float(total["disk_gb"]) * 1e9 < 2 * n_bytes


def test_estimate_of_what_is_done_is_what_it_took(write, run_mstool, follow):
    plan = write(PLAN.replace('levels = ["hann", "crop"]', 'levels = ["hann", "flat"]'))
    run_mstool("study", plan, "-o", "Makefile", "-q")
    follow("scores/small/base.json")
    rows = [*csv.DictReader(io.StringIO(run_mstool("study", plan, "--estimate").stdout))]
    done = {row["verb"]: (row["done"], row["commands"], row["known_from"]) for row in rows}
    assert done["train"] == ("1", "1", "records")
    assert done["stitch"] == ("1", "2", "a trial and records")
    by_verb = {row["verb"]: row for row in rows}
    assert float(by_verb["train"]["core_hours_left"]) == 0 < float(by_verb["train"]["core_hours"])
    assert float(by_verb["stitch"]["core_hours_left"]) > 0
    assert by_verb["total"]["commands"] == "8"
