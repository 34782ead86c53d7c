"""Which pixels a network's answer comes from, by one method or several."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from skimage.segmentation import slic
from torch import nn

from mstool.errors import UsageError
from mstool.explanations.imputation import impute
from mstool.explanations.removal import GRADIENT, SHARE, STEEPNESS
from mstool.nn.cams import CAMS, class_activation_maps
from mstool.nn.layer_maps import layer_stride, place_map
from mstool.nn.target import Subject, activation_modules
from mstool.nn.tensors import to_float64

METHODS = (
    "integrated-gradients",
    "integrated-gradients-blurred",
    "gradient-x-input",
    "saliency",
    "smoothgrad",
    "guided-backprop",
    "occlusion",
    "region-ablation",
    *CAMS,
)
UNSIGNED = ("saliency", "smoothgrad", "gradcam", "layercam", "seg-gradcam")
_GRADIENTS = {"saliency": STEEPNESS, "smoothgrad": STEEPNESS, "guided-backprop": GRADIENT}

BLUR_PX = 8.0  # what is blurred so far shows no phase any more
_BATCH_PX = 600_000  # pixels with a gradient that are held at a time


@dataclass(frozen=True)
class Method:
    """A way to explain.

    Attributes
    ----------
    name : str
        One of `METHODS`.
    layer : str
        Where a class activation map is taken; empty for the other methods.
    """

    name: str
    layer: str = ""

    @property
    def label(self) -> str:
        """Name with the layer, such as ``hirescam@encoder[1]``."""
        return f"{self.name}@{self.layer}" if self.layer else self.name

    @property
    def is_signed(self) -> bool:
        """Whether values below 0 speak against the class."""
        return self.name not in UNSIGNED

    @property
    def kind(self) -> str:
        """What its values are: shares of the target, gradients, or their absolute values."""
        return _GRADIENTS.get(self.name, SHARE)


@dataclass(frozen=True)
class Effort:
    """How much work goes into one map.

    Attributes
    ----------
    steps, most_steps : int
        Steps of integrated gradients to begin with, and at most.
    tolerance : float
        Completeness error [1] above which the steps are doubled.
    n_noises : int
        Noisy copies that SmoothGrad averages over.
    window_px, stride_px : int
        Window of occlusion, and how far it moves [px].
    n_regions : int
        Superpixels of region ablation, about.
    seed : int
        Of the noise of SmoothGrad.
    fits : callable
        Asked whether doubled steps, which take so many seconds, may be made.
    """

    steps: int = 16
    most_steps: int = 64
    tolerance: float = 0.05
    n_noises: int = 16
    window_px: int = 16
    stride_px: int = 8
    n_regions: int = 100
    seed: int = 0
    fits: Callable[[float], bool] = lambda seconds: True


# For checks that draw a map hundreds of times.
LIGHT_EFFORT = Effort(steps=8, most_steps=8, n_noises=8, window_px=24, stride_px=16, n_regions=40)


@dataclass(frozen=True)
class Attribution:
    """Share of the target that each pixel has.

    Attributes
    ----------
    values : ndarray of float32, shape (H, W)
        Summed over image channels; above 0 speaks for the class.
    native : ndarray of float32, shape (h, w)
        As the method gives it: coarser than `values` for a class activation map, which is
        interpolated bilinearly, and cut to the image where the network pads it.
    stride : float
        Pixels of the image that one of `native` stands for, along an axis.
    completeness_error : float or None
        Share of the difference between image and baseline that integrated gradients miss [1].
    n_steps : int or None
        Steps that it took.
    """

    values: np.ndarray
    native: np.ndarray
    stride: float = 1.0
    completeness_error: float | None = None
    n_steps: int | None = None


def attribute(
    subject: Subject, methods: Sequence[Method], effort: Effort | None = None
) -> dict[str, Attribution]:
    """Explain one target by several methods.

    Saliency, gradient x input and all class activation maps share one pass through the network.

    Parameters
    ----------
    subject : Subject
        Network at rest, image and target.
    methods : sequence of Method
        How.
    effort : Effort, optional
        How much work.

    Returns
    -------
    dict of str to Attribution
        By label, in the order of `methods`.

    Raises
    ------
    UsageError
        If a method is unknown, or not to be had for this network.

    References
    ----------
    Integrated gradients: Sundararajan et al. (2017), arXiv:1703.01365. SmoothGrad: Smilkov et al.
    (2017), arXiv:1706.03825. Guided backpropagation: Springenberg et al. (2014), arXiv:1412.6806.
    Occlusion: Zeiler, Fergus (2014), arXiv:1311.2901.
    """
    effort = effort or Effort()
    maps: dict[str, Attribution] = {}
    shared = [m for m in methods if m.name in ("saliency", "gradient-x-input", *CAMS)]
    if shared:
        maps |= _shared_pass(subject, shared)
    for method in methods:
        if method.label not in maps:
            maps[method.label] = _maker(method.name)(subject, effort)
    return {method.label: maps[method.label] for method in methods}


def mean_baseline(image: np.ndarray) -> np.ndarray:
    """Image of its own mean in each channel: as bright, and without any structure."""
    return np.broadcast_to(image.mean(axis=(0, 1), keepdims=True), image.shape).copy()


def blurred(image: np.ndarray) -> np.ndarray:
    """Image without structures below some 20 px."""
    return ndimage.gaussian_filter(image, (BLUR_PX, BLUR_PX, 0), mode="reflect")


def integrate_gradients(subject: Subject, baseline: np.ndarray, effort: Effort) -> Attribution:
    """Integrated gradients from a baseline, with steps doubled until they are complete.

    Parameters
    ----------
    subject : Subject
        Network, image and target.
    baseline : ndarray of float32, shape (H, W, C)
        What the image is compared with.
    effort : Effort
        Steps.

    Returns
    -------
    Attribution
        The error is NaN if image and baseline give the same target.
    """
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(subject.score)
    image, start = subject.place(subject.image), subject.place(baseline)
    n_at_once = max(1, _BATCH_PX // image[0, 0].numel())
    with torch.no_grad():
        difference = float(subject.score(image) - subject.score(start))
    steps = effort.steps
    while True:
        began = time.monotonic()
        parts = method.attribute(image, start, n_steps=steps, internal_batch_size=n_at_once)
        total = float(to_float64(parts).sum())
        error = abs(total / difference - 1) if difference else float("nan")
        is_enough = not error > effort.tolerance or 2 * steps > effort.most_steps
        if is_enough or not effort.fits(2 * (time.monotonic() - began)):
            return replace(_plain(parts), completeness_error=error, n_steps=steps)
        steps *= 2


def superpixels(image: np.ndarray, n_regions: int) -> np.ndarray:
    """Cut an image into patches of similar grey: int (H, W), 0 to n - 1."""
    low, high = image.min(), image.max()
    scaled = (image - low) / max(high - low, 1e-6)
    labels = slic(scaled, n_regions, compactness=0.1, start_label=0, channel_axis=-1)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _shared_pass(subject: Subject, methods: Sequence[Method]) -> dict[str, Attribution]:
    """Maps that need no more than one forward and one backward pass."""
    maps, gradient = class_activation_maps(
        subject, [(m.name, m.layer) for m in methods if m.name in CAMS]
    )
    found = {
        f"{name}@{layer}": _on_image(subject, layer, native)
        for (name, layer), native in maps.items()
    }
    centred = subject.place(subject.image - mean_baseline(subject.image))
    for method in methods:
        if method.name == "saliency":
            found["saliency"] = _plain(gradient.abs())
        elif method.name == "gradient-x-input":
            found["gradient-x-input"] = _plain(gradient * centred)
    return found


def _from_mean(subject: Subject, effort: Effort) -> Attribution:
    return integrate_gradients(subject, mean_baseline(subject.image), effort)


def _from_blurred(subject: Subject, effort: Effort) -> Attribution:
    return integrate_gradients(subject, blurred(subject.image), effort)


def _smoothgrad(subject: Subject, effort: Effort) -> Attribution:
    """Mean size of the gradient over copies with noise, a tenth of the grey range strong."""
    generator = torch.Generator().manual_seed(effort.seed)
    image = subject.place(subject.image)
    spread = 0.1 * float(np.subtract(*np.percentile(subject.image, [99, 1])))
    total = torch.zeros_like(image)
    for _ in range(effort.n_noises):
        noise = torch.randn(image.shape, generator=generator).to(image.device)
        noisy = (image + spread * noise).requires_grad_()
        total += torch.autograd.grad(subject.score(noisy).sum(), noisy)[0].abs()
    return _plain(total / effort.n_noises)


def _guided_backprop(subject: Subject, effort: Effort) -> Attribution:
    from captum.attr import GuidedBackprop

    _refuse_unguided(subject)
    network = _Scorer(subject)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says that it sets hooks, and removes them
        parts = GuidedBackprop(network).attribute(subject.place(subject.image))
    return _plain(parts)


def _occlusion(subject: Subject, effort: Effort) -> Attribution:
    """Drop of the target when a window is blurred, averaged over the windows of a pixel."""
    from captum.attr import Occlusion

    image = subject.place(subject.image)
    n_channels, height, width = image.shape[1:]
    edge, stride = (min(px, height, width) for px in (effort.window_px, effort.stride_px))
    with torch.no_grad():
        parts = Occlusion(subject.score).attribute(
            image,
            sliding_window_shapes=(n_channels, edge, edge),
            strides=(n_channels, stride, stride),
            baselines=subject.place(blurred(subject.image)),
            perturbations_per_eval=max(1, _BATCH_PX // (height * width)),
        )
    return _plain(parts / n_channels)


def _region_ablation(subject: Subject, effort: Effort) -> Attribution:
    """Drop of the target when a patch of similar grey is filled in from around it."""
    from captum.attr import FeatureAblation

    regions = superpixels(subject.image, effort.n_regions)
    filled = subject.image.copy()
    for index in range(regions.max() + 1):
        inside = regions == index
        filled[inside] = impute(subject.image, inside)[inside]
    with torch.no_grad():
        parts = FeatureAblation(subject.score).attribute(
            subject.place(subject.image),
            baselines=subject.place(filled),
            feature_mask=torch.from_numpy(regions)[None, None].to(subject.compute.device),
            perturbations_per_eval=max(1, _BATCH_PX // regions.size),
        )
    return _plain(parts / parts.shape[1])


def _maker(name: str) -> Callable[[Subject, Effort], Attribution]:
    makers: dict[str, Callable[[Subject, Effort], Attribution]] = {
        "integrated-gradients": _from_mean,
        "integrated-gradients-blurred": _from_blurred,
        "smoothgrad": _smoothgrad,
        "guided-backprop": _guided_backprop,
        "occlusion": _occlusion,
        "region-ablation": _region_ablation,
    }
    if name not in makers:
        raise UsageError(f"--methods {name}: unknown; use {', '.join(METHODS)}")
    return makers[name]


def _refuse_unguided(subject: Subject) -> None:
    """Guided backpropagation is defined for ReLU; elsewhere it would be the plain gradient.

    Raises
    ------
    UsageError
        If the network has other nonlinear layers, or calls ReLU where hooks cannot see it.
    """
    others = activation_modules(subject.segmenter) - {nn.ReLU, nn.Softmax}
    if others:
        names = ", ".join(sorted(kind.__name__ for kind in others))
        raise UsageError(f"--methods guided-backprop: defined for ReLU, and this has {names}")
    if _count_relus(subject, as_function=True) > _count_relus(subject, as_function=False):
        raise UsageError(
            "--methods guided-backprop: this network calls ReLU as a function, which cannot be "
            "guided; use another method"
        )


def _count_relus(subject: Subject, as_function: bool) -> int:
    """How often ReLU runs in one pass: as any function, or as a module."""
    count = 0

    def add(*_: object) -> None:
        nonlocal count
        count += 1

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in (nn.functional.relu, torch.relu, torch.relu_):
                add()
            with torch._C.DisableTorchFunction():
                return function(*args, **(kwargs or {}))

    modules = [m for m in subject.segmenter.modules() if isinstance(m, nn.ReLU)]
    hooks = [] if as_function else [module.register_forward_hook(add) for module in modules]
    small = torch.zeros(1, subject.image.shape[2], 64, 64, device=subject.compute.device)
    try:
        with torch.inference_mode():
            if as_function:
                with Watch():
                    subject.segmenter(small)
            else:
                subject.segmenter(small)
    finally:
        for hook in hooks:
            hook.remove()
    return count


class _Scorer(nn.Module):
    """The target as a module, which captum asks for where it sets hooks."""

    def __init__(self, subject: Subject):
        super().__init__()
        self.segmenter, self._subject = subject.segmenter, subject

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._subject.score(images)


def _plain(parts: torch.Tensor) -> Attribution:
    values = parts.detach()[0].sum(dim=0).float().cpu().numpy()
    return Attribution(values, values)


def _on_image(subject: Subject, layer: str, native: np.ndarray) -> Attribution:
    segmenter, (height, width) = subject.segmenter, subject.image.shape[:2]
    placed = place_map(segmenter, layer, torch.from_numpy(native)[None], (height, width))
    stride = layer_stride(segmenter, layer, native.shape[0], height)
    return Attribution(placed[0].numpy(), native, stride)
