"""Cells compared with their base: which pair, and that pooling over runs changes no score."""

import numpy as np
import pytest

from mstool.reports.pairing import best_cell, compare_with_base, why_not_paired
from mstool.reports.scored_cell import ScoredCell, scored_cell
from mstool.scores.metrics import mean_iou
from mstool.scores.versus import compare_scores

NAMES = ("a.tif", "b.tif", "c.tif", "d.tif", "e.tif", "f.tif")


def make_confusions(n_wrong):
    """Matrices of six micrographs, 100 pixels each, with so many wrong pixels."""
    return np.array([[[60 - n, n], [n // 2, 40 - n // 2]] for n in n_wrong])


def make_cell(name, runs, images=NAMES, classes=("x", "y"), units=None):
    by_image = np.array([make_confusions(run) for run in runs])
    return ScoredCell(name, images, units, classes, by_image.sum(axis=0), by_image.sum(axis=1))


BASE = make_cell("base", [[9, 12, 10, 14, 8, 11]])
GOOD = make_cell("good", [[3, 4, 3, 6, 2, 4]])


def test_comparison_is_that_of_versus():
    found = compare_with_base([(GOOD, BASE)], seed=0)["good"]
    direct = compare_scores(GOOD.confusions, BASE.confusions, None, 0)
    assert found.versus.difference == pytest.approx(direct.difference)
    assert found.versus.interval == pytest.approx(direct.interval)
    assert (found.versus.p[0], found.p_holm) == (direct.p[0], direct.p[0])
    assert found.by_run == pytest.approx([direct.difference[0]])
    assert not found.has_run_variance


def test_order_of_micrographs_and_classes_does_not_matter():
    order, swap = [5, 3, 1, 0, 2, 4], np.ix_([1, 0], [1, 0])
    turned = ScoredCell(
        "good",
        tuple(NAMES[place] for place in order),
        None,
        ("y", "x"),
        np.array([GOOD.confusions[place][swap] for place in order]),
        np.array([run[swap] for run in GOOD.by_run]),
    )
    found, direct = (compare_with_base([(c, BASE)], 0)["good"].versus for c in (turned, GOOD))
    assert found.difference == pytest.approx(direct.difference)
    assert found.p == pytest.approx(direct.p)


def test_cells_of_unlike_many_runs_pair():
    twice = make_cell("good", [[3, 4, 3, 6, 2, 4]] * 2)
    assert why_not_paired(twice, BASE) == ""
    found, direct = (compare_with_base([(c, BASE)], 0)["good"] for c in (twice, GOOD))
    assert found.versus.difference == pytest.approx(direct.versus.difference)
    assert found.versus.interval[0] == pytest.approx(direct.versus.interval[0])
    assert len(found.by_run) == 2


def test_what_differs_between_runs_widens_the_interval():
    steady = [make_cell(name, [runs, runs]) for name, runs in
              (("base", [9, 12, 10, 14, 8, 11]), ("good", [3, 4, 3, 6, 2, 4]))]  # fmt: skip
    restless = make_cell("good", [[1, 2, 1, 4, 1, 2], [5, 6, 5, 8, 3, 6]])
    calm = compare_with_base([(steady[1], steady[0])], 0)["good"]
    wild = compare_with_base([(restless, steady[0])], 0)["good"]
    assert calm.has_run_variance and wild.has_run_variance
    assert np.ptp(wild.versus.interval[0]) > 2 * np.ptp(calm.versus.interval[0])


def test_p_is_corrected_for_all_comparisons():
    other = make_cell("other", [[8, 12, 10, 13, 8, 11]])
    found = compare_with_base([(GOOD, BASE), (other, BASE)], seed=0)
    assert found["good"].versus.p[0] == 2 / 2**6
    assert found["good"].p_holm == 2 * found["good"].versus.p[0]
    assert found["other"].p_holm >= found["other"].versus.p[0]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (make_cell("c", [[1] * 6], images=(*NAMES[:5], "z.tif")), "other micrographs than base"),
        (make_cell("c", [[1] * 6], classes=("x", "z")), "its classes are x, z"),
        (make_cell("c", [[1] * 6], images=("a.tif", "a.tif", *NAMES[2:])), "other micrographs"),
        (
            ScoredCell("c", NAMES, None, ("x", "y"), BASE.confusions + 1, BASE.by_run + 6),
            "label maps are not those of base",
        ),
    ],
    ids=["micrographs", "classes", "twice", "truth"],
)
def test_cells_that_do_not_pair_say_why(cell, words):
    assert words in why_not_paired(cell, BASE)


def test_best_cell_has_a_score():
    assert best_cell({"a": float("nan"), "b": 0.2, "c": 0.3, "d": 0.3}) == "c"


def record_of(rows, groups=None, unit=None):
    classes, pooled = ["x", "y"], sum(np.array(row) for row in rows)
    return {
        "classes": classes,
        "per_image": [
            {"image": name, "confusion": row} | ({"group": group} if group else {})
            for name, row, group in zip(NAMES, rows, groups or [None] * len(rows), strict=False)
        ],
        "pooled": {"confusion": pooled.tolist()},
        "runs": None,
        "interval": unit and {"unit": unit},
    }


def test_record_becomes_arrays():
    rows = make_confusions([1, 2, 3]).tolist()
    cell = scored_cell("c", record_of(rows, ["s1", "s1", "s2"]))
    assert (cell.images, cell.units) == (NAMES[:3], ("s1", "s1", "s2"))
    assert mean_iou(cell.by_run[0]) == mean_iou(cell.confusions.sum(axis=0))
    assert scored_cell("c", record_of(rows, ["a", "b", "c"])).units is None


def test_old_record_of_specimens_is_refused():
    rows = make_confusions([1, 2, 3]).tolist()
    assert scored_cell("c", record_of(rows)).units is None
    with pytest.raises(ValueError, match="specimen"):
        scored_cell("c", record_of(rows, unit="group"))


def test_units_are_what_shares_a_specimen_in_either_cell():
    specimens = ("s", "s", "t", "u", "v", "w")
    grouped = make_cell("good", [[3, 4, 3, 6, 2, 4]], units=specimens)
    base = make_cell("base", [[9, 12, 10, 14, 8, 11]], units=("1", "2", "3", "4", "5", "5"))
    for pair, n_units in (((grouped, BASE), 5), ((GOOD, base), 5), ((grouped, base), 4)):
        assert compare_with_base([pair], seed=0)["good"].versus.n_units == n_units


def test_specimens_follow_the_order_of_micrographs():
    order = [5, 4, 3, 2, 1, 0]
    grouped = make_cell("good", [[3, 4, 3, 6, 2, 4]], units=("s", "s", "t", "u", "v", "v"))
    turned = ScoredCell(
        "good",
        NAMES[::-1],
        ("v", "v", "u", "t", "s", "s"),
        grouped.classes,
        grouped.confusions[order],
        grouped.by_run,
    )
    found, direct = (compare_with_base([(c, BASE)], 0)["good"].versus for c in (turned, grouped))
    assert found.interval[0] == pytest.approx(direct.interval[0])


def test_comparisons_of_more_micrographs_do_not_count_against_few():
    many = tuple(f"m{number}.tif" for number in range(12))
    base = make_cell("base-b", [[9, 12, 10, 14, 8, 11] * 2], images=many)
    good = make_cell("good-b", [[3, 4, 3, 6, 2, 4] * 2], images=many)
    found = compare_with_base([(GOOD, BASE), (good, base)], seed=0)
    assert found["good"].least_p_holm == found["good"].p_holm == 2 / 2**6
    assert found["good-b"].least_p_holm == 2 * 2 / 2**12


def test_a_comparison_is_as_little_corrected_as_those_before_it():
    few = tuple(f"m{number}.tif" for number in range(5))
    pairs = [(make_cell(f"good-{c}", [[3, 4, 3, 6, 2, 4]]), BASE) for c in "abc"]
    good, base = ([3, 4, 3, 6, 2], [9, 12, 10, 14, 8])
    pairs += [(make_cell("small", [good], images=few), make_cell("b", [base], images=few))]
    found = compare_with_base(pairs, seed=0)
    # 2 / 2**5 is smaller than four times the 2 / 2**6 of the three, which come before
    assert [found[cell.name].least_p_holm for cell, _ in pairs] == [4 * 2 / 2**6] * 4


@pytest.mark.parametrize("n_runs", [1, 2])
def test_repeats_are_set_against_those_of_the_base_or_their_mean(n_runs):
    base = make_cell("base", [[9, 12, 10, 14, 8, 11], [3, 4, 3, 6, 2, 4]])
    cell = make_cell("good", [[1] * 6, [2] * 6][:n_runs])
    found = compare_with_base([(cell, base)], seed=0)["good"]
    ours, theirs = ([mean_iou(run) for run in each.by_run] for each in (cell, base))
    assert found.by_run == pytest.approx(
        [ours[0] - np.mean(theirs)] if n_runs == 1 else np.subtract(ours, theirs)
    )


def test_runs_of_a_record_are_kept_apart():
    rows = make_confusions([1, 2, 3]).tolist()
    halves = [np.array(row).tolist() for row in make_confusions([1, 2])]
    cell = scored_cell("c", record_of(rows) | {"runs": [{"confusion": half} for half in halves]})
    assert (cell.n_runs, cell.by_run.tolist()) == (2, halves)
