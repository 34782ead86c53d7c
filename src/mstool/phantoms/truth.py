"""The true parameters of one phantom."""

import numpy as np

from mstool.phantoms.bars import IGNORE_INDEX
from mstool.phantoms.settings import FERRITE


def describe_truth(settings, cells, texture, labels) -> dict:
    """Phase fractions, counts and regions of one image, as far as they can be seen.

    The table is ready for JSON. Fractions are of the pixels that are not ignored; cells that are
    wholly ignored are left out of counts and of the list of regions with their packets. Where the
    grains of a cue bear no laths, the angle and period of a packet are null.
    """
    is_seen = labels != IGNORE_INDEX
    n_px = np.bincount(cells.cell[is_seen], minlength=len(cells.cell_class))
    per_class = np.bincount(labels[is_seen], minlength=settings.n_classes)
    seen = np.flatnonzero(n_px)
    stripes = [cell for cell in seen if cells.cell_class[cell] != FERRITE]
    regions = {}
    for cell in stripes:
        name = settings.class_names[cells.cell_class[cell]]
        region = regions.setdefault((cells.cell_region[cell], name), {"class": name, "packets": []})
        packet = {
            "angle_deg": _as_number(texture.angle_deg[cell]),
            "period_um": _as_number(texture.period_um[cell]),
            "area_um2": float(n_px[cell] * settings.pixel_size_um**2),
        }
        region["packets"].append(packet)
    return {
        "phase_fraction": dict(
            zip(settings.class_names, (per_class / per_class.sum()).tolist(), strict=True)
        ),
        "n_grains": len(seen) - len(stripes),
        "n_regions": len(regions),
        "n_packets": len(stripes),
        "regions": list(regions.values()),
    }


def _as_number(value):
    """Float, None for NaN."""
    return None if np.isnan(value) else float(value)
