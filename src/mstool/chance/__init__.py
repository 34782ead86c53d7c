"""Chance: intervals, permutations and resampling of units, for whatever is measured of them.

What these modules call by the same name is the same thing, and is described here alone:

units : sequence, length N, optional
    Unit of each row, e.g. the specimen of a micrograph; without it every row is a unit. Pixels of
    one micrograph, and micrographs of one specimen, are alike; only units that could have been
    drawn independently tell how far a result would move on new material.
left_out : ndarray of float, shape (U, ...)
    What is measured without each of U units in turn.
seed : int
    Decides all draws.
level : float, default 0.95
    Confidence level [1].

Undefined is NaN.
"""
