"""Is it the grain boundaries? Attribution near them, and what is lost without them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from mstool.explanations import boundaries, counterfactuals
from mstool.explanations.boundaries import band_enrichment, band_mask, band_share, distance_profile
from mstool.explanations.controls import EDGE, edge_map
from mstool.explanations.counterfactuals import BOUNDARY, CAUSES, GREY, NOT_TESTABLE, TEXTURE
from mstool.explanations.imputation import impute
from mstool.pictures.boundary import draw_boundary
from mstool.pictures.counterfactual import draw_counterfactual
from mstool.pictures.save import save_figure
from mstool.pipeline.explain.fields import Field
from mstool.pipeline.explain.sanity import random_maps
from mstool.pipeline.explain.study import LEAST_PX, Study, Unit, finite_mean

CORE_PX = 4.5  # from there on a pixel counts as interior

Maps = dict[str, np.ndarray]


def check_boundary(study: Study, units: Sequence[Unit], maps: Sequence[Maps]) -> dict[str, Any]:
    """Measure attribution against distance, and change the micrographs.

    Parameters
    ----------
    study : Study
        The question.
    units : sequence of Unit
        All of them.
    maps : sequence of dict
        Of each unit, by label.

    Returns
    -------
    dict
        For the record, with ``boundary.png`` and ``counterfactual.png`` written.
    """
    profile = _profile(study, units, maps)
    causal = _counterfactual(study)
    has_truth = study.fields[0].truth is not None
    return {"source": "labels" if has_truth else "prediction", **profile, "counterfactual": causal}


def claim(verdict: str) -> str:
    """What becomes of the claim that boundaries decide, by the cause that was found."""
    if verdict == BOUNDARY:
        return "supported"
    return {"mixed": "mixed", NOT_TESTABLE: "not_testable"}.get(verdict, "not_supported")


def _profile(study: Study, units: Sequence[Unit], maps: Sequence[Maps]) -> dict[str, Any]:
    labels = [method.label for method in study.methods]
    random = random_maps(study, units, 900 + study.settings.seed)
    tables: dict[str, list[dict[str, Any]]] = {}
    shares = []
    for unit, own, other in zip(units, maps, random, strict=True):
        distance = boundaries.signed_distance(unit.labels, study.class_index)
        band, near = band_mask(distance), unit.window
        shares.append(float((band & near).sum() / max(1, near.sum())))
        named = {label: own[label] for label in labels}
        named |= {f"{label}, random weights": other[label] for label in labels}
        named[f"control: {EDGE}"] = edge_map(unit.image)
        for name, values in named.items():
            found = distance_profile(values, distance, near)
            row = {
                "share": band_share(values, band, near),
                "enrichment": band_enrichment(values, band, near),
                "profile": found,
            }
            tables.setdefault(name, []).append(row)
    profiles = {
        name: _mean_profile([row["profile"] for row in rows]) for name, rows in tables.items()
    }
    summary = {
        name: {key: finite_mean([row[key] for row in rows]) for key in ("share", "enrichment")}
        for name, rows in tables.items()
    }
    edge = summary[f"control: {EDGE}"]["enrichment"]
    for label in labels:
        own_value = summary[label]["enrichment"]
        random_value = summary[f"{label}, random weights"]["enrichment"]
        summary[label]["over_edge_detector"] = _ratio(own_value, edge)
        summary[label]["over_random_weights"] = _ratio(own_value, random_value)
    size = study.fields[0].pixel_size_um
    title = f"Attribution of {study.settings.class_name} against distance to its boundary"
    save_figure(
        study.out / "boundary.png",
        draw_boundary(profiles, title, size, stamp=study.settings.stamp),
    )
    return {
        "band_px": [boundaries.INSIDE_PX, boundaries.OUTSIDE_PX],
        "band_um": None
        if size is None
        else [boundaries.INSIDE_PX * size, boundaries.OUTSIDE_PX * size],
        "n_units": len(units),
        "band_area_share": finite_mean(shares),
        "methods": summary,
        "profile": {
            name: {
                "from_px": found.low,
                "to_px": found.high,
                "mass_share": found.mass_share,
                "area_share": found.area_share,
                "enrichment": found.enrichment,
            }
            for name, found in profiles.items()
        },
    }


def _mean_profile(found: list[boundaries.Profile]) -> boundaries.Profile:
    mass = np.array([one.mass_share for one in found])
    usable = mass[np.isfinite(mass).all(axis=1)]
    mean = usable.mean(axis=0) if len(usable) else np.full(mass.shape[1], np.nan)
    area = np.mean([one.area_share for one in found], axis=0)
    return boundaries.Profile(found[0].low, found[0].high, mean, area)


def _counterfactual(study: Study) -> dict[str, Any]:
    """Loss of probability in the interior of regions, under each of the three changes."""
    drops: dict[str, list[np.ndarray]] = {cause: [] for cause in CAUSES}
    dense, shown = [], None
    for number, field in enumerate(study.fields):
        labels = counterfactuals.drop_specks(field.prediction, LEAST_PX)
        components, n = ndimage.label(labels == study.class_index)
        if not n:
            continue
        distance = boundaries.signed_distance(labels, study.class_index)
        band = band_mask(distance)
        inside = components > 0
        dense.append(float((band & inside).sum() / inside.sum()))
        images = _change(study, field, components, band, number)
        core = inside & (distance > CORE_PX) & np.isfinite(distance)
        before = field.probabilities[study.class_index]
        after = {cause: _probability(study, image) for cause, image in images.items()}
        for cause in CAUSES:
            drops[cause].append(
                counterfactuals.region_drops(before, after[cause], components, core)
            )
        shown = shown or (field, images)
    joined = {c: np.concatenate(v) if v else np.array([np.nan]) for c, v in drops.items()}
    n_regions = int(np.isfinite(joined[BOUNDARY]).sum())
    verdict, reason = _judge(study, joined, n_regions, dense)
    seed = study.settings.seed
    interval = {cause: counterfactuals.bootstrap_interval(v, seed) for cause, v in joined.items()}
    if shown is not None:
        _draw(study, shown, joined, interval, verdict)
    return {
        "n_regions": n_regions,
        "band_share_of_regions": finite_mean(dense),
        "drop": {cause: finite_mean(values) for cause, values in joined.items()},
        "interval": interval,
        "verdict": verdict,
        "reason": reason,
    }


def _change(
    study: Study, field: Field, components: np.ndarray, band: np.ndarray, number: int
) -> dict[str, np.ndarray]:
    """Micrograph without boundaries, without grain greys, without texture."""
    rng = np.random.default_rng([study.settings.seed, 75, number])
    noise = 0.01 * float(np.ptp(field.image))
    target = counterfactuals.grey_of_rest(field.image, components > 0)
    return {
        BOUNDARY: impute(field.image, band, noise=noise, rng=rng),
        GREY: counterfactuals.equalise_grey(field.image, components, ~band, target),
        TEXTURE: counterfactuals.flatten_texture(field.image, components, ~band),
    }


def _probability(study: Study, image: np.ndarray) -> np.ndarray:
    """Probability of the class, float32 (H, W)."""
    subject = study.ask(image, np.ones(image.shape[:2], bool))
    with torch.inference_mode():
        probabilities = study.segmenter(subject.place(image)).float().softmax(dim=1)
    return probabilities[0, study.class_index].cpu().numpy()


def _judge(
    study: Study, drops: dict[str, np.ndarray], n_regions: int, dense: list[float]
) -> tuple[str, str]:
    limits = study.limits
    if n_regions < 2:
        return NOT_TESTABLE, "fewer than two regions have an interior"
    if np.mean(dense) > limits.dense_band:
        return NOT_TESTABLE, "bands along the boundaries cover most of the regions"
    verdict = counterfactuals.decide_cause(
        drops, least=limits.cause_least, ratio=limits.cause_ratio
    )
    if verdict == NOT_TESTABLE:
        return verdict, "the network stays with its decision whatever is removed"
    return verdict, "largest loss of probability in the interior of the regions"


def _draw(study, shown, drops, interval, verdict) -> None:
    field, images = shown
    figure = draw_counterfactual(
        {
            "micrograph": field.image,
            **{f"without {cause}": image for cause, image in images.items()},
        },
        drops,
        interval,
        verdict,
        f"What does {study.settings.class_name} depend on? ({field.name})",
        field.pixel_size_um,
        stamp=study.settings.stamp,
    )
    save_figure(study.out / "counterfactual.png", figure)


def _ratio(first: float | None, second: float | None) -> float | None:
    return first / second if first is not None and second else None
