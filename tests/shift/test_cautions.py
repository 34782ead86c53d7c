"""What a reader is warned of."""

from types import SimpleNamespace

import pytest

from mstool.shift.cautions import list_cautions
from mstool.shift.cost import Performance, Scores

SOUND = SimpleNamespace(is_explained=True)


def findings(performance, *, spectrum=SOUND, fractions=(0.5, 0.5), smallest_p=0.001):
    """Nothing to be warned of but scores, and what else is given."""
    return SimpleNamespace(
        measured=SimpleNamespace(tests=SimpleNamespace(can_detect=True, smallest_p=smallest_p)),
        factors=SimpleNamespace(transfer=SOUND, spectrum=spectrum, fractions=fractions),
        performance=performance,
        estimate=None,
        robustness=None,
        advice=None,
    )


@pytest.mark.parametrize(
    ("n_images", "n_units", "words"),
    [
        (12, 12, []),
        (12, 5, ["intervals of scores rest on 5 specimens of the target"]),
        (12, 3, ["3 specimens of the target cannot tell how specimens vary"]),
        (6, 6, ["intervals of scores rest on 6 micrographs of the target"]),
        (1, 1, ["1 micrograph of the target cannot tell how micrographs vary"]),
    ],
)
def test_few_units_are_told_and_not_how_many_fields_they_have(n_images, n_units, words):
    source, target = (
        Scores(*numbers, 0.6, (0.5, 0.7), {}, {}, {}) for numbers in ((12, 12), (n_images, n_units))
    )
    found = list_cautions(findings(Performance(source, target, None)), [])
    assert len(found) == len(words)
    assert all(words[0] in one for one in found)


ODD = SimpleNamespace(is_explained=False)


def test_what_is_left_is_called_unexplained_only_where_chance_is_known():
    (words,) = list_cautions(findings(None, spectrum=ODD), [])
    assert "no factor explains the spectra" in words
    (words,) = list_cautions(findings(None, spectrum=ODD, smallest_p=1.0), [])
    assert "one against one" in words
    assert "etching" not in words


def test_phases_may_be_the_cause_where_nothing_tells_of_them():
    (words,) = list_cautions(findings(None, spectrum=ODD, fractions=()), [])
    assert "phases in other shares" in words
    (words,) = list_cautions(findings(None, spectrum=ODD), [])
    assert "phases" not in words
