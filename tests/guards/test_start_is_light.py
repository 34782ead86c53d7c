"""Help, and short commands, load nothing that is slow to import and that they do not use."""

import shlex
import shutil
import subprocess
import sys

import pytest

from mstool.cli import VERBS

HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "numpy",
    "scipy",
    "skimage",
    "tifffile",
    "imagecodecs",
    "PIL",
    "matplotlib",
    "jinja2",
    "rich",
    "safetensors",
}
NETWORKS = {"torch", "segmentation_models_pytorch", "safetensors"}
READ_PLANS = {"study", "report"}  # which ask the other verbs for their options
LENDERS = {"segment": ("tile", "predict", "stitch")}  # of options

# Of the commands with the fewest options: what others of their options need.
UNUSED = {
    "tile raw --labels labels --size 48 --overlap 16 --dry-run": {"scipy", "matplotlib"},
    "tile raw --labels labels --size 48 --overlap 16 -o tiles2": {"scipy", "matplotlib"},
    "split tiles --folds 3": {"scipy", "matplotlib"},
    "stitch probs -o masks2": {"scipy", "matplotlib", "skimage"},
    "score masks labels": {"scipy.stats", "scipy.optimize", "scipy.spatial", "matplotlib"},
}


RUN = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from mstool.__main__ import main
main()
"""


def modules_loaded(*arguments, folder=None):
    """Standard output of a call of mstool, and all modules that it has loaded in the end."""
    command = [sys.executable, "-c", RUN, *arguments]
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout, set(result.stderr.split())


@pytest.mark.parametrize("verb", VERBS)
def test_help_loads_nothing_heavy_and_no_other_verb(verb):
    help_text, loaded = modules_loaded(verb, "--help")
    assert help_text.startswith(f"Usage: mstool {verb}")
    assert not {name.split(".")[0] for name in loaded} & HEAVY
    modules = {name: f"mstool.commands.{name.replace('-', '_')}" for name in VERBS}
    wanted = VERBS if verb in READ_PLANS else {verb, *LENDERS.get(verb, ())}
    assert loaded & {*modules.values()} == {modules[name] for name in wanted}


def test_list_of_verbs_loads_no_reader_either():
    help_text, loaded = modules_loaded("--help")
    assert help_text.startswith("Usage: mstool [OPTIONS]")
    assert not {name.split(".")[0] for name in loaded} & (HEAVY | {"json", "tomllib", "pydantic"})


@pytest.fixture(scope="module")
def stitched_study(trained_study, mstool_in, tmp_path_factory):
    """The trained study, with probs/ and masks/."""
    folder = tmp_path_factory.mktemp("start") / "study"
    shutil.copytree(trained_study, folder)
    mstool_in(folder, "predict tiles --select test --device cpu -q")
    mstool_in(folder, "stitch probs -q")
    return folder


@pytest.mark.parametrize("line", UNUSED, ids=lambda line: line.split()[0])
def test_short_command_loads_only_what_it_uses(line, stitched_study):
    _, loaded = modules_loaded(*shlex.split(line), "-q", folder=stitched_study)
    assert "numpy" in loaded
    assert not loaded & (UNUSED[line] | NETWORKS)


def test_a_mask_needs_no_compiler():
    code = (
        "import sys, mstool.pipeline.segment, mstool.pipeline.stitch\n"
        "from mstool.nn.device import make_deterministic\n"
        "make_deterministic()\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"matplotlib", "skimage", "scipy.optimize", "torchvision", "torch._dynamo"}
    assert not set(ended.stdout.split()) & slow
