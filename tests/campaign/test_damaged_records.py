"""Records that are damaged, or that nobody good has written, through the verbs that read them."""

import copy
import json
import random
import shutil
import struct

import pytest

TRAIN = "--split split.csv --arch unet-plain --depth 2 --width 4 --augment none --epochs 2"
TRAIN = f"train tiles {TRAIN} --seed 1 --device cpu -q"
PREDICT = "predict tiles --device cpu -q -o new"

# Each record with a verb that reads it; what stands before a slash of a name is its folder.
READERS = [
    ("tiles/tiles.json", "split tiles --loo -q"),
    ("tiles/tiles.json", f"{PREDICT} --model model"),
    ("tiles/tiles.jsonl", f"{PREDICT} --model model"),
    ("tiles/legend.toml", f"{PREDICT} --model model"),
    ("split.csv", f"{TRAIN} --test-fold 0 -o new --dry-run"),
    ("half/.train.unfinished.json", f"{TRAIN} --test-fold 0 -o half"),
    ("half/resume/state.safetensors", f"{TRAIN} --test-fold 0 -o half"),
    ("model/model.safetensors", f"{PREDICT} --model model"),
    ("model/model.safetensors", f"{TRAIN} --test-fold 0 --weights model -o new"),
    ("weights.pth", f"{TRAIN} --test-fold 0 --weights weights.pth -o new"),
    ("cv/cv.json", f"{PREDICT} --model cv --select out-of-fold"),
    ("probs/predict.json", "stitch probs -q -o new"),
    ("probs/tiles.jsonl", "stitch probs -q -o new"),
    ("masks/stitch.json", "score masks labels -q -o new.json"),
    ("masks/legend.toml", "score masks labels -q -o new.json"),
    ("score.json", "report score.json -q -o new.html"),
    ("model/train.json", "report score.json -q -o new.html"),
    (
        "legend.toml",
        "tile raw --labels labels --legend legend.toml --size 48 --overlap 8 -q -o new",
    ),
    ("config.toml", "tile raw --config config.toml -q -o new"),
    ("augment.toml", f"{TRAIN} --test-fold 0 --augment augment.toml -o new"),
    ("plan.toml", "study plan.toml --dry-run -q"),
]

ODD = [None, True, -1, 0, 1.5, 1e308, 10**30, "", "x", "\x1b[31m", "a/../b", [], {}, [None], ["x"]]
ODD += [{"a": None}, [[0, 1], [2]], [10**9, 10**9], [-1, 2]]
DIGITS, DEEP = "9" * 100_000, "[" * 100_000
UNTRUSTED = [DIGITS, DEEP, f"{DIGITS}.5"]
DOTTED = ["a" + ".a" * 20_000 + " = 1", "[" + "a." * 20_000 + "a]", "[[" * 9000]


def damage_bytes(data, draw):
    """Bytes that are cut, hit, or something else altogether."""
    at = draw.randrange(len(data))
    choices = (
        lambda: b"",
        lambda: data[:at],
        lambda: data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :],
        lambda: data[:at] + b"\xff\xfe\x80" + data[at:],
        lambda: b"<!DOCTYPE html><html>404</html>",
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data[:at] + b"\0" * 40 + data[at:],
        lambda: data.replace(b"\n", b"\r"),
        lambda: b"\x80\x04\x95" + data,
    )
    return draw.choice(choices)()


def damage_json(text, draw):
    """JSON with a value of another type somewhere, or that no parser should be trusted with."""
    kind = draw.random()
    if kind < 0.15:
        return damage_bytes(text.encode(), draw)
    if kind < 0.3:
        numbers = [at for at, letter in enumerate(text) if letter.isdigit()]
        at = draw.choice(numbers)
        odd = draw.choice(
            [DIGITS, DEEP, "NaN", "1e999", '{"a":' * 5000, '"\\ud800"', DIGITS + ".5"]
        )
        return (text[:at] + odd + text[at + 1 :]).encode()
    table = json.loads(text)
    parent, key = draw.choice([*_places(table)])
    if draw.random() < 0.15:
        del parent[key]
    else:
        parent[key] = copy.deepcopy(draw.choice(ODD))
    return json.dumps(table).encode()


def _places(table):
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield table, key
        if isinstance(value, dict | list):
            yield from _places(value)


def damage_lines(text, draw):
    """JSON lines of which one is damaged."""
    lines = text.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    head, tail = "".join(lines[:at]).encode(), "".join(lines[at + 1 :]).encode()
    return head + damage_json(lines[at], draw) + b"\n" + tail


def damage_toml(text, draw):
    """TOML with a value of another type, or that no parser should be trusted with."""
    kind = draw.random()
    if kind < 0.25:
        return damage_bytes(text.encode(), draw)
    lines = text.splitlines()
    at = draw.choice([at for at, line in enumerate(lines) if "=" in line])
    key = lines[at].partition("=")[0]
    odd = [
        DIGITS,
        DEEP,
        "nan",
        "-inf",
        "true",
        '""',
        '"x"',
        "[]",
        "{}",
        "1979-05-27",
        "-1",
        "1e308",
    ]
    odd += ["[[1], [2]]", '["x"]', "0", '"\\u001b[31m"', "99999999999", "9" * 30, "{a = 1}"]
    lines[at] = f"{key}= {draw.choice(odd)}"
    if kind > 0.9:
        lines[at] = draw.choice(
            ["a" + ".a" * 20_000 + " = 1", "[" + "a." * 20_000 + "a]", "[[" * 9000]
        )
    return "\n".join(lines).encode()


def damage_csv(text, draw):
    """CSV with a cell that is no such thing."""
    if draw.random() < 0.4:
        return damage_bytes(text.encode(), draw)
    lines = text.splitlines()
    at = draw.randrange(len(lines))
    cells = lines[at].split(",")
    odd = [
        "",
        "-1",
        DIGITS,
        "1.5",
        '"',
        "\x1b[31m",
        "a" * 200_000,
        "img0.tif",
        "9" * 6,
        "\x00",
        "=1+1",
    ]
    cells[draw.randrange(len(cells))] = draw.choice(odd)
    lines[at] = ",".join(cells)
    return "\n".join(lines).encode()


def damage_safetensors(data, draw):
    """Safetensors with damaged metadata, a damaged header, or cut off."""
    kind = draw.random()
    if kind < 0.25:
        return damage_bytes(data, draw)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    notes = header["__metadata__"]
    key = draw.choice([*notes])
    if kind < 0.8:
        notes[key] = damage_json(notes[key], draw).decode(errors="ignore")
    else:
        name = draw.choice([name for name in header if name != "__metadata__"])
        field = draw.choice(["dtype", "shape", "data_offsets"])
        header[name][field] = draw.choice(["F64", "I8", [10**9, 10**9], [0, 4], [-1], None, [1]])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def damage(name, data, draw):
    """Damage a record by its kind; never gives what it was."""
    suffix = name.rpartition(".")[2]
    of_bytes = {"pth": damage_bytes, "safetensors": damage_safetensors}
    of_text = {"jsonl": damage_lines, "json": damage_json, "toml": damage_toml, "csv": damage_csv}
    while True:
        if suffix in of_bytes:
            damaged = of_bytes[suffix](data, draw)
        else:
            damaged = of_text[suffix](data.decode(), draw)
        if damaged != data:
            return damaged


def try_records(records, folder, numbers, seed, try_case):
    """Put damaged records through their verbs; give the faults."""
    faults = []
    for number in numbers:
        name, call = READERS[number % len(READERS)]
        draw = random.Random(f"{seed} {number}")
        study = folder / str(number)
        shutil.copytree(records, study)
        (study / name).write_bytes(damage(name, (study / name).read_bytes(), draw))
        faults.append(try_case("damaged records", f"{number} {name}", study, name, *call.split()))
        shutil.rmtree(study)
    return [fault for fault in faults if fault]


@pytest.mark.slow
def test_records_that_are_whole_are_read(records, tmp_path, forks):
    for number, (_, call) in enumerate(READERS):
        shutil.copytree(records, tmp_path / str(number))
        ended = forks.run(tmp_path / str(number), *call.split())
        assert ended["code"] == 0, ended


def test_some_damaged_records_end_well(records, tmp_path, try_case):
    assert not try_records(records, tmp_path, range(0, len(READERS), 2), 0, try_case)


@pytest.mark.slow
def test_many_damaged_records_end_well(records, tmp_path, try_case):
    assert not try_records(records, tmp_path, range(9 * len(READERS)), 1, try_case)
