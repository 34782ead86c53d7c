"""Explanations against known causes, in networks trained on phantoms with a single cue."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "cues.sh"
CAUSES = {"rim": "boundary", "grey": "grey level", "texture": "texture", "lath": "texture"}


@pytest.fixture(scope="module", params=list(CAUSES))
def explained(request, tmp_path_factory):
    """Cue and record of a network that was trained on it."""
    work = tmp_path_factory.mktemp("cues")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "CUES": request.param}
    subprocess.run([SCRIPT, work], check=True, env=environment)
    return request.param, json.loads((work / request.param / "explain/explain.json").read_text())


@pytest.mark.slow
def test_boundary_verdict_names_the_true_cue(explained):
    cue, record = explained
    assert record["verdict"]["cause"] == CAUSES[cue]
    assert record["verdict"]["claim_boundary"] == ("supported" if cue == "rim" else "not_supported")


@pytest.mark.slow
def test_removing_the_boundary_matters_to_the_rim_network_alone(explained):
    cue, record = explained
    drop = record["boundary"]["counterfactual"]["drop"]["boundary"]
    assert drop >= 0.6 if cue == "rim" else drop <= 0.05


@pytest.mark.slow
def test_integrated_gradients_lie_on_the_rim_of_the_rim_network(explained):
    cue, record = explained
    shares = record["boundary"]["methods"]
    blurred = shares["integrated-gradients-blurred"]["share"]
    assert blurred >= 0.7 if cue == "rim" else blurred <= 0.45
    mean = shares["integrated-gradients"]["share"]
    assert mean >= 0.6 if cue == "rim" else mean <= 0.45


@pytest.mark.slow
def test_controls_are_not_trusted(explained):
    _, record = explained
    assert "trustworthy" not in record["verdict"]["controls"].values()
