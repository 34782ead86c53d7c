"""Is what domain-shift says true? Its claims, tried on halves of one set of micrographs.

    python benchmarks/domain_shift.py IMAGES LABELS LEGEND [--model M] [--claims alarms,...]

Prints a JSON line for each claim. Halves are drawn anew for each repeat; where the other half is
changed, the change is known.

alarms     40 halves, nothing changed: rejections of each test at 0.05, uncorrected
power      10 halves, one changed: how often each test, and all of them corrected, see it
fits       10 halves, and the whole set against itself changed: what is fitted, and its interval
estimates  simulated doses: error and rank correlation on families left out; needs --model
repairs    every dose of every family on one half: the score without repair, with each of them, and
           with the one that auto takes without knowing the truth; needs --model
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

from mstool.chance.divisions import divide
from mstool.io.plain import to_plain
from mstool.labels.legend import legend_from_toml
from mstool.micrographs.find import Naming, find_set
from mstool.micrographs.sets import Reading
from mstool.nn.checkpoint import load_checkpoint
from mstool.nn.device import choose_compute, make_deterministic
from mstool.pipeline.kept_parts import Budget, KeptParts
from mstool.pipeline.shift.comparison import Comparison, look_at
from mstool.pipeline.shift.mitigate import Repair, make_repair, read_repaired
from mstool.pipeline.shift.network import make_network, read_field, read_set, trained_on
from mstool.pipeline.shift.plan import REPAIRS, ShiftSettings
from mstool.pipeline.shift.samples import read_sets
from mstool.reporting import Reporter
from mstool.shift.doses import FAMILIES
from mstool.shift.dosing import Piece, dose_family, dose_piece, gather_families
from mstool.shift.estimates import errors_left_out
from mstool.shift.factors import Origin, fit_factors
from mstool.shift.grey_levels import cut_middle, levels_of, to_stored, to_unit
from mstool.shift.measures import measure
from mstool.shift.mitigation import compare_repairs
from mstool.shift.readings import SetReadings

QUIET = Reporter()
N_ALARMS, N_REPEATS, SEED = 40, 10, 0
SETTINGS = ShiftSettings(
    512, 4, 1.0, None, False, None, 999, 0.05, 0.05, {}, 8, REPAIRS, True, False, 0, "auto", SEED
)
USUAL_DOSES = {name: family.doses for name, family in FAMILIES.items()}


def blurred(sigma):
    """Change that blurs."""
    return lambda image: ndimage.gaussian_filter(image, (sigma, sigma, 0))


def noisy(sigma):
    """Change that adds noise, to each micrograph its own."""

    def change(image):
        seed = int(image[::7, ::7].sum() * 1e4) % 2**32
        noise = np.random.default_rng(seed).normal(0, sigma, image.shape[:2])
        return np.clip(image + noise[..., None], 0, 1).astype(np.float32)

    return change


CHANGES = {
    "nothing": ({}, lambda image: image),
    "gamma 1.3": ({"gamma": 1.3}, lambda image: image**1.3),
    "gamma 1.6": ({"gamma": 1.6}, lambda image: image**1.6),
    "blur 0.6": ({"blur_px": 0.6}, blurred(0.6)),
    "blur 1": ({"blur_px": 1.0}, blurred(1.0)),
    "blur 2": ({"blur_px": 2.0}, blurred(2.0)),
    "noise 0.03": ({"noise": 0.03}, noisy(0.03)),
    "noise 0.08": ({"noise": 0.08}, noisy(0.08)),
}
POWER = ("gamma 1.3", "blur 1", "noise 0.03")


class Pool:
    """One set of micrographs, whose halves are compared."""

    def __init__(self, options):
        labels = [options.labels] if options.labels else None
        naming = Naming(label_suffix=options.label_suffix)
        found = find_set([options.images], labels, naming, QUIET)
        legend = legend_from_toml(options.legend.read_text()) if options.legend else None
        reading = Reading(scale=options.scale)
        self.whole = read_sets((found, found), legend, reading, [], 512, 4, QUIET)[0]
        self.levels = levels_of(self.whole.dtype, [one.extent for one in self.whole.samples])
        self.network = self.fresh = None
        if options.model:
            model = load_checkpoint(options.model)
            compute = choose_compute()
            self.network = make_network(model, self.levels, compute)
            self.classes = model.checkpoint.classes
            seen = trained_on(self.whole, model)
            self.fresh = [k for k in range(len(self.whole.samples)) if k not in seen]

    def looks(self, name="nothing"):
        """Image statistics of each micrograph, changed."""
        return look_at(self.whole, self.levels, QUIET, CHANGES[name][1])

    def readings(self, name="nothing"):
        """Readings of the network of each micrograph, changed."""

        def change(stored):
            image = CHANGES[name][1](to_unit(stored, self.levels))
            return to_stored(image, self.levels, self.whole.dtype)

        return read_set(self.network, self.whole.samples, name, QUIET, lambda sample: change)

    def part(self, numbers):
        """Some of the micrographs."""
        return replace(self.whole, samples=tuple(self.whole.samples[k] for k in numbers))

    def halves(self, n):
        """Seed, and the micrographs of both halves, n times."""
        for seed in range(n):
            order = np.random.default_rng(seed).permutation(len(self.whole.samples))
            yield seed, *np.array_split(order, 2)


def select(rows, numbers):
    """Rows of some micrographs."""
    if isinstance(rows, SetReadings):
        return SetReadings(tuple(rows.readings[k] for k in numbers), rows.features[numbers])
    return [rows[k] for k in numbers]


def test_halves(pool, n, name):
    """Counts of rejections by test, uncorrected, and of detections after correction."""
    plain, changed = pool.looks(), pool.looks(name)
    networks = (pool.readings(), pool.readings(name)) if pool.network else None
    counts, detected = {}, 0
    for seed, first, second in pool.halves(n):
        division = divide([str(k) for k in first], [str(k) for k in second], 999, seed)
        sides = None
        if networks:
            sides = select(networks[0], first), select(networks[1], second)
        looks = select(plain, first), select(changed, second)
        tests = measure(*looks, division, sides, 0.05, 999, seed).tests
        for test, row in tests.p.items():
            counts[test] = counts.get(test, 0) + (row.p <= 0.05)
        detected += tests.detected
    return {"change": name, "n": n, "detected": detected, "tests": counts}


def check_alarms(pool):
    """Rejections where nothing changed."""
    yield test_halves(pool, N_ALARMS, "nothing")


def check_power(pool):
    """Rejections where something did."""
    for name in POWER:
        yield test_halves(pool, N_REPEATS, name)


def check_fits(pool):
    """Fits between halves, and of the whole set against itself changed."""
    plain = pool.looks()
    for name, (truth, _) in CHANGES.items():
        changed = pool.looks(name)
        keys = ("gamma", "blur_px", "noise")
        rows, everything = [], np.arange(len(plain))
        divisions = [(0, everything, everything), *pool.halves(N_REPEATS)]
        for seed, first, second in divisions:
            origin = origin_of(pool.part(first), pool.levels)
            looks = select(plain, first), select(changed, second)
            names = [str(k) for k in second]
            fit = fit_factors(origin, *looks, names, None, seed).describe()
            row = {key: fit[key] for key in keys} | {"moved": fit["moved"]}
            rows.append(row | {"intervals": {k: fit["intervals"].get(k) for k in keys}})
        found = {"change": name, "truth": truth, "against_itself": rows[0]}
        for key in keys:
            values = [row[key] for row in rows[1:]]
            found[key] = {
                "mean": np.mean(values),
                "sd": np.std(values, ddof=1),
                "covered": sum(
                    row["intervals"][key][0] <= truth.get(key, float(key == "gamma"))
                    <= row["intervals"][key][1]
                    for row in rows[1:]
                ),
            }  # fmt: skip
        yield found | {"moved": [row["moved"] for row in rows[1:]]}


def origin_of(one, levels):
    """Fields of a set, with their truth where all have it."""
    samples = one.samples
    labels = [s.truths for s in samples] if all(s.has_truth for s in samples) else None
    return Origin([sample.fields for sample in samples], one.groups, labels, levels)


def cut(pool, numbers, edge=256):
    """Pieces of some micrographs, with their truth, or what the network predicts."""
    has_truth = all(sample.has_truth for sample in pool.whole.samples)
    pieces = []
    for sample in (pool.whole.samples[number] for number in numbers):
        image = cut_middle(sample.fields[0], edge)
        labels = cut_middle(sample.truths[0], edge) if has_truth else pool.network.classes(image)
        pieces.append(Piece(sample.name, sample.group, to_unit(image, pool.levels), labels))
    return pieces


def check_estimates(pool):
    """Errors of estimates on kinds of change left out of the calibration."""
    pieces = cut(pool, pool.fresh[:8])

    def read(piece):
        stored = to_stored(piece.image, pool.levels, pool.whole.dtype)
        return read_field(pool.network, stored, piece.labels)[0]

    undosed = [read(piece) for piece in pieces]
    families = {
        name: dose_family(name, doses, pieces, undosed, read, 0.05, SEED)
        for name, doses in USUAL_DOSES.items()
    }
    found = gather_families(families, undosed, "labels")
    estimated, truth = errors_left_out(found.cases)
    yield {
        "n_cases": len(found.cases),
        "mean_absolute_error": np.abs(estimated - truth).mean(),
        "spearman": stats.spearmanr(estimated, truth).statistic,
        "undosed": found.undosed,
    }


def as_set(pool, pieces, change=lambda piece: piece):
    """Set of changed pieces."""
    samples = []
    for piece in map(change, pieces):
        stored = to_stored(piece.image, pool.levels, pool.whole.dtype)
        sample = pool.whole.samples[0]
        samples.append(
            replace(sample, name=piece.name, group=piece.name, fields=(stored,),
                    truths=(piece.labels,), shape=stored.shape[:2])
        )  # fmt: skip
    return replace(pool.whole, name="target", samples=tuple(samples))


def check_repairs(pool):
    """Every simulated case; source and target are different micrographs."""
    if len(pool.fresh) < 12:  # so few that all are for the target, and large ones
        seen = [k for k in range(len(pool.whole.samples)) if k not in pool.fresh]
        ours, theirs = cut(pool, seen[:6], 512), cut(pool, pool.fresh, 512)
    else:
        ours, theirs = cut(pool, pool.fresh[:12:2]), cut(pool, pool.fresh[1:12:2])
    source = as_set(pool, ours)
    source_looks = look_at(source, pool.levels, QUIET)
    source_readings = read_set(pool.network, source.samples, "source", QUIET)
    ours_pooled = source_readings.pooled
    origin = origin_of(source, pool.levels)
    cases = [("none", 0.0), *((name, d) for name, row in USUAL_DOSES.items() for d in row)]
    for family, dose in cases:
        target = as_set(
            pool, theirs, lambda p, f=family, d=dose: dose_piece(p, f, d, SEED) if d else p
        )
        looks = source_looks, look_at(target, pool.levels, QUIET)
        own = read_set(pool.network, target.samples, "target", QUIET)
        change = own.pooled.fractions - ours_pooled.fractions
        factors = fit_factors(origin, *looks, target.groups, change, SEED)
        readings, parts = (source_readings, own), KeptParts(Path(), Budget(), QUIET)
        c = Comparison(SETTINGS, source, target, pool.levels, looks, None, pool.network, readings,
                       0.0, parts)  # fmt: skip
        repairs = [make_repair(c, name, factors) for name in REPAIRS]
        tried = {one.name: read_repaired(c, one) for one in repairs if isinstance(one, Repair)}
        blind = {name: without_truth(one.readings) for name, one in tried.items()}
        division = divide(source.groups, target.groups, SETTINGS.permutations, SEED)
        found = compare_repairs(
            blind, source_readings.readings, target.groups, division, pool.classes, True
        )
        pooled = {name: one.pooled for name, one in tried.items()}
        scores = {name: one.mean_iou for name, one in pooled.items()}
        yield {
            "family": family,
            "dose": dose,
            "chosen": found.chosen,
            "gain": scores[found.chosen] - scores["none"],
            "scores": scores,
            "self_consistency": {name: one.self_consistency for name, one in pooled.items()},
            "confidence": {name: one.mean_confidence for name, one in pooled.items()},
            "fractions": {name: one.fractions for name, one in pooled.items()},
            "source": {
                "self_consistency": ours_pooled.self_consistency,
                "confidence": ours_pooled.mean_confidence,
                "fractions": ours_pooled.fractions,
            },
        }


def without_truth(readings):
    """Readings as they are where nobody knows the truth."""
    return [replace(reading, confusion=None) for reading in readings]


CLAIMS = {
    "alarms": check_alarms,
    "power": check_power,
    "fits": check_fits,
    "estimates": check_estimates,
    "repairs": check_repairs,
}


def main():
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path, nargs="?")
    parser.add_argument("legend", type=Path, nargs="?")
    parser.add_argument("--label-suffix", default="")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--claims", default=",".join(CLAIMS))
    options = parser.parse_args()
    make_deterministic()
    pool = Pool(options)
    for claim in options.claims.split(","):
        for row in CLAIMS[claim](pool):
            print(json.dumps({"claim": claim, **to_plain(row)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
