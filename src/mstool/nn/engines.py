"""Other programs than torch that run networks on the CPU."""

import importlib.util
import platform
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from mstool.errors import UnavailableError
from mstool.nn.graph import can_write_graphs, to_onnx
from mstool.nn.model import Segmenter

TORCH = "torch"
OTHERS = ("openvino", "onnxruntime")
ENGINES = (TORCH, *OTHERS)

_INPUT, _OUTPUT = "image", "logits"

Run = Callable[[np.ndarray], np.ndarray]  # (1, C, H, W) to (1, K, h, w), both float32


class Converted(nn.Module):
    """A network whose images of one shape another program takes; torch takes all others.

    It takes one image at a time, so that an image's numbers do not depend on those beside it.

    Parameters
    ----------
    network : Module
        As torch has it; on the CPU, in evaluation mode.
    shape : tuple of int
        (C, H, W) of the images.
    run : callable
        Runs the same network.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, ...], run: Run):
        super().__init__()
        self.network, self.shape, self._run = network, shape, run
        self.depth = getattr(network, "depth", None)  # of one that does not pad, see Segmenter

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, K, h, w) of images (N, C, H, W)."""
        if tuple(images.shape[1:]) != self.shape:
            return self.network(images)
        arrays = np.ascontiguousarray(images.numpy())
        return torch.from_numpy(np.concatenate([self._run(image[None]) for image in arrays]))


def installed_engines() -> tuple[str, ...]:
    """Programs that are there beside torch, which is always."""
    if not can_write_graphs():
        return ()
    return tuple(name for name in OTHERS if importlib.util.find_spec(name))


def check_installed(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises
    ------
    UnavailableError
        Naming what to install.
    """
    if engine != TORCH and engine not in installed_engines():
        raise UnavailableError(f"--engine {engine}: not installed; pip install 'mstool[fast]'")


def engine_version(engine: str) -> str:
    """Version of the library, without what its build is called."""
    return version(engine).split()[0]


def processor() -> str:
    """What decides which program is the faster here, such as ``x86_64 AVX512``."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def graph_of(segmenter: Segmenter, size: int) -> bytes:
    """ONNX graph of the network for tiles of `size` pixels; see `to_onnx`."""
    return to_onnx(segmenter.network, _example(segmenter, size), (_INPUT, _OUTPUT))


def convert(segmenter: Segmenter, size: int, graph: bytes, engine: str) -> Segmenter:
    """Let another program run a network.

    Parameters
    ----------
    segmenter : Segmenter
        On the CPU, in evaluation mode.
    size : int
        Edge of the tiles [px].
    graph : bytes
        From `graph_of`, for this size.
    engine : {"openvino", "onnxruntime"}
        Which; it takes as many threads as torch does now.

    Returns
    -------
    Segmenter
        With the same weights, normalisation and temperature.
    """
    start = {"openvino": _start_openvino, "onnxruntime": start_onnxruntime}[engine]
    shape = tuple(_example(segmenter, size).shape[1:])
    network = Converted(segmenter.network, shape, start(graph, torch.get_num_threads()))
    mean, std = (values.flatten().tolist() for values in (segmenter.mean, segmenter.std))
    converted = Segmenter(network, segmenter.multiple, segmenter.margin, mean, std)
    converted.temperature = segmenter.temperature
    return converted.eval()


def start_onnxruntime(graph: bytes, n_threads: int) -> Run:
    """Give what runs a graph of one input and one output by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    return lambda image: session.run(None, {taken.name: image})[0]


def _example(segmenter: Segmenter, size: int) -> torch.Tensor:
    n_channels = segmenter.mean.shape[1]
    with torch.inference_mode():
        return segmenter.prepare(torch.zeros(1, n_channels, size, size))


def _start_openvino(graph: bytes, n_threads: int) -> Run:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 wherever the processor has it
        "INFERENCE_NUM_THREADS": n_threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # others may be at work on these cores
    }
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda image: compiled(image)[0]
