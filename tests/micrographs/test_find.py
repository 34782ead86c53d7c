"""Which files are read: what folders hold, and names that cannot be used."""

import os
from unicodedata import normalize

import pytest

from mstool.errors import InputError, MissingInputError, UsageError
from mstool.io.records import sha256_of_file
from mstool.micrographs.find import Naming, find_set, list_images, list_labels, pair_labels, stem_of
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


def fill(folder, *names):
    """A folder with empty files of these names, which may lie in folders."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def paired(images, labels, naming, tmp_path):
    """Names of pairs, as the flags would find them."""
    listed = list_images([tmp_path / images], Reporter(), naming)
    pairs = pair_labels(listed, [tmp_path / labels], naming, Reporter())
    return {image.name: label.name for image, label in pairs.items()}


@pytest.mark.parametrize(
    ("files", "images", "labels", "naming", "expected"),
    [
        (
            ["same/a.png", "same/a_masks.png"], "same", "same",
            Naming(label_suffix="_masks"), {"a.png": "a_masks.png"},
        ),
        (
            ["same/a_img.png", "same/a_masks.png"], "same", "same",
            Naming("_img", "_masks"), {"a_img.png": "a_masks.png"},
        ),
        (
            ["raw/a_0000.png", "raw/b_0000.png", "labels/a.png", "labels/b.png"], "raw", "labels",
            Naming("_0000"), {"a_0000.png": "a.png", "b_0000.png": "b.png"},
        ),
        (["raw/a.ome.tif", "labels/a.png"], "raw", "labels", Naming(), {"a.ome.tif": "a.png"}),
        (["raw/a.tif", "labels/a.ome.tif"], "raw", "labels", Naming(), {"a.tif": "a.ome.tif"}),
        (["raw/x/a.tif", "raw/y/b.tif", "labels/x/a.png", "labels/y/b.png"], "raw", "labels",
            Naming(recursive=True), {"a.tif": "a.png", "b.tif": "b.png"}),
        (["raw/a.tif", "labels/x/a.png"], "raw", "labels", Naming(), {"a.tif": "a.png"}),
        (["set/x/a.tif", "set/x_annot/a_mask.tif"], "set/x", "set",
            Naming(label_suffix="_mask"), {"a.tif": "a_mask.tif"}),
    ],
    ids=["one", "both suffixes", "nnU-Net", "OME", "OME labels", "recursive", "below", "parent"],
)  # fmt: skip
def test_common_layouts_are_paired(tmp_path, files, images, labels, naming, expected):
    fill(tmp_path, *files)
    assert paired(images, labels, naming, tmp_path) == expected


def test_a_suffix_that_ends_some_names_of_images_takes_none_away(tmp_path):
    fill(tmp_path, "raw/heat_mask.png", "labels/heat_mask_mask.png")
    pairs = paired("raw", "labels", Naming(label_suffix="_mask"), tmp_path)
    assert pairs == {"heat_mask.png": "heat_mask_mask.png"}


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_are_paired_whatever_their_unicode_form(tmp_path, forms):
    image, label = (normalize(form, "Gefüge.png") for form in forms)
    fill(tmp_path, f"raw/{image}", f"labels/{label}")
    assert paired("raw", "labels", Naming(), tmp_path) == {image: label}
    assert stem_of(image) == stem_of(label)


def test_an_image_is_never_its_own_label_map_and_the_suffix_is_named(tmp_path):
    fill(tmp_path, "raw/a.tif", "labels/a_mask.tif", "labels/b_mask.tif")
    with pytest.raises(InputError, match=r"a\.tif: no label map a\.\* in .*--label-suffix _mask"):
        paired("raw", "labels", Naming(), tmp_path)
    words = r"no label map a\.\* in \S+raw but the image itself; .*set --label-suffix"
    with pytest.raises(InputError, match=words):
        paired("raw", "raw", Naming(), tmp_path)


def test_what_the_name_of_an_image_adds_is_named(tmp_path):
    fill(tmp_path, "raw/a_img.tif", "labels/a_mask.tif", "raw/b_0000.tif", "labels/b.tif")
    with pytest.raises(InputError, match=r"for a_mask\.tif, give --image-suffix _img"):
        paired("raw/a_img.tif", "labels", Naming(label_suffix="_mask"), tmp_path)
    with pytest.raises(InputError, match=r"for b\.tif, give --image-suffix _0000"):
        paired("raw/b_0000.tif", "labels", Naming(), tmp_path)


def test_subfolders_are_named_where_the_folder_itself_has_no_images(tmp_path):
    fill(tmp_path, "raw/train/a.tif", "raw/val/b.tif", "raw/notes/c.txt")
    with pytest.raises(MissingInputError, match="no micrographs but in train, val; .*--recursive"):
        list_images([tmp_path / "raw"], Reporter())
    found = list_images([tmp_path / "raw"], Reporter(), Naming(recursive=True))
    assert [path.name for path in found] == ["a.tif", "b.tif"]


def test_images_in_folders_that_are_not_read_are_named(tmp_path, capsys):
    fill(tmp_path, "raw/a.tif", "raw/more/b.tif", "raw/labels/a.png", "raw/notes/c.txt")
    report = Reporter("tile", 0)
    find_set([tmp_path / "raw"], [tmp_path / "raw/labels"], Naming(), report)
    assert "images in more are left out; name these folders" in capsys.readouterr().err
    fill(tmp_path, "set/a.tif", "set/more/b.tif")
    assert len(find_set([tmp_path / "set"], None, Naming(recursive=True), report).images) == 2
    assert "left out; name" not in capsys.readouterr().err


def test_same_names_in_different_subfolders_are_refused(tmp_path):
    fill(tmp_path, "raw/x/a.tif", "raw/y/a.png")
    with pytest.raises(InputError, match="has the same name as"):
        list_images([tmp_path / "raw"], Reporter(), Naming(recursive=True))


@pytest.mark.parametrize(("letter", "n"), [("a", 201), ("ü", 101), ("相", 67)])
def test_names_too_long_for_outputs_are_refused_before_anything_is_written(tmp_path, letter, n):
    fill(tmp_path, f"raw/{letter * n}.tif")
    with pytest.raises(
        InputError, match="bytes, to which outputs add more; give it one of at most"
    ):
        list_images([tmp_path / "raw"], Reporter())


def test_suffix_that_no_image_has_is_named(tmp_path):
    fill(tmp_path, "raw/a.tif")
    with pytest.raises(MissingInputError, match="name ends in _img"):
        list_images([tmp_path / "raw"], Reporter(), Naming("_img"))


def test_a_label_map_in_the_folder_beside_is_named(tmp_path):
    fill(tmp_path, "raw/b.tif", "set/x_annot/a_mask.tif", "set/y_annot/b_mask.tif")
    words = r"b_mask\.tif is in \S+y_annot; name that folder, or \S+set for all below it$"
    with pytest.raises(InputError, match=words):
        paired("raw", "set/x_annot", Naming(label_suffix="_mask"), tmp_path)


def test_a_copy_of_the_micrograph_is_no_label_map(tmp_path):
    fill(tmp_path, "masks/a.tif", "set/x/a.tif", "set/x_annot/a_mask.tif")
    mask = tmp_path / "masks" / "a.tif"
    same = {mask: sha256_of_file(tmp_path / "set" / "x" / "a.tif")}
    words = r"but the micrograph itself; for a_mask\.tif, give --label-suffix _mask"
    with pytest.raises(InputError, match=words):
        pair_labels([mask], [tmp_path / "set"], Naming(), Reporter(), micrographs=same)


@pytest.mark.parametrize(
    ("files", "labels", "naming"),
    [
        (["raw/img1.tif", "raw/img10.tif", "labels/img10.png"], "labels", Naming()),
        (["raw/img1.tif", "raw/img10.tif", "labels/img1.png"], "labels", Naming()),
        (["raw/a_img.tif"], "raw", Naming("_img")),
    ],
    ids=["longer name", "shorter name", "itself"],
)
def test_no_suffix_is_advised_for_what_belongs_to_another_image(tmp_path, files, labels, naming):
    fill(tmp_path, *files)
    with pytest.raises(InputError, match=r"no label map .*; add it, leave the image out, or set"):
        paired("raw", labels, naming, tmp_path)


def test_what_is_left_out_beside_folders_of_label_maps_is_said_once(tmp_path, capsys):
    fill(tmp_path, "labels/x/a.png", "labels/notes.txt")
    list_labels([tmp_path / "labels"], Reporter("tile", 0))
    assert capsys.readouterr().err.count("1 entry of another type is left out") == 1


@pytest.mark.parametrize("record", ["tiles.json", ".tiles.unfinished.json"])
def test_a_tile_folder_stands_alone_finished_or_not(folder, tmp_path, record):
    tiles = fill(tmp_path / "tiles", record)
    found = find_set([tiles], None, Naming(), Reporter())
    assert (found.images, found.tiles) == ((), tiles)
    with pytest.raises(UsageError, match="is a tile folder; give it alone"):
        find_set([tiles, folder], None, Naming(), Reporter())
    with pytest.raises(UsageError, match="--truth: .* which has its own labels"):
        find_set([tiles], [folder], Naming(), Reporter(), "--truth")


def test_images_beside_their_label_maps_are_no_label_maps_without_image(tmp_path, capsys):
    fill(tmp_path, "same/a_img.png", "same/a.png")
    naming, report = Naming("_img"), Reporter("tile", 0)
    images = list_images([tmp_path / "same"], report, naming)
    pair_labels(images, [tmp_path / "same"], naming, report)
    assert capsys.readouterr().err == ""


def test_a_file_that_is_named_twice_is_told_from_two_of_one_name(folder):
    with pytest.raises(InputError, match=r"a\.tif: is named twice; name it once"):
        list_images([folder, folder / ".." / "raw" / "a.tif"], Reporter())


def test_folders_are_not_searched_through_links(folder):
    (folder / "loop").symlink_to(folder)
    assert list_images([folder], Reporter(), Naming(recursive=True)) == [folder / "a.tif"]


def test_names_as_long_as_outputs_allow_are_read(tmp_path):
    path = fill(tmp_path, f"raw/{'a' * 200}.tif") / f"raw/{'a' * 200}.tif"
    assert list_images([path], Reporter()) == [path]
