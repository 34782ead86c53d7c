"""Whether runs are of one study: made alike but for seed and split."""

from collections.abc import Iterator, Mapping
from typing import Any

from mstool.errors import InputError
from mstool.pipeline.score.inputs import MaskSet

_MOST_TOLD = 4
_LONGEST = 24  # characters of a value that is told


def refuse_same_models(run: MaskSet, earlier: MaskSet) -> None:
    """Refuse masks of one prediction, or of two by the same models, as two runs.

    Raises
    ------
    InputError
        If these are such.
    """
    if run.models and sorted(run.models) == sorted(earlier.models):
        raise InputError(
            f"{run.folder}: was made by the same models as {earlier.folder}, which is no other run "
            "and would count twice; leave one out"
        )


def refuse_other_settings(run: MaskSet, first: MaskSet) -> None:
    """Refuse masks that records tell were made otherwise; what they do not tell is not held.

    Raises
    ------
    InputError
        Naming what differs.
    """
    found = list(_differences(_making(run), _making(first)))
    if not found:
        return
    more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    raise InputError(
        f"{run.folder}: was made with other settings than {first.folder}: "
        f"{', '.join(found[:_MOST_TOLD])}{more}; runs of one study differ in seed and split alone: "
        "make them alike, or compare the two with --versus"
    )


def _making(run: MaskSet) -> dict[str, Any]:
    """All settings that are known, by name; those of a table behind its own."""
    stitching = run.stitching
    own = {"blend": stitching.blend, "abstain": stitching.abstain} if stitching else {}
    return {**own, **_flat(run.made_with, "")}


def _flat(table: Mapping[Any, Any], before: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else []
        if rows:
            flat[f"kinds of {key}"] = len(rows)
        inner = dict(enumerate(rows)) or value
        flat |= (
            _flat(inner, f"{before}{key} ")
            if isinstance(inner, dict)
            else {f"{before}{key}": value}
        )
    return flat


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name, value in ours.items():
        other = theirs.get(name, value)
        if value != other:
            words = name.replace("training 0 ", "").replace("training ", "of model ")
            is_short = max(len(str(value)), len(str(other))) <= _LONGEST
            yield f"{words} {_in_words(value)} (there {_in_words(other)})" if is_short else words


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return " or ".join(map(_in_words, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
