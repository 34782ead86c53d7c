"""What a microscope burns into a micrograph: a scale bar, an information bar."""

import numpy as np

IGNORE_INDEX = 255
DARK, LIGHT = 0.04, 0.96  # grey of the bar and of its marks [1]

GLYPHS = {  # 3 columns x 5 rows; a row is three bits, most significant on the left
    " ": (0, 0, 0, 0, 0),
    ".": (0, 0, 0, 0, 2),
    "/": (1, 1, 2, 4, 4),
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
    "M": (5, 7, 7, 5, 5),
    "P": (7, 5, 7, 4, 4),
    "U": (5, 5, 5, 5, 7),
    "X": (5, 5, 2, 5, 5),
}


def choose_bar_length(width, pixel_size_um) -> float:
    """Scale bar length [um] of the series 1, 2, 5, 10, ... that is nearest to a fifth of the width.

    Examples
    --------
    >>> choose_bar_length(512, 0.1)
    10.0
    """
    wanted = 0.2 * width * pixel_size_um
    decade = np.floor(np.log10(wanted))
    series = np.array([1.0, 2.0, 5.0, 10.0]) * 10.0**decade
    chosen = series[np.argmin(np.abs(np.log(series / wanted)))]
    return float(f"{chosen:.0e}")


def draw_text(text, zoom=1):
    """Text in a 3 x 5 bitmap font.

    Parameters
    ----------
    text : str
        Digits, point, space and the letters of `GLYPHS`.
    zoom : int
        Edge of a font dot [px].

    Returns
    -------
    ndarray of bool, shape (5 * zoom, (4 * len(text) - 1) * zoom)
        Where the ink is.

    Examples
    --------
    >>> draw_text("1").astype(int)
    array([[0, 1, 0],
           [1, 1, 0],
           [0, 1, 0],
           [0, 1, 0],
           [1, 1, 1]])
    """
    codes = np.array([GLYPHS[letter] for letter in text])
    dots = (codes[:, :, np.newaxis] >> np.array([3, 2, 1, 0])) & 1  # letters, rows, gap + 3 columns
    ink = dots.transpose(1, 0, 2).reshape(5, -1)[:, 1:]
    return np.kron(ink, np.ones((zoom, zoom), int)).astype(bool)


def burn_scale_bar(image, pixel_size_um, bottom):
    """Copy of an image with a scale bar and its length burned in at the lower right.

    Parameters
    ----------
    bottom : int
        Row below the part of the image that is free for the bar [px].

    Returns
    -------
    image : ndarray of float, shape (H, W)
        With the bar.
    length_um : float
        Length that the bar stands for [um].
    """
    length_um = choose_bar_length(image.shape[1], pixel_size_um)
    mark = _draw_scale_mark(length_um, pixel_size_um, zoom=_text_zoom(image.shape))
    plate = np.pad(mark, 3)
    burned = image.copy()
    target = burned[: bottom - 2, :-2][-plate.shape[0] :, -plate.shape[1] :]
    target[:] = np.where(plate, LIGHT, DARK)
    return burned, length_um


def info_bar_height(shape) -> int:
    """Height of the information bar of an image [px]."""
    return 9 * _text_zoom(shape) + 6


def draw_info_bar(shape, pixel_size_um):
    """Dark strip with light marks: a scale bar with its length and, if it fits, the pixel size.

    Returns
    -------
    ndarray of float64, shape (`info_bar_height`, W)
        Greys of the strip, as wide as the image of `shape` that it belongs to.
    """
    zoom = _text_zoom(shape)
    ink = np.zeros((info_bar_height(shape), shape[1]), bool)
    length_um = choose_bar_length(shape[1], pixel_size_um)
    _stamp(ink, _draw_scale_mark(length_um, pixel_size_um, zoom), row=4, col=3 * zoom)
    note = draw_text(f"{pixel_size_um:.3g} UM/PX", zoom)
    _stamp(ink, note, row=2 + 2 * zoom, col=shape[1] - note.shape[1] - 3 * zoom)
    strip = np.where(ink, LIGHT, DARK)
    strip[0] = LIGHT  # the line that parts it from the image
    return strip


def _text_zoom(shape):
    """Font dot edge [px] that suits an image: 1 at 64, 2 at 512, 4 at 1024 px."""
    return max(1, min(shape) // 250)


def _draw_scale_mark(length_um, pixel_size_um, zoom):
    """Bar of a known length above its text, bool array."""
    text = draw_text(f"{length_um:g} UM", zoom)
    length_px = max(1, round(length_um / pixel_size_um))
    mark = np.zeros((text.shape[0] + 3 * zoom, max(length_px, text.shape[1])), bool)
    mark[: 2 * zoom, (mark.shape[1] - length_px) // 2 :][:, :length_px] = True
    _stamp(mark, text, row=3 * zoom, col=(mark.shape[1] - text.shape[1]) // 2)
    return mark


def _stamp(ink, mark, row, col):
    """Draw `mark` into `ink` if it fits without covering another mark."""
    target = ink[row : row + mark.shape[0], max(col, 0) : max(col, 0) + mark.shape[1]]
    if target.shape == mark.shape and not target.any():
        target |= mark
