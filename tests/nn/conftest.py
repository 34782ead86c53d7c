"""Fixtures for networks."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
WAITING = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal)


class Waits(TorchDispatchMode):
    """Notes what a GPU would be waited for: numbers, and shapes that depend on them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        masks = arguments[1] if function.overloadpacket is aten.index else ()
        if function.overloadpacket in WAITING or any(
            mask is not None and mask.dtype in (torch.bool, torch.uint8) for mask in masks
        ):
            self.found.append(str(function))
        return function(*arguments, **named or {})


@pytest.fixture
def waits():
    """Context in which calls that would wait for a GPU are added to its `found`."""
    return Waits()
