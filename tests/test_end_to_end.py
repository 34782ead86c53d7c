"""From micrographs to scored masks, as a user types it."""

import json
import subprocess
import sys


def test_pipeline_on_phantoms_in_subprocesses(tmp_path):
    def mstool(line, **options):
        command = [sys.executable, "-W", "error", "-m", "mstool", *line.split()]
        ended = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, **options
        )
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        return ended.stdout

    assert mstool("phantom --images 4 --size 96 --region-size 4 --grain-size 2") == ""
    assert mstool("tile phantom/images --labels phantom/labels --size 64 --overlap 32") == ""
    (tmp_path / "split.csv").write_text(mstool("split tiles --folds 4"))
    network = "--arch unet-plain --depth 2 --width 4 --device cpu"
    assert mstool(f"train tiles --split split.csv --test-fold 0 --epochs 1 {network}") == ""
    assert mstool("predict tiles --select test --device cpu") == ""
    assert mstool("stitch probs --overlay --labels phantom/labels") == ""
    score = json.loads(mstool("score masks phantom/labels"))
    assert score["n_images"] == 1
    assert score["leak"] == {**score["leak"], "checked": True, "trained_on": []}
    assert 0 <= score["pooled"]["mean_iou"] <= 1
    assert score["baselines"]["otsu"]["mean_iou"] < 0.55
