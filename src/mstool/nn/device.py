"""Where networks run, and in which number format."""

import ctypes
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mstool.errors import UnavailableError, UsageError
from mstool.nn.cores import available_cores

Precision = Literal["auto", "fp32", "bf16", "fp16"]

# Of mallopt(3); the values are C integers.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT, _ALL = 2**30, 2**31 - 1  # bytes

_MOST_WORKERS = 8

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Device and number format of a run.

    Attributes
    ----------
    device : torch.device
        Where tensors live.
    dtype : torch.dtype
        Format of convolutions and matrix products; the rest stays float32.
    """

    device: torch.device
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """Device in words for records, such as ``cuda (NVIDIA H100)``."""
        if self.device.type != "cuda":
            return self.device.type
        return f"{self.device} ({torch.cuda.get_device_name(self.device)})"

    @property
    def precision(self) -> str:
        """Number format as the flag spells it."""
        return {dtype: name for name, dtype in _TYPES.items()}[self.dtype]

    @property
    def n_threads(self) -> int:
        """Threads of the CPU that a network uses."""
        return torch.get_num_threads()

    @property
    def usual_workers(self) -> int:
        """Processes that prepare batches where nobody says how many.

        None beside a network on the CPU, which wants the cores itself; else all cores but one, up
        to eight.
        """
        return 0 if self.device.type == "cpu" else min(_MOST_WORKERS, max(1, available_cores() - 1))

    @property
    def n_ahead(self) -> int:
        """Steps that may still be computed while the next one is prepared."""
        return 1 if self.device.type == "cuda" else 0

    def autocast(self) -> torch.autocast:
        """Context in which networks compute in `dtype`."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        """Move a network to the device, channels last."""
        return module.to(self.device, memory_format=torch.channels_last)

    def place_batch(self, images: torch.Tensor) -> torch.Tensor:
        """Move a batch (N, C, H, W) to the device, channels last."""
        return images.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    def place_images(self, images: np.ndarray) -> torch.Tensor:
        """Images (N, H, W, C) or one (H, W, C) as a float32 tensor (N, C, H, W) on the device."""
        images = images[None] if images.ndim == 3 else images
        tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1), np.float32))
        return self.place_batch(tensor)


def choose_compute(device: str = "auto", precision: Precision = "auto") -> Compute:
    """Resolve ``--device`` and ``--precision``.

    Parameters
    ----------
    device : str
        ``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision : {"auto", "fp32", "bf16", "fp16"}
        ``auto`` takes the fastest format that the hardware has itself, and never an emulated one.

    Returns
    -------
    Compute
        What to use.

    Raises
    ------
    UsageError
        If there is no such format.
    UnavailableError
        If the device is not there.
    """
    if precision not in ("auto", *_TYPES):
        raise UsageError(f"--precision {precision}: use auto, fp32, bf16 or fp16")
    chosen = _choose_device(device)
    name = _choose_precision(chosen) if precision == "auto" else precision
    if name == "fp16" and chosen.type == "cpu":
        raise UnavailableError("--precision fp16 needs a GPU; on a CPU use fp32 or bf16")
    return Compute(chosen, _TYPES[name])


def make_deterministic() -> None:
    """Make torch give the same bytes for the same input, on every run with as many threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # as use_deterministic_algorithms, which loads the compiler too, for as long as torch itself
    torch.set_deterministic_debug_mode("warn")
    # filling memory that is written anyway costs time on every layer
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False


def reuse_freed_memory() -> bool:
    """Let the C library keep freed memory for the next tensor, where it is glibc.

    By default it gives every block above 32 MiB back to the system and asks for it again, and each
    page of it is cleared anew: a third of the time of large tiles on some virtual machines [1]_.

    Returns
    -------
    bool
        Whether it will.

    References
    ----------
    .. [1] mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, _ALL))


def _choose_device(device: str) -> torch.device:
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    kind, _, index = device.partition(":")
    n_devices = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}.get(kind)
    if n_devices is None or (index and not index.isdigit()):
        raise UnavailableError(f"--device {device}: unknown; use auto, cpu, cuda, cuda:N or mps")
    if int(index or 0) >= n_devices:
        raise UnavailableError(f"--device {device}: not there; use --device auto or cpu")
    return torch.device(device)


def _choose_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if device.type == "cpu":
        # without matrix tiles a processor takes bfloat16 at no more than the pace of float32, and
        # the gradients of depthwise convolutions several times as slowly
        return "bf16" if torch.cpu._is_amx_tile_supported() else "fp32"
    return "fp32"
