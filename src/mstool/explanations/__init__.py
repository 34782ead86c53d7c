"""Whether explanations can be believed: controls, similarity, faithfulness, counterfactuals.

What these modules call by the same name is the same thing, and is described here alone:

image : ndarray of float32, shape (H, W, C)
    Greys.
labels : ndarray of uint8, shape (H, W)
    Class indices, or 255 for ignored.
class_index : int
    The class that is explained.
attribution : ndarray of float, shape (H, W)
    Map of a method, or of a control.
window : ndarray of bool, shape (H, W)
    Pixels that count.
rng : numpy.random.Generator
    Where the draws come from.
units : sequence of str
    Micrograph or group of each region; these, and not regions, are compared and counted.
limits : Thresholds
    Where measurements turn into verdicts.
n_units, n_regions : int
    Groups of micrographs, and regions of them, that a part rests on.
methods, controls : dict
    By label of the method, and by name of the control.
left_out : tuple of str
    What there was no time for.
"""
