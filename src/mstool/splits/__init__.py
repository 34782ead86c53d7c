"""Splits that keep micrographs of one specimen together.

What these modules call by the same name is the same thing, and is described here alone:

groups : sequence of str, length N
    Group of each image; a group may occur many times.
class_counts : ndarray, shape (N, C), or None
    Labelled pixels of each class in each image. The folds get like shares of every class; without
    it, only numbers of groups are evened.
seed : int
    Decides between groups of equal size, and which swaps are tried.
folds : dict of str to int
    Fold of each group, from 0, in order of group names.
sources : dict of str to SourceImage
    Micrographs of the tile folder by name.
split : str
    Name of the file of the split, for messages.
"""
