"""The verb report: its numbers are those of the records, and its page stands alone."""

import csv
import html.parser
import itertools
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mstool.pipeline.report import report as report_files

AB = ("--classes", "a=0,b=1", "-q")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PLAN = """
[study]
seeds = [0]
[data.steel]
images = "raw"
labels = "labels"
folds = 2
[factors.loss]
option = "train.loss"
levels = ["ce", "focal"]
"""
HOSTILE = "<script>alert(1)&"


class Cells(html.parser.HTMLParser):
    """Text of the cells of each table, by row, and of all paragraphs and items."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.words, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        inside = [tag for tag, _ in self.tags[-1:]]
        if inside and inside[0] in ("td", "th") and self.tables:
            self.tables[-1][-1][-1] += data.strip()
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def score(folder, run_mstool):
    """Score masks that are wrong in so many pixels of each micrograph; give the record's path."""

    def make(name, n_wrong, prefix="m", seed=0):
        rng = np.random.default_rng(7)  # the truth is the same for all
        for place, wrong in enumerate(n_wrong):
            stem = f"{prefix}{place}"
            truth = (rng.random((12, 12)) < 0.4).astype(np.uint8)
            mask = truth.copy().ravel()
            where = np.random.default_rng([seed, place]).permutation(mask.size)[:wrong]
            mask[where] = 1 - mask[where]
            for part, values in (
                (f"{prefix}-labels", truth),
                (f"masks-{name}", mask.reshape(12, 12)),
                (f"{prefix}-raw", truth * 90 + 60),
            ):
                (folder / part).mkdir(exist_ok=True)
                Image.fromarray(values).save(folder / part / f"{stem}.png")
        path = folder / f"{name}.json"
        labels = folder / f"{prefix}-labels"
        images = ("--images", folder / f"{prefix}-raw")
        arguments = (folder / f"masks-{name}", labels, *AB, *images, "-o", path)
        ended = run_mstool("score", *arguments)
        assert ended.code == 0, ended.stderr
        return path

    return make


@pytest.fixture
def report(run_mstool, folder):
    """Report; give the page as text, and the record."""

    def make(*arguments, out="report.html"):
        ended = run_mstool("report", *arguments, "-o", folder / out, "-q")
        assert (ended.code, ended.stdout) == (0, ""), ended.stderr
        page = (folder / out).read_text(encoding="utf-8")
        return page, json.loads((folder / out).with_suffix(".json").read_text())

    return make


def shown(value, form=".3f"):
    return "–" if value is None else format(value, form).replace("-", "−")


def test_numbers_of_the_page_are_those_of_the_records(score, report):
    base, good = score("base", [30, 40, 35, 28, 44, 33]), score("good", [5, 9, 4, 8, 7, 6])
    page, record = report(base, good)
    cells = record["cells"]
    for path, cell in zip((base, good), cells, strict=True):
        scored = json.loads(path.read_text())
        assert cell["mean_iou"] == scored["pooled"]["mean_iou"]
        assert cell["interval"] == scored["interval"]["mean_iou"]
        assert cell["confusion"] == scored["pooled"]["confusion"]
    rows = Cells(page).tables[0][1:]
    for row, cell in zip(rows, cells, strict=True):
        versus = cell["versus"] or dict.fromkeys(("difference", "p", "p_holm", "interval"))
        ends = versus["interval"]
        assert row[:3] == [cell["label"], "6", "1"]
        assert row[3] == shown(cell["mean_iou"])
        assert row[4] == " to ".join(map(shown, cell["interval"]))
        assert row[5] == shown(versus["difference"], "+.3f")
        assert row[6] == ("–" if ends is None else " to ".join(shown(e, "+.3f") for e in ends))
        assert row[7:9] == [shown(versus["p"], ".2g"), shown(versus["p_holm"], ".2g")]
    assert cells[1]["versus"]["p"] == 2 / 2**6
    assert cells[1]["versus"]["verdict"] == "better"
    assert "good is better by" in Cells(page).text


def test_difference_is_that_of_score_versus(score, report, run_mstool, folder):
    base, good = score("base", [30, 40, 35, 28, 44, 33]), score("good", [5, 9, 4, 8, 7, 6])
    _, record = report(base, good)
    arguments = (folder / "masks-good", folder / "m-labels", "--versus", folder / "masks-base")
    (versus,) = json.loads(run_mstool("score", *arguments, *AB).stdout)["versus"]
    found = record["cells"][1]["versus"]
    for key in ("difference", "interval", "p", "least_difference"):
        assert found[key] == versus[key]["mean_iou"]


def test_table_has_a_row_a_cell(score, report, folder):
    report(score("base", [30, 40, 35, 28]), score("=1+1", [5, 9, 4, 8]))
    with open(folder / "report.csv", newline="") as stream:
        base, other = csv.DictReader(stream)
    record = json.loads((folder / "report.json").read_text())
    assert (base["cell"], other["cell"]) == ("base", "'=1+1")
    assert float(other["mean_iou"]) == record["cells"][1]["mean_iou"]
    assert float(other["difference_low"]) == record["cells"][1]["versus"]["interval"][0]
    assert (base["difference"], base["core_s"]) == ("", "")


def test_page_needs_nothing_and_names_stay_text(score, report, folder):
    path = score("base", [3, 4, 5, 6], prefix=HOSTILE)
    other = score("<script>", [4, 4, 5, 6], prefix=HOSTILE)
    title = "</title><script>alert(2)</script>"
    page, record = report(path, other, "--title", title)
    found = Cells(page)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "iframe", "object", "embed", "form"}
    assert "<script>alert(1)&" in found.text
    assert title in found.text
    targets = [v for _, given in found.tags for k, v in given.items() if k in ("src", "href")]
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert not any(key.startswith("on") for _, given in found.tags for key in given)
    assert "default-src 'none'" in page
    assert record["cells"][0]["micrographs"]["worst"]["image"].startswith("<script>")


def test_page_can_be_read_by_all(score, report):
    page, _ = report(score("base", [30, 40, 35, 28]), score("good", [5, 9, 4, 8]))
    found = Cells(page)
    headings = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(later - early <= 1 for early, later in itertools.pairwise(headings))
    pictures = [given for tag, given in found.tags if tag == "img"]
    assert pictures and all(given["alt"] for given in pictures)
    drawings = [given for tag, given in found.tags if tag == "svg"]
    assert drawings and all(given["aria-label"] for given in drawings)
    heads = [given for tag, given in found.tags if tag == "th"]
    assert all(given.get("scope") in ("row", "col") for given in heads)
    assert page.count("<table>") == page.count("<caption>")
    names = [given["id"] for _, given in found.tags if "id" in given]
    assert len(names) == len(set(names))
    links = {given["href"][1:] for tag, given in found.tags if tag == "a"}
    assert links <= set(names)


def test_same_records_give_the_same_bytes(score, report, folder):
    records = score("base", [30, 40, 35, 28]), score("good", [5, 9, 4, 8])
    first, _ = report(*records)
    table = (folder / "report.csv").read_bytes()
    again, _ = report(*records)  # is the same report, so that it may be written again
    other, _ = report(*records, out="other.html")
    assert first == again == other
    assert table == (folder / "other.csv").read_bytes()


@pytest.mark.parametrize("n_written", [1, 2])
def test_a_killed_report_is_gone_on_from(score, report, run_mstool, folder, monkeypatch, n_written):
    one, whole, names = score("one", [30, 40, 35, 28]), report_files.write_text, []

    def write(path, text):
        if len(names) == n_written:
            raise KeyboardInterrupt
        names.append(path.name)
        whole(path, text)

    with monkeypatch.context() as patched:
        patched.setattr(report_files, "write_text", write)
        assert run_mstool("report", one, "-o", folder / "report.html", "-q").code == 130
    assert len(names) == n_written
    report(one)
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_one_record_alone(score, report):
    page, record = report(score("only", [30, 40, 35, 28]))
    assert record["n_comparisons"] == 0
    assert record["cells"][0]["versus"] is None
    assert "only reaches a mean IoU of" in Cells(page).text


def test_too_few_micrographs_have_no_interval(score, report):
    page, record = report(score("base", [30, 40, 35]), score("good", [5, 9, 4]))
    assert record["cells"][0]["interval"] is None
    assert record["cells"][1]["versus"]["verdict"] == "too few to tell"
    text = Cells(page).text
    assert "3 micrographs are too few for an interval, which needs 4" in text
    assert "cannot be told from the base by a test of so few micrographs" in text
    assert "So few micrographs allow no corrected p of 5 %" in text


def test_cells_of_other_micrographs_are_not_compared(score, report):
    page, record = report(score("base", [30, 40, 35, 28]), score("new", [5, 9, 4, 8], prefix="n"))
    cell = record["cells"][1]
    assert cell["versus"] is None
    assert cell["not_compared"].startswith("it is of other micrographs than base")
    assert f"not compared: {cell['not_compared']}" in Cells(page).text


def test_other_base(score, report, run_mstool):
    records = score("one", [30, 40, 35, 28]), score("two", [5, 9, 4, 8])
    _, record = report(*records, "--base", "two")
    assert [cell["is_base"] for cell in record["cells"]] == [False, True]
    assert record["cells"][0]["versus"]["difference"] < 0
    ended = run_mstool("report", *records, "--base", "three", "-o", "x.html")
    assert ended.code == 2 and "use one, two" in ended.stderr


def test_worst_and_median_micrographs_are_shown(score, report, folder):
    page, record = report(score("base", [3, 40, 5, 4, 6]))
    images = record["cells"][0]["micrographs"]
    assert images["worst"]["image"] == "m1.png"
    assert images["median"]["image"] in ("m2.png", "m4.png")
    assert page.count("data:image/jpeg") == 6
    Image.new("L", (12, 12)).save(folder / "masks-base" / "m1.png")  # another one of that name
    page, _ = report("base.json", out="again.html")
    assert page.count("data:image/jpeg") == 3
    assert "No picture: a file is not at hand, or has changed since it was scored." in page
    page, _ = report("base.json", "--no-pictures", out="none.html")
    assert "data:image" not in page


def test_plan_lists_what_is_missing(score, report, folder, run_mstool):
    (folder / "study.toml").write_text(PLAN)
    (folder / "scores" / "steel").mkdir(parents=True)
    shutil.move(score("base", [30, 40, 35, 28]), folder / "scores" / "steel" / "base.json")
    page, record = report("study.toml")
    status = {cell["name"]: cell["status"] for cell in record["cells"]}
    assert status == {
        "steel/base": "done",
        "steel/loss-ce": "missing",
        "steel/loss-focal": "missing",
    }
    assert "Missing: steel/loss-ce, steel/loss-focal." in Cells(page).text
    assert "scores/steel/loss-focal.json is not there" in page
    ended = run_mstool("report", "study.toml", "-o", "strict.html", "--strict")
    assert ended.code == 1 and "2 of 3 cells have no score" in ended.stderr
    assert (folder / "strict.html").exists()
    assert json.loads((folder / "strict.json").read_text())["status"] == "check failed"


def test_plan_compares_levels_with_the_base(score, report, folder):
    (folder / "study.toml").write_text(PLAN)
    (folder / "scores" / "steel").mkdir(parents=True)
    for name, wrong in (("base", 30), ("loss-focal", 5)):
        path = score(name, [wrong, wrong + 9, wrong + 4, wrong + 2, wrong + 7, wrong + 1])
        record = json.loads(path.read_text())
        (folder / "scores" / "steel" / path.name).write_text(json.dumps(record))
    page, record = report("study.toml")
    found = {cell["name"]: cell for cell in record["cells"]}
    assert found["steel/base"]["is_base"]
    assert found["steel/loss-focal"]["versus"]["verdict"] == "better"
    assert found["steel/loss-focal"]["levels"] == {"loss": "focal"}
    assert "loss focal is better by" in Cells(page).text


def test_records_of_other_commands_than_those_of_the_plan_are_told(score, report, folder):
    (folder / "study.toml").write_text(PLAN)
    path = folder / "scores" / "steel" / "base.json"
    path.parent.mkdir(parents=True)
    record = json.loads(score("base", [30, 40, 35, 28]).read_text())
    planned = "mstool score masks/steel/base/seed-0 labels --probs probs/steel/base/seed-0 "
    planned += "-o scores/steel/base.json"
    for more, others in (
        ("--overwrite -q --ignore-border 0", []),  # which is the default
        ("--ignore-border 9", ["scores/steel/base.json"]),
    ):
        record["mstool"]["argv"] = f"{planned} {more}".split()
        path.write_text(json.dumps(record))
        page, found = report("study.toml", "--overwrite")
        assert found["cells"][0]["others"] == others
        told = "Made by other commands than the plan has now: steel/base (see scores/steel/base"
        assert (told in Cells(page).text) == bool(others)


# What it refuses


def assert_refused(ended, code, *words):
    assert (ended.code, ended.stdout) == (code, "")
    (line,) = ended.stderr.splitlines()
    assert all(word in line for word in words), line


def test_other_report_is_not_replaced(score, report, run_mstool, folder):
    one, two = score("one", [30, 40, 35, 28]), score("two", [5, 9, 4, 8])
    report(one)
    ended = run_mstool("report", one, two, "-o", folder / "report.html")
    assert_refused(ended, 73, "report.html: already there", "--overwrite")
    report(one, two, "--overwrite")


def test_record_that_is_read_is_not_replaced(score, run_mstool, folder):
    path = score("one", [30, 40, 35, 28])
    ended = run_mstool("report", path, "-o", folder / "one.html", "--overwrite")
    assert_refused(ended, 2, "one.json", "is one of the inputs")


def test_what_is_no_record_is_refused(score, run_mstool, folder):
    path = score("one", [30, 40, 35, 28])
    (folder / "other.json").write_text('{"mstool": {}}')
    record = json.loads(path.read_text())
    record["per_image"][0]["confusion"] = [[1]]
    (folder / "damaged.json").write_text(json.dumps(record))
    (folder / "text.json").write_text("no")
    del record["variance"]
    record["per_image"][0]["confusion"] = record["per_image"][1]["confusion"]
    (folder / "old.json").write_text(json.dumps(record))
    assert_refused(run_mstool("report", "other.json"), 65, "other.json: no record that a report")
    assert_refused(run_mstool("report", "damaged.json"), 65, "damaged.json: not what mstool score")
    assert_refused(
        run_mstool("report", "old.json"), 65, "old.json: it, or a record behind", "varia"
    )
    assert_refused(run_mstool("report", "text.json"), 65, "text.json: not a JSON record")
    assert_refused(run_mstool("report", "none.json"), 66, "none.json: no such file")
    assert_refused(run_mstool("report", path, path), 2, "named twice")
    assert_refused(run_mstool("report", path, "-o", "x.pdf"), 2, "ending in .html")
    assert_refused(run_mstool("report"), 2, "no input is named")
    assert not (folder / "report.html").exists()


def test_check_names_what_is_wrong(score, run_mstool, folder):
    path = score("one", [30, 40, 35, 28])
    assert run_mstool("report", "--check", path) == (0, "", "")
    record = json.loads(path.read_text())
    record["frobs"] = record.pop("n_images")
    (folder / "bad.json").write_text(json.dumps(record))
    ended = run_mstool("report", "--check", path, "bad.json")
    assert ended.code == 1
    assert "bad.json: n_images: missing" in ended.stdout
    assert "bad.json: frobs: no such key" in ended.stdout
    assert "2 findings in 2 records" in ended.stderr


def test_its_own_record_passes_the_check(score, report, run_mstool):
    report(score("one", [30, 40, 35, 28]), score("two", [5, 9, 4, 8]))
    assert run_mstool("report", "--check", "report.json") == (0, "", "")


# In a browser


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_browser_shows_it_without_complaint(score, report, folder, width):
    report(score("base", [30, 40, 35, 28]), score("good", [5, 9, 4, 8]))
    page = folder / "report.html"
    # the page has no script of its own, so that a frame around it measures how wide it is
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px;border:0" src="report.html"></iframe>'
        "<script>f.onload = () => { const d = f.contentDocument; document.title = "
        "[d.documentElement.scrollWidth, d.images.length, "
        "[...d.images].every(i => i.naturalWidth > 0)].join(' '); }</script>"
    )
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"]
    command += ["--allow-file-access-from-files", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width + 40},1000"]
    command += ["--virtual-time-budget=3000", "--dump-dom"]
    ended = subprocess.run(
        [*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r"<title>(\d+) (\d+) (\w+)</title>", ended.stdout)
    assert found, ended.stderr[-2000:]
    assert int(found[1]) <= width
    assert (int(found[2]), found[3]) == (page.read_text().count("<img"), "true")
    assert "CONSOLE" not in ended.stderr
