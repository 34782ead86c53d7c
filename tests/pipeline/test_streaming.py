"""Threads that read ahead or write beside end when the other side ends, whatever ends it."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mstool.pipeline.streaming import GivenUpError, read_ahead, write_beside


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    ends = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < ends:
        time.sleep(0.01)
    assert threading.active_count() == before


def count(n, taken):
    for number in range(n):
        taken.append(number)
        yield number


def test_items_come_in_order_from_another_thread():
    names = []

    def items():
        for number in range(50):
            names.append(threading.current_thread().name)
            yield number

    assert list(read_ahead(items())) == list(range(50))
    assert threading.current_thread().name not in names


def test_few_items_are_read_ahead():
    taken = []
    items = read_ahead(count(100, taken))
    assert next(items) == 0
    time.sleep(0.3)
    assert len(taken) <= 4
    items.close()
    time.sleep(0.3)
    assert len(taken) < 10


def test_all_may_be_read_before_the_first_is_taken():
    taken = []
    items = read_ahead(count(2, taken))
    assert next(items) == 0
    ends = time.monotonic() + 5
    while len(taken) < 2 and time.monotonic() < ends:
        time.sleep(0.01)
    time.sleep(0.2)
    assert list(items) == [1]


def test_what_reading_raises_comes_after_the_items_before():
    def items():
        yield 1
        raise ValueError("torn")

    found = read_ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="torn"):
        next(found)


def test_items_are_written_in_order():
    written = []
    with write_beside(written.extend) as hand:
        for number in range(50):
            hand(number)
    assert written == list(range(50))


def test_few_items_wait_to_be_written():
    may_go_on = threading.Event()
    handed = []

    def write(items):
        may_go_on.wait(5)
        assert len(handed) <= 3
        list(items)

    def go_on():
        time.sleep(0.3)
        may_go_on.set()

    threading.Thread(target=go_on).start()
    with write_beside(write) as hand:
        for number in range(20):
            hand(number)
            handed.append(number)
    assert len(handed) == 20


@pytest.mark.parametrize("n", [1, 20])
def test_what_writing_raises_is_raised_where_items_are_handed(n):
    def write(items):
        next(items)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), write_beside(write) as hand:
        for number in range(n):
            hand(number)


def test_a_block_that_fails_finishes_nothing():
    ended = []

    def write(items):
        for _ in items:
            pass
        ended.append("finished")

    def fail():
        with write_beside(write) as hand:
            hand(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert ended == []


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_writing_that_counts_what_it_takes_need_not_ask_for_more(pause_s):
    written = []

    def write(items):
        written.extend(next(items) for _ in range(5))

    with write_beside(write) as hand:
        for number in range(5):
            hand(number)
        time.sleep(pause_s)  # it has ended before it is told that this was all
    assert written == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_items_that_nobody_took_are_no_success(pause_s):
    are_handed = threading.Event()

    def write(items):
        are_handed.wait(5)
        next(items)

    def hand_one_more():
        with write_beside(write) as hand:
            hand(1)
            hand(2)
            are_handed.set()
            time.sleep(pause_s)  # it has ended before it is told that this was all

    with pytest.raises(GivenUpError):
        hand_one_more()


def test_writing_that_ends_early_is_no_success():
    def write(items):
        next(items)

    def hand_all():
        with write_beside(write) as hand:
            for number in range(20):
                hand(number)

    with pytest.raises(GivenUpError):
        hand_all()


class Stopped(BaseException):
    """As a signal raises it."""


def test_a_signal_while_the_thread_begins_leaves_nobody_waiting(monkeypatch):
    begin = ThreadPoolExecutor.submit

    def submit(self, *work):
        begin(self, *work)
        raise Stopped

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with pytest.raises(Stopped), write_beside(list):
        pass
    with pytest.raises(Stopped):
        next(read_ahead(itertools.count()))


def test_a_signal_while_the_last_items_are_written_leaves_nobody_waiting(monkeypatch):
    ended = []

    def write(items):
        for _ in items:
            pass
        ended.append("finished")

    def stop(*_):
        raise Stopped

    def write_one():
        with write_beside(write) as hand:
            hand(1)
            monkeypatch.setattr("mstool.pipeline.streaming._put", stop)

    with pytest.raises(Stopped):
        write_one()
    assert ended == []
