"""Which models have not seen a micrograph."""

import pytest

from mstool.io.tiles import SourceImage
from mstool.splits.seen import (
    Knowledge,
    find_named_alike,
    find_same_group,
    find_seen,
    models_without,
    name_specimens,
    rename_specimens,
)


def source(name, group=None, content=None):
    shape = (4, 4)
    return SourceImage(name, group or name, content or f"of {name}", "", "", shape, shape)


def model(train=(), val=(), test=(), unlabelled=()):
    parts = {"train": train, "val": val, "unlabelled": unlabelled}
    seen = [{**each.identity(), "part": part} for part, some in parts.items() for each in some]
    return Knowledge(seen, frozenset(each.sha256 for each in test))


A, B, C, D = (source(name) for name in "abcd")
FOLDS = (model([C], [B], [A]), model([A], [C], [B]), model([B], [A], [C]))


@pytest.mark.parametrize(("micrograph", "number"), [(A, 0), (B, 1), (C, 2)])
def test_the_model_that_is_tested_on_it_has_not_seen_it(micrograph, number):
    assert models_without(micrograph, FOLDS) == (number,)


def test_validation_is_seeing():
    assert models_without(B, [model([C], [B]), model([C], [A])]) == (1,)


def test_content_tells_and_not_the_name():
    assert models_without(source("renamed", content="of a"), FOLDS) == (0,)
    assert models_without(source("a", content="other"), FOLDS) == (0,)  # as score's leak check


def test_specimen_is_seen_in_any_of_its_micrographs():
    one, two = source("one", "specimen 1"), source("two", "specimen 1")
    assert models_without(two, [model([one]), model([A])]) == (1,)


def test_nobody_is_left_if_all_have_seen_it():
    assert models_without(A, FOLDS[1:]) == ()


def test_all_predict_what_none_knows():
    assert models_without(D, FOLDS) == (0, 1, 2)


def test_models_tested_on_it_come_before_those_that_do_not_know_it():
    assert models_without(A, [*FOLDS, model([D])]) == (0,)


def test_pixels_alone_do_not_count():
    assert models_without(A, [model([B], unlabelled=[A])]) == (0,)


def test_tables_of_what_was_seen():
    rows = [{"name": "a", "group": "s", "sha256": "x"}, {"name": "b", "group": "t", "sha256": "y"}]
    sources = {
        "same content": source("n", "u", "x"),
        "same name and group": source("a", "s", "z"),
        "same group": source("m", "t", "w"),
        "same name": source("b", "other", "v"),
    }
    assert find_seen(sources, rows) == ["same content"]
    assert find_named_alike(sources, rows) == ["same name and group"]
    assert find_same_group(sources, rows) == ["same name and group", "same group"]


def test_group_that_is_the_file_name_is_none():
    rows = [{"name": "other", "group": "a", "sha256": "x"}]
    assert find_same_group({"a": A}, rows) == []


def test_specimen_of_the_split_is_told_by_content():
    rows = [{**A.identity(), "specimen": "s"}, {**B.identity(), "specimen": "s"}]
    found, _ = name_specimens({"renamed": source("renamed", content="of a"), "d": D}, rows)
    assert [each.specimen for each in found.values()] == ["s", None]
    seen = [{**row, "part": "train"} for row in rows[1:]]
    assert find_same_group(found, seen) == ["renamed"]
    assert models_without(found["renamed"], [model([C]), Knowledge(seen, frozenset())]) == (0,)


def test_group_is_taken_for_the_specimen_where_no_model_knows_it():
    rows = [{**A.identity(), "specimen": "s"}]
    assert find_same_group({"new": source("new", "s"), "d": D}, rows) == ["new"]


def test_new_micrographs_belong_to_the_specimen_of_their_group():
    one, two, three = (source(name, "heat 1") for name in ("one", "two", "three"))
    rows = [{**one.identity(), "specimen": "s"}, {**two.identity(), "specimen": "t"}]
    found, names = name_specimens({"one": one, "three": three}, rows)
    assert [each.specimen for each in found.values()] == ["s", "s"]
    assert names == {"s": "s", "t": "s"}


def test_same_file_name_in_another_set_is_no_specimen():
    rows = [{**A.identity(), "specimen": "s"}]
    assert name_specimens({"a": source("a", content="other")}, rows)[0]["a"].specimen is None


def test_models_that_know_no_specimens_name_none():
    rows = [source("a", "heat 1").identity()]
    assert name_specimens({"a": source("a", "heat 1")}, rows)[0]["a"].specimen is None


def specimen_rows(part, **specimens):
    rows = [{**source(name).identity(), "specimen": s} for name, s in specimens.items()]
    return [{**row, "part": part} for row in rows]


def test_two_models_may_call_one_specimen_differently():
    first = specimen_rows("train", a="heat 1", b="heat 1", c="heat 1")
    second = specimen_rows("train", a="a", b="a")
    rows = [*first, *second, *specimen_rows("test", c="c")]
    found, names = name_specimens({"c": C}, rows)
    seen = rename_specimens(second, names)
    assert find_same_group(found, seen) == ["c"]
    assert models_without(found["c"], [Knowledge(seen, frozenset(["of c"]))]) == ()


def test_specimens_that_the_tile_folder_makes_one_are_seen_in_either():
    rows = [*specimen_rows("train", b="t"), *specimen_rows("test", a="s")]
    alike = {"a": source("a", "heat 1"), "b": source("b", "heat 1")}
    found, names = name_specimens(alike, rows)
    assert find_same_group(found, rename_specimens(rows[:1], names)) == ["a", "b"]


def test_specimen_that_is_the_file_name_of_both_is_none():
    earlier = [{**source("a", content="other").identity(), "specimen": "a", "part": "train"}]
    found, names = name_specimens({"a": A}, [*earlier, *specimen_rows("test", a="a")])
    assert find_same_group(found, rename_specimens(earlier, names)) == []


def test_rows_of_old_models_have_no_specimen_to_rename():
    assert rename_specimens([A.identity()], {}) == [A.identity()]
