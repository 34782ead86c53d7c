"""Shared fields of view: split --audit and --join-overlaps, and what train makes of them."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

TINY = ("--arch", "unet-plain", "--depth", "2", "--width", "4", "--epochs", "1", "--device", "cpu")


@pytest.mark.parametrize("options", [("--folds", 2), ("--group-by", "a"), ("--loo",)])
def test_an_audit_divides_nothing(run_mstool, options):
    ended = run_mstool("split", "--audit", "raw", *options)
    assert (ended.code, "--audit: divides nothing" in ended.stderr) == (2, True)


def grains(shape, seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4)
    return (255 / (1 + np.exp(-3 * noise / noise.std()))).astype(np.uint8)


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Micrographs a and c, of which c shows a quarter of a, turned; b and d stand alone."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "raw"
    folder.mkdir()
    field = grains((240, 400), seed=1)
    images = {
        "a": field[:, :240],
        "b": grains((240, 240), seed=2),
        "c": np.rot90(field[:, 180:]),
        "d": grains((240, 240), seed=3),
    }
    for name, image in images.items():
        tifffile.imwrite(folder / f"{name}.tif", image)
    return folder


def write_split(**folds):
    lines = "".join(f"{name}.tif,{name}.tif,{fold}\n" for name, fold in folds.items())
    with open("split.csv", "w") as stream:
        stream.write("source,group,fold\n" + lines)
    return "split.csv"


def rows_of(ended):
    return list(csv.DictReader(io.StringIO(ended.stdout)))


def test_audit_prints_pairs_that_overlap(run_mstool, raw):
    ended = run_mstool("split", "--audit", raw)
    (row,) = rows_of(ended)
    assert (row["first"], row["second"], row["kind"]) == ("a.tif", "c.tif", "overlap")
    assert float(row["overlap"]) == pytest.approx(60 / 220, abs=0.005)
    assert float(row["row"]) == pytest.approx(0, abs=0.5)
    assert float(row["col"]) == pytest.approx(180, abs=0.5)
    assert (row["turn"], row["mirrored"], row["first_fold"]) == ("270", "0", "")
    assert ended.code == 0
    assert "4 micrographs, 6 pairs: 1 shows the same field\n" in ended.stderr


def test_audit_fails_where_a_pair_is_in_two_folds(run_mstool, raw):
    ended = run_mstool("split", "--audit", raw, "--split", write_split(a=0, b=0, c=1, d=1))
    assert ended.code == 1
    assert [(row["first_fold"], row["second_fold"]) for row in rows_of(ended)] == [("0", "1")]
    assert "split.csv: a.tif and c.tif show the same field" in ended.stderr
    assert "--join-overlaps" in ended.stderr


def test_audit_passes_where_a_pair_is_in_one_fold(run_mstool, raw):
    ended = run_mstool("split", "--audit", raw, "--split", write_split(a=0, b=1, c=0, d=1))
    assert (ended.code, len(rows_of(ended))) == (0, 1)


def test_same_file_and_same_pixels_are_told_apart(run_mstool, raw):
    (raw / "e.tif").write_bytes((raw / "b.tif").read_bytes())
    Image.fromarray(tifffile.imread(raw / "d.tif")).save(raw / "f.png")
    found = rows_of(run_mstool("split", "--audit", raw))
    kinds = {(row["first"], row["second"]): (row["kind"], row["overlap"]) for row in found}
    assert kinds["b.tif", "e.tif"] == ("file", "1.000")
    assert kinds["d.tif", "f.png"] == ("pixels", "1.000")


def test_other_bits_and_compression_are_one_field(run_mstool, raw):
    image = tifffile.imread(raw / "b.tif")
    Image.fromarray(image).save(raw / "e.jpg", quality=40)
    tifffile.imwrite(raw / "f.tif", image.astype(np.uint16) ** 2)
    found = rows_of(run_mstool("split", "--audit", raw))
    shares = {(row["first"], row["second"]): float(row["overlap"]) for row in found}
    for pair in (("b.tif", "e.jpg"), ("b.tif", "f.tif"), ("e.jpg", "f.tif")):
        assert shares[pair] == pytest.approx(1, abs=0.01)


def test_sheet_is_drawn_and_not_replaced_unasked(run_mstool, raw):
    assert run_mstool("split", "--audit", raw, "--sheet", "sheet.png").code == 0
    with Image.open("sheet.png") as sheet:
        assert min(sheet.size) > 200
    ended = run_mstool("split", "--audit", raw, "--sheet", "sheet.png")
    assert (ended.code, "sheet.png: already there" in ended.stderr) == (73, True)
    assert run_mstool("split", "--audit", raw, "--sheet", "sheet.png", "--overwrite").code == 0


def test_sheet_of_nothing_is_told(run_mstool, raw):
    for name in ("c.tif", "d.tif"):
        (raw / name).unlink()
    ended = run_mstool("split", "--audit", raw, "--sheet", "none.png")
    words = "2 micrographs, 1 pair: 0 show the same field; no sheet is drawn, none.png is not"
    assert words in ended.stderr
    assert not Path("none.png").exists()
    Path("none.png").write_bytes(b"pairs of before")
    ended = run_mstool("split", "--audit", raw, "--sheet", "none.png", "--overwrite")
    assert (words in ended.stderr, Path("none.png").exists()) == (True, False)


@pytest.mark.parametrize("given", ["--split", "--files-from"])
@pytest.mark.parametrize("flag", ["--out", "--sheet"])
def test_what_is_read_is_not_replaced(run_mstool, raw, given, flag):
    name = "s.csv" if flag == "--out" else "s.png"
    Path(name).write_text(f"{raw}\n")
    operands = [raw] if given == "--split" else []
    ended = run_mstool("split", "--audit", *operands, given, name, flag, name, "--overwrite")
    assert (ended.code, f"{flag} {name}: is one of the inputs" in ended.stderr) == (2, True)
    assert Path(name).read_text() == f"{raw}\n"


def test_table_and_sheet_are_two_files(run_mstool, raw):
    ended = run_mstool("split", "--audit", raw, "--sheet", "a.png", "-o", "a.png")
    assert (ended.code, "a.png: is --out too; name another file" in ended.stderr) == (2, True)
    assert not Path("a.png").exists()


def test_sheet_takes_the_place_of_no_micrograph(run_mstool, raw):
    picture = raw / "z.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(picture)
    before = picture.read_bytes()
    ended = run_mstool("split", "--audit", raw, "--sheet", picture, "--overwrite")
    assert (ended.code, "is one of the inputs" in ended.stderr) == (2, True)
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--audit", "--folds", "2"], "--audit: divides nothing"),
        (["--folds", "2", "--sheet", "a.png"], "are for --audit alone"),
        (["--audit", "--sheet", "a.pdf"], "ending in .png"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run_mstool, raw, options, words):
    ended = run_mstool("split", raw, *options)
    assert (ended.code, ended.stdout, words in ended.stderr) == (2, "", True)


def test_micrograph_without_a_fold_is_named(run_mstool, raw):
    ended = run_mstool("split", "--audit", raw, "--split", write_split(a=0, b=1, c=0))
    assert (ended.code, ended.stdout) == (65, "")
    assert "split.csv: d.tif has no line; give it a fold" in ended.stderr


def test_join_overlaps_keeps_a_field_together(run_mstool, raw):
    ended = run_mstool("split", raw, "--folds", 3, "--join-overlaps")
    rows = {row["source"]: row for row in rows_of(ended)}
    assert rows["a.tif"]["fold"] == rows["c.tif"]["fold"]
    assert rows["c.tif"]["group"] == "a.tif"
    assert "a.tif and c.tif show the same field" in ended.stderr


@pytest.fixture
def tiles(run_mstool, raw):
    """Tile folder of the micrographs, c the right way up, with labels."""
    tifffile.imwrite(raw / "c.tif", np.rot90(tifffile.imread(raw / "c.tif"), -1))
    (raw.parent / "labels").mkdir()
    for path in raw.iterdir():
        Image.fromarray((tifffile.imread(path) > 127).astype(np.uint8)).save(
            raw.parent / "labels" / f"{path.stem}.png"
        )
    run_mstool("tile", "raw", "--labels", "labels", "--size", 96, "--overlap", 32)
    return raw.parent / "tiles"


def test_tiles_are_audited_as_the_micrographs_they_were(run_mstool, tiles):
    (row,) = rows_of(run_mstool("split", "--audit", tiles))
    assert (row["first"], row["second"], row["turn"]) == ("a.tif", "c.tif", "0")
    assert float(row["col"]) == pytest.approx(180, abs=0.5)


def test_train_refuses_a_field_in_two_roles(run_mstool, tiles):
    split = write_split(a=0, b=1, c=2, d=2)
    ended = run_mstool("train", tiles, "--split", split, "--test-fold", 0, *TINY)
    assert ended.code == 65
    assert "split.csv: a.tif and c.tif show the same field" in ended.stderr
    assert "in test and in train; make the split again with mstool split --join" in ended.stderr
    assert not (tiles.parent / "model").exists()


def test_leak_that_is_allowed_is_stamped_on_every_record(run_mstool, tiles):
    split = write_split(a=0, b=1, c=2, d=2)
    leaky = ("--split", split, "--test-fold", 0, "--allow-leak")
    assert run_mstool("train", tiles, *leaky, *TINY).code == 0
    assert run_mstool("predict", tiles, "--select", "test").code == 0
    assert run_mstool("stitch", "probs").code == 0
    ended = run_mstool("score", "masks", "labels")
    (words,) = json.loads((tiles.parent / "model" / "train.json").read_text())["leak"]["found"]
    assert words.startswith("a.tif and c.tif show the same field")
    for path in ("probs/predict.json", "masks/stitch.json"):
        assert json.loads((tiles.parent / path).read_text())["leaks"] == [words]
    assert json.loads(ended.stdout)["leak"]["allowed"] == [words]
    assert "trained with --allow-leak" in ended.stderr


def test_shared_field_of_two_folds_is_refused_once(run_mstool, tiles):
    split = write_split(a=0, b=1, c=2, d=2)
    ended = run_mstool("train", tiles, "--split", split, "--test-fold", "all", "-o", "cv", *TINY)
    assert (ended.code, ended.stderr.count("\n")) == (65, 1)
    words = "split.csv: a.tif and c.tif show the same field (27% of the smaller, offset 0, 180 px)"
    assert words in ended.stderr
    assert "in fold 0 and in fold 2; make the split again" in ended.stderr
    assert not (tiles.parent / "cv").exists()


def test_offset_is_in_pixels_of_the_micrograph_whatever_the_scale_of_tiles(run_mstool, tiles):
    run_mstool("tile", "raw", "--size", 96, "--overlap", 32, "--scale", 0.5, "-o", "half")
    (row,) = rows_of(run_mstool("split", "--audit", "half"))
    assert float(row["col"]) == pytest.approx(180, abs=1)


def test_leak_is_allowed_in_every_fold(run_mstool, tiles):
    rows = ("a.tif,x,0", "b.tif,x,1", "c.tif,x,2", "d.tif,x,2")
    Path("split.csv").write_text("\n".join(("source,group,fold", *rows)) + "\n")
    call = ("train", tiles, "--split", "split.csv", "--test-fold", "all", "-o", "cv", *TINY)
    ended = run_mstool(*call)
    assert (ended.code, "group 'x' is in" in ended.stderr) == (65, True)
    assert run_mstool(*call, "--allow-leak").code == 0
    for fold in range(3):
        record = json.loads(Path(f"cv/fold-{fold}/train.json").read_text())
        assert "group 'x' is in" in record["leak"]["found"][0]


def test_clean_split_is_searched_and_says_so(run_mstool, tiles):
    split = write_split(a=0, b=1, c=0, d=2)
    assert run_mstool("train", tiles, "--split", split, "--test-fold", 0, *TINY).code == 0
    leak = json.loads((tiles.parent / "model" / "train.json").read_text())["leak"]
    assert leak == {"searched": True, "allowed": False, "found": []}
