"""Numbers of a GPU, read without waiting for what it was asked to do since."""

import torch


class Later:
    """A number that may still be computed, on its way to the host.

    A plain ``float(value)`` would wait until the GPU has done all that it was asked for, and it
    would then stand idle until it is asked for more.

    Parameters
    ----------
    value : Tensor of float, shape ()
        On any device.
    """

    def __init__(self, value: torch.Tensor):
        self._value = value.detach().to("cpu", non_blocking=value.is_cuda)
        self._has_come = torch.cuda.Event() if value.is_cuda else None
        if self._has_come is not None:
            self._has_come.record(torch.cuda.current_stream(value.device))

    def read(self) -> float:
        """Wait for the number alone."""
        if self._has_come is not None:
            self._has_come.synchronize()
        return float(self._value)
