"""Networks as graphs that other programs run."""

import importlib.util
import logging
import warnings

import torch
from torch import nn

from mstool.errors import UnavailableError, UsageError

_NEEDED = ("onnx", "onnxscript")


def can_write_graphs() -> bool:
    """Whether the libraries for that are installed."""
    return all(_is_there(name) for name in _NEEDED)


def to_onnx(module: nn.Module, example: torch.Tensor, names: tuple[str, str]) -> bytes:
    """Write a network as an ONNX graph that takes arrays of one size.

    Parameters
    ----------
    module : Module
        In evaluation mode, on the CPU; maps (N, C, H, W) to logits.
    example : Tensor of float32, shape (N, C, H, W)
        The graph takes this shape, and no other.
    names : (str, str)
        Of input and output.

    Returns
    -------
    bytes
        An ONNX model with its weights; the same network gives the same bytes, and nothing in them
        tells on which machine they were made.

    Raises
    ------
    UnavailableError
        If the libraries that write graphs are not installed.
    UsageError
        If the network has operations that ONNX lacks.
    """
    if not can_write_graphs():
        raise UnavailableError(f"needs {' and '.join(_NEEDED)}; pip install 'mstool[fast]'")
    try:
        program = _export(module, example, names)
    except Exception as error:  # what the exporter raises depends on where it stops
        reason = str(error).strip().partition("\n")[0][:120]
        raise UsageError(f"this network cannot be written as an ONNX graph ({reason})") from error
    model = program.model
    for part in (model, model.graph, *model.graph.all_nodes(), *model.functions.values()):
        part.metadata_props.clear()  # where in which source file each operation stands
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    return program.model_proto.SerializeToString(deterministic=True)


def opset_of(graph: bytes) -> int:
    """Version of the operations of ONNX that a graph is made of."""
    import onnx

    imports = onnx.load_model_from_string(graph).opset_import
    return next(each.version for each in imports if each.domain in ("", "ai.onnx"))


def _export(module: nn.Module, example: torch.Tensor, names: tuple[str, str]):
    loud = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                module,
                (example.clone(),),
                input_names=[names[0]],
                output_names=[names[1]],
                dynamo=True,
                verbose=False,
            )
    finally:
        logging.disable(loud)


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it was forbidden to import it
        return False
