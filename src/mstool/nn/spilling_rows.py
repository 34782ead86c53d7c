"""Rows of numbers in memory, and in a file where they are many."""

import mmap
import tempfile
from pathlib import Path

import torch

from mstool.errors import OutputError

_MOST_IN_MEMORY = 2**29  # bytes


class SpillingRows:
    """Rows that are gathered in memory up to a bound, then in a file without a name.

    The system frees the file with its last reader, also where the process is killed.

    Parameters
    ----------
    n_columns : int
        Numbers in a row, F.
    folder : Path
        Where the file lies.
    most_in_memory : int
        The bound [byte].
    """

    def __init__(self, n_columns: int, folder: Path, most_in_memory: int = _MOST_IN_MEMORY):
        self.n_columns, self.folder, self.most_in_memory = n_columns, folder, most_in_memory
        self._parts: list[torch.Tensor] = []
        self._file = None

    @property
    def is_spilled(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def append(self, rows: torch.Tensor) -> None:
        """Add rows, float32 (n, F) on the CPU.

        Raises
        ------
        OutputError
            If the file cannot grow.
        """
        self._parts.append(rows)
        if sum(part.nbytes for part in self._parts) > self.most_in_memory:
            self._write()

    def finish(self) -> torch.Tensor:
        """All rows as one tensor, float32 (P, F)."""
        if not self.is_spilled:
            return torch.cat([torch.empty(0, self.n_columns), *self._parts])
        self._write()
        mapped = mmap.mmap(self._file.fileno(), 0)
        return torch.frombuffer(mapped, dtype=torch.float32).view(-1, self.n_columns)

    def close(self) -> None:
        """Let go of the file; what `finish` gave goes on reading it."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (see close)
            for part in self._parts:
                self._file.write(part.numpy().tobytes())
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self.folder}: no room for the features of the pixels ({error.strerror}); make "
                "some, or use fewer --pixels"
            ) from error
        self._parts = []
