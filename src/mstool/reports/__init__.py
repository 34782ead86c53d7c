"""What a report says of records already read: comparisons, cost, tables, and sentences.

What these modules call by the same name is the same thing, and is described here alone:

cell : ScoredCell
    One cell of a study: a model, or a way to make one, that was scored.
base : ScoredCell
    The cell that others of the same micrographs are compared with.
entry : dict
    What the report says of a cell, plain as in its JSON; None where undefined.

Scores are from 0 to 1 [1], times in seconds.
"""
