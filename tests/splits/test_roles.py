from itertools import pairwise

import pytest

from mstool.errors import InputError, LeakError, UsageError
from mstool.io.split_csv import SplitRow
from mstool.io.tiles import SourceImage
from mstool.splits.roles import (
    Roles,
    choose_roles,
    keep_first_images,
    leave_out_test,
)

FOLDS = {"a": 0, "b": 1, "c": 2, "d": 2}


def make_rows(**groups):
    """A line a micrograph; each is a group of its own unless named."""
    return [SplitRow(name, groups.get(name, name), fold) for name, fold in FOLDS.items()]


def make_sources(groups=None, contents=None):
    """Micrographs of the tile folder; each has a group and a content of its own unless named."""
    return {
        name: SourceImage(
            name=name,
            group=(groups or {}).get(name, name),
            sha256=(contents or {}).get(name, f"content of {name}"),
            path=name,
            file_sha256="",
            shape=(8, 8),
            scaled_shape=(8, 8),
        )
        for name in FOLDS
    }


def choose(rows=None, sources=None, test_fold=0, val_fold=None):
    return choose_roles(
        rows or make_rows(), sources or make_sources(), test_fold, val_fold, "split.csv"
    )


@pytest.mark.parametrize(
    ("test_fold", "val_fold", "roles"),
    [
        (0, None, Roles(("c", "d"), ("b",), ("a",))),
        (2, None, Roles(("b",), ("a",), ("c", "d"))),
        (0, 2, Roles(("b",), ("c", "d"), ("a",))),
        (None, None, Roles(("b", "c", "d"), ("a",), ())),
        (None, 1, Roles(("a", "c", "d"), ("b",), ())),
    ],
)
def test_folds_become_roles(test_fold, val_fold, roles):
    assert choose(test_fold=test_fold, val_fold=val_fold) == roles


# a is for the test, b to validate, c and d to train
SIDES = [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.mark.parametrize("pair", SIDES)
def test_a_group_of_the_split_is_not_on_two_sides(pair):
    with pytest.raises(LeakError, match=r"split\.csv: group 'heat7' is in .*; make the split"):
        choose(make_rows(**dict.fromkeys(pair, "heat7")))


@pytest.mark.parametrize("pair", SIDES)
def test_a_group_of_the_tile_folder_is_not_on_two_sides_whatever_the_split_says(pair):
    with pytest.raises(LeakError, match=r"split\.csv: group 'heat7' is in .*; make the split"):
        choose(sources=make_sources(groups=dict.fromkeys(pair, "heat7")))


@pytest.mark.parametrize("pair", SIDES)
def test_the_same_pixels_are_not_on_two_sides(pair):
    with pytest.raises(LeakError, match=r"split\.csv: one content \(sha256 f{12}\) is in "):
        choose(sources=make_sources(contents=dict.fromkeys(pair, "f" * 64)))


def test_what_is_alike_on_one_side_is_no_leak():
    alike = dict.fromkeys("cd", "one")
    assert choose(make_rows(**alike), make_sources(alike, alike)).train == ("c", "d")


def test_further_leaks_are_counted():
    with pytest.raises(LeakError, match=r" \(and 1 more\);"):
        choose(make_rows(a="A", b="A", c="C", d="C"), make_sources(contents={"a": "1", "c": "1"}))


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ((3, None), "--test-fold 3: split.csv has folds 0, 1, 2"),
        ((0, 3), "--val-fold 3: split.csv has folds 0, 1, 2"),
        ((1, 1), "--val-fold 1: the same as --test-fold"),
    ],
)
def test_folds_that_cannot_be_are_refused(folds, message):
    with pytest.raises(UsageError, match=message):
        choose(test_fold=folds[0], val_fold=folds[1])


def test_two_folds_leave_none_to_train_on():
    rows = [SplitRow(name, name, min(fold, 1)) for name, fold in FOLDS.items()]
    with pytest.raises(UsageError, match="no fold is left to train on"):
        choose(rows)


def test_split_and_tile_folder_name_the_same_micrographs():
    with pytest.raises(InputError, match="e is not in the tile folder"):
        choose([*make_rows(), SplitRow("e", "e", 1)])
    with pytest.raises(InputError, match="d of the tile folder has no line"):
        choose(make_rows()[:-1])


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, "bcd"),
        ({"contents": {"a": "same", "d": "same"}}, "bc"),
        ({"groups": {"a": "heat7", "c": "heat7"}}, "bd"),
    ],
)
def test_the_test_is_left_out_by_name_content_and_specimen(changes, kept):
    sources = list(make_sources(**changes).values())
    left = leave_out_test(make_rows(), sources, 0, "split.csv")
    assert [source.name for source in left] == list(kept)


def test_specimens_of_the_split_are_left_out_too():
    rows = make_rows(a="heat7", d="heat7")
    left = leave_out_test(rows, list(make_sources().values()), 0, "split.csv")
    assert [source.name for source in left] == ["b", "c"]


def test_micrographs_that_the_split_does_not_name_are_kept():
    sources = list(make_sources().values())
    left = leave_out_test(make_rows()[:2], sources, 0, "split.csv")
    assert [source.name for source in left] == ["b", "c", "d"]
    with pytest.raises(UsageError, match=r"--test-fold 7: split\.csv has folds 0, 1, 2"):
        leave_out_test(make_rows(), sources, 7, "split.csv")


def test_fewer_images_are_among_more_and_leave_the_other_roles_alone():
    roles = Roles(tuple("cdefghij"), ("b",), ("a",))
    kept = [keep_first_images(roles, n, seed=1) for n in range(1, 9)]
    for n, (fewer, more) in enumerate(pairwise(kept), 1):
        assert len(fewer.train) == n
        assert set(fewer.train) < set(more.train)
    assert {(each.val, each.test) for each in kept} == {(("b",), ("a",))}
    assert keep_first_images(roles, None, seed=1) == roles == kept[-1]
    assert len({keep_first_images(roles, 4, seed).train for seed in range(5)}) > 1


@pytest.mark.parametrize("n_images", [0, -1, 3])
def test_more_images_than_there_are_cannot_be_kept(n_images):
    with pytest.raises(UsageError, match=f"--max-images {n_images}: there are 2 to train on"):
        keep_first_images(choose(), n_images, seed=0)
