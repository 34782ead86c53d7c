"""Figures from arrays: titles, units, legends, colours that everybody can tell apart.

What these modules call by the same name is the same thing, and is described here alone:

title : str
    Of the figure.
image : ndarray of float, shape (H, W, C)
    Micrograph.
classes : sequence of str
    Names of the classes, in index order.
colours : ndarray of uint8, shape (256, 3)
    Display colour of each class.
pixel_size_um : float or None
    For the scale bar, or for lengths in um [um/px]; without it there are none.

Sizes and distances are in pixels, scores and probabilities from 0 to 1, and labels uint8 of shape
(H, W): class indices, 255 ignored.
"""

import logging

# It tells on standard error, whatever -q says, that it found no folder to keep its fonts in.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
