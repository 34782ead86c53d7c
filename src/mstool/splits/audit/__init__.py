"""Overlapping fields of view, found by what they show.

What these modules call by the same name is the same thing, and is described here alone:

structure : ndarray of float32, shape (H, W)
    Grey values with local mean and local contrast taken out, 0 where nothing is known. It stays
    the same under any smooth change of brightness, gamma and contrast.
turn : int
    Which of the eight ways to lay a rectangle on itself: ``turn % 4`` right angles anticlockwise,
    as ``numpy.rot90``, after mirroring left to right where ``turn`` is 4 or more.
offset : ndarray of float, shape (2,)
    Row and column [px] in the first image of the top left corner of the second, once turned.
"""
