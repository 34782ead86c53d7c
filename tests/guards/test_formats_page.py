"""mstool-formats(5) names every key of every record, and no other."""

import itertools
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / ".ci" / "pages" / "mstool-formats.5.txt"
if not PAGE.exists():
    pytest.skip("not a checkout", allow_module_level=True)

COMMON = "EVERY RECORD"


def expand(pattern):
    """Patterns that braces stand for."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    return {"".join(words) for words in itertools.product(*choices)}


def documented():
    """Patterns of keys by section of the page."""
    sections, title = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            title = line[2:]
        elif ":: " in line:
            sections.setdefault(title, set()).update(expand(line.partition(":: ")[0]))
    return sections


SECTIONS = documented()


def leaves(value, path=()):
    """Paths of all values that hold no others, lists of tables being one step."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from leaves(item, (*path[:-1], f"{path[-1]}[]"))
    else:
        yield path


def fits(pattern, path):
    """Whether a pattern names a path, or goes on where the path ends with null or nothing.

    Words in capitals stand for any key, also after a beginning in small letters.
    """
    words = pattern.split(".")
    if len(path) > len(words):
        return False
    for number, (word, key) in enumerate(zip(words, path, strict=False), 1):
        prefix = re.match(r"[a-z_]*", word)[0]
        is_free = word[len(prefix) :].isupper()
        known = {word, word.removesuffix("[]")} if number == len(path) else {word}
        if not (key.startswith(prefix) if is_free else key in known):
            return False
    return True


@pytest.fixture(scope="module")
def records(trained_study, tmp_path_factory):
    """Every kind of record, made on the small study."""
    folder = tmp_path_factory.mktemp("records") / "study"
    shutil.copytree(trained_study, folder)
    (folder / "new").mkdir()
    (folder / "new-labels").mkdir()
    for path in sorted((folder / "raw").iterdir()):
        shutil.copy(path, folder / "new" / f"x{path.name}")
        label = folder / "labels" / f"{path.stem}.png"
        shutil.copy(label, folder / "new-labels" / f"x{label.name}")

    def mstool(line):
        command = [sys.executable, "-m", "mstool", *line.split(), "-q"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        return ended.stdout

    cpu = "--model model --device cpu"
    mstool("phantom --images 1 --size 96 --raters 1")
    mstool("predict tiles --device cpu")
    mstool("stitch probs")
    (folder / "score.json").write_text(mstool("score masks labels"))
    mstool(
        f"explain raw/img0.tif raw/img1.tif {cpu} --class 1 --labels labels --window 64 --boundary "
        "--receptive-field --dump-features encoder.0 --pixel-size 0.1 "
        "--checks sanity,labels,faithfulness,patch"
    )
    mstool(
        f"domain-shift raw new {cpu} --source-labels labels --target-labels new-labels "
        "--permutations 499 --simulate gamma=-0.5,1 --simulate noise=0.04 --simulate blur=1,2 "
        "--simulated-images 2 --mitigate auto --retrain-advice 2"
    )
    data = (folder / "model" / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    found = {
        name: json.loads((folder / name).read_text()) for name in SECTIONS if name.endswith(".json")
    }
    lines = (folder / "tiles/tiles.jsonl").read_text().splitlines()
    found["tiles/tiles.jsonl"] = json.loads(lines[0])
    found["score JSON"] = json.loads((folder / "score.json").read_text())
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    found["checkpoint metadata"] = json.loads(metadata["mstool"])
    return found


def test_every_key_is_documented(records):
    missing = {}
    for name, record in records.items():
        patterns = SECTIONS[name] | SECTIONS[COMMON]
        lacking = {".".join(p) for p in leaves(record) if not any(fits(q, p) for q in patterns)}
        if lacking:
            missing[name] = sorted(lacking)
    assert not missing


def test_every_documented_key_occurs(records):
    invented = {}
    for name, record in records.items():
        paths = set(leaves(record))
        unused = {q for q in SECTIONS[name] if not any(fits(q, path) for path in paths)}
        if unused:
            invented[name] = sorted(unused)
    assert not invented


def test_example_of_the_legend_page_is_a_legend():
    from mstool.labels.legend import legend_from_toml, parse_classes

    text = (PAGE.parent / "mstool-legend.5.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n)+", text, re.M)
    example = "".join(line[4:] for line in blocks[0].splitlines(keepends=True))
    legend = legend_from_toml(example)
    assert legend.names == ("matrix", "gamma-prime")
    assert legend.ignore == ("#ffffff",)  # a number would match nothing beside colours
    short = re.findall(r"--classes ('[^']+'|\S+)$", text, re.M)
    assert len(short) >= 6
    for line in short:
        assert len(parse_classes(line.strip("'")).names) >= 2
