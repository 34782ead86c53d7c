"""How many threads are used, and the trial whether many help."""

from dataclasses import asdict

import pytest
import torch

from mstool.nn import threads
from mstool.nn.threads import ThreadTrial, begin_trial, use_threads
from mstool.reporting import Reporter

LOUD = Reporter("train", 0)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    """A machine of four cores, of which torch takes all itself; and the threads put back."""
    n_before = torch.get_num_threads()
    monkeypatch.setattr(threads, "available_cores", lambda: 4)
    monkeypatch.setattr(threads, "_OWN_CHOICE", 4)
    yield
    torch.set_num_threads(n_before)


def run_trial(trial, many_s, one_s):
    """Time steps as long as the trial lasts; give the threads of each step and what is said."""
    torch.set_num_threads(trial.n)
    used, times = [], {n: iter(seconds) for n, seconds in ((trial.n, many_s), (1, one_s))}
    for _ in range(100):
        trial.begin_step()
        used.append(torch.get_num_threads())
        if words := trial.end_step(next(times[used[-1]])):
            return used, words
        assert torch.get_num_threads() == trial.n
    raise AssertionError("no end")


@pytest.mark.parametrize(("own", "n_cores", "n"), [(4, 4, 4), (4, 2, 2), (2, 4, 2), (8, 1, 1)])
def test_auto_is_what_torch_takes_within_the_cores(monkeypatch, capsys, own, n_cores, n):
    monkeypatch.setattr(threads, "_OWN_CHOICE", own)
    monkeypatch.setattr(threads, "available_cores", lambda: n_cores)
    assert use_threads("auto", LOUD) == torch.get_num_threads() == n
    assert capsys.readouterr().err == ""


def test_more_threads_than_cores_are_used_and_said(capsys):
    assert use_threads("5", LOUD) == torch.get_num_threads() == 5
    assert "5 threads share 4 available cores" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("many_s", "one_s", "n"),
    [
        ((9, 0.6, 0.6, 0.6), (9, 1, 1, 1), 4),
        ((9, 0.9, 0.9, 0.9), (9, 1, 1, 1), 4),
        ((9, 0.91, 0.91, 0.91), (9, 1, 1, 1), 1),
        ((9, 3, 3, 3), (9, 1, 1, 1), 1),
        ((9, 0.6, 0.7, 30), (9, 1, 1, 1), 4),  # one disturbed step decides nothing
        ((0.1, 1, 1, 1), (0.15, 1, 1, 1), 1),  # nor does the first
    ],
)
def test_many_threads_have_to_help_by_a_tenth(many_s, one_s, n):
    trial = ThreadTrial(4, is_over=False)
    used, words = run_trial(trial, many_s, one_s)
    assert used == [4, 1] * 4
    assert (trial.n, torch.get_num_threads()) == (n, n)
    assert words.endswith(f"with 4 threads and 1 s with one; going on with {n}")
    assert trial.medians()[1] == 1
    trial.begin_step()
    assert (torch.get_num_threads(), trial.end_step(99.0)) == (n, "")
    assert len(trial.many_s) == len(trial.one_s) == 4


def test_where_many_threads_help_much_one_slow_step_is_enough():
    trial = ThreadTrial(4, is_over=False)
    assert run_trial(trial, [1.0], [2.0])[0] == [4, 1]
    assert trial.n == 4


def test_a_trial_goes_on_after_an_interruption(capsys):
    trial = begin_trial("auto", None, True, LOUD)
    for seconds in (9.0, 9.0, 1.0):
        trial.begin_step()
        trial.end_step(seconds)
    torch.set_num_threads(1)
    again = begin_trial("auto", asdict(trial), True, LOUD)
    assert torch.get_num_threads() == 4
    assert run_trial(again, [1, 1], [1, 1, 1])[0] == [1, 4, 1, 4, 1]
    assert again.n == 1
    assert capsys.readouterr().err == ""


def test_auto_keeps_the_threads_of_an_unfinished_training(capsys):
    trial = begin_trial("auto", asdict(ThreadTrial(6)), True, LOUD)
    assert (trial.n, trial.is_over, torch.get_num_threads()) == (6, True, 6)
    assert "6 threads share 4 available cores" in capsys.readouterr().err


def test_a_number_wins_over_the_threads_of_an_unfinished_training_and_says_so(capsys):
    assert begin_trial("2", asdict(ThreadTrial(3)), True, LOUD).n == 2
    assert "going on with 2 threads after 3: the weights will differ" in capsys.readouterr().err
    assert begin_trial("3", asdict(ThreadTrial(3)), True, LOUD).n == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("asked", "may_try", "is_over"),
    [("auto", True, False), ("auto", False, True), ("4", True, True)],
)
def test_only_auto_tries_and_only_where_it_may(asked, may_try, is_over):
    assert begin_trial(asked, None, may_try, LOUD).is_over == is_over


def test_there_is_nothing_to_try_with_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "available_cores", lambda: 1)
    assert begin_trial("auto", None, True, LOUD) == ThreadTrial(1, is_over=True)
