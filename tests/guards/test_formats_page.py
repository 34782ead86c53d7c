"""record_keys.toml, of which mstool-formats(5) is made, names every key, and no other."""

import collections
import json
import re
import shutil
import struct
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from mstool.io.record_check import check_keys, check_record
from mstool.io.record_keys import record_keys

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / ".ci" / "pages" / "mstool-legend.5.txt"
if not PAGE.exists():
    pytest.skip("not a checkout", allow_module_level=True)

KNOWN = record_keys()
KIND = re.compile(
    r"(list of )*(null|any|integer|number|string|boolean|table|interval)"
    r"( or (list of )*(null|any|integer|number|string|boolean|table|interval))*"
)


def paths_in(value, path=()):
    """Paths of all keys, those of tables in a list with brackets after the name of the list.

    An empty table has one without a name, which stands for any.
    """
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in (value or {"": None}).items():
            yield from paths_in(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from paths_in(item, (*path[:-1], f"{path[-1]}[]"))


def names(pattern, path):
    """Whether a path is what a pattern stands for, words in capitals being any key."""
    words = pattern.split(".")
    return len(words) == len(path) and all(map(stands_for, words, path))


def stands_for(word, key):
    prefix = re.match(r"[a-z_]*", word)[0]
    if word.removeprefix(prefix) in KNOWN.any_key:
        return key.startswith(prefix)
    return key == word


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
    """All that was written as JSON below a folder, by section of record_keys.toml."""
    found = collections.defaultdict(list)
    for path in folder.rglob("*.json"):
        record = json.loads(path.read_text())
        found[record.get("mstool", {}).get("record", path.stem)].append(record)
    for path in folder.rglob("tiles.jsonl"):
        found["tile"] += map(json.loads, path.read_text().splitlines())
    for section, name in (("checkpoint", "model"), ("encoder", "encoder")):
        for path in folder.rglob(f"{name}.safetensors"):
            data = path.read_bytes()
            (size,) = struct.unpack("<Q", data[:8])
            metadata = json.loads(data[8 : 8 + size])["__metadata__"]
            found[section].append(json.loads(metadata["mstool"]))
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
    "export model --size 32 -o exported",
    "segment new --size 64 --overlap 16 --device cpu -o segmented",
    "segment new --size 64 --overlap 16 --device cpu -o joined --shard 0/1",
    "segment new --size 64 --overlap 16 --device cpu -o joined --merge",
    "segment new --size 64 --overlap 16 --device cpu -o joined --shard 0/2 --overwrite",
    "predict tiles --device cpu -o joined-probs --shard 0/1",
    "predict tiles --device cpu -o joined-probs --merge",
    "predict tiles --device cpu -o joined-probs --shard 0/2 --overwrite",
    "train tiles --split split.csv --test-fold all --epochs 1 --arch unet-plain --depth 2 "
    "--width 4 --device cpu -o cv",
    "predict tiles --model cv --select out-of-fold --device cpu -o cv-probs",
    "stitch cv-probs -o cv-masks",
    "train tiles --split split.csv --test-fold all --epochs 1 --arch unet-plain --depth 2 "
    "--width 4 --seed 1 --device cpu -o cv1",
    "predict tiles --model cv1 --select out-of-fold --device cpu -o cv1-probs",
    "stitch cv1-probs -o cv1-masks",
    f"explain raw/img0.tif raw/img1.tif {CPU} --class 1 --labels labels --window 64 --regions 2 "
    "--boundary --receptive-field --dump-features encoder.0 --pixel-size 0.1 "
    "--checks sanity,labels,faithfulness,patch",
    f"explain raw/img0.tif {CPU} --class 1 --quick --methods saliency -o joined-maps --shard 0/1",
    f"explain raw/img0.tif {CPU} --class 1 --quick --methods saliency -o joined-maps --merge",
    f"explain raw/img0.tif {CPU} --class 1 --quick --receptive-field -o some-maps --shard 0/2",
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

REPORTS = (
    "score cv-masks labels -o base.json",
    "score all labels --probs all-probs -o other.json",
    "report base.json other.json explain/explain.json shift/shift.json",
)
PLAN = """
[data.steel]
images = "raw"
labels = "labels"
folds = 3
[factors.loss]
option = "train.loss"
levels = ["ce", "focal"]
"""


@pytest.fixture(scope="module")
def records(trained_study, mstool_in, tmp_path_factory):
    """What `read_records` gives of every kind of record, made on the small study."""
    folder = tmp_path_factory.mktemp("records") / "study"
    shutil.copytree(trained_study, folder)
    add_batches(folder)

    def mstool(line):
        return mstool_in(folder, f"{line} -q")

    with pytest.MonkeyPatch.context() as patched:  # keys are the same after little fitting
        patched.setattr("mstool.pipeline.explain.label_randomisation.N_STEPS", 25)
        for line in LINES:
            mstool(line)
    for line in ("predict tiles --device cpu --select all -o all-probs", "stitch all-probs -o all"):
        mstool(line)
    shutil.copytree(folder / "labels", folder / "perfect")
    (folder / "score.json").write_text(mstool(SCORE))
    for options in ("-o joined.json --shard 0/1", "-o joined.json --merge", "-o part --shard 0/2"):
        mstool(f"{SCORE} {options}")
    for name, masks in (("cv", "cv-masks cv1-masks"), ("probs", "masks")):
        (folder / name / "score.json").write_text(mstool(f"score {masks} labels"))
    for line in REPORTS:
        mstool(line)
    (folder / "scores" / "steel").mkdir(parents=True)
    shutil.copy(folder / "base.json", folder / "scores" / "steel" / "base.json")
    (folder / "plan.toml").write_text(PLAN)
    mstool("report plan.toml -o of-plan.html")
    return read_records(folder)


def test_records_hold_what_is_documented_and_no_more(records):
    assert set(records) == {*KNOWN.sections} - {"common", "split"}
    findings = collections.defaultdict(set)
    for section, tables in records.items():
        is_record = KNOWN.sections[section].is_record
        for table in tables:
            findings[section].update(
                check_record(table) if is_record else check_keys(table, section)
            )
    assert not {section: sorted(found) for section, found in findings.items() if found}


def test_every_documented_key_occurs(records):
    invented = {}
    for section in KNOWN.sections:
        tables = records[section] if section != "common" else chain(*records.values())
        paths = {path for table in tables for path in paths_in(table)}
        patterns = {path for key in KNOWN.sections[section].keys for path in key.expand()}
        unused = {each for each in patterns if not any(names(each, path) for path in paths)}
        # a list of tables may be named where it is null
        unused = {each for each in unused if (each.removesuffix("[]"),) not in paths}
        if unused:
            invented[section] = sorted(unused)
    assert not invented


def test_keys_are_named_once_with_a_kind_and_a_sentence():
    for name, section in KNOWN.sections.items():
        paths = [path for key in section.keys for path in key.expand()]
        assert len(paths) == len(set(paths)), name
        for key in section.keys:
            assert KIND.fullmatch(key.kind), f"{name}: {key}"
            assert key.text[-1] == ".", f"{name}: {key}"


def test_example_of_the_legend_page_is_a_legend():
    from mstool.labels.legend import legend_from_toml, parse_classes

    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n)+", text, re.M)
    example = "".join(line[4:] for line in blocks[0].splitlines(keepends=True))
    legend = legend_from_toml(example)
    assert legend.names == ("matrix", "gamma-prime")
    assert legend.ignore == ("#ffffff",)  # a number would match nothing beside colours
    short = re.findall(r"--classes ('[^']+'|\S+)$", text, re.M)
    assert len(short) >= 6
    for line in short:
        assert len(parse_classes(line.strip("'")).names) >= 2
