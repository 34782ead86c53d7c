"""Networks that are built only as far as there are weights for them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mstool.errors import InputError

_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full)
_SLACK = 2**27  # numbers beside them: tables of positions, classifiers that encoders throw away


@contextmanager
def no_larger_than(n_numbers: int) -> Iterator[None]:
    """See that tensors made in the block hold about as many numbers as a file has weights.

    A description may ask for a network of any size, and to build one takes memory and minutes
    before its weights are compared.

    Raises
    ------
    InputError
        As soon as they hold more.
    """
    with _Count(2 * n_numbers + _SLACK):
        yield


class _Count(TorchFunctionMode):
    def __init__(self, most: int):
        super().__init__()
        self.most, self.n_made = most, 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _MAKERS:
            self.n_made += _count(args, kwargs)
            if self.n_made > self.most:
                raise InputError(
                    f"the network of its description has more than {self.most} weights, and the "
                    "file fewer than half of them"
                )
        return function(*args, **kwargs)


def _count(args: tuple, kwargs: dict[str, Any]) -> int:
    """Numbers that a tensor of these arguments will hold; its size is one of them, or several."""
    size = kwargs.get("size", args)
    size = size[0] if size and isinstance(size[0], list | tuple | torch.Size) else size
    return math.prod(n for n in size if isinstance(n, int))
