"""Parts are made once, in time, and again where time was missing."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from mstool.io.outputs import OutputFolder
from mstool.io.plain import from_plain, to_plain
from mstool.io.records import Run
from mstool.pipeline import kept_parts
from mstool.pipeline.kept_parts import Budget, KeptParts, start_budget
from mstool.reporting import Reporter

SPENT = Budget(-1.0)


@dataclass(frozen=True)
class Inner:
    name: str
    score: float


@dataclass(frozen=True)
class Outer:
    rows: tuple[Inner, ...]
    by_name: dict[str, float | None]
    span: tuple[float, float]
    curve: np.ndarray
    left_out: tuple[str, ...] = ()


def outer(**changes):
    values = {"rows": (Inner("a", float("nan")), Inner("b", 0.5)), "by_name": {"x": None, "y": 1.0}}
    return Outer(**{**values, "span": (0.0, 2.0), "curve": np.array([0.5, np.nan]), **changes})


def parts_in(folder, budget=None):
    return KeptParts(folder, budget or Budget(), Reporter())


def test_a_dataclass_comes_back_from_json_as_it_was():
    back = from_plain(Outer, to_plain(outer()))
    assert (back.rows[1], back.by_name, back.span) == (
        Inner("b", 0.5),
        {"x": None, "y": 1.0},
        (0, 2),
    )
    assert np.isnan(back.rows[0].score)
    np.testing.assert_array_equal(back.curve, [0.5, np.nan])
    assert isinstance(back.rows, tuple)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, 3, 3),
        (int | None, None, None),
        (list[int], [1, 2], [1, 2]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict[str, tuple[int, ...]], {"a": [1]}, {"a": (1,)}),
    ],
)
def test_types_of_fields_come_back(kind, value, expected):
    assert from_plain(kind, value) == expected


@pytest.fixture
def clock(monkeypatch):
    """Clock that stands still until it is set, in seconds."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(kept_parts, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


def test_a_share_of_a_budget_ends_within_it(clock):
    clock.s = 100.0
    part = Budget(200.0).share(0.25)
    assert (part.deadline, part.fits(25.0), part.fits(25.1)) == (125.0, True, False)
    clock.s = 300.0
    assert Budget(200.0).share(0.25).is_spent
    assert Budget().share(0.25) == Budget()


def test_items_are_taken_while_one_more_fits_at_the_pace_so_far(clock):
    taken = []
    for item in Budget(35.0).paced("abcdef"):
        taken.append(item)
        clock.s += 10.0
    assert taken == ["a", "b", "c"]
    assert list(Budget(0.0).paced("abc")) == ["a"]
    assert list(Budget().paced("abc")) == ["a", "b", "c"]


@pytest.mark.parametrize(("needs_s", "is_made"), [(10.0, True), (10.5, False)])
def test_a_part_that_does_not_fit_is_not_begun(tmp_path, clock, needs_s, is_made):
    parts = parts_in(tmp_path, Budget(10.0))
    part = parts.make("one", Outer, outer, needs_s=needs_s)
    assert (part is not None, parts.left_out) == (is_made, [] if is_made else ["one"])
    assert parts.has("one") == is_made


def test_a_budget_that_was_too_small_is_named_with_what_it_took(tmp_path, clock, capsys):
    clock.s = 159.0
    parts = KeptParts(tmp_path, Budget(150.0, 100.0), Reporter("explain", 0))
    parts.say_excess()
    assert capsys.readouterr().err == ""
    clock.s = 161.0
    parts.say_excess()
    assert "--max-time: took 61 s" in capsys.readouterr().err


def test_a_part_is_made_once(tmp_path):
    made = []
    for _ in range(2):
        part = parts_in(tmp_path).make("one", Outer, lambda: made.append(1) or outer())
        assert part.rows[1] == Inner("b", 0.5)
    assert made == [1]


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.update(version="0.0.1"),
        lambda kept: kept.pop("version"),
        lambda kept: kept.pop("part"),
        lambda kept: kept["part"].update(gone=1),
        lambda kept: kept["part"].pop("left_out"),
        lambda kept: kept["part"].update(rows={"a": 0.5}),
        lambda kept: kept["part"].update(by_name=[1.0]),
        lambda kept: kept["part"].update(span=["a", "b"]),
        lambda kept: kept.update(part=[1, 2]),
        lambda kept: kept.update(part=None),
    ],
    ids=[
        "version", "no version", "no part", "field that is gone", "field that is new",
        "table for a list", "list for a table", "words for numbers", "list", "nothing",
    ],
)  # fmt: skip
def test_a_part_of_another_version_counts_as_absent_and_is_told(tmp_path, capsys, change):
    parts_in(tmp_path).make("one", Outer, outer)
    path = tmp_path / ".parts/one.json"
    kept = json.loads(path.read_text())
    change(kept)
    path.write_text(json.dumps(kept))
    made = []
    parts = KeptParts(tmp_path, Budget(), Reporter("explain", 0))
    parts.make("one", Outer, lambda: made.append(1) or outer())
    assert made == [1]
    assert "one.json: was left by another version of mstool" in capsys.readouterr().err


def test_without_time_a_part_is_left_out_and_named_unless_it_is_quick(tmp_path):
    parts = parts_in(tmp_path, SPENT)
    assert parts.make("slow", Outer, outer) is None
    assert parts.make("quick", Outer, outer, is_quick=True) is not None
    assert parts.left_out == ["slow"]


def test_a_part_that_lacks_something_is_used_without_time_and_made_anew_with_time(tmp_path):
    parts_in(tmp_path).make("one", Outer, lambda: outer(left_out=("half",)))
    late = parts_in(tmp_path, SPENT)
    assert late.make("one", Outer, outer).left_out == ("half",)
    assert late.left_out == ["half"]
    assert parts_in(tmp_path).make("one", Outer, outer).left_out == ()


def test_a_record_with_something_left_out_is_not_done(tmp_path):
    folder = OutputFolder(tmp_path / "out", "a.json", (), (".parts",))
    for left_out, expected in ((["sanity"], "unfinished"), ([], "done")):
        folder.claim({"size": 1}, {})
        parts_in(folder.path).make("one", Outer, outer)
        folder.finish({"settings": {"size": 1}, "inputs": {}, "left_out": left_out})
        assert (folder.path / ".parts").exists() == bool(left_out)
        assert folder.claim({"size": 1}, {}) == expected


def test_a_budget_counts_from_the_start_of_the_run():
    run = Run(clock=100.0)
    assert start_budget(run, 5.0) == Budget(105.0, 100.0)
    assert not start_budget(run, None).is_spent
    assert SPENT.is_spent
