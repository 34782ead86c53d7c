"""The audit finds what is planted, and nothing else."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "leak_audit.py"


@pytest.mark.slow
def test_planted_overlaps_are_found_and_no_others(tmp_path):
    options = ["--pairs", "300", "--work", tmp_path / "work", "--csv", tmp_path / "found.csv"]
    subprocess.run([sys.executable, SCRIPT, *options], check=True)
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text().splitlines()))
    recalls = [(int(row["n"]), float(row["value"])) for row in rows if row["measure"] == "recall"]
    assert sum(n for n, _ in recalls) == 300
    assert sum(n * share for n, share in recalls) >= 0.99 * 300
    assert [row["value"] for row in rows if row["measure"] == "false alarms"] == ["0"] * 7
