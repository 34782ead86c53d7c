"""The README's commands run as they stand, and its pictures are there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_short_study_runs_as_printed(tmp_path):
    (block,) = [block for block in BLOCKS if "mstool tile" in block]
    # only the training is shortened
    script = re.sub(r"^(mstool train .*)$", r"\1 --epochs 1 --device cpu", block, flags=re.M)
    assert script != block
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def shell(text):
        return subprocess.run(
            ["sh", "-e", "-c", text],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    small = "--images 6 --size 160 --region-size 5 --grain-size 2.5 -q"
    assert shell(f"mstool phantom {small}").returncode == 0
    for ours, theirs in (("images", "raw"), ("labels", "labels")):
        shutil.move(tmp_path / "phantom" / ours, tmp_path / theirs)
    ended = shell(script)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["n_images"] == 1
    assert score["baselines"]["otsu"] is not None
    assert list((tmp_path / "masks" / "overlays").glob("*.png"))
    (block,) = [block for block in BLOCKS if "mstool explain" in block]
    # the network has learnt nothing yet and may not predict the class anywhere
    short = f"{block.rstrip()} --quick --methods saliency --region box:0,0,64,64 --device cpu -q"
    ended = shell(short)
    assert ended.returncode == 0, ended.stderr
    assert len(list((tmp_path / "explain" / "overlays").glob("*.png"))) == 6
    (block,) = [block for block in BLOCKS if "mstool domain-shift" in block]
    assert shell(f"mstool phantom {small} --seed 5 -o later").returncode == 0
    shutil.move(tmp_path / "later" / "images", tmp_path / "new")
    ended = shell(f"{block.rstrip()} --simulate blur=1,2 --simulated-images 2 --device cpu -q")
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "shift" / "shift.json").read_text())["chosen"]


def test_newcomers_commands_are_targets_of_the_makefile():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    (first,) = [block for block in BLOCKS if "make demo" in block]
    for target in re.findall(r"make (\w+)", first):
        assert re.search(rf"^{target}:", makefile, re.M)


def test_every_verb_is_in_the_table():
    from mstool.cli import VERBS

    text = README.read_text(encoding="utf-8")
    for verb in VERBS:
        assert f"| `mstool {verb.__name__.replace('_', '-')}` |" in text


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (README.parent / target).exists(), target
