"""What a run says while it works."""

import rich.progress

from mstool.reporting import Reporter


def test_time_left_counts_what_lies_between_steps(monkeypatch):
    now, bars = [0.0], []

    class Bar(rich.progress.Progress):
        def __init__(self, *columns, **options):
            super().__init__(*columns, get_time=lambda: now[0], disable=True, **options)
            bars.append(self)

    monkeypatch.setattr(Reporter, "is_live", True)
    monkeypatch.setattr(rich.progress, "Progress", Bar)
    with Reporter("train", 0).progress("training", 100) as advance:
        for step in range(40):
            now[0] += 1 + 60 * (step % 10 == 9)  # a validation after each ten steps
            advance(1)
        (task,) = bars[0].tasks
        assert 60 * 6 < task.time_remaining < 60 * 8
