"""Entries of a report say what stands in the record, each number in its place."""

import pytest

from mstool.reports.cell_entries import csv_rows, describe_scores

CONFUSION = [[6, 1], [2, 3]]


def image(name, mean_iou, iou_b=0.5):
    return {"image": name, "group": name, "mean_iou": mean_iou, "iou": {"a": mean_iou, "b": iou_b}}


def score_record(images):
    by_class = {"a": 0.1, "b": 0.2}
    return {
        "n_images": len(images),
        "classes": ["a", "b"],
        "pooled": {
            "mean_iou": 0.7,
            "iou": {"a": 0.71, "b": 0.72},
            "precision": {"a": 0.73, "b": 0.74},
            "recall": {"a": 0.75, "b": 0.76},
            "confusion": CONFUSION,
        },
        "per_image": images,
        "interval": {
            "mean_iou": [0.6, 0.8],
            "accuracy": [0.0, 0.1],
            "iou": {"a": [0.61, 0.81], "b": None},
            "coverage": {"mean_iou": [0.9, 0.95]},
        },
        "baselines": {"majority": {"mean_iou": 0.3}, "otsu": None},
        "phase_fraction": {
            name: {"truth": share, "predicted": share + 0.5} for name, share in by_class.items()
        },
        "leak": {},
        "folds": None,
        "runs": [{"mean_iou": 0.65}, {"mean_iou": 0.75}],
        "calibration": None,
        "variance": None,
    }


def test_each_number_is_where_its_name_says():
    images = [image("m", 0.9), image("n", 0.1, None), image("o", 0.4), image("p", None)]
    found = describe_scores(score_record(images))
    assert (found["mean_iou"], found["interval"], found["coverage"]) == (
        0.7,
        [0.6, 0.8],
        [0.9, 0.95],
    )
    assert (found["majority"], found["otsu"], found["confusion"]) == (0.3, None, CONFUSION)
    assert (found["n_runs"], found["runs"]) == (2, [0.65, 0.75])
    assert (found["unit"], found["n_units"]) == ("image", 4)
    assert found["classes"]["b"] == {
        "iou": 0.72,
        "interval": None,
        "precision": 0.74,
        "recall": 0.76,
        "true_share": 0.2,
        "predicted_share": 0.7,
        "n_images": 3,
    }
    assert found["micrographs"]["worst"]["image"] == "n"
    assert found["micrographs"]["median"]["image"] == "o"


def test_median_of_an_even_number_is_the_lower_of_the_middle_ones():
    images = [image("m", 0.9), image("n", 0.1), image("o", 0.4), image("p", 0.5)]
    found = describe_scores(score_record(images))
    assert found["micrographs"]["median"]["image"] == "o"


def test_micrographs_of_one_specimen_are_one_unit():
    images = [image("m", 0.9), image("n", 0.1) | {"group": "m"}, image("o", 0.4)]
    found = describe_scores(score_record(images))
    assert (found["unit"], found["n_units"]) == ("group", 2)


@pytest.mark.parametrize(
    ("runs", "folds", "expected"),
    [
        (None, [{"fold": 0}], True),
        (None, None, False),
        ([[{"fold": 0}], [{"fold": 0}]], None, True),  # by other splits
        ([[{"fold": 0}], None], None, False),
    ],
)
def test_runs_that_are_divided_differently_are_out_of_fold_too(runs, folds, expected):
    record = score_record([image("m", 0.9)]) | {"folds": folds}
    record["runs"] = runs and [{"mean_iou": 0.7, "folds": one} for one in runs]
    assert describe_scores(record)["is_out_of_fold"] == expected


def test_factor_named_as_a_column_has_one_of_its_own():
    header, *_ = csv_rows([], ["data", "loss", "p"])
    assert header[:5] == ["cell", "data", "factor.data", "loss", "factor.p"]
    assert len(set(header)) == len(header)


def test_row_of_the_table_has_each_number_under_its_name():
    entry = {
        "name": "d/x",
        "data": "d",
        "levels": {"loss": "=ce"},
        "status": "done",
        "n_images": 4,
        "n_runs": 2,
        "mean_iou": 0.7,
        "interval": [0.6, 0.8],
        "versus": {
            "base": "d/base",
            "difference": 0.1,
            "interval": None,
            "p": 0.01,
            "p_holm": 0.02,
        },
        "cost": {"train": 1.0, "predict": 2.0, "total": 3.5, "peak_rss_mb": 9.0},
    }
    missing = {"name": "d/y", "data": "d", "levels": {}, "status": "missing"}
    header, done, gone = csv_rows([entry, missing], ["loss"])
    assert dict(zip(header, done, strict=True)) == {
        "cell": "d/x",
        "data": "d",
        "loss": "=ce",
        "status": "done",
        "n_images": 4,
        "n_runs": 2,
        "mean_iou": 0.7,
        "low": 0.6,
        "high": 0.8,
        "base": "d/base",
        "difference": 0.1,
        "difference_low": None,
        "difference_high": None,
        "p": 0.01,
        "p_holm": 0.02,
        "core_s_train": 1.0,
        "core_s_predict": 2.0,
        "core_s": 3.5,
        "peak_rss_mb": 9.0,
    }
    assert gone == ["d/y", "d", None, "missing", *[None] * 15]
