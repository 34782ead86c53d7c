"""What a cell cost: core-seconds and memory, from the records of its steps."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

STEPS = ("train", "predict", "stitch")  # verbs that make masks from tiles


def describe_cost(
    steps: Sequence[tuple[str, Mapping[str, Any]]], lost: Collection[str] = ()
) -> dict[str, Any]:
    """Core-seconds by verb and in all, largest memory, and devices.

    Parameters
    ----------
    steps : sequence of (str, mapping)
        Verb and record of each step; of `STEPS`, others are left aside.
    lost : collection of str
        Verbs of which some record is not at hand: what the others took is no sum.

    Returns
    -------
    dict
        ``train``, ``predict`` and ``total`` core-seconds, None where a record is not at hand;
        ``is_estimate``, whether a record gave no core-seconds, so that its time times its threads
        stands for them; ``predict_s_per_megapixel``; ``peak_rss_mb``; ``devices``, those that are
        no CPU.
    """
    known = [(verb, record) for verb, record in steps if verb in STEPS]
    of = {verb: [record for name, record in known if name == verb] for verb in STEPS}
    seconds = {
        verb: None if verb in lost else _sum(map(spent_core_s, records))
        for verb, records in of.items()
    }
    facts = [record["mstool"] for _, record in known]
    is_whole = not lost and bool(of["train"]) and bool(of["predict"])
    return {
        "train": seconds["train"],
        "predict": seconds["predict"],
        "total": sum(seconds[verb] or 0.0 for verb in STEPS) if is_whole else None,
        "is_estimate": any(fact.get("core_s") is None for fact in facts),
        "predict_s_per_megapixel": _per_megapixel(of["predict"], seconds["predict"]),
        "peak_rss_mb": max((f["peak_rss_mb"] for f in facts if f.get("peak_rss_mb")), default=None),
        "devices": sorted({str(f["device"]) for f in facts if f.get("device", "cpu") != "cpu"}),
    }


def spent_core_s(record: Mapping[str, Any]) -> float:
    """Core-seconds of a step; of a training that was resumed with those of earlier runs."""
    facts = record["mstool"]
    known = [facts.get("core_s"), record.get("train_core_s")]
    spent = [float(seconds) for seconds in known if seconds is not None]
    return max(spent) if spent else float(facts["elapsed_s"] * (facts.get("threads") or 1))


def _sum(values) -> float | None:
    values = list(values)
    return sum(values) if values else None


def _per_megapixel(records: Sequence[Mapping[str, Any]], seconds: float | None) -> float | None:
    megapixels = sum(record.get("megapixels") or 0.0 for record in records)
    return seconds / megapixels if seconds is not None and megapixels else None
