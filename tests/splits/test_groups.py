import pytest

from mstool.errors import UsageError
from mstool.splits.groups import group_of


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
