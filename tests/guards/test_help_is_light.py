"""Help answers without loading what is slow to import."""

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


def modules_loaded(*arguments):
    """Top-level names that a fresh interpreter imports for a call of mstool."""
    command = [sys.executable, "-X", "importtime", "-m", "mstool", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return result.stdout, {line.rpartition("|")[2].strip().split(".")[0] for line in lines[1:]}


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_loads_nothing_heavy(verb):
    help_text, loaded = modules_loaded(*verb.split(), "--help")
    assert help_text.startswith("Usage: mstool")
    assert "typer" in loaded
    assert not loaded & HEAVY
