import pytest

from mstool.errors import UsageError
from mstool.splits.groups import group_of, join_relations


def test_without_a_pattern_each_micrograph_is_its_own_group():
    assert group_of("steel_07") == "steel_07"


@pytest.mark.parametrize(
    ("pattern", "group"),
    [(r"heat(\d+)_s(\d+)", "12"), (r"heat\d+", "heat12"), (r"^[^_]+_[^_]+", "heat12_s3")],
    ids=["first-group", "no-group", "anchored"],
)
def test_pattern_gives_its_first_group_or_all_it_matches(pattern, group):
    assert group_of("heat12_s3_f07", pattern) == group


@pytest.mark.parametrize("pattern", [r"alloy(\d+)", r"(x)?heat", r"x*"])
def test_pattern_that_finds_nothing_names_file_and_pattern(pattern):
    with pytest.raises(UsageError) as caught:
        group_of("heat12_s3", pattern)
    assert "'heat12_s3'" in str(caught.value) and repr(pattern) in str(caught.value)


def test_pattern_that_is_no_expression_is_refused():
    with pytest.raises(UsageError, match="no regular expression"):
        group_of("a", "(")


def test_relations_are_joined_through_each_other():
    by_split = ["s", "s", "t", "u", "v"]
    by_tile = ["1", "2", "2", "3", "4"]
    assert join_relations(by_split, by_tile) == ["s", "s", "s", "u", "v"]


def test_like_names_in_two_relations_are_not_one_group():
    assert join_relations(["1", "2"], ["2", "1"]) == ["1", "2"]


def test_none_shares_nothing_and_names_nothing():
    assert join_relations(["b", None, None, "a"], ["x", "x", None, "x"]) == ["a", "a", None, "a"]
