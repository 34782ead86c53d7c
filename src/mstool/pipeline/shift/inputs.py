"""Which sets are compared, and by which network."""

from collections.abc import Sequence
from pathlib import Path

from mstool.errors import UsageError
from mstool.labels.legend import Legend, legend_from_toml
from mstool.nn.checkpoint import LoadedModel, load_checkpoint
from mstool.pipeline.label_maps import choose_legend
from mstool.pipeline.shift.plan import ShiftSettings
from mstool.pipeline.shift.sets import SetInputs, find_set
from mstool.reporting import Reporter
from mstool.shift.choice import NONE


def find_inputs(
    operands: tuple[Path, Path],
    labels: tuple[Sequence[Path] | None, Sequence[Path] | None],
    label_suffix: str,
    report: Reporter,
) -> tuple[SetInputs, SetInputs]:
    """Files of both sets.

    Raises
    ------
    UsageError
        If both are the same.
    """
    if operands[0].resolve() == operands[1].resolve():
        raise UsageError(f"{operands[1]}: is the source too; name another folder as the target")
    first, second = (
        find_set(name, operand, own, label_suffix, report)
        for name, operand, own in zip(("source", "target"), operands, labels, strict=True)
    )
    return first, second


def load_model(
    path: Path | None,
    inputs: tuple[SetInputs, SetInputs],
    legend_path: Path | None,
    classes: str | None,
    settings: ShiftSettings,
) -> tuple[LoadedModel | None, Legend | None]:
    """Model, and legend of the label maps.

    Label maps are read through the legend that is given, else through that of the model.

    Raises
    ------
    UsageError
        If repairs or advice are asked for without a model.
    """
    if path is None and (any(name != NONE for name in settings.repairs) or settings.advise):
        flag = "--mitigate" if settings.repairs else "--retrain-advice"
        raise UsageError(f"{flag}: needs a network; name one with --model")
    model = load_checkpoint(path) if path is not None else None
    maps = [label for one in inputs for label in one.labels.values()]
    if not maps:
        return model, None
    if legend_path or classes or model is None:
        return model, choose_legend(legend_path, classes, maps)
    return model, legend_from_toml(model.checkpoint.legend)
