"""Processes that train one network together, as torchrun starts them.

Each takes its share of every batch. Logits and labels of the whole batch reach all of them, so that
any loss, of pixels or of classes, is that of the whole batch; batch normalisation sees the whole
batch too. Gradients are added up by DistributedDataParallel. The result is that of one process, but
for the order in which numbers are added.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed, nn

from mstool.errors import Interrupted, MissingInputError, UnavailableError, UsageError
from mstool.nn.dataset import epoch_batches
from mstool.nn.shared_norm import share_norms
from mstool.stopping import leave_signals_to_parent

Item = TypeVar("Item")
Answer = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]

_LONGEST_WAIT = timedelta(hours=1)  # such as for the first process, while it looks for leaks
_ENDED = 75
_PLACE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Team:
    """Processes that do the same work on shares of it; this one alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """Items of this process: neighbours, as many for each as can be."""
        return list(items[self._place(len(items))])

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over all processes of numbers that each has."""
        if self.size == 1:
            return values
        summed = torch.from_numpy(np.ascontiguousarray(values))
        distributed.all_reduce(summed)
        return summed.numpy()

    def most(self, number: int) -> int:
        """Largest of a number that each process has."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def follow(self, value: Any) -> Any:
        """Give the value, one that JSON could hold, that the first process has."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, 0)
        return values[0]

    def wait(self) -> None:
        """Wait until all are here."""
        self.most(0)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Run the block in the first process, then in the others, as where files are fetched."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def answering(self, network: nn.Module) -> Answer:
        """Callable that gives logits and labels of the whole batch, of a share of its crops.

        Parameters
        ----------
        network : Segmenter or Pretrainer
            On the device. Its ``answer`` gives what the loss compares; its batch normalisation is
            changed to see the whole batch.

        Returns
        -------
        callable
            Takes and gives tensors, those of `network`.answer. The gradients of a loss of what it
            gives are those of the whole batch after `share_of_loss`.
        """
        if self.size == 1:
            return network.answer
        share_norms(network)
        device = next(network.parameters()).device
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions have another word
            shared = nn.parallel.DistributedDataParallel(
                _Answering(network),
                device_ids=None if device.type == "cpu" else [device],
                broadcast_buffers=False,  # they are the same in all
            )
        return lambda images, labels: tuple(map(self._whole, shared(images, labels)))

    def share_of_loss(self, loss: torch.Tensor) -> torch.Tensor:
        """Scalar whose gradients, in the mean over processes, are those of a loss."""
        return loss * self.size

    def require_same(self, number: int, message: str) -> None:
        """See that a number is the same in all.

        Raises
        ------
        MissingInputError
            If it is not, with the message.
        """
        if self.most(number) != -self.most(-number):
            raise MissingInputError(message)

    def _place(self, n_items: int) -> slice:
        """Where the items of this process lie; those that have one more are spread over all."""
        edges = [math.ceil(n_items * rank / self.size) for rank in range(self.size + 1)]
        return slice(edges[self.rank], edges[self.rank + 1])

    def _whole(self, values: torch.Tensor) -> torch.Tensor:
        """Values (n, ...) of all processes, in order; gradients reach those of this one alone."""
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = len(values)
        distributed.all_reduce(counts)
        start = int(counts[: self.rank].sum())
        whole = values.new_zeros((int(counts.sum()), *values.shape[1:]))
        whole[start : start + len(values)] = values.detach()
        distributed.all_reduce(whole)
        return torch.cat([whole[:start], values, whole[start + len(values) :]])


ALONE = Team()


class _Answering(nn.Module):
    """Network whose ``forward`` is its ``answer``, which is what DistributedDataParallel calls."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        answer, truth = self.network.answer(images, labels)
        return answer.float(), truth


def refuse_small_batches(n_tiles: int, batch_size: int, n_processes: int) -> None:
    """Refuse batches with fewer crops than there are processes.

    Raises
    ------
    UsageError
        If an epoch has such a batch.
    """
    least = min(map(len, epoch_batches(n_tiles, batch_size, 0, 0)))
    if least < n_processes:
        raise UsageError(
            f"--batch-size {batch_size}: is that of all {n_processes} processes together, and "
            f"leaves batches of {least} of {n_tiles} tiles; use a larger one, or fewer processes"
        )


def is_team(environment: Mapping[str, str]) -> bool:
    """Whether torchrun has started this process with others."""
    return all(name in environment for name in _PLACE) and environment["WORLD_SIZE"] != "1"


def device_of(device: str, environment: Mapping[str, str]) -> str:
    """Device of a process of a team: on a machine with GPUs, each has its own.

    Raises
    ------
    UsageError
        If one GPU is named for all.
    """
    if not is_team(environment) or device == "cpu":
        return device
    if device not in ("auto", "cuda"):
        raise UsageError(f"--device {device}: processes of torchrun need auto, cpu or cuda")
    has_gpu = device == "cuda" or torch.cuda.is_available()
    return f"cuda:{environment['LOCAL_RANK']}" if has_gpu else "cpu"


@contextmanager
def assemble(environment: Mapping[str, str]) -> Iterator[Team]:
    """Join the other processes that torchrun has started, if there are any.

    Where one fails or dies the others end too; the first to see it speaks, and the rest are silent.

    Raises
    ------
    UnavailableError
        If the others do not come.
    Interrupted
        If another process has ended; with an empty message if that is told already.
    """
    if not is_team(environment):
        yield ALONE
        return
    try:
        store, rank, size = next(distributed.rendezvous("env://", timeout=_LONGEST_WAIT))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=size, timeout=_LONGEST_WAIT
        )
    except (RuntimeError, ValueError) as error:
        raise UnavailableError(
            f"torchrun: the processes do not find each other ({error})"
        ) from None
    told = distributed.PrefixStore("mstool", store)
    try:
        yield Team(rank, size)
        distributed.destroy_process_group()
    except BaseException as error:
        leave_signals_to_parent()  # torchrun ends all when one ends, which is nothing to speak of
        ended = _explain(error)
        if _is_told(told):
            raise Interrupted("", ended.exit_code if hasattr(ended, "exit_code") else 1) from error
        if ended is error:
            raise
        raise ended from error


def _explain(error: BaseException) -> BaseException:
    """What to end with: the error, unless it says in other words that a process has ended."""
    is_of_network = isinstance(error, distributed.DistError) or any(
        word in str(error) for word in ("gloo", "NCCL", "Connection closed", "Connection reset")
    )
    if not (isinstance(error, RuntimeError) and is_of_network):
        return error
    return Interrupted(
        "another process of this training has ended; run the same command to go on", _ENDED
    )


def _is_told(store: distributed.Store) -> bool:
    """Whether another process has spoken, or is about to."""
    with suppress(RuntimeError):
        return store.add("told", 1) > 1
    return False  # the process that held it has ended too
