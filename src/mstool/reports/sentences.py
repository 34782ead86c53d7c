"""What may be concluded from the numbers of a report, and what not, in plain words.

Each function takes entries of the report and gives sentences. They claim no more than the test and
the interval allow: a difference is told only where both agree, and what is not told apart is not
called equal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mstool.chance.intervals import LEAST_UNITS
from mstool.chance.power import ALPHA

BETTER, WORSE, UNCLEAR, NOT_TOLD, TOO_FEW = (
    "better",
    "worse",
    "unclear: test and interval disagree",
    "not told apart",
    "too few to tell",
)
_MANY_RUNS = 5  # from here on the spread of runs is no longer a guess

Entry = Mapping[str, Any]


def judge(versus: Entry) -> str:
    """What a comparison comes to, in a word or two.

    A difference is told where the corrected p is at most 5 % and the interval excludes 0; the
    interval may be the wider of the two, since it has in it what differs between runs.
    """
    p, interval = versus["p_holm"], versus["interval"]
    if p is not None and p <= ALPHA:
        if interval is None or interval[0] <= 0 <= interval[1]:
            return UNCLEAR
        return BETTER if versus["difference"] > 0 else WORSE
    return NOT_TOLD if versus["can_distinguish"] else TOO_FEW


def say_what_was_compared(entries: Sequence[Entry], data: str) -> list[str]:
    """Size and kind of the comparison on one data set."""
    done = [entry for entry in entries if entry["status"] == "done"]
    of_data = f" on {data}" if data else ""
    said = [f"{_count(len(entries), 'cell')}{of_data}, of which {len(done)} scored."]
    if len(done) == len(entries):
        said = [f"{_count(len(done), 'cell')}{of_data}."]
    if not done:
        return said
    sizes = sorted({(e["n_images"], e["n_units"], e["unit"], e["n_runs"]) for e in done})
    if len(sizes) == 1:
        images, units, unit, runs = sizes[0]
        of_units = f" of {_count(units, 'specimen')}" if unit == "group" else ""
        repeats = f", trained {runs} times over" if runs > 1 else ", trained once"
        said.append(f"Each is scored on {_count(images, 'micrograph')}{of_units}{repeats}.")
    else:
        said.append("They differ in the number of micrographs or of repeats: see the table.")
    said.append(_say_held_out(done))
    return said


def say_answer(entries: Sequence[Entry], n_comparisons: int) -> list[str]:
    """The answer in a paragraph: of the cells of one data set, and of all comparisons made."""
    done = [entry for entry in entries if entry["status"] == "done"]
    if not done:
        return ["Nothing is scored yet, so that there is no answer."]
    base = next((entry for entry in done if entry["is_base"]), None)
    if base is None:
        return ["The base is not scored, so that nothing can be compared with it."]
    said = [_say_level(base, len(entries) > 1)]
    compared = [entry for entry in done if entry["versus"]]
    if compared:
        said += _say_differences(compared, n_comparisons)
    elif len(entries) > 1:
        said.append("No other cell could be compared with it.")
    return said


def say_of_table(entries: Sequence[Entry], n_comparisons: int) -> list[str]:
    """What to keep in mind when reading the main table."""
    done = [entry for entry in entries if entry["status"] == "done"]
    compared = [entry for entry in done if entry["versus"]]
    said = _say_of_intervals(done)
    if compared:
        said.append(
            "Intervals of two cells may overlap though the cells differ: both saw the same "
            "micrographs, easy and hard ones alike, so that the paired difference decides."
        )
        said += _say_of_p(compared, n_comparisons)
    said += _say_of_runs(done)
    if len(done) > 2:
        said.append(
            f"The best of {len(done)} cells was picked by the scores that are shown, so that its "
            "own score flatters it a little; confirm it on micrographs that played no part here."
        )
    if any(entry["cost"]["is_estimate"] for entry in done):
        said.append(
            "Core-seconds marked ~ are time multiplied by threads, where a record has nothing "
            "better; as a rule that is too many."
        )
    if any(entry["cost"]["devices"] for entry in done):
        said.append("Work on a graphics processor is not in the core-seconds.")
    return said


def say_of_figure(entries: Sequence[Entry]) -> list[str]:
    """What a plot of cells and their differences shows, and does not."""
    n_runs = sorted({entry["n_runs"] for entry in entries})
    said = []
    if n_runs[-1] > 1:
        said.append(
            f"Each repeat is a small diamond; {n_runs[-1]} repeats show roughly, not surely, how "
            "far chance in training moves a score."
            if n_runs[-1] < _MANY_RUNS
            else "Each repeat is a small diamond."
        )
    else:
        said.append("Each cell was trained once, so that chance in training does not show.")
    judged = [(entry["label"], entry["versus"]["verdict"]) for entry in entries if entry["versus"]]
    told = [f"{name} ({verdict})" for name, verdict in judged if verdict in (BETTER, WORSE)]
    if told:
        said.append(f"Told from the base: {_names(told)}.")
    open_ = [name for name, verdict in judged if verdict not in (BETTER, WORSE)]
    if open_:
        said.append(f"Not told from it: {_names(open_)}. That is no proof of being equal.")
    return said


def say_of_curves(trainings: Sequence[Entry]) -> list[str]:
    """What learning curves show of a cell, and do not."""
    said = []
    if any(one["best_epoch"] is not None for one in trainings):
        said.append(
            "The validation micrographs decided which epoch was kept, so that their score "
            "flatters; the scores of the main table decide."
        )
    late = [one for one in trainings if one["best_epoch"] is not None and one["is_last"]]
    if late:
        said.append(
            f"In {len(late)} of {_count(len(trainings), 'training')} the last epoch was the best: "
            "longer training may reach more."
        )
    return said


def say_of_classes(entry: Entry) -> list[str]:
    """What the scores of classes show, and do not."""
    said = ["A class counts as much as any other in the mean, however small its share."]
    rare = [
        f"{name} (in {_count(row['n_images'], 'micrograph')})"
        for name, row in entry["classes"].items()
        if row["interval"] is None
    ]
    if rare:
        said.append(
            f"No interval of {', '.join(rare)}: as a rule too few micrographs or specimens have "
            "the class."
        )
    biased = [
        f"{name} ({100 * (row['predicted_share'] - row['true_share']):+.1f} % of the area)"
        for name, row in entry["classes"].items()
        if None not in (row["predicted_share"], row["true_share"])
        and abs(row["predicted_share"] - row["true_share"]) > 0.2 * max(row["true_share"], 1e-9)
    ]
    if biased:
        said.append(f"Phase fractions are off by more than a fifth: {', '.join(biased)}.")
    return said


def say_of_pictures(n_images: int) -> list[str]:
    """What pictures of single micrographs show, and do not."""
    return [
        f"Chosen by the mean IoU of a micrograph, out of {n_images}: the lowest, and the middle. "
        "They show how it fails, not how often."
    ]


def say_of_calibration(entry: Entry) -> list[str]:
    """What a calibration shows, and does not."""
    found = entry["calibration"]
    said = [f"Of the first of {entry['n_runs']} repeats."] if entry["n_runs"] > 1 else []
    said += [
        f"On average a probability is off by {found['ece']:.3f} from the share of right pixels. "
        "That is an average over all pixels: single micrographs, and rare classes, may be far off."
    ]
    rank = found["rank_correlation"]
    if rank is not None:
        said.append(
            f"Micrographs that the model is unsure of are those with more errors to a rank "
            f"correlation of {rank:.2f} (1: always, 0: not at all, -1: the other way round)."
        )
    return said


def say_of_leak(entry: Entry) -> list[str]:
    """What is known of micrographs that a model had seen."""
    leak, said = entry["leak"], []
    if leak["trained_on"]:
        said.append(
            f"{len(leak['trained_on'])} of {_count(entry['n_images'], 'scored micrograph')} had "
            "been trained on: the score says nothing about new micrographs."
        )
    if alike := leak.get("named_alike"):
        said.append(
            f"{len(alike)} are named alike with ones that were trained on, and of other content: "
            "if they are the same, the score says nothing about new micrographs."
        )
    if leak["same_group"]:
        said.append(
            f"{len(leak['same_group'])} are new, but of specimens that were trained on: the score "
            "says nothing about new specimens."
        )
    if leak["transductive"]:
        said.append(f"{len(leak['transductive'])} had been seen in pretraining, without labels.")
    if leak["allowed"]:
        said.append(f"Training was let pass with --allow-leak though {'; '.join(leak['allowed'])}.")
    if not leak["checked"]:
        said.append("Not checked: no record says what the model was trained on.")
    said = said or ["None of the scored micrographs had been trained on, nor had their specimens."]
    if leak.get("searched") is False:
        said.append("Whether others show the same field was not looked for: run split --audit.")
    return said


def say_of_missing(entries: Sequence[Entry]) -> list[str]:
    """Which cells have no record, or one that the plan does not speak of."""
    said = []
    if missing := [entry["name"] for entry in entries if entry["status"] == "missing"]:
        said.append(
            f"Missing: {', '.join(missing)}. Nothing here is said of them, and p-values are "
            "corrected for the comparisons that were made, which are fewer than planned."
        )
    if others := [entry for entry in entries if entry.get("others")]:
        said.append(
            f"Made by other commands than the plan has now: {_names([e['name'] for e in others])} "
            f"(see {others[0]['others'][0]}). What differs there may be more than the levels say; "
            "write the Makefile anew, and make them again."
        )
    return said


def _say_held_out(done: Sequence[Entry]) -> str:
    leaks = [entry["leak"] for entry in done]
    if any(leak["trained_on"] or leak["allowed"] for leak in leaks):
        return "Some micrographs had been trained on: see the leak audit before anything else."
    if any(map(_is_doubtful, leaks)):
        return (
            "Some micrographs are named alike with ones that were trained on, or of specimens that "
            "were, or were seen in pretraining: see the leak audit before anything else."
        )
    if not all(leak["checked"] for leak in leaks):
        return "Whether the micrographs had been trained on is not known of all cells."
    if all(entry["is_out_of_fold"] for entry in done):
        return "Every micrograph was segmented by networks that had not seen it (out of fold)."
    return "None of these micrographs had been trained on."


def _is_doubtful(leak: Entry) -> bool:
    return any(leak.get(kind) for kind in ("named_alike", "same_group", "transductive"))


def _say_level(base: Entry, is_among_others: bool) -> str:
    subject = base["label"]
    if is_among_others:
        subject = "The base" if subject == "base" else f"The base, {subject},"
    level = f"{subject} reaches a mean IoU of {_number(base['mean_iou'])}"
    if base["interval"]:
        return f"{level}, 95 % interval {_range(base['interval'])}; {_say_trivial(base)}."
    if base["n_units"] >= LEAST_UNITS:
        return f"{level}, whose interval is not defined; {_say_trivial(base)}."
    unit = "specimen" if base["unit"] == "group" else "micrograph"
    return (
        f"{level}; {_count(base['n_units'], unit)} {'is' if base['n_units'] == 1 else 'are'} too "
        f"few for an interval, which needs {LEAST_UNITS}; {_say_trivial(base)}."
    )


def _say_trivial(entry: Entry) -> str:
    otsu = "" if entry["otsu"] is None else f", thresholds {_number(entry['otsu'])}"
    return f"the commonest class everywhere would reach {_number(entry['majority'])}{otsu}"


def _say_differences(compared: Sequence[Entry], n_comparisons: int) -> list[str]:
    judged = [(entry, entry["versus"]["verdict"]) for entry in compared]
    told = [(entry, verdict) for entry, verdict in judged if verdict in (BETTER, WORSE)]
    said = [
        f"{entry['label']} is {verdict} by {abs(entry['versus']['difference']):.3f} "
        f"({_signed_range(entry['versus']['interval'])}; p {_p(entry['versus']['p_holm'])})."
        for entry, verdict in sorted(told, key=lambda pair: -pair[0]["versus"]["difference"])
    ]
    for kind, words in (
        (
            UNCLEAR,
            "Test and interval disagree on {}: swapping whole {units} tells these networks "
            "from those of the base, but the interval of the difference has 0 in it, or is not "
            "defined.",
        ),
        (
            TOO_FEW,
            "{} cannot be told from the base by a test of so few {units}, whatever they do.",
        ),
    ):
        of_kind = [entry for entry, verdict in judged if verdict == kind]
        if of_kind:
            names = _names([entry["label"] for entry in of_kind])
            said.append(words.format(names, units=_units(of_kind)))
    open_ = [entry for entry, verdict in judged if verdict == NOT_TOLD]
    if open_:
        said.append(_say_open([entry["label"] for entry in open_], open_))
    if n_comparisons > 1:
        said.append(f"P-values are corrected for {n_comparisons} comparisons (Holm).")
    return said


def _say_open(names: Sequence[str], entries: Sequence[Entry]) -> str:
    least = [entry["versus"]["least_difference"] for entry in entries]
    # of cells that hardly differ in any micrograph it is next to nothing, and says nothing
    least = [value for value in least if value is not None and f"{value:.3f}" != "0.000"]
    isnt = "is" if len(names) == 1 else "are"
    seen = ""
    if least:
        between = f"{min(least):.3f}"
        if f"{max(least):.3f}" != between:
            between += f" to {max(least):.3f}"
        seen = (
            f": so many {_units(entries)} show a difference of {between} in 80 of 100 studies, "
            "before the correction for several comparisons and without chance in training"
        )
    return f"{_names(names)} {isnt} not told from the base; that is no proof of being equal{seen}."


def _say_of_intervals(done: Sequence[Entry]) -> list[str]:
    said = []
    without = [entry for entry in done if entry["interval"] is None]
    few = [entry["label"] for entry in without if entry["n_units"] < LEAST_UNITS]
    if few:
        said.append(
            f"No interval ({_names(few)}): fewer than {LEAST_UNITS} micrographs or specimens "
            "do not tell how they vary."
        )
    alike = [entry["label"] for entry in without if entry["n_units"] >= LEAST_UNITS]
    if alike:
        said.append(
            f"No interval ({_names(alike)}): the score does not vary between {_units(without)}, or "
            "is not defined without one of them."
        )
    with_interval = [entry for entry in done if entry["interval"]]
    if with_interval:
        said.append(
            f"Intervals (95 %) say how far a score would move on other {_units(with_interval)} of "
            "the same kind; they say nothing of other materials, microscopes or etchings."
        )
    return said


def _say_of_p(compared: Sequence[Entry], n_comparisons: int) -> list[str]:
    smallest, corrected = (
        sorted({_p(entry["versus"][key]) for entry in compared}, key=float)
        for key in ("smallest_p", "least_p_holm")
    )
    said = [
        f"p: how often swapping the two cells in whole {_units(compared)} gives as large a "
        f"difference; with so many {_units(compared)} it cannot be below {' or '.join(smallest)}"
        + (f", after correction below {' or '.join(corrected)}." if n_comparisons > 1 else ".")
    ]
    few = [entry["label"] for entry in compared if not entry["versus"]["can_distinguish"]]
    if few:
        whose = "the table" if len(few) == len(compared) else f"the comparison of {_names(few)}"
        said.append(
            f"So few {_units(compared)} allow no corrected p of 5 %: {whose} cannot show a "
            "difference, however large."
        )
    return said


def _say_of_runs(done: Sequence[Entry]) -> list[str]:
    if all(entry["n_runs"] == 1 for entry in done):
        return [
            "Each cell was trained once: intervals and p-values are those of these very networks, "
            "and chance in training is in none of them."
        ]
    compared = [entry["versus"] for entry in done if entry["versus"]]
    has_all = all(versus["has_run_variance"] for versus in compared)
    words = "are in the intervals of scores"
    if any(entry["n_runs"] == 1 for entry in done):
        words += " of cells that have several"
    if compared:
        words += " and of differences" if has_all else ", not in all of those of differences"
    return [f"Differences between repeats {words}; p-values are those of the networks as trained."]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _units(entries: Sequence[Entry]) -> str:
    """What is drawn, left out and swapped as a whole in cells: micrographs, or specimens."""
    words = {"group": "specimens", "image": "micrographs"}
    return " or ".join(sorted({words[entry["unit"]] for entry in entries}))


def _names(names: Sequence[str]) -> str:
    """Names in a row; those that have commas in them stand apart by semicolons."""
    if any("," in name for name in names):
        return "; ".join(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def _signed_range(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"


def _p(value: float) -> str:
    return f"{value:.2g}"
