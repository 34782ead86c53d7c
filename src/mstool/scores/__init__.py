"""Agreement of predicted label maps with the truth.

What these modules call by the same name is the same thing, and is described here alone:

n_classes : int
    Number of classes, C.
confusion : ndarray of int, shape (..., C, C)
    Counts of pixels, rows truth, columns prediction. A stack of matrices gives a stack of scores.
confusions : ndarray of int, shape (N, C, C)
    A confusion matrix for each image.
truth, mask : ndarray of uint8, shape (H, W)
    Label maps to be compared: classes 0 to C - 1, and 255 for what is left out.
seed : int
    Decides which units are drawn.
units : sequence, length N, optional
    Unit of each image, e.g. its specimen; without it every image is a unit.
n_resamples : int, default 2000
    Number of resamples, B.
level : float, default 0.95
    Confidence level [1].

Scores are float64 from 0 to 1 [1] (kappa and mcc may lie below 0), and NaN, never 0 or 1, where
they are undefined.
"""
