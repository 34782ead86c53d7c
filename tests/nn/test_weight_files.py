"""Files that are given as weights: one line each says what they are."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mstool.errors import InputError
from mstool.nn.weight_files import read_state

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


def saved(content, **options):
    """Bytes that torch writes."""
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def bomb(n_bytes, n_dense=0):
    """A file that unpacks to more than it is, but for the bytes that no packing makes fewer."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", saved(STATE))
        dense = np.random.default_rng(0).bytes(n_dense)
        archive.writestr("archive/data/0", dense + bytes(n_bytes - n_dense))
    return stream.getvalue()


def quantised():
    """A tensor as networks for small machines have them; torch warns that they will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


OLD = saved(STATE, _use_new_zipfile_serialization=False)
COMPLEX = torch.ones(2, dtype=torch.complex64)
REFUSED = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    "page": (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
    "empty": (b"", "the file is empty"),
    "json": (b'{"a": 1}', "JSON text"),
    "json, braces": (b'{"a bc":{"d": 1}}', "JSON text"),
    "gzip": (b"\x1f\x8b\x08" + bytes(99), "packed with gzip"),
    "text": (b"hello", "is text"),
    "zeros": (bytes(999), "neither safetensors nor a state dict"),
    "cut off": (saved(STATE)[:700], "cut off or damaged"),
    "cut off, old": (OLD[:-9], "cut off or damaged"),
    "model": (saved(torch.nn.Linear(2, 2)), "a whole pickled model, .*; save its state_dict"),
    "object": (saved({"a": STATE, "b": np.random.default_rng(0)}), "a whole pickled model"),
    "protocol": (b"\x80\x04\x95" + saved(STATE), "cut off or damaged"),
    "list": (saved([1, 2]), "no table of tensors"),
    "tensor": (saved(torch.ones(3)), "no table of tensors"),
    "numbers": (saved({"a": 1}), "no tensors"),
    "two": (saved({"a": STATE, "b": STATE}), "several tables of tensors"),
    "sparse": (saved({"a": torch.ones(2, 2).to_sparse()}), "a is sparse|damaged, or not of"),
    "complex": (saved({"a": COMPLEX}), "a is .* complex"),
    "quantised": (saved({"a": quantised()}), "a is .* quantised"),
    "no values": (saved({"a": torch.empty(2, device="meta")}), "a is .* empty"),
    "bomb": (bomb(200_000_000), "a packed archive of 200 MB"),
    "small bomb": (bomb(3_000_000, 2_000_000), "a packed archive of 3 MB"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_weights_is_named(tmp_path, name, suffix):
    content, words = REFUSED[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{path}: .*{words}") as caught:
        read_state(path)
    line = str(caught.value)
    assert ";" in line
    assert "\n" not in line
    assert "weights_only" not in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "lr": np.float64(0.1), "n": np.int64(3), "best": 0.5},
        {"net": STATE, "optimizer": {"state": {0: STATE}}, "epoch": 3},
        {"model": STATE, "ema": STATE},
        {"state_dict": STATE, "mean": torch.ones(3)},
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_tensors_are_found_where_programs_keep_them(tmp_path, content, is_new):
    (tmp_path / "a.pth").write_bytes(saved(content, _use_new_zipfile_serialization=is_new))
    found = read_state(tmp_path / "a.pth")
    assert list(found) == list(STATE)
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a"])
def test_safetensors_are_read_whatever_their_name(tmp_path, name):
    save_file(STATE, tmp_path / name)
    assert set(read_state(tmp_path / name)) == set(STATE)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-4])
    with pytest.raises(InputError, match="cut off or damaged, as safetensors"):
        read_state(tmp_path / name)


@pytest.mark.parametrize("beginning", ["<", "{"])
def test_safetensors_are_taken_for_nothing_else_whatever_their_length(tmp_path, beginning):
    """A header of 15392 bytes begins with a space and "<", for instance."""
    path = tmp_path / "a.safetensors"
    save_file(STATE, path, {"a": ""})
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    longer = int.from_bytes(b" " + beginning.encode(), "little")
    header = data[8 : 8 + length].ljust(longer)
    path.write_bytes(struct.pack("<Q", longer) + header + data[8 + length :])
    assert set(read_state(path)) == set(STATE)
