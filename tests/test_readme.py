"""The README's commands run as they stand, and its pictures are there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
MOST_WORDS = 1450
SMALL = "--images 6 --size 128 --region-size 5 --grain-size 2.5 -q"


@pytest.fixture
def shell(tmp_path):
    """Run a script in an empty folder, with mstool on the path, as a user does.

    A warning, which no user should see, is an error.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(script):
        ended = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture
def mstool(tmp_path, mstool_in):
    """Run lines of a script in the same folder, but in this process, which is soon done."""

    def run(script):
        lines = script.replace("\\\n", " ").splitlines()
        return "".join(mstool_in(tmp_path, line.removeprefix("mstool ")) for line in lines)

    return run


def block_with(*words):
    """The one block of the README that has all these words."""
    (block,) = [block for block in BLOCKS if all(word in block for word in words)]
    return block


def shortened(block):
    """The same commands, with little training."""
    script = re.sub(
        r"^(mstool train .*)$", r"\1 --epochs 1 --crop 96 --device cpu", block, flags=re.M
    )
    assert script != block
    return script


def test_every_block_is_tried_here():
    kinds = ("make demo", "mstool tile raw/", "mstool tile set/", "--test-fold all")
    kinds += ("mstool explain", "domain-shift", "mstool study", "--shard")
    assert sorted(BLOCKS) == sorted(block_with(kind) for kind in kinds)


PLAN = """
[data.small]
images = "phantom/images"
labels = "phantom/labels"
folds = 3
[base.tile]
size = 96
[base.train]
arch = "pixel-classifier"
features = "filters"
pixels = 2000
views = 1
epochs = 1
[factors.micrographs]
option = "train.max-images"
levels = [1, 2]
"""


@pytest.fixture
def trials_in_this_process(monkeypatch, mstool_in):
    """Let an estimate try its jobs without a process for each."""
    from mstool.pipeline.study.estimate import Trials

    def measure(self, job, words):
        mstool_in(self.study.folder, shlex.join(words))
        return 1.0, 1.0  # of cores, and of the clock [s]

    monkeypatch.setattr(Trials, "_measure", measure)


def test_plan_becomes_a_makefile(tmp_path, shell, mstool, trials_in_this_process):
    mstool(f"phantom {SMALL}")
    (tmp_path / "plan.toml").write_text(PLAN)
    estimate, write, run = block_with("mstool study").splitlines()
    assert mstool(estimate).splitlines()[-1].startswith("total,")
    shell(write)
    assert shell(f"{run} --dry-run").count("mstool train") == 3


def test_short_study_runs_as_printed(tmp_path, mstool):
    assert mstool(f"phantom {SMALL}") == ""
    for ours, theirs in (("images", "raw"), ("labels", "labels")):
        shutil.move(tmp_path / "phantom" / ours, tmp_path / theirs)
    assert mstool(shortened(block_with("mstool tile raw/"))) == ""
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["n_images"] == 1
    assert score["leak"] == {**score["leak"], "checked": True, "trained_on": []}
    assert 0 <= score["pooled"]["mean_iou"] <= 1
    assert score["baselines"]["otsu"]["mean_iou"] < 0.55
    assert list((tmp_path / "masks" / "overlays").glob("*.png"))
    for path in sorted((tmp_path / "raw").iterdir())[3:]:  # few are soon explained
        path.unlink()
    # the network has learnt nothing yet and may not predict the class anywhere
    short = "--quick --methods saliency --region box:0,0,64,64 --device cpu -q"
    mstool(f"{block_with('mstool explain').rstrip()} {short}")
    assert len(list((tmp_path / "explain" / "overlays").glob("*.png"))) == 3
    mstool(f"phantom {SMALL} --images 3 --seed 5 -o later")
    shutil.move(tmp_path / "later" / "images", tmp_path / "new")
    short = "--simulate blur=1,2 --simulated-images 2 --device cpu -q"
    mstool(f"{block_with('domain-shift').rstrip()} {short}")
    assert json.loads((tmp_path / "shift" / "shift.json").read_text())["chosen"]
    estimate, *share = block_with("--shard").splitlines()
    assert json.loads(mstool(f"{estimate} -q"))["n_micrographs"] == 3
    assert mstool("\n".join(f"{line.partition('#')[0]} -q" for line in share)) == ""
    mstool("segment new/ --model model/ -o alone -q")
    masks = sorted((tmp_path / "new-masks").glob("*.tif"))
    assert len(masks) == 3
    assert all(mask.read_bytes() == (tmp_path / "alone" / mask.name).read_bytes() for mask in masks)


def paint_set(folder):
    """Micrographs as grey in colour, and copies painted in blue and red, in six folders."""
    for index, path in enumerate(sorted((folder / "phantom" / "images").iterdir())):
        grey = tifffile.imread(path)
        truth = np.asarray(Image.open(folder / "phantom" / "labels" / f"{path.stem}.png"))
        colour = grey[..., None].repeat(3, axis=2)
        painted = np.dstack([colour, np.full(grey.shape, 255, np.uint8)])
        painted[truth == 1, :3] = 0, 0, 255
        painted[truth == 2, :3] = 255, 0, 0
        part = ("train", "val", "test")[min(2, index // 2)]
        for name, values, suffix in ((part, colour, ""), (f"{part}_annot", painted, "_mask")):
            (folder / "set" / name).mkdir(parents=True, exist_ok=True)
            place = folder / "set" / name / f"{path.stem}{suffix}.tif"
            extra = {"extrasamples": ["unassalpha"]} if suffix else {}
            tifffile.imwrite(place, values, photometric="rgb", **extra)


def test_set_that_comes_in_folders_runs_as_printed(tmp_path, mstool):
    mstool(f"phantom {SMALL} --classes 3")
    paint_set(tmp_path)
    assert mstool(shortened(block_with("mstool tile set/"))) == ""
    score = json.loads((tmp_path / "score.json").read_text())
    assert (score["n_images"], score["classes"]) == (2, ["matrix", "secondary", "tertiary"])
    assert score["leak"]["checked"]
    assert score["leak"]["trained_on"] == []


def test_cross_validation_runs_as_printed(tmp_path, mstool):
    mstool(f"phantom {SMALL}")
    shutil.move(tmp_path / "phantom" / "labels", tmp_path)
    mstool("tile phantom/images --labels labels --size 64 --overlap 16 -q")
    mstool("split tiles --folds 3 -o split.csv -q")
    block = block_with("--test-fold all").replace(
        "-o cv/\n", "-o cv/ --arch unet-plain --depth 2 --width 4\n"
    )
    assert mstool(shortened(block)) == ""
    score = json.loads((tmp_path / "cv.json").read_text())
    assert score["n_images"] == 6
    assert [row["n_images"] for row in score["folds"]] == [2, 2, 2]
    assert score["leak"]["trained_on"] == []


def test_newcomers_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+)", block_with("make demo")):
        assert re.search(rf"^{target}:", makefile, re.M)


def test_the_table_has_the_verbs_in_order():
    from mstool.cli import VERBS

    rows = re.findall(r"^\| `mstool ([a-z-]+)` \|", TEXT, re.M)
    assert rows == [*VERBS]


def test_flags_that_are_named_exist():
    import typer

    from mstool.cli import make_app

    verbs = typer.main.get_command(make_app()).commands.values()
    known = {flag for verb in verbs for parameter in verb.params for flag in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) - {"--help"} <= known


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "studies").glob("*.md"))], ids=str)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_it_is_short():
    without_shell = re.sub(r"```.*?```", "", TEXT, flags=re.S)
    prose = re.sub(r"^\|.*$", "", without_shell, flags=re.M)
    assert len(prose.split()) <= MOST_WORDS
