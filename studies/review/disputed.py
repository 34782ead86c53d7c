"""Write label maps that leave out what two annotators see differently.

usage: disputed.py RATER RATER OUT

RATER are folders of label maps with like names; OUT gets a .npy for each, 255 where they disagree.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

first, second, out = map(Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)
for path in sorted(first.glob("*.png")):
    one, other = (np.asarray(Image.open(folder / path.name)) for folder in (first, second))
    np.save(out / f"{path.stem}.npy", np.where(one == other, one, 255).astype(np.uint8))
