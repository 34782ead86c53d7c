"""Tensors by name from files of weights that anybody may have made; no code in them is run."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mstool.errors import InputError

_HEAD_BYTES = 512
_AGAIN = "copy or download it again"
_STATE_DICT = "save its state_dict() alone, with torch.save or as safetensors, and give that"

# What files begin with that are no weights: what they are, and what to do.
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file with git lfs pull"),
    (b"<", "a web page", "download the file itself"),
    (b"{", "JSON text", "give the file with the weights"),
    (b"\x1f\x8b", "packed with gzip", "unpack it first"),
    (b"BZh", "packed with bzip2", "unpack it first"),
    (b"\xfd7zXZ", "packed with xz", "unpack it first"),
    (b"\x89HDF", "HDF5, as Keras writes it", "give weights of PyTorch"),
)

# Keys under which programs keep the tensors of a network beside other things.
_PLACES = ("state_dict", "model_state_dict", "model")

_BITS_OF_SCALARS = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
_SCALAR = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [np.dtype, _SCALAR, *_BITS_OF_SCALARS]
_HARMLESS += [(_SCALAR, "numpy.core.multiarray.scalar")]  # as NumPy 1 has it


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name from safetensors or a state dict of PyTorch.

    A state dict may lie in a table, beside other things that are numbers or text.

    Raises
    ------
    InputError
        If the file holds something else, more than it could, or is damaged.
    """
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise InputError(f"{path}: the file is empty; {_AGAIN}")
    if is_safetensors(path):  # asked first: their length may begin as a web page does
        tensors = _read_safetensors(path)
    else:
        _refuse_others(head, path)
        tensors = _choose(_unpickle(path), path)
    for name, tensor in tensors.items():
        is_plain = tensor.layout == torch.strided and not tensor.is_meta
        if not is_plain or tensor.is_quantized or tensor.is_complex():
            raise InputError(
                f"{path}: {name} is sparse, quantised, complex or empty; save it dense"
            )
    return tensors


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do, whatever its name: a length, and a brace.

    The length has eight bytes, the least one first; that of any header leaves the last four 0.
    """
    with open(path, "rb") as stream:
        return stream.read(9)[4:] == b"\0\0\0\0{"


def _refuse_others(head: bytes, path: Path) -> None:
    """Refuse what begins as another kind of file does."""
    for beginning, what, remedy in _OTHERS:
        if head.lstrip().startswith(beginning):
            raise InputError(f"{path}: is {what}, not weights; {remedy}")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: is cut off or damaged, as safetensors ({_short(error)}); {_AGAIN}"
        ) from None


def _unpickle(path: Path) -> Any:
    """What `torch.save` wrote, if that is tensors, numbers, text, and tables of them."""
    _refuse_bomb(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")  # lines about protocols, in words of PyTorch
            with open(path, "rb") as stream:  # of a path, torch asks what its name ends in
                return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "nsupported global" in text or "nsupported class" in text or "REDUCE" in text:
            raise InputError(
                f"{path}: is a whole pickled model, or holds other objects, which can run code "
                f"when opened; {_STATE_DICT}"
            ) from None
        raise InputError(f"{path}: {_no_weights(path)}") from None
    except Exception:  # unpickling raises whatever it likes
        raise InputError(f"{path}: {_no_weights(path)}") from None


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is: `torch.save` packs nothing."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError):
        raise InputError(f"{path}: {_no_weights(path)}") from None
    if n_bytes > path.stat().st_size:
        raise InputError(
            f"{path}: is a packed archive of {n_bytes / 1e6:.0f} MB, which torch.save never "
            f"writes; {_STATE_DICT}"
        )


def _no_weights(path: Path) -> str:
    """Say what a file is that cannot be opened."""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\x80"):
        return f"is cut off or damaged, or not of PyTorch; {_AGAIN}"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "is text, not weights; give the file with the weights"
    return "is neither safetensors nor a state dict of PyTorch; give one of them"


def _choose(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a table, or of the one table in it that holds tensors."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no table of tensors; {_STATE_DICT}")
    own = _tensors_of(content)
    within = {str(key): _tensors_of(value) for key, value in content.items()}
    within = {key: tensors for key, tensors in within.items() if tensors}
    named = [key for key in _PLACES if key in within]
    if own and not named:
        return own
    if not within:
        raise InputError(f"{path}: holds no tensors; {_STATE_DICT}")
    if not named and len(within) > 1:
        raise InputError(
            f"{path}: holds several tables of tensors ({', '.join(within)}); {_STATE_DICT}"
        )
    return within[named[0]] if named else next(iter(within.values()))


def _tensors_of(table: Any) -> dict[str, torch.Tensor]:
    entries = table.items() if isinstance(table, dict) else ()
    return {str(key): value for key, value in entries if isinstance(value, torch.Tensor)}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
