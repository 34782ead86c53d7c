import copy
import json
from contextlib import contextmanager
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mstool.errors import InputError, MissingInputError
from mstool.io.record_check import check_file, check_keys, check_kinds, check_record, fits
from mstool.io.record_keys import record_keys
from mstool.io.records import SCHEMA, read_record

SECTIONS = record_keys().sections
SAMPLES = {"null": None, "integer": 3, "number": 0.5, "string": "a", "boolean": True, "table": {}}
SAMPLES |= {"interval": [0.1, 0.9], "any": "a"}
VALUES = (None, True, 1.5, "a", {}, [], [[]], [0.1, 0.9], [{}])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def keys_of(section):
    """Paths of a section, each with its key, what stands above others first."""
    names = ["common", section] if SECTIONS[section].is_record else [section]
    pairs = [(path, key) for name in names for key in SECTIONS[name].keys for path in key.expand()]
    return sorted(pairs, key=lambda pair: pair[0].count("."))


def sample(kind):
    """A value of a kind that is not null, if there is such."""
    if kind.startswith("list of "):
        return [sample(kind.removeprefix("list of "))]
    first, _, rest = kind.partition(" or ")
    return sample(rest) if first == "null" and rest else SAMPLES[first]


def table_at(record, words):
    """The table that a path leads to, made on the way."""
    for word in words:
        name, is_list = word.removesuffix("[]"), word.endswith("[]")
        below = record.setdefault(name, [{}] if is_list else {})
        record = below[0] if is_list else below
    return record


def whole(section):
    """A record that has every key of a section, words that stand for any key being keys."""
    record, paths = {}, [path for path, _ in keys_of(section)]
    for path, key in keys_of(section):
        *words, last = path.split(".")
        has_others = any(other.startswith(f"{path}.") for other in paths)
        table = table_at(record, words)
        if has_others:
            table_at(table, [last])
        else:
            table[last] = copy.deepcopy(sample(key.kind))
    if SECTIONS[section].is_record:
        record["mstool"] |= {"schema": SCHEMA, "record": section}
    return record


@contextmanager
def changed(record, path):
    """The table in which a path ends, and the name there; all is as before afterwards."""
    *words, last = path.split(".")
    name, table = last.removesuffix("[]"), table_at(record, words)
    before = table[name]
    yield table, name
    table[name] = before


@pytest.mark.parametrize("section", SECTIONS)
def test_whole_record_has_no_findings(section):
    assert check_keys(whole(section), section) == []
    if SECTIONS[section].is_record:
        assert check_record(whole(section)) == []


@pytest.mark.parametrize("section", SECTIONS)
def test_each_missing_key_is_found_unless_it_may_be_missing(section):
    record = whole(section)
    for path, key in keys_of(section):
        is_free = path.split(".")[-1].lstrip(f"{ascii_lowercase}_") in record_keys().any_key
        where = path.removesuffix("[]")
        with changed(record, path) as (table, name):
            del table[name]
            found = check_keys(record, section)
        assert found == ([f"{where}: missing"] if key.is_always and not is_free else [])


@pytest.mark.parametrize("section", SECTIONS)
def test_each_wrong_value_is_found(section):
    record = whole(section)
    for path, key in keys_of(section):
        wrong = [value for value in VALUES if not fits(value, key.kind)]
        for value in wrong[:1] + wrong[-1:]:
            with changed(record, path) as (table, name):
                table[name] = value
                (found,) = check_keys(record, section)
            assert found.startswith(f"{path.removesuffix('[]')}: is ")
            assert found.endswith(f", not {key.kind}")


def test_unknown_keys_are_found_once_wherever_they_are():
    record = whole("train")
    record["extra"], record["leak"]["extra"] = 1, {"deep": 1}
    record["weights"]["inherited"] = [{"name": "a", "group": "a", "sha256": "0", "part": "val"}] * 2
    for row in record["weights"]["inherited"]:
        row["extra"] = 1
    assert check_record(record) == [
        "weights.inherited[].extra: no such key is known",
        "leak.extra: no such key is known",
        "extra: no such key is known",
    ]


def test_any_key_has_to_begin_as_its_word_does():
    record = whole("train")
    record["validation"] = {"val_mean_iou": 0.5, "val_iou_ferrite": None, "iou_ferrite": 0.5}
    assert check_record(record) == ["validation.iou_ferrite: no such key is known"]


@pytest.mark.parametrize(
    ("value", "kind", "is_one"),
    [
        (3, "number", True),
        (3.0, "integer", False),
        (True, "integer", False),
        (True, "number", False),
        (None, "number", False),
        (None, "number or null", True),
        ([1, None], "list of number or null", True),
        (None, "list of number or null", False),
        (None, "null or list of number", True),
        ([None], "null or list of number", False),
        ([], "list of string", True),
        ([[1], []], "list of list of integer", True),
        ([[1], [0.5]], "list of list of integer", False),
        ([0, 1], "interval", True),
        ([None, None], "interval", True),
        ([None, 1], "interval", False),
        ([0, 1, 2], "interval", False),
        ([[0, 1]], "interval or list of interval", True),
        ({}, "table", True),
        ([{}], "table", False),
    ],
)
def test_kinds(value, kind, is_one):
    assert fits(value, kind) == is_one


def test_older_and_newer_records_are_told_and_nothing_else():
    record = whole("tiles") | {"extra": 1}
    record["mstool"]["schema"] = SCHEMA + 1
    assert check_record(record) == [
        f"mstool.schema: is {SCHEMA + 1}, and this version of mstool knows no more than {SCHEMA}; "
        "check with a newer one"
    ]
    del record["mstool"]["schema"]
    assert check_record(record) == [
        "mstool.schema: missing; an older version of mstool wrote this, make the record again"
    ]


@pytest.mark.parametrize(
    "kind", ["tile", "common", "split", "repair", "shapes", 3, None, ["tiles"]]
)
def test_kinds_of_records_are_known(kind):
    record = whole("tiles")
    record["mstool"]["record"] = kind
    (found,) = check_record(record)
    assert found.startswith(f"mstool.record: {kind!r} is no kind of record")


@given(st.dictionaries(st.text(), JSON), JSON)
def test_anything_has_findings_and_stops_nothing(record, facts):
    for one in (record, record | {"mstool": facts}):
        assert all(
            isinstance(finding, str) and "\n" not in finding for finding in check_record(one)
        )
        assert check_record(one)


def test_findings_name_the_file(tmp_path):
    path = tmp_path / "tiles.json"
    path.write_text(json.dumps(whole("tiles") | {"halo": "8"}))
    assert check_file(path) == [f"{path}: halo: is string, not integer"]
    with pytest.raises(MissingInputError, match=r"train\.json"):
        check_file(tmp_path / "train.json")
    path.write_text("[1]")
    with pytest.raises(InputError, match=r"tiles\.json: not a JSON object"):
        check_file(path)


@pytest.mark.parametrize("section", [name for name in SECTIONS if SECTIONS[name].is_record])
def test_record_of_another_type_somewhere_is_refused_on_reading(tmp_path, section):
    """Keys may be missing or unknown there."""
    record = {"mstool": {"schema": SCHEMA, "record": section}, "more": 1, "settings": {"a": None}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record))
    assert read_record(path) == record
    for path_of_key, key in keys_of(section):
        words = path_of_key.split(".")
        if key.kind == "any" or set(words) & {*record_keys().any_key}:
            continue
        broken = copy.deepcopy(record)
        wrong = next(value for value in (None, 0.5, "a", {}) if not fits(value, key.kind))
        *above, last = words
        if path_of_key.startswith("mstool.") and last in ("schema", "record"):
            continue
        table_at(broken, above)[last.removesuffix("[]")] = wrong
        path.write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"a\.json: damaged, .*; make it again"):
            read_record(path)


@pytest.mark.parametrize("wrong", [None, [], "x", 1])
@pytest.mark.parametrize("key", ["settings", "inputs", "mstool"])
def test_what_all_records_have_is_looked_at_whatever_the_version(key, wrong):
    assert check_kinds({key: wrong}) == [f"{key}: is {KIND_NAMES[str(wrong)]}, not table"]


KIND_NAMES = {"None": "null", "[]": "an empty list", "x": "string", "1": "integer"}
