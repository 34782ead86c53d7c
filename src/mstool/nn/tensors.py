"""Images as tensors, apart from what changes crops, which takes as long to load as torch itself."""

import numpy as np
import torch


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """Image (H, W[, C]) of any type as float32 (C, H, W)."""
    image = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    return torch.from_numpy(np.ascontiguousarray(image, np.float32))


def to_float64(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers in float64; on the CPU where their device, MPS, has none."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
