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


def test_shards_count_beside_the_joining():
    shards = [
        {"shard": f"{i}/2", "elapsed_s": 9, "threads": 2, "peak_rss_mb": 70, "device": "cuda:0"}
        for i in range(2)
    ]
    shards[0]["core_s"] = 30.0
    merged = step(1, core_s=2.0, megapixels=5.0, n_tiles=8, n_predicted=8, shards=shards)
    found = describe_cost([("train", step(10, core_s=8.0)), ("predict", merged)])
    assert (found["predict"], found["total"]) == (2.0 + 30.0 + 18.0, 58.0)
    assert found["predict_s_per_megapixel"] == 10.0
    assert found["peak_rss_mb"] == 70
    assert found["is_estimate"] and found["devices"] == ["cuda:0"]


def test_resumed_prediction_is_taken_to_have_gone_at_the_pace_of_its_last_run():
    train = ("train", step(10, core_s=8.0))
    resumed = step(2, core_s=3.0, megapixels=6.0, n_tiles=8, n_predicted=2)
    found = describe_cost([train, ("predict", resumed)])
    assert (found["predict"], found["is_estimate"]) == (12.0, True)
    assert found["predict_s_per_megapixel"] == 2.0
    nothing_new = step(2, core_s=3.0, megapixels=6.0, n_tiles=8, n_predicted=0)
    found = describe_cost([train, ("predict", nothing_new)])
    assert (found["predict"], found["total"], found["predict_s_per_megapixel"]) == (None,) * 3
