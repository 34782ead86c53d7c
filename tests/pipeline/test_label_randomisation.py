"""Fits that their share of the time ended are not taken for whole."""

from types import SimpleNamespace

import numpy as np
import pytest

from mstool.pipeline.explain import label_randomisation
from mstool.pipeline.kept_parts import Budget
from mstool.reporting import Reporter


def region(seed):
    labels = np.random.default_rng(seed).integers(0, 2, (8, 8), np.uint8)
    return SimpleNamespace(image=np.zeros((8, 8, 1)), labels=labels, unit=f"unit{seed}")


def ask(budget):
    question = SimpleNamespace(
        budget=budget,
        settings=SimpleNamespace(seed=0),
        report=Reporter(),
        source="labels",
        segmenter=None,
        compute=None,
    )
    question.within = lambda share: SimpleNamespace(
        **vars(question) | {"budget": budget.share(share)}
    )
    return label_randomisation.check_labels(question, [region(seed) for seed in range(4)])


@pytest.mark.parametrize(
    ("accuracy", "passes", "left_out"),
    [
        (0.6, True, ("some of the fitting for label randomisation",)),
        (0.99, True, ()),
        (0.6, False, ()),
    ],
    ids=["cut", "learnt-in-time", "had-all-its-steps"],
)
def test_a_fit_that_ran_out_of_its_share_is_told(monkeypatch, accuracy, passes, left_out):
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr("mstool.pipeline.kept_parts.time", SimpleNamespace(monotonic=lambda: now.s))

    def refit(*_, is_over, **__):
        while passes and not is_over():
            now.s += 1.0
        return None, accuracy

    monkeypatch.setattr(label_randomisation, "refit", refit)
    monkeypatch.setattr(label_randomisation, "_compare", lambda *_: {})
    budget = Budget(deadline=100.0)
    found = ask(budget)
    assert found.left_out == left_out
    assert not budget.is_spent  # time for maps was left
