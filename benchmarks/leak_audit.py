"""Does split --audit find what is planted, and nothing else? Recall, false alarms and time.

    python benchmarks/leak_audit.py [--data DATA] [--pairs 300] [--work WORK] [--csv CSV]

Half of the planted pairs, and all without DATA, are cut from phantoms of four looks: lath-bainite,
pearlite too, coarse laths with precipitates and scratches, and colonies of coarse lamellae, which
repeat themselves. The rest is cut from the micrographs in DATA/images, the ultrahigh-carbon steel
set of uhcs.sh. Two crops share 15 to 50 % of their area; the second is laid in one of eight ways,
magnified by up to 2 %, and gets another gamma and contrast, noise, JPEG, and sometimes 16 bits.

False alarms are counted on pairs that share nothing: phantoms, small tiles of them, parallel
stripes of one direction and spacing, and the micrographs in DATA, where one pair, uhcs0579 and
uhcs1176, does share an eighth, which was seen by eye. Time is that of the command on 50 micrographs
of 1000 x 1000 pixels: of the clock, which a busy machine draws out, and of the processor.

Writes CSV: set, measure, n, value.
"""

import argparse
import io
import resource
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

from mstool.geometry.resample import axis_weights, resample, scaled_length
from mstool.io.images import open_micrograph
from mstool.io.tables import to_csv
from mstool.splits.audit.overlaps import ALL_TURNS, Field, find_overlaps, small_scale
from mstool.splits.audit.structure import turned

LOOKS = {
    "laths": [],
    "pearlite": ["--classes", "3"],
    "coarse": ["--lath-width", "1.5", "--precipitates", "0.02", "--scratches", "2"],
    "lamellae": [
        "--classes",
        "3",
        "--foreground",
        "0.8",
        "0.9",
        "--lamella-spacing",
        "1.2",
        "--region-size",
        "60",
        "--grain-size",
        "40",
    ],
}
KNOWN = {("uhcs0579.tif", "uhcs1176.tif")}
N_PHANTOMS, SIZE, SEED = 6, 900, 5


def mstool(*arguments):
    """Run a verb."""
    command = [sys.executable, "-m", "mstool", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def read_phantoms(work, look, size=SIZE, n=N_PHANTOMS):
    """Phantoms of a look, drawn if they are not there."""
    folder = work / f"{look}-{size}"
    options = ["--images", n, "--size", size, "--seed", SEED, "-q"]
    mstool("phantom", *LOOKS[look], *options, "-o", folder)
    return read_folder(folder / "images")


def read_folder(folder):
    """Grey values of the micrographs in a folder by name."""
    return {path.name: open_micrograph(path, grey=True).read() for path in folder.iterdir()}


def plant(image, rng):
    """Two crops that share a known part of their area, the second changed: what is seen, and truth.

    The truth is how the second lies: turn, and where its middle is in the first [px].
    """
    size = np.array(image.shape) * 6 // 10
    share = rng.uniform(0.15, 0.5)
    while True:  # what is shared is a strip, a corner, or anything between
        part = share ** rng.uniform(0, 1)
        move = np.round(size * (1 - np.array([part, share / part])))
        if (size + move + 8 <= image.shape).all():
            break
    move = (move * rng.choice([-1, 1], 2)).astype(int)
    room = np.array(image.shape) - size - np.abs(move)
    start = np.maximum(0, -move) + rng.integers(4, room - 3)
    scale = rng.uniform(0.98, 1.02)
    first = image[start[0] : start[0] + size[0], start[1] : start[1] + size[1]]
    middle = start + move + (size - 1) / 2
    axes = [m + (np.arange(n) - (n - 1) / 2) / scale for m, n in zip(middle, size, strict=True)]
    places = np.meshgrid(*axes, indexing="ij")
    second = ndimage.map_coordinates(image.astype(np.float32), places, order=1, mode="nearest")
    turn = int(rng.choice(ALL_TURNS))
    back = turn if turn >= 4 else -turn % 4  # a mirror undoes itself
    return first, turned(change(second, rng), back), turn, middle - start


def change(image, rng):
    """Other gamma and contrast, noise, JPEG, and sometimes 16 bits."""
    grey = (image / 255).clip(0, 1) ** rng.uniform(0.6, 1.7)
    grey = rng.uniform(0, 0.1) + rng.uniform(0.7, 0.9) * grey
    grey = (grey + rng.normal(0, rng.uniform(0, 0.06), grey.shape)).clip(0, 1)
    stream = io.BytesIO()
    Image.fromarray((255 * grey).astype(np.uint8)).save(
        stream, "JPEG", quality=int(rng.integers(40, 95))
    )
    stored = np.asarray(Image.open(stream))
    return stored.astype(np.uint16) * 257 if rng.random() < 0.3 else stored


def compare(images, pairs):
    """What the audit says of pairs of micrographs."""
    scale = small_scale([image.shape for image in images])
    small = {}
    for number, image in enumerate(images):
        weights = [axis_weights(n, scaled_length(n, scale)) for n in image.shape]
        small[number] = Field(resample(image, *weights))
    return list(find_overlaps(small, pairs, lambda number: Field(images[number]), scale))


def is_found(first, second, turn, middle):
    """Whether the audit finds a planted pair, and where it is."""
    (overlap,) = compare([first, second], [(0, 1)])
    if overlap is None or overlap.turn != turn:
        return False
    shape = np.array(turned(second, turn).shape)
    seen = np.array(overlap.offset) + (shape - 1) / 2 / overlap.scale
    return bool(np.hypot(*(seen - middle)) < 3)


def recall(images, n, rng):
    """Share of planted pairs that are found."""
    images = list(images.values())
    return np.mean([is_found(*plant(images[k % len(images)], rng)) for k in range(n)])


def alarms(images):
    """Pairs that are said to share a field, by name."""
    names = sorted(images)
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: pair[::-1])
    found = compare([images[name] for name in names], pairs)
    return len(pairs), {
        (names[i], names[j]) for (i, j), overlap in zip(pairs, found, strict=True) if overlap
    }


def stripes(rng, n=20, shape=(484, 645)):
    """Micrographs of parallel lamellae, all of one direction and spacing, with other defects."""
    rows, cols = np.indices(shape)
    wave = (rows * np.cos(0.6) + cols * np.sin(0.6)) * 2 * np.pi / 14
    images = {}
    for number in range(n):
        bends = 12 * ndimage.gaussian_filter(rng.normal(size=shape), 25)
        grey = 0.5 + 0.3 * np.sin(wave + bends + rng.uniform(0, 6)) + rng.normal(0, 0.05, shape)
        images[f"{number:02d}"] = (255 * grey.clip(0, 1)).astype(np.uint8)
    return images


def seconds(work):
    """Time of the command on 50 micrographs of 1 megapixel, one pair of them alike."""
    folder = work / "megapixel"
    folder.mkdir(exist_ok=True)
    phantoms = read_phantoms(work, "pearlite", 1000, 50)
    for name, image in phantoms.items():
        tifffile.imwrite(folder / name, image)
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    table = mstool("split", "--audit", folder, "-q")
    spent = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, core, table.decode().count("\n") - 1


def measure(data, n_pairs, work):
    """Rows of the table."""
    rng = np.random.default_rng(SEED)
    sets = {look: read_phantoms(work, look) for look in LOOKS}
    n_real = n_pairs // 2 if data else 0
    for look, images in sets.items():
        n = -(-(n_pairs - n_real) // len(LOOKS))
        yield look, "recall", n, recall(images, n, rng)
        n, found = alarms(images)
        yield look, "false alarms", n, len(found)
    fields = read_phantoms(work, "pearlite", 1000, 50)
    patches = {name: image[:128, :128] for name, image in fields.items()}
    patches |= {f"{name}-2": image[-128:, -128:] for name, image in fields.items()}
    n, found = alarms(patches)
    yield "tiles", "false alarms", n, len(found)
    n, found = alarms(stripes(rng))
    yield "stripes", "false alarms", n, len(found)
    if data:
        images = read_folder(data / "images")
        yield "uhcs", "recall", n_real, recall(images, n_real, rng)
        n, found = alarms(images)
        yield "uhcs", "known pairs found", len(KNOWN), len(found & KNOWN)
        yield "uhcs", "false alarms", n - len(KNOWN), len(found - KNOWN)
    spent, core, n = seconds(work)
    yield "50 of 1 Mpx", "seconds", 1225, round(spent, 1)
    yield "50 of 1 Mpx", "core seconds", 1225, round(core, 1)
    yield "50 of 1 Mpx", "false alarms", 1225, n


def main():
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path("build/leak_audit"))
    parser.add_argument("--csv", type=Path, default=Path("benchmarks/results/leak_audit.csv"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in measure(given.data, given.pairs, given.work):
        print(*row, sep="\t", file=sys.stderr)
        rows.append(row)
    given.csv.write_text(to_csv(("set", "measure", "n", "value"), rows))


if __name__ == "__main__":
    main()
