"""Whether intervals of scores hold what they promise when there are few micrographs.

    python benchmarks/coverage.py                          measure, and write both tables
    python benchmarks/coverage.py fit NAME A.json B.json   add a set to the models

Studies of n micrographs are drawn from a population, and it is counted how often the interval of a
score holds the score of the whole population. The table goes to benchmarks/results/coverage.csv,
and what mstool says of its own intervals to src/mstool/chance/coverage.py. It takes about five
minutes of one core.

The populations are models of real predictions by two models of the same micrographs, unseen in
training: ultrahigh-carbon steel (24), a superalloy (18) and phantoms (36). A set is kept in
coverage_models.json as shares of the pixels [ppm] of each micrograph by true and predicted class;
`fit` takes them from two records of mstool score. A new micrograph is drawn by the smoothed
bootstrap: the logarithms of its phase fractions and of the rates at which either model takes a
class for another are those of a micrograph of the set, drawn towards the mean, plus normal noise
with the covariance of the set, so that mean and variance stay as they are (Silverman & Young 1987,
Biometrika 74, 469-479; bandwidth by Silverman's rule). Classes that the micrograph lacks stay away.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from mstool.chance.intervals import (
    LEAST_UNITS,
    METHOD,
    jackknife_error,
    jackknife_interval,
)
from mstool.scores.statistics import scores_of_sums, unit_sums

HERE = Path(__file__).parent
MODELS = HERE / "coverage_models.json"
TABLE = HERE / "results" / "coverage.csv"
PACKAGED = HERE.parent / "src" / "mstool" / "chance" / "coverage.py"
SIZES = (3, 4, 6, 8, 12, 18, 24, 36, 50)
STUDIES, RESAMPLED_STUDIES, RESAMPLES = 4000, 1000, 399
POPULATION = 100_000
PIXELS = 400_000  # of a micrograph
LEVEL = 0.95
OF_DIFFERENCE = "difference of two"
NAMES = ("mean_iou", "image_mean_iou", "accuracy")


class Population:
    """Micrographs without end that vary as those of a set, with the predictions of two models."""

    def __init__(self, shares: dict[str, list], seed: int = 0):
        ours, theirs = (np.array(shares[side], float) for side in ("ours", "theirs"))
        self.is_present = ours.sum(axis=2) > 0
        logs = self._logs(ours, theirs)
        n_rows = self.is_present.sum(axis=0)[:, None]
        is_known = np.broadcast_to(self.is_present[:, :, None], logs.shape)
        self.mean = np.where(is_known, logs, 0).sum(axis=0) / n_rows
        self.deviations = np.where(is_known, logs - self.mean, 0)
        width = silverman_width(*self.deviations.reshape(len(logs), -1).shape)
        self.kept, self.added = 1 / np.hypot(1, width), width / np.hypot(1, width)
        images = self.draw(POPULATION, np.random.default_rng(seed))
        self.truth = [scores_of_sums(unit_sums(one).sum(axis=0)) for one in images]

    @staticmethod
    def _logs(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        """Of each micrograph and true class: log of its fraction, and of rates of both models."""
        fractions = ours.sum(axis=2, keepdims=True)
        rates = [(one + 10) / (one + 10).sum(axis=2, keepdims=True) for one in (ours, theirs)]
        return np.concatenate([np.log(np.maximum(fractions, 10)), *map(np.log, rates)], axis=2)

    def draw(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Confusion matrices of `n` micrographs with either model, two of shape (n, C, C)."""
        number = rng.integers(len(self.deviations), size=n)
        weights = rng.standard_normal((n, len(self.deviations))) / np.sqrt(len(self.deviations))
        noise = np.tensordot(weights, self.deviations, 1)
        logs = self.mean + self.kept * self.deviations[number] + self.added * noise
        present = np.exp(logs) * self.is_present[number][:, :, None]
        fractions = present[:, :, :1] / present[:, :, :1].sum(axis=1, keepdims=True)
        n_classes = present.shape[1]
        sides = present[:, :, 1 : n_classes + 1], present[:, :, n_classes + 1 :]
        rates = [one / np.maximum(one.sum(axis=2, keepdims=True), 1e-12) for one in sides]
        return [np.rint(PIXELS * fractions * one).astype(int) for one in rates]


def silverman_width(n: int, dimensions: int) -> float:
    """Bandwidth of a normal kernel, in standard deviations (Silverman 1986, chapter 4)."""
    dimensions = min(dimensions, n - 1)
    return (4 / (dimensions + 2) / n) ** (1 / (dimensions + 4))


def measure(name: str, population: Population, classes: list[str]) -> list[dict]:
    """Rows of the table of one set."""
    rows = []
    labels = [*NAMES, *(f"iou {one}" for one in classes)]
    for n in SIZES:
        rng = np.random.default_rng([n, len(classes)])
        sums = np.stack([unit_sums(one) for one in population.draw(n * STUDIES, rng)]).reshape(
            2, STUDIES, n, -1
        )
        ours = truths_of(sums[0], population.truth[0])
        apart = ours - truths_of(sums[1], population.truth[1])
        found = {**plain_intervals(sums[0]), OF_DIFFERENCE: difference_intervals(sums)}
        found |= resampled_intervals(sums[0][:RESAMPLED_STUDIES], rng)
        for method, intervals in found.items():
            truth = (apart if method == OF_DIFFERENCE else ours)[: len(intervals)]
            rows += [
                {"set": name, "score": label, "n": n, "method": method, **facts}
                for label, facts in zip(labels, count_covered(intervals, truth), strict=True)
            ]
    return rows


def truths_of(sums: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Scores of the population for each study, (T, S); mean IoU over the classes that it met."""
    is_met = np.isfinite(scores_of_sums(sums.sum(axis=1))[:, 3:])
    truths = np.repeat(truth[None], len(sums), axis=0)
    truths[:, 0] = np.where(is_met, truth[3:], 0).sum(axis=1) / is_met.sum(axis=1)
    return truths


def leave_out(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of studies (T, n, D) without each unit in turn (n, T, S), and of all of it (T, S)."""
    total = sums.sum(axis=1)
    return np.moveaxis(scores_of_sums(total[:, None] - sums), 1, 0), scores_of_sums(total)


def has_class_in_few(sums: np.ndarray) -> np.ndarray:
    """Whether a score has no interval since too few units have the class: bool (T, S)."""
    n_classes = sums.shape[-1] // 3
    in_either = sums[..., n_classes : 2 * n_classes] + sums[..., 2 * n_classes : 3 * n_classes]
    few = np.count_nonzero(in_either > 0, axis=1) < LEAST_UNITS
    return np.concatenate([np.zeros((len(few), 3), bool), few], axis=1)


def plain_intervals(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Intervals (T, S, 2) that need no draws; what mstool gives first."""
    left_out, whole = leave_out(sums)
    ours = jackknife_interval(left_out, whole, LEVEL)
    ours[has_class_in_few(sums)] = np.nan
    scales = {"t, logit": (to_logit, expit), "t, arcsine": (to_angle, lambda x: np.sin(x) ** 2)}
    found = {METHOD: ours}
    with np.errstate(invalid="ignore"):
        for name, (there, back) in scales.items():
            error, _ = jackknife_error(there(left_out))
            reach = stats.t.ppf((1 + LEVEL) / 2, len(left_out) - 1) * error
            found[name] = back(there(whole)[..., None] + reach[..., None] * np.array([-1, 1]))
    return found


def difference_intervals(sums: np.ndarray) -> np.ndarray:
    """Intervals (T, S, 2) of the difference of two models on the same micrographs."""
    (left_ours, ours), (left_theirs, theirs) = map(leave_out, sums)
    found = jackknife_interval(left_ours - left_theirs, ours - theirs, LEVEL, is_share=False)
    found[has_class_in_few(sums[0])] = np.nan
    return found


def resampled_intervals(sums: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Intervals (T, S, 2) of the percentile, BCa and studentised bootstrap, a study at a time."""
    found = {"percentile": [], "BCa": [], "bootstrap-t, logit": []}
    n = sums.shape[1]
    for study in sums:
        counts = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
        totals = counts @ study
        drawn, whole = scores_of_sums(totals), scores_of_sums(study.sum(axis=0))
        left_out = scores_of_sums(study.sum(axis=0) - study)
        tails = np.full((len(whole), 2), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found["percentile"].append(quantiles(drawn, tails))
        found["BCa"].append(quantiles(drawn, corrected_tails(drawn, whole, left_out, tails)))
        # each resample is left without one of its units in turn, as often as it has that unit
        without = to_logit(scores_of_sums(totals[:, None] - study))
        found["bootstrap-t, logit"].append(
            studentised(
                to_logit(drawn), to_logit(whole), to_logit(left_out), without, counts, tails
            )
        )
    return {name: np.stack(intervals) for name, intervals in found.items()}


def corrected_tails(drawn, whole, left_out, tails) -> np.ndarray:
    """Tails of the BCa interval (Efron 1987, J. Am. Stat. Assoc. 82, 171-185)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.mean(drawn < whole, axis=0) + np.mean(drawn == whole, axis=0) / 2
        bias = stats.norm.ppf(below)[:, None]
        changes = left_out.mean(axis=0) - left_out
        pull = (changes**3).sum(axis=0) / (6 * (changes**2).sum(axis=0) ** 1.5)
        shifted = bias + stats.norm.ppf(tails)
        return stats.norm.cdf(bias + shifted / (1 - pull[:, None] * shifted))


def studentised(drawn, whole, left_out, without, counts, tails) -> np.ndarray:
    """Bootstrap-t interval on the logit scale, standard errors by the jackknife."""
    n = len(left_out)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = counts[:, :, None]
        middle = (weights * without).sum(axis=1, keepdims=True) / n
        spread = (weights * (without - middle) ** 2).sum(axis=1)
        ratios = (drawn - whole) / np.sqrt((n - 1) / n * spread)
        ratios[~np.isfinite(ratios)] = np.nan
        error, _ = jackknife_error(left_out)
        ends = whole[:, None] - quantiles(ratios, tails)[:, ::-1] * error[:, None]
    return expit(ends)


def quantiles(drawn: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Quantiles of each column of draws (B, S) at its own tails (S, 2)."""
    ends = np.full(tails.shape, np.nan)
    for number, (column, wanted) in enumerate(zip(drawn.T, tails, strict=True)):
        known = column[np.isfinite(column)]
        if len(known) and np.isfinite(wanted).all():
            ends[number] = np.quantile(known, wanted)
    return ends


def count_covered(intervals: np.ndarray, truth: np.ndarray) -> list[dict]:
    """Coverage and width of each score, and the share of studies that have an interval."""
    low, high = np.moveaxis(intervals, -1, 0)
    is_given = np.isfinite(low) & np.isfinite(high)
    is_covered = is_given & (low <= truth) & (truth <= high)
    facts = []
    for given, covered, width in zip(is_given.T, is_covered.T, (high - low).T, strict=True):
        n = np.count_nonzero(given)
        facts.append(
            {
                "coverage": f"{np.count_nonzero(covered) / n:.3f}" if n else "",
                "width": f"{np.median(width[given]):.4f}" if n else "",
                "given": f"{n / len(given):.3f}",
            }
        )
    return facts


def to_logit(share: np.ndarray) -> np.ndarray:
    """Logit; as in the package, scores nearer to 0 or 1 than a millionth have no finite one."""
    return logit(np.clip(share, 1e-6, 1 - 1e-6))


def to_angle(share: np.ndarray) -> np.ndarray:
    """Arcsine of the root."""
    return np.arcsin(np.sqrt(np.clip(share, 0, 1)))


def write_table(rows: list[dict]) -> None:
    """Write a line a set, score and number of units: coverage of each method, and two facts.

    These are the median width of mstool's own intervals, and the share of studies that have one.
    """
    lines = {}
    for row in rows:
        line = lines.setdefault(
            (row["set"], row["score"], row["n"]), {key: row[key] for key in ("set", "score", "n")}
        )
        line[row["method"]] = row["coverage"]
        if row["method"] == METHOD:
            line |= {"width": row["width"], "given": row["given"]}
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        columns = list(next(iter(lines.values())))
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines.values())


def read_table() -> list[dict]:
    """Lines of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summarise(lines: list[dict]) -> dict[str, dict[int, tuple[float, float]]]:
    """Lowest and highest coverage of mstool's own intervals, by score and number of units."""
    found = {}
    for line in lines:
        for method, name in ((METHOD, line["score"].split()[0]), (OF_DIFFERENCE, "difference")):
            if line[method]:
                by_size = found.setdefault(name, {})
                by_size.setdefault(int(line["n"]), []).append(float(line[method]))
    return {
        name: {n: (min(values), max(values)) for n, values in by_size.items()}
        for name, by_size in found.items()
    }


def write_packaged(summary: dict[str, dict[int, tuple[float, float]]]) -> str:
    """Source of the module that holds the summary."""
    lines = [
        '"""Simulated coverage of intervals at 95 %; made by benchmarks/coverage.py, not edited.',
        "",
        "Lowest and highest over three sets and their classes, by score and number of units.",
        '"""',
        "",
        "COVERAGE: dict[str, dict[int, tuple[float, float]]] = {",
    ]
    for name, by_size in summary.items():
        lines.append(f'    "{name}": {{')
        lines += [f"        {n}: {ends}," for n, ends in by_size.items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def fit(name: str, records: list[Path]) -> None:
    """Add the set of two records of mstool score to the models."""
    models = json.loads(MODELS.read_text()) if MODELS.exists() else {}
    entry = {}
    for side, path in zip(("ours", "theirs"), records, strict=True):
        record = json.loads(path.read_text())
        confusions = np.array([row["confusion"] for row in record["per_image"]], float)
        shares = 1e6 * confusions / confusions.sum(axis=(1, 2), keepdims=True)
        entry[side] = np.rint(shares).astype(int).tolist()
    models[name] = {"classes": record["classes"], **entry}
    text = json.dumps(models, separators=(",", ":"))
    MODELS.write_text(text.replace("]],[[", "]],\n[[").replace('},"', '},\n"') + "\n")


def main() -> None:
    """Fit, or measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="fit NAME A.json B.json")
    words = parser.parse_args().words
    if words:
        if len(words) != 4 or words[0] != "fit":
            parser.error("give nothing, or fit NAME A.json B.json")
        fit(words[1], [Path(word) for word in words[2:]])
        return
    rows = []
    for name, model in json.loads(MODELS.read_text()).items():
        rows += measure(name, Population(model), model["classes"])
    TABLE.parent.mkdir(exist_ok=True)
    write_table(rows)
    PACKAGED.write_text(write_packaged(summarise(read_table())), encoding="utf-8")


if __name__ == "__main__":
    main()
