"""Random crops and their changes: geometry first, then grey levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from mstool.errors import InputError, UsageError
from mstool.io.parsing import parse_toml, read_text
from mstool.labels.legend import IGNORE_INDEX


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each crop's changes are drawn; the defaults change nothing.

    Attributes
    ----------
    flip : float
        Probability of a mirror image, along each axis.
    right_angles : bool
        Whether to turn by 0, 90, 180 or 270 degrees.
    rotation_deg : float
        Largest free rotation to either side [degrees].
    zoom : tuple of float
        Least and largest magnification, drawn evenly on a log scale; below 1 more of the
        micrograph is seen.
    distorted : float
        Share of the crops that are turned freely, zoomed and warped. The others keep the very
        pixels of the micrograph, turned by right angles or mirrored: interpolation smooths noise
        and fine texture, and a network that has seen nothing else takes real ones for something
        else.
    elastic_px : float
        Root mean square of a smooth random displacement [px].
    elastic_smooth_px : float
        Distance over which the displacement changes [px].
    brightness : float
        Largest shift to either side, in standard deviations of the training set.
    contrast : tuple of float
        Least and largest factor around the mean of the crop, on a log scale.
    gamma : tuple of float
        Least and largest exponent on grey levels between black and white, on a log scale.
    blur_px : tuple of float
        Least and largest Gaussian sigma [px]; below 0.3 nothing is done.
    noise : tuple of float
        Least and largest sigma, in standard deviations of the training set.
    """

    flip: float = 0.0
    right_angles: bool = False
    rotation_deg: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    distorted: float = 1.0
    elastic_px: float = 0.0
    elastic_smooth_px: float = 32.0
    brightness: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    gamma: tuple[float, float] = (1.0, 1.0)
    blur_px: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)


_SPATIAL = {
    "flip": 0.5,
    "right_angles": True,
    "rotation_deg": 15.0,
    "zoom": (0.8, 1.25),
    "distorted": 0.5,
    "elastic_px": 2.0,
}
_INTENSITY = {
    "brightness": 0.3,
    "contrast": (0.75, 1.33),
    "gamma": (0.8, 1.25),
    "blur_px": (0.0, 0.8),
    "noise": (0.0, 0.15),
}
PRESETS = {
    "none": Augmentation(),
    "spatial": Augmentation(**_SPATIAL),
    "intensity": Augmentation(**_INTENSITY),
    "default": Augmentation(**_SPATIAL, **_INTENSITY),
}


def augmentation_from_toml(text: str, origin: str) -> Augmentation:
    """Read ranges from TOML: one key an attribute of `Augmentation`, the rest unchanged.

    Parameters
    ----------
    text : str
        Such as ``zoom = [0.5, 1.2]``.
    origin : str
        File name for messages.

    Raises
    ------
    InputError
        If a key is unknown or a value is of the wrong kind.
    """
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise InputError(f"{origin}: not TOML ({error})") from None
    known = {field.name: field.default for field in fields(Augmentation)}
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{origin}: unknown key {key!r}; use {', '.join(known)}")
        table[key] = _checked_value(key, value, known[key], origin)
    return Augmentation(**table)


def without_grey_changes(augmentation: Augmentation) -> Augmentation:
    """Keep the geometric ranges, and change no grey level."""
    return replace(augmentation, **{name: getattr(PRESETS["none"], name) for name in _INTENSITY})


def augmentation_to_toml(augmentation: Augmentation) -> str:
    """Write ranges as `augmentation_from_toml` reads them."""
    lines = []
    for field in fields(Augmentation):
        value = getattr(augmentation, field.name)
        shown = list(value) if isinstance(value, tuple) else value
        lines.append(f"{field.name} = {str(shown).lower() if isinstance(shown, bool) else shown}")
    return "\n".join(lines) + "\n"


def load_augmentation(name: str) -> Augmentation:
    """Augmentation by the name of a preset or of a TOML file.

    Raises
    ------
    UsageError
        If it is neither.
    """
    from pathlib import Path

    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"--augment {name}: no such file; use {', '.join(PRESETS)} or a TOML file")
    return augmentation_from_toml(read_text(path), name)


def cut_crop(
    image: torch.Tensor,
    labels: torch.Tensor,
    size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a random crop from a tile, turned, zoomed and warped, on the device where the tile lies.

    Parameters
    ----------
    image : Tensor of float32, shape (C, H, W)
        Pixel values.
    labels : Tensor of uint8, shape (H, W)
        Class indices, or 255.
    size : int
        Edge of the crop [px].
    augmentation : Augmentation
        Its geometric ranges are used.
    generator : Generator
        Source of all chance; on the CPU, wherever the pixels are.

    Returns
    -------
    image : Tensor of float32, shape (C, size, size)
    labels : Tensor of uint8, shape (size, size)
        What lies outside the tile is filled by reflection in both.
    """
    if _uniform(generator) >= augmentation.distorted:
        augmentation = replace(augmentation, rotation_deg=0.0, zoom=(1.0, 1.0), elastic_px=0.0)
    angle = (2 * _uniform(generator) - 1) * augmentation.rotation_deg
    zoom = _log_uniform(augmentation.zoom, generator)
    turned = abs(angle) > 1e-3 or abs(zoom - 1) > 1e-3
    reach = _reach(size, angle, zoom) if turned else size
    image, labels = _random_window(image, labels, reach, size, zoom if turned else 1.0, generator)
    if turned:
        image, labels = _turn(image, labels, angle, zoom)
        image, labels = (transforms.center_crop(part, [size, size]) for part in (image, labels))
    if augmentation.elastic_px > 0:
        image, labels = _warp(image, labels, augmentation, generator)
    return _flip_and_rotate(image, labels, augmentation, generator)


def change_grey_levels(
    image: torch.Tensor,
    augmentation: Augmentation,
    levels: tuple[float, float],
    std: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Change gamma, contrast, brightness, sharpness and noise of a crop.

    Parameters
    ----------
    image : Tensor of float32, shape (C, H, W)
        Pixel values.
    augmentation : Augmentation
        Its grey-level ranges are used.
    levels : tuple of float
        Black and white of the training set, between which gamma acts.
    std : float
        Standard deviation of the training set, the unit of brightness and noise.
    generator : Generator
        Source of all chance; on the CPU, wherever the pixels are.

    Returns
    -------
    Tensor of float32, shape (C, H, W)
        Gamma clips to black and white; the rest does not clip.
    """
    gamma = _log_uniform(augmentation.gamma, generator)
    if abs(gamma - 1) > 1e-3:
        black, white = levels
        image = transforms.adjust_gamma(((image - black) / (white - black)).clamp(0, 1), gamma)
        image = image * (white - black) + black
    contrast = _log_uniform(augmentation.contrast, generator)
    shift = (2 * _uniform(generator) - 1) * augmentation.brightness * std
    mean = image.mean()
    image = (image - mean) * contrast + mean + shift
    sigma = _linear(augmentation.blur_px, generator)
    if sigma >= 0.3:
        reach = min(math.ceil(3 * sigma), *(edge - 1 for edge in image.shape[-2:]))  # of mirrors
        kernel = 2 * reach + 1
        image = transforms.gaussian_blur(image, [kernel, kernel], [sigma, sigma])
    noise = _linear(augmentation.noise, generator) * std
    if noise > 0:
        image = image + noise * _normal(image.shape, generator, image.device)
    return image


def _checked_value(key: str, value: object, default: object, origin: str) -> object:
    if isinstance(default, tuple):
        numbers = value if isinstance(value, list) and len(value) == 2 else None
        if numbers is None or not all(_is_number(n) for n in numbers) or numbers[0] > numbers[1]:
            raise InputError(f"{origin}: {key} must be [least, largest], not {value!r}")
        is_factor = key in ("zoom", "contrast", "gamma")
        least = 0.05 if is_factor else 0
        if not least <= numbers[0] <= numbers[1] <= 1000:
            raise InputError(f"{origin}: {key} must be between {least} and 1000, is {value!r}")
        return tuple(float(n) for n in numbers)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{origin}: {key} must be true or false, not {value!r}")
        return value
    most = {"flip": 1, "distorted": 1, "rotation_deg": 180}.get(key, 1000)
    least = 1 if key == "elastic_smooth_px" else 0
    if not _is_number(value) or not least <= value <= most:
        raise InputError(f"{origin}: {key} must be from {least} to {most}, not {value!r}")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reach(size: int, angle: float, zoom: float) -> int:
    """Edge of the window that a turned and zoomed crop needs, of the same parity as the crop."""
    radians = math.radians(angle)
    spread = abs(math.cos(radians)) + abs(math.sin(radians))
    reach = math.ceil(size * spread / zoom) + 2
    reach = max(reach, size)
    return reach + (reach - size) % 2


def _random_window(
    image: torch.Tensor,
    labels: torch.Tensor,
    reach: int,
    size: int,
    zoom: float,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a window of edge `reach` around a crop that lies inside the tile where it can."""
    seen = size / zoom
    starts = []
    for length in image.shape[-2:]:
        centre = length / 2 + (_uniform(generator) - 0.5) * max(0.0, length - seen)
        starts.append(round(centre - reach / 2))
    rows, cols = (
        _mirror(torch.arange(start, start + reach, device=image.device), length)
        for start, length in zip(starts, image.shape[-2:], strict=True)
    )
    return image[:, rows][:, :, cols], labels[rows][:, cols]


def _mirror(indices: torch.Tensor, length: int) -> torch.Tensor:
    """Fold indices back into 0..length-1 without repeating the edge."""
    if length == 1:
        return torch.zeros_like(indices)
    folded = indices.remainder(2 * (length - 1))
    return torch.where(folded < length, folded, 2 * (length - 1) - folded)


def _turn(
    image: torch.Tensor, labels: torch.Tensor, angle: float, zoom: float
) -> tuple[torch.Tensor, torch.Tensor]:
    change = {"angle": angle, "translate": [0, 0], "scale": zoom, "shear": [0.0, 0.0]}
    return (
        transforms.affine(image, interpolation=InterpolationMode.BILINEAR, **change),
        transforms.affine(
            labels[None],
            interpolation=InterpolationMode.NEAREST,
            fill=[float(IGNORE_INDEX)],
            **change,
        )[0],
    )


def _warp(
    image: torch.Tensor,
    labels: torch.Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Displace pixels smoothly: a coarse random field, interpolated."""
    size = image.shape[-1]
    rim = math.ceil(4 * augmentation.elastic_px) + 1  # so that the warp finds pixels outside
    device = image.device
    rows, cols = (_mirror(torch.arange(-rim, n + rim, device=device), n) for n in image.shape[-2:])
    image, labels = image[:, rows][:, :, cols], labels[rows][:, cols]
    height, width = image.shape[-2:]
    cells = [max(2, round(n / augmentation.elastic_smooth_px) + 1) for n in (height, width)]
    coarse = _normal((1, 2, *cells), generator, device)
    field = torch.nn.functional.interpolate(
        coarse, (height, width), mode="bicubic", align_corners=True
    )
    field = field * augmentation.elastic_px / field.std().clamp(min=1e-6)
    displacement = field.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height], device=device)
    image = transforms.elastic(image, displacement, InterpolationMode.BILINEAR)
    labels = transforms.elastic(
        labels[None], displacement, InterpolationMode.NEAREST, fill=[float(IGNORE_INDEX)]
    )[0]
    return transforms.center_crop(image, [size, size]), transforms.center_crop(labels, [size, size])


def _flip_and_rotate(
    image: torch.Tensor,
    labels: torch.Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    axes = [axis for axis in (-2, -1) if _uniform(generator) < augmentation.flip]
    quarter_turns = int(4 * _uniform(generator)) if augmentation.right_angles else 0
    image, labels = image.flip(axes), labels.flip(axes)
    return image.rot90(quarter_turns, (-2, -1)), labels.rot90(quarter_turns, (-2, -1))


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _normal(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Normal numbers, which are the same whatever device they go to."""
    return torch.randn(shape, generator=generator).to(device)


def _linear(limits: tuple[float, float], generator: torch.Generator) -> float:
    return limits[0] + (limits[1] - limits[0]) * _uniform(generator)


def _log_uniform(limits: tuple[float, float], generator: torch.Generator) -> float:
    low, high = math.log(limits[0]), math.log(limits[1])
    return math.exp(low + (high - low) * _uniform(generator))
