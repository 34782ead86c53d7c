"""What an explanation found, as a record: verdicts with their reasons among it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from mstool.errors import CheckFailed
from mstool.explanations.boundary_claim import judge_claim
from mstool.explanations.controls import DISTANCE, EDGE
from mstool.explanations.verdicts import DECISIVE, Outcome, Thresholds, judge_method, judge_part
from mstool.nn.attribution import Method
from mstool.nn.checkpoint import LoadedModel
from mstool.pipeline.explain.explained import Explanation
from mstool.pipeline.explain.maps import warn_of_map
from mstool.pipeline.explain.request import ExplainSettings, parse_thresholds
from mstool.pipeline.explain.stamping import ChecksDone


def describe(
    found: Explanation,
    settings: ExplainSettings,
    methods: Sequence[Method],
    model: LoadedModel,
    done: ChecksDone,
    files: Iterable[str],
) -> dict[str, Any]:
    """Entries of the record, but for those of the run; `files` are those that are there."""
    limits, classes = parse_thresholds(settings.thresholds), model.checkpoint.classes
    cause = found.boundary.counterfactual.verdict if found.boundary else None
    own = {one.label: _judge(limits, found, "methods", one.label) for one in methods}
    controls = {f"control: {c}": _judge(limits, found, "controls", c) for c in (EDGE, DISTANCE)}
    return {
        "thresholds": asdict(limits),
        "model": {"name": model.path.name, "sha256": model.sha256, "classes": classes},
        "target": {
            "class": settings.class_name,
            "contrast": settings.contrast,
            "region": settings.region,
        },
        "is_checked": done.is_checked,
        "checks": {"made": done.made, "left_out": done.left_out},
        "images": found.images,
        "units": found.sample,
        "methods": [
            {"name": m.label, "method": m.name, "layer": m.layer or None, "is_signed": m.is_signed}
            for m in methods
        ],
        "sanity": found.sanity,
        "label_randomisation": found.labels,
        "faithfulness": found.faithfulness,
        "patch": found.patch,
        "boundary": found.boundary,
        "receptive_field": found.receptive_field,
        "features": found.features,
        "left_out": list(found.left_out),
        "warnings": [
            line for image in found.images for label in image.methods
            for line in warn_of_map(image, label)
        ],
        "verdict": {
            "methods": {name: verdict for name, (verdict, _) in own.items()},
            "controls": {name: verdict for name, (verdict, _) in controls.items()},
            "reasons": {name: reasons for name, (_, reasons) in (own | controls).items()},
            "claim_boundary": cause and judge_claim(cause),
            "cause": cause,
        },
        "files": sorted({*files, *found.arrays, *found.pictures}),
    }  # fmt: skip


def headline(record: dict[str, Any]) -> str:
    """Verdicts of a record in one line."""
    words = [f"{name}: {verdict}" for name, verdict in record["verdict"]["methods"].items()]
    if record["verdict"]["cause"]:
        words.append(f"cause: {record['verdict']['cause']}")
    if record["left_out"]:
        words.append(f"left out for lack of time: {', '.join(record['left_out'])}")
    return "; ".join(words)


def check_verdicts(record: dict[str, Any], fail_on: Sequence[str]) -> None:
    """Fail if a verdict is among those that were named.

    Raises
    ------
    CheckFailed
        Naming the first method.
    """
    verdicts = record["verdict"]["methods"]
    found = [f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict in fail_on]
    claimed = record["verdict"]["claim_boundary"]
    if claimed in fail_on:
        found.append(f"the boundary claim is {claimed}")
    if found:
        raise CheckFailed(f"{', '.join(found)}; explain.json has the reasons")


def _judge(limits: Thresholds, found: Explanation, table: str, name: str) -> tuple[str, list[str]]:
    """Verdict on a method or a control, with reasons."""
    outcomes: dict[str, Outcome] = {}
    for check in DECISIVE:
        part = getattr(found, check)
        facts = getattr(part, table, {}).get(name)
        if facts is not None:
            reason = getattr(facts, "reason", None)
            outcomes[check] = judge_part(facts.verdict, reason, bool(part.left_out))
    decision = found.sanity and found.sanity.decision
    is_decided = not decision or decision.margin >= limits.decision * max(
        decision.random_margin, 0.0
    )
    is_resisted = found.patch is not None and found.patch.is_resisted
    return judge_method(outcomes, is_decided, not is_resisted)
