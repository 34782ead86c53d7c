"""One file a verb: files in, files out, resumable; nothing of the terminal.

What these modules call by the same name is the same thing, and is described here alone:

settings : dataclass
    What decides the result, beside the files that are read; a part of the record.
job : Job
    Where a verb writes, and whom it tells.
out : Path
    Folder to write; of ``split`` and ``score`` the file, None for standard output.
overwrite : bool
    Whether other work that is there already may be replaced.
report : Reporter
    Told of progress, and of what makes a result less sure than it looks.
legend : Legend
    What label maps are read through.
names : sequence of str
    Classes, in order.
confusion : ndarray of int64, shape (C, C)
    Rows truth, columns prediction.
confusions : ndarray of int64, shape (N, C, C)
    Of each micrograph.
pairs : sequence of Pair
    Masks with their label maps.
mask_set : MaskSet
    All masks, and what is known of them.
group_by : str or None
    Pattern that finds the specimen in a file name; None for the recorded groups, or else every
    micrograph by itself.
seed : int
    Source of all chance.
"""
