"""Label maps as indexed-colour files that any viewer opens."""

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tifffile

from mstool.io.atomic import atomic_path
from mstool.io.pixel_size import resolution_tags

_ROWS_PER_STRIP = 64


def write_indexed_png(path: Path, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write a label map, uint8 (H, W), as indexed-colour PNG; the palette has 256 colours."""
    from PIL import Image

    image = Image.fromarray(labels)
    image.putpalette(palette.tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary)


def write_indexed_tiff(
    path: Path,
    bands: Iterable[np.ndarray],
    shape: tuple[int, int],
    palette: np.ndarray,
    pixel_size_um: float | None = None,
) -> None:
    """Write a label map, arriving in bands of rows, as indexed-colour TIFF.

    Strips with deflate, since ImageJ opens neither tiles nor newer codecs.

    Parameters
    ----------
    bands : iterable of ndarray of uint8, shape (rows, W)
        Label maps from the top down.
    shape : tuple of int
        (H, W) in all [px].
    """
    colormap = palette.T.astype(np.uint16) * 257
    options = {"photometric": "palette", "colormap": colormap}
    write_strips(path, bands, shape, np.uint8, pixel_size_um, **options)


def write_strips(
    path: Path,
    bands: Iterable[np.ndarray],
    shape: tuple[int, int],
    dtype: type,
    pixel_size_um: float | None = None,
    **options,
) -> None:
    """Write a grey or indexed TIFF from bands of rows, with memory for one band.

    `options` go to `tifffile.imwrite`; the other parameters are those of `write_indexed_tiff`.
    """
    n_bytes = shape[0] * shape[1] * np.dtype(dtype).itemsize
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            _encode_strips(bands),
            shape=shape,
            dtype=dtype,
            rowsperstrip=_ROWS_PER_STRIP,
            compression="zlib",
            bigtiff=n_bytes > 2**31,
            metadata=None,
            **{"photometric": "minisblack", **options},
            **resolution_tags(pixel_size_um),
        )


def _encode_strips(bands: Iterable[np.ndarray]) -> Iterable[bytes]:
    """Deflated strips; tifffile takes arrays for whole pages and tiles only."""
    held = None
    for band in bands:
        held = band if held is None else np.concatenate([held, band])
        n_whole = held.shape[0] // _ROWS_PER_STRIP * _ROWS_PER_STRIP
        for row in range(0, n_whole, _ROWS_PER_STRIP):
            yield zlib.compress(held[row : row + _ROWS_PER_STRIP].tobytes(), 6)
        held = held[n_whole:]
    if held is not None and held.shape[0]:
        yield zlib.compress(held.tobytes(), 6)
