"""PNG checked before it is decoded, since Pillow takes damaged data as they come."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mstool.errors import InputError
from mstool.io.memory import refuse_hollow

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIECE = 2**20
_MOST_RATIO = 1100  # bytes of pixels that deflate makes of one
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# First row and column, and steps down and across, of the seven passes of an interlaced image.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_PASSES += ((1, 0, 2, 1),)


@dataclass(frozen=True)
class PngFacts:
    """What the header of a PNG says, and its chunk tRNS.

    Colour types are 0 grey, 2 RGB, 3 indexed, 4 grey and alpha, 6 RGB and alpha; `bits` are those
    of each number. An interlaced image stores its rows in seven passes.
    """

    width: int
    height: int
    bits: int
    colour_type: int
    is_interlaced: bool
    transparency: bytes = b""

    @property
    def palette_alpha(self) -> np.ndarray | None:
        """Alpha of each index: uint8, shape (256,); None where all are opaque."""
        if self.colour_type != 3 or not self.transparency:
            return None
        alpha = np.full(256, 255, np.uint8)
        alpha[: len(self.transparency)] = np.frombuffer(self.transparency[:256], np.uint8)
        return alpha

    @property
    def clear_key(self) -> tuple[int, ...] | None:
        """Grey or colour that stands for transparent, as stored; None without one."""
        if self.colour_type not in (0, 2) or not self.transparency:
            return None
        return struct.unpack(f">{_CHANNELS[self.colour_type]}H", self.transparency)


def check_png(path: Path) -> PngFacts:
    """Check every byte of a PNG: checksums, and that there are as many pixels as claimed.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    facts, pixels = None, None
    with open(path, "rb") as stream:
        stream.seek(len(SIGNATURE))
        for kind, content in _chunks(stream, path):
            if facts is None:
                facts = _header(kind, content, path)
                n_bytes = _n_bytes(facts)
                refuse_hollow(path, n_bytes, path.stat().st_size, _MOST_RATIO)
                pixels = _PixelCounter(path, n_bytes)
            elif kind == b"tRNS":
                facts = PngFacts(**{**vars(facts), "transparency": content})
            elif kind == b"IDAT":
                pixels.take(content)
    if facts is None:
        raise _damaged(path, "it has no header")
    pixels.end()
    return facts


def _chunks(stream: BinaryIO, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk up to the last; what follows that is no part of the image."""
    kind = b""
    while kind != b"IEND":
        head = stream.read(8)
        length = int.from_bytes(head[:4], "big")
        kind, content, checksum = head[4:], stream.read(length), stream.read(4)
        if len(checksum) < 4:
            raise InputError(f"{path}: the file is cut off; copy it again")
        if zlib.crc32(kind + content).to_bytes(4, "big") != checksum:
            raise _damaged(path, f"the checksum of its part {kind!r} is wrong")
        yield kind, content


class _PixelCounter:
    """Unpacks the pixels piece by piece, to count their bytes."""

    def __init__(self, path: Path, expected: int):
        self.path, self.expected, self.n_bytes = path, expected, 0
        self.unpack = zlib.decompressobj()

    def take(self, content: bytes) -> None:
        try:
            while content and not self.unpack.eof:
                self.n_bytes += len(self.unpack.decompress(content, _PIECE))
                content = self.unpack.unconsumed_tail
                if self.n_bytes > self.expected:
                    raise _damaged(self.path, "it holds more pixels than it claims")
        except zlib.error as error:
            raise _damaged(self.path, f"its pixels cannot be unpacked, {error}") from error

    def end(self) -> None:
        if self.n_bytes < self.expected:
            raise _damaged(self.path, "it holds fewer pixels than it claims")
        if not self.unpack.eof:
            raise _damaged(self.path, "its pixels end without their checksum")


def _header(kind: bytes, content: bytes, path: Path) -> PngFacts:
    if kind != b"IHDR" or len(content) != 13:
        raise _damaged(path, "it has no header")
    width, height, bits, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", content)
    if colour_type not in _CHANNELS or bits not in (1, 2, 4, 8, 16) or interlace > 1:
        raise _damaged(path, "its header makes no sense")
    return PngFacts(width, height, bits, colour_type, bool(interlace))


def _n_bytes(facts: PngFacts) -> int:
    """Bytes of unpacked pixels; each row begins with one that names its filter."""
    passes = _PASSES if facts.is_interlaced else ((0, 0, 1, 1),)
    total = 0
    for row, col, down, across in passes:
        n_rows, n_cols = -(-(facts.height - row) // down), -(-(facts.width - col) // across)
        if n_rows > 0 and n_cols > 0:
            total += n_rows * (1 + -(-n_cols * _CHANNELS[facts.colour_type] * facts.bits // 8))
    return total


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: is damaged, {what}; copy it again, or save it anew")
