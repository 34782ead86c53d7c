"""A whole phantom: a synthetic complex-phase steel micrograph with its exact label map."""

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from mstool.phantoms.bars import IGNORE_INDEX, burn_scale_bar, draw_info_bar
from mstool.phantoms.cues import draw_attributes, draw_cue_texture, render_cells
from mstool.phantoms.etching import draw_etch_fields, etch_boundaries, over_etch
from mstool.phantoms.grains import tessellate, tessellate_isolated
from mstool.phantoms.grey_values import histogram_distance, match_classes
from mstool.phantoms.laths import bell
from mstool.phantoms.nuisance import draw_precipitates, draw_scratches
from mstool.phantoms.smooth_noise import smooth_noise
from mstool.phantoms.streams import Stream, open_stream
from mstool.phantoms.textures import draw_texture
from mstool.phantoms.truth import describe_truth

GREY_MEAN, GREY_SPREAD = 0.5, 0.15  # of every class at dose 0 [1]
GRAIN_CONTRAST = 0.7  # rms difference between cell greys, where texture has 1 [1]
BOUNDARY_DEPTH = 2.2  # depth of an etched boundary, where texture has 1 [1]


@dataclass(frozen=True)
class Phantom:
    """One synthetic micrograph and the truth about it."""

    image: np.ndarray  # float32 (H, W)
    labels: np.ndarray  # 255 below an information bar
    parameters: dict  # every true parameter, ready for JSON


def make_phantom(settings, seed, index) -> Phantom:
    """Synthetic micrograph of a seed and an index; the same bytes for the same arguments.

    Without a cue, all classes have the same grey histogram at dose 0, to a Kolmogorov-Smirnov
    distance below `MAX_HISTOGRAM_KS` from 256 x 256 px up (on smaller images chance alone makes it
    larger). Of an image, `histogram_ks_nominal` is measured at dose 0 without nuisances,
    `histogram_ks_image` on what is returned. The label map depends on neither the dose nor the
    nuisances, the information bar aside. The same seed and index give the same label map with every
    cue.

    Examples
    --------
    >>> from mstool.phantoms import PhantomSettings
    >>> phantom = make_phantom(PhantomSettings(height=64, width=96), seed=1, index=0)
    >>> phantom.image.shape, np.unique(phantom.labels).tolist()
    ((64, 96), [0, 1])
    """
    rng = open_stream(seed, index, Stream.GRAINS)
    fractions = _draw_fractions(settings, rng)
    draw = _draw_structure if settings.cue is None else _draw_with_cue
    cells, texture, nominal, etched = draw(settings, fractions, rng, seed, index)
    noise = settings.noise * open_stream(seed, index, Stream.NOISE).standard_normal(settings.shape)
    clutter, clutter_parameters = _draw_clutter(settings, seed, index)
    image = np.clip(etched + clutter + noise, 0.0, 1.0)
    image, labels, bar_parameters = _burn_bars(settings, image, cells.labels)
    clean = np.clip(nominal + noise, 0.0, 1.0)
    parameters = {
        "seed": int(seed),
        "index": int(index),
        **_as_json(settings),
        **clutter_parameters,
        **bar_parameters,
        **describe_truth(settings, cells, texture, labels),
        "histogram_ks_nominal": _measure_ks(clean, cells.labels, settings),
        "histogram_ks_image": _measure_ks(image, labels, settings),
    }
    return Phantom(image.astype(np.float32), labels, parameters)


def _draw_structure(settings, fractions, rng, seed, index):
    """Cells, texture and image, nominal and etched, of phases with equal grey histograms."""
    sizes_px = [settings.to_px(s) for s in (settings.grain_size_um, settings.region_size_um)]
    cells = tessellate(settings.shape, *sizes_px, fractions, rng)
    texture = draw_texture(settings, cells, open_stream(seed, index, Stream.TEXTURE))
    nominal, etched = _etch(settings, cells, texture, open_stream(seed, index, Stream.ETCHING))
    return cells, texture, nominal, etched


def _draw_with_cue(settings, fractions, rng, seed, index):
    """The same where one cue alone tells the class; the etch is nominal."""
    grain_px = settings.to_px(settings.grain_size_um)
    cells = tessellate_isolated(settings.shape, grain_px, fractions[1], rng)
    rng = open_stream(seed, index, Stream.CUE)
    attributes = draw_attributes(settings.cue, cells.cell_class, rng)
    texture = draw_cue_texture(settings, cells, open_stream(seed, index, Stream.TEXTURE))
    nominal = render_cells(settings, cells, attributes, texture)
    return cells, texture, nominal, nominal


def _draw_fractions(settings, rng):
    """Area fraction of each class in one image [1], summing to 1."""
    foreground = rng.uniform(*settings.foreground_fraction)
    pearlite = foreground * rng.uniform(*settings.pearlite_share)
    if settings.n_classes == 2:
        return [1.0 - foreground, foreground]
    return [1.0 - foreground, foreground - pearlite, pearlite]


def _etch(settings, cells, texture, rng):
    """Image at dose 0 and at the dose of the settings, before noise, not clipped.

    There are as many draws at every dose.
    """
    labels, shape = cells.labels, settings.shape
    grain_px = settings.to_px(settings.grain_size_um)
    cell_grey = GRAIN_CONTRAST * rng.uniform(-np.sqrt(3), np.sqrt(3), size=len(cells.cell_class))
    variation = np.clip(1.0 + 0.25 * smooth_noise(shape, 0.4 * grain_px, rng), 0.4, 1.5)
    fields = draw_etch_fields(shape, 1.2 * grain_px, rng)
    width_px = settings.to_px(settings.boundary_width_um)
    edge_px = settings.to_px(settings.lath_edge_um)
    boundary = partial(etch_boundaries, cells, variation=variation)
    sharp = cell_grey[cells.cell] + texture.grey - BOUNDARY_DEPTH * boundary(width_px=width_px)
    blurred = ndimage.gaussian_filter(sharp, settings.to_px(settings.blur_um))
    nominal = match_classes(blurred, labels, GREY_MEAN, GREY_SPREAD)
    etched = over_etch(
        nominal,
        labels,
        cells.cell,
        boundary=lambda widening: boundary(width_px=widening * width_px),
        edge=lambda widening: bell(texture.edge_distance_px, widening * edge_px),
        fields=fields,
        dose=settings.dose,
    )
    return nominal, etched


def _draw_clutter(settings, seed, index):
    """Change of grey [1] by precipitates and scratches, and what they are for the record."""
    rng = open_stream(seed, index, Stream.PRECIPITATES)
    area_um2 = settings.height * settings.width * settings.pixel_size_um**2
    n_precipitates = int(rng.poisson(settings.precipitates_per_um2 * area_um2))
    radius_px = settings.to_px(settings.precipitate_radius_um)
    particles = draw_precipitates(settings.shape, n_precipitates, radius_px, rng)
    rng = open_stream(seed, index, Stream.SCRATCHES)
    width_px = settings.to_px(settings.boundary_width_um)
    scratches, angles = draw_scratches(settings.shape, settings.n_scratches, width_px, rng)
    return particles + scratches, {"n_precipitates": n_precipitates, "scratch_angles_deg": angles}


def _burn_bars(settings, image, labels):
    """Image and label map with the bars that the settings ask for, and their height and length."""
    parameters = {"info_bar_height_px": 0, "scale_bar_um": None}
    top = settings.height
    if settings.info_bar:
        strip = draw_info_bar(settings.shape, settings.pixel_size_um)
        parameters["info_bar_height_px"] = len(strip)
        top -= len(strip)
        image, labels = np.concatenate([image[:top], strip]), labels.copy()
        labels[top:] = IGNORE_INDEX
    if settings.scale_bar:
        image, length_um = burn_scale_bar(image, settings.pixel_size_um, bottom=top)
        parameters["scale_bar_um"] = length_um
    return image, labels, parameters


def _as_json(settings):
    """Plain dict of the settings that comes back from JSON unchanged."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


def _measure_ks(image, labels, settings):
    """Histogram distance, None where it is undefined."""
    distance = histogram_distance(image, labels, settings.n_classes)
    return None if np.isnan(distance) else distance
