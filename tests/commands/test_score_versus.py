"""Masks against other masks of the same micrographs, and what that refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from mstool.io.masks import write_indexed_tiff
from mstool.io.records import write_record
from mstool.labels.legend import index_legend, legend_to_toml, palette, parse_classes

AB = ("--classes", "a=0,b=1")
N = 7


def noisy(labels, share, seed):
    """Label maps of which a share of the pixels is turned round; not the same in each."""
    rng = np.random.default_rng(seed)
    return {
        name: np.where(rng.random(one.shape) < share * rng.uniform(0.6, 1.4), 1 - one, one)
        for name, one in labels.items()
    }


def save(folder, maps):
    folder.mkdir()
    for name, values in maps.items():
        Image.fromarray(values.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def save_stitched(
    folder, maps, classes="a=0,b=1", trained_on=(), contents="p", files="f", groups=None, **settings
):
    """Masks as stitch writes them."""
    folder.mkdir()
    legend, sources = parse_classes(classes), []
    for name, values in maps.items():
        mask = values.astype(np.uint8)
        write_indexed_tiff(folder / f"{name}.tif", [mask], mask.shape, palette(legend))
        shape = list(mask.shape)
        sources.append(
            {"name": f"{name}.png", "group": (groups or {}).get(name, f"{name}.png"),
             "sha256": f"{contents}{name}", "path": f"../raw/{name}.png",
             "file_sha256": f"{files}{name}", "shape": shape, "scaled_shape": shape}
        )  # fmt: skip
    (folder / "legend.toml").write_text(legend_to_toml(index_legend(legend)))
    record = {
        "classes": list(legend.names),
        "label_legend": legend_to_toml(legend),
        "sources": sources,
        "trained_on": list(trained_on),
        "settings": settings,
    }
    write_record(folder / "stitch.json", record)
    return folder


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return {f"i{n}": rng.integers(0, 2, (24, 24)) for n in range(N)}


@pytest.fixture
def folders(tmp_path, truth):
    """Label maps, good masks and bad ones."""
    good, bad = noisy(truth, 0.1, 1), noisy(truth, 0.3, 2)
    return [save(tmp_path / name, maps) for name, maps in (("l", truth), ("g", good), ("b", bad))]


def only(entries):
    (entry,) = entries
    return entry


def test_better_masks_are_told_from_worse_ones(run_mstool, folders):
    labels, good, bad = folders
    ended = run_mstool("score", good, labels, "--versus", bad, *AB)
    record = json.loads(ended.stdout)
    entry = only(record["versus"])
    theirs = json.loads(run_mstool("score", bad, labels, *AB).stdout)
    difference = record["pooled"]["mean_iou"] - theirs["pooled"]["mean_iou"]
    assert entry["masks"] == str(bad)
    assert {"g", "b", "l"} <= {path.split("/")[-2] for path in record["inputs"]}
    assert entry["difference"]["mean_iou"] == pytest.approx(difference)
    assert entry["scores"]["iou"] == pytest.approx(theirs["pooled"]["iou"])
    low, high = entry["interval"]["mean_iou"]
    assert 0 < low < difference < high
    assert entry["p"]["mean_iou"] == entry["smallest_p"] == 2.0**-6
    assert entry["is_exact"] and entry["is_distinguishable"]
    assert (entry["unit"], entry["n_units"]) == ("image", N)
    assert entry["advice"].startswith(f"distinguishable: better by {difference:.3f}")
    assert f"versus {bad}: {entry['advice']}" in ended.stderr


def test_worse_masks_have_the_other_sign(run_mstool, folders):
    labels, good, bad = folders
    entry = only(
        json.loads(run_mstool("score", bad, labels, "--versus", good, *AB).stdout)["versus"]
    )
    assert entry["difference"]["iou"]["a"] < 0 and entry["is_distinguishable"]
    assert "worse by" in entry["advice"]


def test_like_masks_are_not_distinguishable_and_it_is_said_what_would_be(
    run_mstool, folders, truth, tmp_path
):
    labels, good, _ = folders
    like = save(tmp_path / "like", noisy(truth, 0.1, 3))
    entry = only(
        json.loads(run_mstool("score", good, labels, "--versus", like, *AB).stdout)["versus"]
    )
    assert entry["is_distinguishable"] is False
    least = entry["least_difference"]["mean_iou"]
    assert entry["advice"].startswith(
        f"not distinguishable; 7 images can show a difference of {least:.3f} or more in 80 of "
        "100 studies of two that vary as these"
    )
    assert f"would take {entry['n_needed']['mean_iou']}" in entry["advice"]


def test_four_images_give_no_small_p_and_it_is_said(run_mstool, folders, truth, tmp_path):
    labels, good, bad = folders
    for folder in (good, bad):
        for name in list(truth)[4:]:
            (folder / f"{name}.png").unlink()
    entry = only(
        json.loads(run_mstool("score", good, labels, "--versus", bad, *AB).stdout)["versus"]
    )
    assert entry["smallest_p"] == 0.125
    assert entry["is_distinguishable"] is False
    assert "4 images give no p below 0.12, their interval alone can show" in entry["advice"]
    assert entry["advice"].endswith("seen would take 6")


def test_two_images_are_too_few_to_tell(run_mstool, folders, truth):
    labels, good, bad = folders
    for folder in (good, bad):
        for name in list(truth)[2:]:
            (folder / f"{name}.png").unlink()
    entry = only(
        json.loads(run_mstool("score", good, labels, "--versus", bad, *AB).stdout)["versus"]
    )
    assert entry["interval"]["mean_iou"] is None and entry["n_needed"]["accuracy"] is not None
    assert entry["advice"].endswith("2 images are too few to tell, 6 may be enough")


def test_specimens_are_the_unit_when_asked(run_mstool, tmp_path, truth, folders):
    labels, good, bad = folders
    flags = ("--versus", bad, *AB, "--group-by", "i[0-5]|i")  # i6 alone with none: 7 specimens
    entry = only(json.loads(run_mstool("score", good, labels, *flags).stdout)["versus"])
    assert entry["n_units"] == N
    flags = ("--versus", bad, *AB, "--group-by", "i")
    entry = only(json.loads(run_mstool("score", good, labels, *flags).stdout)["versus"])
    assert (entry["unit"], entry["n_units"]) == ("group", 1)


def test_p_is_corrected_for_the_number_of_comparisons(run_mstool, folders, truth, tmp_path):
    labels, good, bad = folders
    worse = save(tmp_path / "worse", noisy(truth, 0.4, 4))
    flags = ("--versus", bad, "--versus", worse, *AB)
    entries = json.loads(run_mstool("score", good, labels, *flags).stdout)["versus"]
    assert [entry["masks"] for entry in entries] == [str(bad), str(worse)]
    for entry in entries:
        assert entry["p_holm"]["mean_iou"] == 2 * entry["p"]["mean_iou"] == 2.0**-5


def test_two_comparisons_of_six_images_decide_nothing(run_mstool, folders, truth, tmp_path):
    labels, good, bad = folders
    worse = save(tmp_path / "worse", noisy(truth, 0.4, 4))
    for folder in (good, bad, worse):
        (folder / "i6.png").unlink()
    flags = ("--versus", bad, "--versus", worse, *AB)
    entries = json.loads(run_mstool("score", good, labels, *flags).stdout)["versus"]
    for entry in entries:  # a p of 1/32 is the smallest, and counts twice
        assert (entry["p"]["mean_iou"], entry["p_holm"]["mean_iou"]) == (1 / 32, 1 / 16)
        assert entry["is_distinguishable"] is False
        assert "not distinguishable; 6 images give no p below 0.062" in entry["advice"]


def test_masks_of_other_micrographs_are_refused(run_mstool, folders):
    labels, good, bad = folders
    (bad / "i3.png").unlink()
    ended = run_mstool("score", good, labels, "--versus", bad, *AB)
    assert ended.code == 65
    assert f"{bad}: has no mask of i3.png, of which {good} has one; compare" in ended.stderr
    assert ended.stdout == "" and ended.stderr.count("\n") <= 2
    ended = run_mstool("score", bad, labels, "--versus", good, *AB)
    assert f"{bad}: has no mask of i3.png, of which {good} has one; compare" in ended.stderr
    assert ended.code == 65


def test_masks_of_micrographs_that_are_only_named_alike_are_refused(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), contents="q", files="g")
    ended = run_mstool("score", one, labels, "--versus", other)
    assert ended.code == 65
    assert "is of another micrograph than" in ended.stderr


@pytest.mark.parametrize(
    "read",
    [{"contents": "q"}, {"files": "g"}],
    ids=["one file with other greys", "the same pixels in another file"],
)
def test_masks_of_micrographs_that_were_read_in_another_way_are_compared(
    run_mstool, tmp_path, truth, read
):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), **read)
    ended = run_mstool("score", one, labels, "--versus", other)
    assert ended.code == 0, ended.stderr


def test_other_legend_of_label_maps_is_refused_unless_one_is_given(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), classes="a=1,b=0")
    ended = run_mstool("score", one, labels, "--versus", other)
    assert ended.code == 65
    assert f"{other}: was made with another legend of the label maps" in ended.stderr
    assert run_mstool("score", one, labels, "--versus", other, *AB).code == 0


@pytest.mark.parametrize("abstain", [(0.6, 0), (0, 0.6)])
def test_masks_that_leave_pixels_open_are_refused(run_mstool, tmp_path, truth, abstain):
    labels = save(tmp_path / "l", truth)
    one, other = (
        save_stitched(tmp_path / name, noisy(truth, 0.1, seed), abstain=share)
        for seed, (name, share) in enumerate(zip(("one", "other"), abstain, strict=True))
    )
    ended = run_mstool("score", one, labels, "--versus", other)
    assert ended.code == 65
    assert "leaves pixels without a class" in ended.stderr and "--abstain" in ended.stderr


def test_other_classes_are_refused(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), classes="a=0,c=1")
    ended = run_mstool("score", one, labels, "--versus", other, *AB)
    assert ended.code == 65
    assert "the masks have classes a, c, the label maps a, b" in ended.stderr


def test_masks_against_themselves_are_wrong_usage(run_mstool, folders):
    labels, good, bad = folders
    ended = run_mstool("score", good, labels, "--versus", good, *AB)
    assert ended.code == 2 and "is named twice" in ended.stderr
    assert run_mstool("score", good, labels, "--versus", bad, "--versus", bad, *AB).code == 2


def test_masks_that_share_one_file_are_others_all_the_same(run_mstool, folders):
    labels, good, bad = folders
    (bad / "i0.png").unlink()
    (bad / "i0.png").symlink_to(good / "i0.png")
    alone = json.loads(run_mstool("score", bad, labels, *AB).stdout)
    entry = only(
        json.loads(run_mstool("score", good, labels, "--versus", bad, *AB).stdout)["versus"]
    )
    assert entry["scores"]["mean_iou"] == alone["pooled"]["mean_iou"]
    both = json.loads(run_mstool("score", good, bad, labels, *AB).stdout)
    assert both["runs"][1]["mean_iou"] == alone["pooled"]["mean_iou"]


def test_label_maps_are_no_other_masks(run_mstool, folders):
    labels, good, _ = folders
    ended = run_mstool("score", good, labels, "--versus", labels, *AB, "-q")
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert f"--versus {labels}: holds the label maps" in ended.stderr


def test_missing_folder_is_named(run_mstool, folders, tmp_path):
    labels, good, _ = folders
    ended = run_mstool("score", good, labels, "--versus", tmp_path / "none", *AB)
    assert ended.code == 66 and "none" in ended.stderr


def score_beside_model_of(run_mstool, tmp_path, truth, sha256):
    """Compare with masks of a model that was trained on an ``i0.png`` of this content."""
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    seen = [{"name": "i0.png", "group": "i0.png", "sha256": sha256, "part": "train"}]
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), trained_on=seen)
    return run_mstool("score", one, labels, "--versus", other)


def test_model_that_has_seen_the_micrographs_is_named(run_mstool, tmp_path, truth):
    ended = score_beside_model_of(run_mstool, tmp_path, truth, "pi0")
    assert ended.code == 0
    assert "was trained on 1 of 7 scored micrographs, or on" in ended.stderr
    assert "the comparison is not fair" in ended.stderr
    assert only(json.loads(ended.stdout)["versus"])["leak"]["trained_on"] == ["i0.png"]


def test_model_that_has_seen_micrographs_of_those_names_is_named(run_mstool, tmp_path, truth):
    ended = score_beside_model_of(run_mstool, tmp_path, truth, "of another set")
    assert "was trained on 1 of" not in ended.stderr
    assert "that are named alike with 1 of 7 scored ones, and of other content" in ended.stderr
    leak = only(json.loads(ended.stdout)["versus"])["leak"]
    assert (leak["trained_on"], leak["named_alike"]) == ([], ["i0.png"])


def test_model_of_which_nothing_is_known_is_named(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    other = save(tmp_path / "other", noisy(truth, 0.1, 2))
    ended = run_mstool("score", one, labels, "--versus", other, *AB)
    assert f"not checked whether {other} is of a model that was trained on these" in ended.stderr
    ended = run_mstool("score", one, labels, "--versus", save_stitched(tmp_path / "k", truth), *AB)
    assert "not checked whether" not in ended.stderr


def test_leaks_that_the_training_of_the_other_model_let_pass_are_named(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    seen = {"name": "i0.png", "group": "i0.png", "sha256": "pi0", "part": "unlabelled"}
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), trained_on=[seen])
    record = json.loads((other / "stitch.json").read_text())
    write_record(other / "stitch.json", record | {"leaks": ["a and b overlap"], "searched": False})
    said = run_mstool("score", one, labels, "--versus", other).stderr
    assert f"{other} is of a model that was trained with --allow-leak, though a and b over" in said
    assert f"not checked whether training and test of the model of {other} share fields" in said
    assert f"{other} is transductive: 1 of 7 scored micrographs" in said


def test_model_that_has_seen_their_specimens_is_named(run_mstool, tmp_path, truth):
    labels = save(tmp_path / "l", truth)
    one = save_stitched(tmp_path / "one", noisy(truth, 0.1, 1))
    seen = [{"name": "old.png", "group": "s1", "sha256": "unlike", "part": "train"}]
    groups = {"i0": "s1", "i1": "s1"}
    other = save_stitched(tmp_path / "other", noisy(truth, 0.1, 2), trained_on=seen, groups=groups)
    ended = run_mstool("score", one, labels, "--versus", other)
    assert "trained on 2 of 7 scored micrographs, or on others of their groups" in ended.stderr


def test_units_are_those_that_either_knows_whichever_is_compared(run_mstool, tmp_path, truth):
    labels, plain = save(tmp_path / "l", truth), save(tmp_path / "plain", noisy(truth, 0.1, 1))
    groups = {f"i{n}": f"s{n // 2}" for n in range(N)}
    known = save_stitched(tmp_path / "known", noisy(truth, 0.2, 2), groups=groups)
    found = []
    for one, other in ((plain, known), (known, plain)):
        ended = run_mstool("score", one, labels, "--versus", other, *AB)
        record = json.loads(ended.stdout)
        entry = only(record["versus"])
        assert (entry["unit"], entry["n_units"], record["interval"]["n_units"]) == ("group", 4, 4)
        words = "know that the micrographs are of 4 groups, and not of 7"
        assert (words in ended.stderr) == (one == plain)
        found.append(entry["p"]["mean_iou"])
    assert found[0] == found[1]
    record = json.loads(
        run_mstool("score", plain, labels, "--versus", known, *AB, "--group-by", "(.*)").stdout
    )
    assert only(record["versus"])["n_units"] == N


def test_runs_whose_files_sort_otherwise_are_paired_by_name(run_mstool, tmp_path, truth):
    truth = {"a": truth["i0"], "a-1": 1 - truth["i0"]}  # as files a-1.png is before a.png
    labels, right = save(tmp_path / "l", truth), save(tmp_path / "right", truth)
    wrong = save_stitched(tmp_path / "wrong", {name: 1 - one for name, one in truth.items()})
    record = json.loads(run_mstool("score", right, wrong, labels, *AB).stdout)
    assert [row["accuracy"] for row in record["per_image"]] == [0.5, 0.5]
    for row in record["per_image"]:
        n_true = np.bincount(truth[row["image"].removesuffix(".png")].ravel())
        np.testing.assert_array_equal(np.sum(row["confusion"], axis=1), 2 * n_true)


def test_runs_are_paired_by_label_map_where_one_knows_the_file_of_the_micrograph(
    run_mstool, tmp_path, truth
):
    labels, plain = save(tmp_path / "l", truth), save(tmp_path / "plain", truth)
    stitched = save_stitched(tmp_path / "stitched", noisy(truth, 0.1, 1))
    record = json.loads((stitched / "stitch.json").read_text())
    for source in record["sources"]:
        source["name"] = source["name"].replace(".png", ".tif")
    write_record(stitched / "stitch.json", record)
    for runs in ((plain, stitched), (stitched, plain)):
        ended = run_mstool("score", *runs, labels, *AB)
        assert (ended.code, len(json.loads(ended.stdout)["runs"])) == (0, 2)


def test_other_comparison_is_another_output(run_mstool, folders, tmp_path):
    labels, good, bad = folders
    out = ("-o", tmp_path / "s.json")
    assert run_mstool("score", good, labels, "--versus", bad, *AB, *out).code == 0
    assert run_mstool("score", good, labels, "--versus", bad, *AB, *out).code == 0
    assert run_mstool("score", good, labels, *AB, *out).code == 73
    assert run_mstool("score", bad, labels, "--versus", good, *AB, *out).code == 73


def test_least_difference_to_a_model_that_is_not_at_hand(run_mstool, folders):
    labels, good, _ = folders
    record = json.loads(run_mstool("score", good, labels, "--min-detectable", *AB).stdout)
    found = record["min_detectable"]
    assert (found["power"], found["alpha"], found["assumed_correlation"]) == (0.8, 0.05, 0.75)
    assert 0 < found["mean_iou"] < 0.2
    assert {*found["iou"]} == {"a", "b"}
    assert "min_detectable" not in json.loads(run_mstool("score", good, labels, *AB).stdout)


def test_ignored_border_is_ignored_on_both_sides(run_mstool, folders):
    labels, good, bad = folders
    rim = ("--ignore-border", 5)
    entry = only(
        json.loads(run_mstool("score", good, labels, "--versus", bad, *AB, *rim).stdout)["versus"]
    )
    theirs = json.loads(run_mstool("score", bad, labels, *AB, *rim).stdout)
    assert entry["scores"]["mean_iou"] == pytest.approx(theirs["pooled"]["mean_iou"])


def test_table_shows_the_comparison_and_stays_narrow(run_mstool, folders):
    labels, good, bad = folders
    flags = ("--versus", bad, *AB, "--table", "-q", "--min-detectable")
    ended = run_mstool("score", good, labels, *flags)
    words = " ".join(ended.stderr.split())
    entry = only(json.loads(ended.stdout)["versus"])
    assert max(map(len, ended.stderr.splitlines())) <= 80
    assert entry["advice"] in words
    assert "p: of swapping the two in whole images, exact, smallest possible 0.016" in words
    assert f"{entry['difference']['iou']['a']:+.3f}" in words
    assert "of 100 simulated studies" in words
    least = json.loads(ended.stdout)["min_detectable"]["mean_iou"]
    assert "another model, not at hand: these 7 images would show it in 80 of 100" in words
    assert f"if its mean is {least:.3f} away or more; assumed: it varies as this one" in words
    assert f"{good.name} minus {bad.name}" in words
    assert "p, Holm: corrected for the number of comparisons; of classes for theirs too" in words
    assert "interval and p are of two methods, which may disagree near 5 %" in words
