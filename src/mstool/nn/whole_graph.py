"""Networks as graphs that need nothing around them: stored values in, probabilities out."""

import numpy as np
import torch
from torch import nn

from mstool.errors import UnavailableError
from mstool.nn.device import choose_compute
from mstool.nn.engines import installed_engines, start_onnxruntime
from mstool.nn.graph import to_onnx
from mstool.nn.infer import predict_images
from mstool.nn.model import Segmenter

IMAGE, PROBABILITIES = "image", "probabilities"


class _Whole(nn.Module):
    """A segmenter whose answer is probabilities; its input is padded and cut inside."""

    def __init__(self, segmenter: Segmenter):
        super().__init__()
        self.segmenter = segmenter

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.segmenter(images).softmax(dim=1)


def check_can_export() -> None:
    """See that graphs can be written, and run to check them.

    Raises
    ------
    UnavailableError
        Naming what to install.
    """
    if "onnxruntime" not in installed_engines():
        raise UnavailableError(
            "export needs onnx, onnxscript and onnxruntime; pip install 'mstool[fast]'"
        )


def whole_graph(segmenter: Segmenter, size: int) -> bytes:
    """ONNX graph with normalisation, padding, network, temperature and softmax.

    Parameters
    ----------
    segmenter : Segmenter
        On the CPU, in evaluation mode.
    size : int
        Edge of the tiles [px].

    Returns
    -------
    bytes
        Maps `IMAGE`, float32 (1, C, size, size) in stored pixel values, to `PROBABILITIES`, float32
        (1, K, size, size), which sum to 1 over classes.

    Raises
    ------
    UnavailableError, UsageError
        As `to_onnx`.
    """
    example = torch.zeros(1, segmenter.mean.shape[1], size, size)
    return to_onnx(_Whole(segmenter), example, (IMAGE, PROBABILITIES))


def probabilities_by_torch(segmenter: Segmenter, image: np.ndarray) -> np.ndarray:
    """Probabilities, float32 (1, K, H, W), of an image of stored values, (H, W) or (H, W, C).

    Raises
    ------
    InputError
        If they are not numbers.
    """
    return predict_images([segmenter], [image], choose_compute("cpu", "fp32"))


def probabilities_by_graph(graph: bytes, images: np.ndarray) -> np.ndarray:
    """Probabilities (1, K, H, W) of images, float32 (1, C, H, W), by ONNX Runtime on the CPU."""
    return start_onnxruntime(graph, torch.get_num_threads())(images)


def to_graph_input(image: np.ndarray) -> np.ndarray:
    """Give an image of stored values, (H, W) or (H, W, C), as float32 (1, C, H, W)."""
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return np.ascontiguousarray(planes[None], dtype=np.float32)
