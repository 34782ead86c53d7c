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
        stands for them, or only those of its last run; ``predict_s_per_megapixel``;
        ``peak_rss_mb``; ``devices``, those that are no CPU.
    """
    known = [(verb, record) for verb, record in steps if verb in STEPS]
    of = {verb: [record for name, record in known if name == verb] for verb in STEPS}
    seconds = {
        verb: None if verb in lost else _sum(map(spent_core_s, records))
        for verb, records in of.items()
    }
    facts = [fact for _, record in known for fact in _runs(record)]
    is_whole = not lost and None not in (seconds["train"], seconds["predict"])
    return {
        "train": seconds["train"],
        "predict": seconds["predict"],
        "total": sum(seconds[verb] or 0.0 for verb in STEPS) if is_whole else None,
        "is_estimate": any(fact.get("core_s") is None for fact in facts)
        or any(_share_seen(record) < 1 for _, record in known),
        "predict_s_per_megapixel": _per_megapixel(of["predict"], seconds["predict"]),
        "peak_rss_mb": max((f["peak_rss_mb"] for f in facts if f.get("peak_rss_mb")), default=None),
        "devices": sorted({str(f["device"]) for f in facts if f.get("device", "cpu") != "cpu"}),
    }


def spent_core_s(record: Mapping[str, Any]) -> float | None:
    """Core-seconds of a step, with those of earlier runs and of shards; None if none are known.

    A training that was resumed knows what it took in all. A prediction knows what its last run took
    for how many tiles: the others are taken to have cost as much each.
    """
    spent = sum(map(_core_s_of_run, _runs(record)))
    if record.get("train_core_s") is not None:
        return max(spent, float(record["train_core_s"]))
    share = _share_seen(record)
    return spent / share if share else None


def _runs(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is known of the run of a step, and of each shard that it has joined."""
    return [record["mstool"], *record.get("shards", ())]


def _core_s_of_run(facts: Mapping[str, Any]) -> float:
    if facts.get("core_s") is not None:
        return float(facts["core_s"])
    return float(facts["elapsed_s"] * (facts.get("threads") or 1))


def _share_seen(record: Mapping[str, Any]) -> float:
    """Share of the tiles of a prediction that its last run has made; 1 for other steps."""
    n_tiles, n_predicted = record.get("n_tiles"), record.get("n_predicted")
    return n_predicted / n_tiles if n_tiles and n_predicted is not None else 1.0


def _sum(values) -> float | None:
    values = list(values)
    return sum(values) if values and None not in values else None


def _per_megapixel(records: Sequence[Mapping[str, Any]], seconds: float | None) -> float | None:
    megapixels = sum(record.get("megapixels") or 0.0 for record in records)
    return seconds / megapixels if seconds is not None and megapixels else None
