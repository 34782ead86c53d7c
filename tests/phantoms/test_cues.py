import numpy as np
import pytest
from scipy import ndimage

from mstool.errors import UsageError
from mstool.phantoms import CUES, PhantomSettings, make_phantom

SIZE = {"height": 192, "width": 192, "noise": 0.0, "blur_um": 0.0}


def grains(cue, seed):
    """Class, rim darkness, core grey and core rms of each grain of class 1 and of the rest."""
    phantom = make_phantom(PhantomSettings(cue=cue, **SIZE), seed, 0)
    found = []
    for index in (0, 1):
        inside = phantom.labels == index
        depth = ndimage.distance_transform_edt(inside)
        # ferrite grains are told apart by their own walls, which only the truth of the cells knows;
        # lone grains of class 1 are components
        components, n = ndimage.label(inside)
        for number in range(1, n + 1):
            own = components == number
            core, rim = own & (depth > 7), own & (depth >= 1) & (depth <= 3)
            if core.sum() > 150:
                grey = phantom.image[core]
                found.append((index, phantom.image[rim].min(), grey.mean(), grey.std()))
    return np.array(found), phantom


@pytest.mark.parametrize("cue", CUES)
def test_both_classes_are_there_and_chosen_grains_do_not_touch(cue):
    phantom = make_phantom(PhantomSettings(cue=cue, **SIZE), 5, 0)
    assert set(np.unique(phantom.labels)) == {0, 1}
    assert 0.05 < (phantom.labels == 1).mean() < 0.45


def test_label_map_does_not_depend_on_the_cue():
    maps = [make_phantom(PhantomSettings(cue=cue, **SIZE), 5, 0).labels for cue in CUES]
    assert all((other == maps[0]).all() for other in maps)


def collect(cue):
    return np.concatenate([grains(cue, seed)[0] for seed in range(8)])


def test_grey_tells_grains_only_where_it_is_the_cue():
    spread = {}
    for cue in ("grey", "rim"):
        table = collect(cue)
        spread[cue] = table[table[:, 0] == 1][:, 2]
    assert spread["grey"].min() > 0.55  # bright all of them
    assert spread["rim"].min() < 0.45  # any grey
    assert spread["rim"].max() > 0.55


def test_rim_is_on_every_grain_where_it_is_the_cue():
    with_rim = collect("rim")
    lone = with_rim[with_rim[:, 0] == 1]
    assert (lone[:, 2] - lone[:, 1]).min() > 0.12
    others = collect("grey")
    other = others[others[:, 0] == 1]
    assert (other[:, 2] - other[:, 1]).min() < 0.1


def test_texture_is_strong_where_it_is_the_cue_and_any_elsewhere():
    strong, free = collect("texture"), collect("rim")
    assert strong[strong[:, 0] == 1][:, 3].min() > 0.07
    assert free[free[:, 0] == 1][:, 3].min() < 0.05


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"cue": "smell"}, "rim, grey"), ({"cue": "rim", "n_classes": 3}, "n_classes"),
     ({"cue": "rim", "dose": 0.5}, "dose")],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(fields, word):
    with pytest.raises(UsageError, match=word):
        PhantomSettings(**fields)
