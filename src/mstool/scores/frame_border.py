"""The rim of a micrograph, which a score may leave out."""

import numpy as np

_IGNORED = 255


def leave_out_border(band: np.ndarray, row: int, height: int, border: int) -> np.ndarray:
    """Label map with 255 where a pixel lies less than `border` pixels from the edge.

    Parameters
    ----------
    band : ndarray of uint8, shape (h, W)
        Whole rows of a label map.
    row : int
        Where the first of them lies in the label map [px].
    height : int
        Rows of the whole label map [px].
    border : int
        Width of the rim [px]; with 0 the band is given back as it is.

    Examples
    --------
    >>> leave_out_border(np.ones((3, 4), np.uint8), row=0, height=3, border=1)
    array([[255, 255, 255, 255],
           [255,   1,   1, 255],
           [255, 255, 255, 255]], dtype=uint8)
    """
    if border == 0:
        return band
    rows = row + np.arange(band.shape[0])
    cols = np.arange(band.shape[1])
    is_inner_row = (rows >= border) & (rows < height - border)
    is_inner_col = (cols >= border) & (cols < band.shape[1] - border)
    return np.where(is_inner_row[:, None] & is_inner_col, band, np.uint8(_IGNORED))
