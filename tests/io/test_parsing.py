"""JSON and TOML that no parser should be trusted with: an error of one kind, soon."""

import json
import time

import pytest

from mstool.errors import InputError
from mstool.io.parsing import parse_json, parse_toml, read_json_object, read_text, read_toml

JSONS = {
    "deep list": "[" * 100_000,
    "deep and whole": "[" * 900 + "]" * 900,
    "deep table": '{"a":' * 5000 + "1" + "}" * 5000,
    "long number": "9" * 100_000,
    "long fraction": "9" * 100_000 + ".5",
    "large number": str(2**64),
    "large number below 0": str(-(2**64)),
    "infinite": "1e999",
    "no number": "NaN",
    "half a character": '"\\ud800"',
    "half a character as a key": '{"\\udc00": 1}',
    "cut off": '{"a": ',
    "empty": "",
}
TOMLS = {
    "deep list": "a = " + "[" * 100_000,
    "deep and whole": "a = " + "[" * 300 + "]" * 300,
    "deep table": "a = " + "{b = " * 5000,
    "long number": "a = " + "9" * 100_000,
    "large number": f"a = {2**70}",
    "dotted key": "a" + ".a" * 20_000 + " = 1",
    "dotted heading": "[" + "a." * 20_000 + "a]",
    "many dotted keys": "\n".join("b" + str(n) + ".a" * 1500 + " = 1" for n in range(300)),
    "dotted key within": "x = {" + "a." * 20_000 + "a = 1}",
    "long": "a = 1\n" * 1_000_000,
    "cut off": "a = ",
}


@pytest.mark.parametrize("name", JSONS)
def test_odd_json_is_refused(name):
    with pytest.raises(ValueError, match="^(?!.*sys.set_int)."):
        parse_json(JSONS[name])


@pytest.mark.parametrize("name", TOMLS)
def test_odd_toml_is_refused_before_it_takes_memory(name):
    began = time.process_time()
    with pytest.raises(ValueError, match="^(?!.*sys.set_int)"):
        parse_toml(TOMLS[name])
    assert time.process_time() - began < 2


def test_honest_values_are_read():
    table = {"a": [1, -0.5, None, True, "\u03bc\U0001f52c"], "b": {"c": [[1, 2]] * 1000}}
    table["d"] = [2**64 - 1, 1 - 2**64]
    assert parse_json(json.dumps(table)) == table
    assert parse_json("[NaN]", is_finite=False)[0] != 0
    text = "a.b = 1\n[c.d]\ne = [0.1, nan]\n" + "".join(f"n{n} = {n}.5\n" for n in range(5000))
    assert parse_toml(text)["a"] == {"b": 1}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1]", b"null", b"[" * 10**5])
def test_file_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: .*; make it again"):
        read_json_object(path)


def test_text_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"a = '\xff'")
    for read in (read_text, read_toml):
        with pytest.raises(InputError, match=r"a\.toml: .*"):
            read(tmp_path / "a.toml")
