"""What was found, in one record with its verdict."""

from typing import Any

from mstool.io.plain import to_plain
from mstool.nn.augment import Augmentation
from mstool.pipeline.shift.comparison import Comparison, list_doubts
from mstool.shift.cautions import list_cautions
from mstool.shift.findings import Findings
from mstool.shift.verdict import judge


def describe(c: Comparison, found: Findings, augmentation: Augmentation) -> dict[str, Any]:
    """Record of a comparison, beside the common keys, as plain JSON values."""
    n_units = [len(set(groups)) for groups in c.groups]
    n_images = [len(one.samples) for one in c.sets]
    settings, left_out = c.settings, c.parts.left_out
    return to_plain(
        {
            "model": c.model and {"name": c.model.path.name, "sha256": c.model.sha256},
            "n": {
                "source": n_images[0],
                "target": n_images[1],
                "unit": "image" if n_units == n_images else "group",
                "source_units": n_units[0],
                "target_units": n_units[1],
                "smallest_p": found.measured.tests.smallest_p,
            },
            "pixel_size_um": {one.name: one.pixel_size_um for one in c.sets},
            **vars(found.measured),
            "fit": found.factors.describe(),
            "performance": found.performance,
            "estimates": found.estimates,
            "robustness": found.robustness,
            "mitigation": found.mitigation,
            "chosen": found.chosen,
            "phase_fraction": found.fractions and found.fractions.describe(),
            "augmentation": augmentation,
            "advice": found.advice,
            "left_out": left_out,
            "warnings": [*list_doubts(*c.sets), *list_cautions(found, left_out)],
            "verdict": judge(found, settings.alpha, settings.tolerance),
        }
    )
