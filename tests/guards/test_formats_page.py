"""mstool-formats(5) names every key of every record, and no other."""

import collections
import itertools
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

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


def fits(pattern, path, is_whole=False):
    """Whether a pattern names a path, or goes on where the path ends with null or nothing.

    With `is_whole` it may not go on. Words in capitals stand for any key, also after a beginning in
    small letters.
    """
    words = pattern.split(".")
    if len(path) > len(words) or (is_whole and len(path) < len(words)):
        return False
    for number, (word, key) in enumerate(zip(words, path, strict=False), 1):
        prefix = re.match(r"[a-z_]*", word)[0]
        is_free = word[len(prefix) :].isupper()
        known = {word, word.removesuffix("[]")} if number == len(path) else {word}
        if not (key.startswith(prefix) if is_free else key in known):
            return False
    return True


def add_batches(folder):
    """Micrographs and label maps that the model has not seen: old, and new with other greys."""
    for batch, exponent in (("old", 1.0), ("new", 1.6)):
        for part in (batch, f"{batch}-labels"):
            (folder / part).mkdir()
        for path in sorted((folder / "raw").iterdir()):
            greys = np.flip(tifffile.imread(path), 0) / 255
            changed = np.rint(255 * greys**exponent).astype(np.uint8)
            tifffile.imwrite(folder / batch / f"{batch}-{path.name}", changed)
            name = f"{path.stem}.png"
            labels = np.flip(np.asarray(Image.open(folder / "labels" / name)), 0)
            Image.fromarray(labels).save(folder / f"{batch}-labels" / f"{batch}-{name}")


def read_records(folder):
    """Paths of the values of every record below a folder, by section of the page."""
    section_of = {Path(name).name: name for name in SECTIONS} | {"score.json": "score JSON"}
    found = collections.defaultdict(set)
    for path in folder.rglob("*.json"):
        name = section_of.get(path.name, path.name)
        found[name].update(leaves(json.loads(path.read_text())))
    for path in folder.rglob("tiles.jsonl"):
        for line in path.read_text().splitlines():
            found["tiles/tiles.jsonl"].update(leaves(json.loads(line)))
    for kind, name in (("checkpoint", "model"), ("encoder", "encoder")):
        for path in folder.rglob(f"{name}.safetensors"):
            data = path.read_bytes()
            (size,) = struct.unpack("<Q", data[:8])
            metadata = json.loads(data[8 : 8 + size])["__metadata__"]
            found[f"{kind} metadata"].update(leaves(json.loads(metadata["mstool"])))
    return found


CPU = "--model model --device cpu"
PRETRAIN = "pretrain tiles --encoder resnet18 --crop 32 --epochs 1 --device cpu"
LINES = (
    "phantom --images 1 --size 96 --raters 1",
    f"{PRETRAIN} --weights none -o pretrained-before",
    f"{PRETRAIN} --weights pretrained-before --split split.csv --test-fold 0",
    "train tiles --split split.csv --test-fold 0 --epochs 1 --arch unet-plain --depth 2 --width 4 "
    "--device cpu --weights model/model.safetensors --calibrate -o continued",
    "predict tiles --device cpu",
    "stitch probs --abstain 0.6",
    "train tiles --split split.csv --test-fold all --epochs 1 --arch unet-plain --depth 2 "
    "--width 4 --device cpu -o cv",
    "predict tiles --model cv --select out-of-fold --device cpu -o cv-probs",
    "stitch cv-probs -o cv-masks",
    "train tiles --split split.csv --test-fold all --epochs 1 --arch unet-plain --depth 2 "
    "--width 4 --seed 1 --device cpu -o cv1",
    "predict tiles --model cv1 --select out-of-fold --device cpu -o cv1-probs",
    "stitch cv1-probs -o cv1-masks",
    f"explain raw/img0.tif raw/img1.tif {CPU} --class 1 --labels labels --window 64 --boundary "
    "--receptive-field --dump-features encoder.0 --pixel-size 0.1 "
    "--checks sanity,labels,faithfulness,patch",
    "tile new --labels new-labels --size 64 --overlap 16 -o new-tiles",
    f"domain-shift old new-tiles {CPU} --source-labels old-labels --permutations 499 "
    "--simulate gamma=-0.5,1 --simulate noise=0.04 --simulate blur=1,2 --simulated-images 4 "
    "--mitigate histogram --retrain-advice 2",
    f"domain-shift old new {CPU} --permutations 499 --simulate none --mitigate adabn "
    "-o shift-model",
)
SCORE = (
    "score all labels --boundaries 2px --objects 1 --as nnunet --as smp --as matseg "
    "--as micronet --as torchmetrics --versus perfect --min-detectable "
    "--probs all-probs"
)


@pytest.fixture(scope="module")
def records(trained_study, tmp_path_factory):
    """What `read_records` gives of every kind of record, made on the small study."""
    folder = tmp_path_factory.mktemp("records") / "study"
    shutil.copytree(trained_study, folder)
    add_batches(folder)

    def mstool(line):
        command = [sys.executable, "-m", "mstool", *line.split(), "-q"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        return ended.stdout

    for line in LINES:
        mstool(line)
    for line in ("predict tiles --device cpu --select all -o all-probs", "stitch all-probs -o all"):
        mstool(line)
    shutil.copytree(folder / "labels", folder / "perfect")
    (folder / "score.json").write_text(mstool(SCORE))
    for name, masks in (("cv", "cv-masks cv1-masks"), ("probs", "masks")):
        (folder / name / "score.json").write_text(mstool(f"score {masks} labels"))
    return read_records(folder)


def test_every_key_is_documented(records):
    missing = {}
    for name, paths in records.items():
        patterns = SECTIONS.get(name, set()) | SECTIONS[COMMON]
        lacking = {".".join(p) for p in paths if not any(fits(q, p) for q in patterns)}
        if lacking:
            missing[name] = sorted(lacking)
    assert not missing


def test_every_documented_key_occurs(records):
    invented = {}
    for name, patterns in SECTIONS.items():
        paths = records[name] if name != COMMON else set().union(*records.values())
        unused = {q for q in patterns if not any(fits(q, path, is_whole=True) for path in paths)}
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
