"""Which files are read: what folders hold, and names that cannot be used."""

import os

import pytest

from mstool.errors import InputError, MissingInputError
from mstool.pipeline.inputs import list_images, list_labels
from mstool.reporting import Reporter


@pytest.fixture
def folder(tmp_path):
    """A folder with one micrograph."""
    path = tmp_path / "raw"
    path.mkdir()
    (path / "a.tif").touch()
    return path


@pytest.mark.parametrize("listing", [list_images, list_labels])
def test_link_that_leads_nowhere_is_named(folder, listing):
    (folder / "b.png").symlink_to("gone.png")
    with pytest.raises(MissingInputError, match=r"b\.png: links to gone\.png, which is not there;"):
        listing([folder], Reporter())


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ([], ""),
        ([".hidden"], ""),
        (["x.txt"], "raw: 1 entry of another type is left out"),
        (["x.tif/"], "raw: 1 entry of another type is left out"),
        (["x.txt", "y.png/"], "raw: 2 entries of other types are left out"),
        (["plain/"], ""),
    ],
    ids=str,
)
def test_what_is_left_out_is_counted(folder, capsys, names, note):
    for name in names:
        path = folder / name
        path.mkdir() if name.endswith("/") else path.touch()
    assert list_images([folder], Reporter("tile", 0)) == [folder / "a.tif"]
    said = capsys.readouterr().err
    assert note in said
    assert bool(said) == bool(note)


def test_folder_without_images_among_others_is_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match=r"empty: no micrographs; give TIFF"):
        list_images([folder, tmp_path / "empty"], Reporter())


@pytest.mark.parametrize("as_operand", [False, True], ids=["in a folder", "named"])
@pytest.mark.parametrize(
    ("name", "words"),
    [(b"\xe4.png", "a name that is not UTF-8; rename"), (b"a\\b.png", "backslash.*; rename")],
)
def test_name_that_records_cannot_hold_is_refused(folder, name, words, as_operand):
    path = folder / os.fsdecode(name)
    path.touch()
    with pytest.raises(InputError, match=words):
        list_images([path if as_operand else folder], Reporter())


def test_pipe_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="not a regular file; save it as a file"):
        list_images([tmp_path / "a.tif"], Reporter())
