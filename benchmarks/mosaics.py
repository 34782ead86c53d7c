#!/usr/bin/env python
"""Mosaics of growing size: whether the memory bound holds, and time grows as the area.

    python benchmarks/mosaics.py [--sides 4000 7000 10000 14000 20000] [--max-mem GIB]
        [--engine torch] [--files-side 20000] [--small] [--csv FILE] [--only segment]

Segments square mosaics, a mirrored phantom, by a small U-Net under --max-mem and a limit of the
system. The limit is RLIMIT_DATA, of the memory that a process writes to: RLIMIT_AS (ulimit -v)
counts the code of libraries too, and with 2 GiB torch is not even loaded. The resident peak, code
included, is compared with the bound as well. The two smallest mosaics are segmented once more
without a bound, and the labels compared. Then a mosaic is cut into tiles and stitched again, beside
tifffile that reads and writes it.

Each row goes to a CSV as soon as it is known, and what is there is not measured again; with --small
it goes nowhere unless --csv says where. Seconds are those of all cores together. The exponent of
core-seconds against the area is fitted after what a micrograph of a single tile takes is taken off.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

sys.path.insert(0, str(Path(__file__).parent))

import busy

# Neither numpy nor torch: a process begins with the peak memory of the one that started it.

TABLE = Path(__file__).parent / "results" / "mosaics.csv"
MSTOOL = busy.MSTOOL
SIDES, SMALL_SIDES = (4000, 7000, 10000, 14000, 20000), (400, 600)
LARGEST_EXPONENT_ERROR = 0.05
MOST_BEYOND_INTERPRETER = 512  # [MiB]
MOST_BY_FILES = 1.5  # times tifffile


@dataclass(frozen=True)
class Row:
    """What one run took."""

    measure: str  # segment, unbounded, start; interpreter, tile, stitch, tifffile
    side: int  # of the mosaic [px]
    engine: str
    bound_mib: int
    core_s: float
    elapsed_s: float
    peak_mib: float  # resident
    batch_size: int = 0
    same_labels: float = math.nan  # share of pixels, beside the bounded run


@dataclass(frozen=True)
class Plan:
    """How to measure, and where."""

    work: Path
    size: int  # edge of the tiles [px]
    engine: str
    bound_mib: int

    def segment(self, mosaic: Path, out: str, is_bound: bool) -> tuple[str, ...]:
        """Command that turns a mosaic into a mask."""
        how = ("--size", self.size, "--model", self.work / "model", "--engine", self.engine)
        how += ("--device", "cpu", "--threads", 1, "--precision", "fp32", "-q")
        how += ("--max-mem", f"{self.bound_mib}M") if is_bound else ()
        return words(*MSTOOL, "segment", mosaic, *how, "-o", self.work / out, "--overwrite")


def words(*parts: object) -> tuple[str, ...]:
    """Parts of a command as text."""
    return tuple(str(part) for part in parts)


def run(command: Sequence[str], limit_mib: int | None = None) -> dict[str, float]:
    """Core-seconds, seconds and peak memory of a command, which must not fail."""
    if limit_mib is not None:
        command = ("sh", "-c", 'ulimit -d "$0" && exec "$@"', str(limit_mib * 1024), *command)
    with tempfile.TemporaryFile("w+") as said:
        began = time.monotonic()
        process = subprocess.Popen(command, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed_s, process.returncode = time.monotonic() - began, os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read()[-500:]}")
    return {
        "core_s": round(usage.ru_utime + usage.ru_stime, 2),
        "elapsed_s": round(elapsed_s, 2),
        "peak_mib": round(usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024), 1),
    }


def job(name: str, *arguments: object) -> tuple[str, ...]:
    """Command that does one of `JOBS` in a process of its own."""
    return words(sys.executable, __file__, name, *arguments)


def make_mosaic(phantom: str, out: str, side: str) -> None:
    """Mirror a phantom again and again, tile by tile, so that making it takes no memory."""
    import numpy as np
    import tifffile

    values, edge, n = tifffile.imread(phantom), 256, int(side)

    def mirrored(start: int, length: int) -> np.ndarray:
        places = np.arange(start, start + edge) % (2 * length)
        return np.minimum(places, 2 * length - 1 - places)

    def tiles() -> Iterator[np.ndarray]:
        for row in range(0, n, edge):
            for col in range(0, n, edge):
                rows, cols = mirrored(row, len(values)), mirrored(col, values.shape[1])
                yield np.ascontiguousarray(values[np.ix_(rows, cols)])

    how = {"tile": (edge, edge), "compression": "zlib", "maxworkers": 1}
    tifffile.imwrite(out, tiles(), shape=(n, n), dtype=values.dtype, **how)


def copy_by_tifffile(mosaic: str, out: str) -> None:
    """Read and write a file, compressed as it is, on one core."""
    import tifffile

    values = tifffile.imread(mosaic, maxworkers=1)
    tifffile.imwrite(out, values, tile=(256, 256), compression="zlib", maxworkers=1)


def compare_labels(one: str, other: str, out: str) -> None:
    """Write the share of pixels with the same label."""
    import tifffile

    share = (tifffile.imread(one) == tifffile.imread(other)).mean()
    Path(out).write_text(f"{share:.8f}")


JOBS = {"make": make_mosaic, "copy": copy_by_tifffile, "compare": compare_labels}


def prepare(work: Path) -> None:
    """Train a small U-Net on phantoms, and make the one that is mirrored."""
    busy.prepare(work)
    network = ("--arch", "unet-plain", "--depth", 2, "--width", 8, "--epochs", 4)
    how = ("--split", work / "split.csv", "--test-fold", 0, "--device", "cpu", "--threads", 1)
    run(words(*MSTOOL, "train", work / "tiles", *how, *network, "-o", work / "model", "-q"))
    made = ("--images", 1, "--size", 1024, "-o", work / "large", "-q")
    run(words(*MSTOOL, "phantom", *made))


def mosaic_of(plan: Plan, side: int) -> Path:
    """Path of a mosaic, made now."""
    (phantom,) = (plan.work / "large" / "images").iterdir()
    path = plan.work / f"mosaic-{side}.tif"
    run(job("make", phantom, path, side))
    return path


def segment(plan: Plan, mosaic: Path, measure: str, side: int, limit: int | None) -> Row:
    """Segment a mosaic once."""
    out = f"{measure}-{side}"
    spent = run(plan.segment(mosaic, out, is_bound=limit is not None), limit)
    record = json.loads((plan.work / out / "stitch.json").read_text())
    facts = (record["engine"]["name"], plan.bound_mib if limit else 0)
    return Row(measure, side, *facts, **spent, batch_size=record["batch_size"])


def measure_start(plan: Plan) -> list[Row]:
    """What a micrograph of a single tile takes, once the engine's graph is kept."""
    mosaic = mosaic_of(plan, plan.size)
    for _ in range(2):
        row = segment(plan, mosaic, "start", plan.size, plan.bound_mib)
    mosaic.unlink()
    return [row]


def measure_segment(plan: Plan, side: int, is_compared: bool) -> list[Row]:
    """Segment within the bound, and beside it without."""
    mosaic = mosaic_of(plan, side)
    rows = [segment(plan, mosaic, "segment", side, plan.bound_mib)]
    if is_compared:
        free = segment(plan, mosaic, "unbounded", side, None)
        masks = [
            plan.work / f"{row}-{side}" / f"{mosaic.stem}.tif" for row in ("segment", free.measure)
        ]
        run(job("compare", *masks, plan.work / "share"))
        share = float((plan.work / "share").read_text())
        rows.append(Row(**asdict(free) | {"same_labels": share}))
    mosaic.unlink()
    return rows


def measure_files(plan: Plan, side: int) -> list[Row]:
    """Cut a mosaic into tiles and stitch it again, beside tifffile; the network is not timed."""
    mosaic, work = mosaic_of(plan, side), plan.work
    cut = ("--size", plan.size, "--overlap", 64, "-o", work / "cut", "--overwrite", "-q")
    how = ("--model", work / "model", "--device", "cpu", "--threads", 1, "--engine", plan.engine)
    rest = ("--select", "all", "-o", work / "probs", "--overwrite", "-q")
    spent = {
        "interpreter": run(words(sys.executable, "-c", "pass")),
        "tile": run(words(*MSTOOL, "tile", mosaic, *cut)),
        "tifffile": run(job("copy", mosaic, work / "copy.tif")),
    }
    (work / "copy.tif").unlink()
    run(words(*MSTOOL, "predict", work / "cut", *how, *rest))
    stitched = ("-o", work / "stitched", "--overwrite", "-q")
    spent["stitch"] = run(words(*MSTOOL, "stitch", work / "probs", *stitched))
    mosaic.unlink()
    return [Row(name, side, "", 0, **facts) for name, facts in spent.items()]


def read_rows(path: Path) -> list[Row]:
    """Rows of an earlier run."""
    if not path.is_file():
        return []
    kinds = {field.name: field.type for field in fields(Row)}
    with open(path, newline="") as stream:
        return [
            Row(**{name: kinds[name](value) for name, value in line.items()})
            for line in csv.DictReader(stream)
        ]


def keep_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to a CSV, which may be new."""
    is_new = not path.is_file()
    path.parent.mkdir(exist_ok=True)
    with open(path, "a", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def cells(plan: Plan, options: argparse.Namespace) -> Iterator[tuple[set, Callable]]:
    """Measures with their sides that belong together, and what gives their rows."""
    if options.only in ("", "segment"):
        yield {("start", plan.size)}, measure_start
        for number, side in enumerate(sorted(options.sides)):
            names = {("segment", side)} | ({("unbounded", side)} if number < 2 else set())
            yield names, partial(measure_segment, side=side, is_compared=number < 2)
    if options.only in ("", "files"):
        names = {
            (name, options.files_side) for name in ("interpreter", "tile", "stitch", "tifffile")
        }
        yield names, partial(measure_files, side=options.files_side)


def exponent(areas: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of a straight line through logarithms, by least squares."""
    pairs = [(math.log(area), math.log(s)) for area, s in zip(areas, seconds, strict=True)]
    x_mean, y_mean = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    squares = sum((x - x_mean) ** 2 for x, _ in pairs)
    return sum((x - x_mean) * (y - y_mean) for x, y in pairs) / squares


def verdict(is_met: bool) -> str:
    """In words."""
    return "met" if is_met else "not met"


def segment_lines(rows: Sequence[Row], bound_mib: int) -> Iterator[str]:
    """Table and findings on `segment`."""
    start = next(row for row in rows if row.measure == "start")
    bounded = [row for row in rows if row.measure == "segment"]
    yield "| side, px | megapixels | core s | start taken off, a megapixel | peak, MiB | batch |"
    yield "|---|---|---|---|---|---|"
    for row in bounded:
        pace = (row.core_s - start.core_s) / (row.side**2 / 1e6)
        yield (
            f"| {row.side} | {row.side**2 / 1e6:.0f} | {row.core_s:.1f} | {pace:.3f} | "
            f"{row.peak_mib:.0f} | {row.batch_size} |"
        )
    peak = max(row.peak_mib for row in bounded)
    yield ""
    yield f"- peak {peak:.0f} MiB of {bound_mib}: {verdict(peak <= bound_mib)}"
    if len(bounded) > 1:
        seconds = [row.core_s - start.core_s for row in bounded]
        power = exponent([row.side**2 for row in bounded], seconds)
        is_linear = abs(power - 1) <= LARGEST_EXPONENT_ERROR
        yield (
            f"- core-seconds grow as the area to the power of {power:.3f}, without the "
            f"{start.core_s:.1f} s of one tile: {verdict(is_linear)}"
        )
    for row in rows:
        if row.measure == "unbounded":
            yield (
                f"- {row.side} px: the same label as the unbounded run in {row.same_labels:.6%} of "
                f"pixels: {verdict(row.same_labels == 1)}"
            )


def files_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Findings on `tile` and `stitch`."""
    by_name = {row.measure: row for row in rows}
    for name in ("tile", "stitch"):
        beyond = by_name[name].peak_mib - by_name["interpreter"].peak_mib
        yield (
            f"- {name} of {by_name[name].side} px: {beyond:.0f} MiB beyond the interpreter, of "
            f"{MOST_BEYOND_INTERPRETER}: {verdict(beyond <= MOST_BEYOND_INTERPRETER)}"
        )
    tile_s, stitch_s, theirs = (by_name[name].core_s for name in ("tile", "stitch", "tifffile"))
    ratio = (tile_s + stitch_s) / theirs
    yield (
        f"- tile {tile_s:.1f} and stitch {stitch_s:.1f} core-seconds, {ratio:.2f} times the "
        f"{theirs:.1f} in which tifffile reads and writes the file, of {MOST_BY_FILES}: "
        f"{verdict(ratio <= MOST_BY_FILES)}"
    )


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", help="of the mosaics to segment [px]")
    parser.add_argument("--files-side", type=int, help="of the one to cut and stitch [px]")
    parser.add_argument("--max-mem", type=float, default=2.0, metavar="GiB")
    parser.add_argument("--engine", default="torch", choices=("torch", "openvino", "onnxruntime"))
    parser.add_argument("--small", action="store_true", help="sizes that show that it works")
    parser.add_argument("--only", default="", choices=("", "segment", "files"))
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args(arguments)
    options.sides = options.sides or (SMALL_SIDES if options.small else SIDES)
    options.files_side = options.files_side or max(options.sides)
    return options


def main() -> None:
    """Measure what is not known yet, and say what came out."""
    if len(sys.argv) > 1 and sys.argv[1] in JOBS:
        JOBS[sys.argv[1]](*sys.argv[2:])
        return
    options = parse_options()
    bound_mib = round(options.max_mem * 1024)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        plan = Plan(Path(folder), 128 if options.small else 512, options.engine, bound_mib)
        options.csv = options.csv or (plan.work / "rows.csv" if options.small else TABLE)
        rows = measure_all(plan, options)
    segmented = [row for row in rows if row.engine]
    if segmented:
        print("\n".join(segment_lines(segmented, bound_mib)))
    if len(segmented) < len(rows):
        print("\n".join(files_lines([row for row in rows if not row.engine])))


def measure_all(plan: Plan, options: argparse.Namespace) -> list[Row]:
    """Rows that the flags ask for, of which those that are not in the CSV are measured."""
    found, is_prepared = [], False
    for names, measure in cells(plan, options):
        known = [
            row
            for row in read_rows(options.csv)
            if (row.measure, row.side) in names
            and row.engine in ("", plan.engine)
            and row.bound_mib in (0, plan.bound_mib)
        ]
        if {(row.measure, row.side) for row in known} != names:
            if not is_prepared:
                prepare(plan.work)
                is_prepared = True
            known = measure(plan)
            keep_rows(options.csv, known)
            print(*known, sep="\n", file=sys.stderr, flush=True)
        found += known
    return found


if __name__ == "__main__":
    main()
