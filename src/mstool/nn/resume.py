"""Unfinished training on disk: tensors and numbers in one safetensors file."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mstool.errors import InputError, OutputError
from mstool.io.atomic import atomic_path
from mstool.io.parsing import parse_json

_FILE = "state.safetensors"


def save_tensors(
    folder: Path, tensors: dict[str, dict[str, torch.Tensor]], state: dict[str, Any]
) -> None:
    """Write groups of tensors and the numbers beside them, in one file and so all or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, members in tensors.items()
        for name, tensor in members.items()
    }
    path = folder / _FILE
    try:
        with atomic_path(path) as temporary:
            save_file(flat, temporary, {"state": json.dumps(state)})
    except SafetensorError as error:
        raise OutputError(f"{path}: cannot be written ({error}); make room and run again") from None


def load_tensors(
    folder: Path,
) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]] | None:
    """Read what `save_tensors` wrote; None if there is nothing.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    groups: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, "pt") as stream:
            state = _state_of(stream)
            for key in stream.keys():  # noqa: SIM118 - not a dict
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = stream.get_tensor(key)
    except (SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from None
    return groups, state


def read_state(folder: Path) -> dict[str, Any] | None:
    """Read the numbers alone of what `save_tensors` wrote; else as `load_tensors`."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as stream:
            return _state_of(stream)
    except (SafetensorError, KeyError, ValueError) as error:
        raise _damaged(path, error) from None


def _state_of(stream: Any) -> dict[str, Any]:
    state = parse_json((stream.metadata() or {})["state"], is_finite=False)
    if not isinstance(state, dict):
        raise ValueError("its state is no table")
    return state


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged ({error}); start afresh with --overwrite")
