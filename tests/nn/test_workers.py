import multiprocessing
import signal
import time

import pytest
import torch

from mstool.errors import InputError, UnavailableError
from mstool.nn import workers
from mstool.nn.workers import batches_of, begin_worker, ending_workers

# as PyTorch 2.14 words them
NO_ROOM = """Caught RuntimeError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "worker.py", line 375, in _worker_loop
RuntimeError: unable to allocate shared memory(shm) for file </torch_1>: No space left (28)"""
BUS_ERROR = (
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
    "workers are out of shared memory. Please try to raise your shared memory limit."
)
KILLED = "DataLoader worker (pid 7) is killed by signal: Killed. "
EXITED = "DataLoader worker (pid(s) 7, 8) exited unexpectedly"


def fail(error):
    raise error
    yield


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NO_ROOM, ("/dev/shm", "No space left", "--shm-size", "--workers 0")),
        (BUS_ERROR, ("/dev/shm", "Bus error", "--shm-size", "--workers 0")),
        (KILLED, ("a worker was killed", "fewer --workers")),
        (EXITED, ("a worker was killed", "fewer --workers")),
    ],
    ids=["no room", "bus error", "killed", "exited"],
)
def test_trouble_of_workers_is_one_line_with_a_remedy(text, words):
    with pytest.raises(UnavailableError) as caught:
        list(batches_of(fail(RuntimeError(text)), 2))
    assert "\n" not in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("n_workers", [0, 2])
def test_other_errors_keep_their_words(n_workers):
    error = RuntimeError("sizes do not match")
    with pytest.raises(RuntimeError) as caught:
        list(batches_of(fail(error), n_workers))
    assert caught.value is error


def test_shared_memory_that_cannot_be_written_is_told_before_workers_begin(monkeypatch):
    def refuse():
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(workers.multiprocessing, "Lock", refuse)
    with pytest.raises(UnavailableError, match=r"/dev/shm .*Read-only file system.*--workers 0"):
        next(batches_of(fail(AssertionError), 1))
    assert list(batches_of([1], 0)) == [1]


class Damaged(torch.utils.data.Dataset):
    """Items of which one cannot be read, and another never comes."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 1:
            time.sleep(600)
        if index == 2:
            raise InputError("a.tif: damaged; copy it again")
        return index


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_an_error_ends_workers_that_are_deaf_to_signals():
    loader = torch.utils.data.DataLoader(
        Damaged(), batch_sampler=[[0], [2], [1]], num_workers=2, worker_init_fn=begin_worker
    )
    with pytest.raises(InputError) as caught, ending_workers():
        list(batches_of(loader, 2))
    assert str(caught.value) == "a.tif: damaged; copy it again"
    assert multiprocessing.active_children() == []


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_an_interruption_ends_them_too(request):
    loader = torch.utils.data.DataLoader(
        Damaged(), batch_sampler=[[0], [1]], num_workers=2, worker_init_fn=begin_worker
    )

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    request.addfinalizer(lambda: signal.signal(signal.SIGALRM, before))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt), ending_workers():
        list(batches_of(loader, 2))
    assert multiprocessing.active_children() == []
