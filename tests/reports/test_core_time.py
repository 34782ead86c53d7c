"""Core-seconds of a cell, from the records of its steps."""

from mstool.reports.core_time import describe_cost


def step(elapsed, threads=1, core_s=None, **more):
    facts = {"elapsed_s": elapsed, "threads": threads, "peak_rss_mb": elapsed, "device": "cpu"}
    return {"mstool": facts | ({} if core_s is None else {"core_s": core_s})} | more


def test_steps_add_up():
    found = describe_cost(
        [
            ("train", step(10, core_s=12.0)),
            ("train", step(10, core_s=5.0, train_core_s=25.0)),  # resumed
            ("predict", step(4, core_s=6.0, megapixels=3.0)),
            ("stitch", step(1, core_s=1.0)),
            ("score", step(99, core_s=99.0)),
        ]
    )
    assert (found["train"], found["predict"], found["total"]) == (37.0, 6.0, 44.0)
    assert found["predict_s_per_megapixel"] == 2.0
    assert found["peak_rss_mb"] == 10
    assert not found["is_estimate"]
    assert found["devices"] == []


def test_old_records_give_time_times_threads():
    found = describe_cost([("train", step(10, threads=2)), ("predict", step(4, threads=2))])
    assert (found["total"], found["is_estimate"]) == (28.0, True)


def test_what_is_not_at_hand_is_undefined():
    found = describe_cost([("train", step(10, core_s=9.0))])
    assert (found["train"], found["predict"], found["total"]) == (9.0, None, None)
    assert describe_cost([])["total"] is None


def test_part_of_the_records_is_no_sum():
    steps = [("train", step(10, core_s=9.0)), ("predict", step(4, core_s=3.0))]
    found = describe_cost(steps, lost=("train",))
    assert (found["train"], found["predict"], found["total"]) == (None, 3.0, None)
