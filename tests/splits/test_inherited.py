"""What weights may know of what is to judge them."""

from dataclasses import replace

import pytest

from mstool.io.tiles import SourceImage
from mstool.splits.inherited import find_transductive, list_inherited_leaks
from mstool.splits.roles import Roles

ROLES = Roles(train=("c", "d"), val=("b",), test=("a",))


def make_sources(groups=None, contents=None):
    """Micrographs of the tile folder; each has a group and a content of its own unless named."""
    return {
        name: SourceImage(
            name=name,
            group=(groups or {}).get(name, name),
            sha256=(contents or {}).get(name, f"content of {name}"),
            path=name,
            file_sha256="",
            shape=(8, 8),
            scaled_shape=(8, 8),
        )
        for name in "abcd"
    }


def inherit(**parts):
    """Micrographs that weights have seen, each as what."""
    return [
        {"name": name, "group": name, "sha256": f"content of {name}", "part": part}
        for name, part in parts.items()
    ]


@pytest.mark.parametrize(
    ("seen", "role"),
    [({"a": "train"}, "test"), ({"a": "val"}, "test"), ({"b": "train"}, "val")],
)
def test_weights_that_know_what_is_to_judge_them_are_refused(seen, role):
    (name,) = seen
    found = list_inherited_leaks(inherit(**seen), ROLES, make_sources())
    assert found == [f"has already seen {name}, which is in {role} now"]


def test_weights_may_know_what_is_trained_on_and_what_validated_them_before():
    seen = inherit(b="val", c="train", d="val")
    assert list_inherited_leaks(seen, ROLES, make_sources()) == []


def test_weights_know_pixels_and_not_names():
    renamed = make_sources(contents={"a": "other pixels"})
    assert list_inherited_leaks(inherit(a="train"), ROLES, renamed) == []


def test_what_was_seen_without_labels_is_told_and_not_refused():
    seen = inherit(a="unlabelled", b="unlabelled", c="unlabelled")
    assert list_inherited_leaks(seen, ROLES, make_sources()) == []
    told = find_transductive(seen, ROLES, make_sources())
    assert told == {"val": ["b"], "test": ["a"]}
    renamed = make_sources(contents={"a": "other pixels"})
    assert find_transductive(seen, ROLES, renamed) == {"val": ["b"], "test": []}
    assert find_transductive(inherit(b="val"), ROLES, make_sources())["val"] == []


def test_labels_count_where_pixels_were_seen_too():
    seen = inherit(a="unlabelled") + inherit(a="train")
    assert len(list_inherited_leaks(seen, ROLES, make_sources())) == 1


@pytest.mark.parametrize(
    ("part", "role", "is_leak"),
    [
        ("train", "a", True),
        ("val", "a", True),
        ("train", "b", True),
        ("val", "b", False),
        ("unlabelled", "a", False),
        ("train", "c", False),
    ],
)
def test_weights_know_a_specimen_by_one_of_its_micrographs(part, role, is_leak):
    other = {"name": "other", "group": "heat7", "sha256": "other pixels", "part": part}
    sources = make_sources(groups={role: "heat7"})
    found = list_inherited_leaks([other], ROLES, sources)
    words = f"another micrograph of group 'heat7', of which {role} is in"
    assert [words in leak for leak in found] == [True] * is_leak


@pytest.mark.parametrize(
    ("earlier", "now", "is_leak"),
    [("heat7", "heat7", True), ("heat7", "heat8", False), ("a", "a", False), ("heat7", "a", False)],
)
def test_weights_know_a_specimen_that_the_split_alone_names(earlier, now, is_leak):
    other = {"name": "a", "group": "a", "sha256": "other pixels", "part": "train"}
    sources = make_sources()
    sources["a"] = replace(sources["a"], specimen=now)
    found = list_inherited_leaks([other | {"specimen": earlier}], ROLES, sources)
    words = ["has already seen another micrograph of group 'heat7', of which a is in test now"]
    assert found == words * is_leak
