import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mstool.errors import InputError, OutputError, OutputExistsError, UsageError
from mstool.io import lock, records
from mstool.io.atomic import atomic_path, sweep_beside, write_text
from mstool.io.outputs import OutputFolder, claim_files, is_unfinished, name_claim
from mstool.io.record_keys import record_keys
from mstool.io.records import (
    Run,
    hash_inputs,
    is_input,
    read_record,
    sha256_of_file,
    to_json,
    write_record,
)

SETTINGS, INPUTS = {"size": 512, "legend": None}, {"a.tif": "00ff"}


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path / "tiles", "tiles.json", ("images", "tiles.jsonl"))


def finish(folder, settings=SETTINGS, inputs=INPUTS):
    folder.finish({"settings": settings, "inputs": inputs})


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError):
        fail_half_way()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_full_disk_names_the_file_that_was_meant(tmp_path):
    def write_on_full_disk():
        with atomic_path(tmp_path / "a.tif"):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"/a\.tif: No space left on device; make room .* again$"):
        write_on_full_disk()


def test_data_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    flush, rename, done = os.fsync, os.replace, []
    monkeypatch.setattr(os, "fsync", lambda handle: done.append("data") or flush(handle))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("name") or rename(*paths))
    write_text(tmp_path / "a.txt", "x")
    assert done == ["data", "name"]


def test_missing_folder_names_the_file_that_was_meant(tmp_path):
    with pytest.raises(
        OutputError, match=r"/none/a\.txt: No such file or directory; make the folder"
    ):
        write_text(tmp_path / "none" / "a.txt", "x")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "input.tif"),
        ConnectionResetError(104, "Connection reset by peer"),
        OSError("only 5 of 9 bytes came"),
    ],
    ids=["another file", "network", "no system error"],
)
def test_other_troubles_inside_the_block_keep_their_name(tmp_path, error):
    def fail():
        with atomic_path(tmp_path / "a.tif"):
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert os.listdir(tmp_path) == []


def test_written_file_has_the_usual_permissions(tmp_path):
    write_text(tmp_path / "a.txt", "x")
    (tmp_path / "b.txt").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_written_file_is_held_no_longer(tmp_path):
    write_text(tmp_path / "a.txt", "x")
    assert not lock.is_held(tmp_path / "a.txt")


def leave_beside(folder, *names):
    """Files as a killed run leaves them, and of others."""
    for name in names:
        (folder / name).touch()
    return names


def test_what_a_killed_run_left_beside_a_file_is_swept(tmp_path):
    leave_beside(tmp_path, ".mstool-a[1].ab12_9zz.json")
    kept = leave_beside(
        tmp_path,
        ".mstool-b.ab12_9zz.json",
        ".mstool-a[1].ab12_9zz.csv",
        ".mstool-a[1].My Notes.json",
    )
    with atomic_path(tmp_path / "a[1].json") as in_use:
        sweep_beside(tmp_path / "a[1].json")
        assert sorted(os.listdir(tmp_path)) == sorted((*kept, in_use.name))
    assert (tmp_path / "a[1].json").is_file()


def test_without_locks_nothing_beside_a_file_is_swept(tmp_path, monkeypatch):
    kept = leave_beside(tmp_path, ".mstool-a.ab12_9zz.json")
    monkeypatch.setattr(lock, "fcntl", None)
    with atomic_path(tmp_path / "a.json") as in_use:
        sweep_beside(tmp_path / "a.json")
        assert sorted(os.listdir(tmp_path)) == sorted((*kept, in_use.name))


def test_sweeping_beside_a_file_of_no_folder_does_nothing(tmp_path):
    sweep_beside(tmp_path / "none" / "a.json")


def test_new_then_unfinished_then_done(folder):
    assert folder.claim(SETTINGS, INPUTS) == "new"
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"
    finish(folder)
    assert folder.claim(SETTINGS, INPUTS) == "done"
    assert os.listdir(folder.path) == ["tiles.json"]


def test_folder_is_unfinished_between_claim_and_record(folder):
    assert not is_unfinished(folder.path, "tiles.json")
    folder.claim(SETTINGS, INPUTS)
    assert is_unfinished(folder.path, "tiles.json")
    assert not is_unfinished(folder.path, "predict.json")
    finish(folder)
    assert not is_unfinished(folder.path, "tiles.json")


@pytest.mark.parametrize("is_finished", [True, False])
def test_other_settings_are_refused_and_named(folder, is_finished):
    folder.claim(SETTINGS, INPUTS)
    if is_finished:
        finish(folder)
    with pytest.raises(OutputExistsError, match=r"size \(512, now 256\).*--overwrite"):
        folder.claim({**SETTINGS, "size": 256}, INPUTS)
    with pytest.raises(OutputExistsError, match="inputs"):
        folder.claim(SETTINGS, {"a.tif": "other"})


@pytest.mark.parametrize("is_finished", [True, False])
def test_an_input_that_was_left_out_may_be_another_and_no_other_may(folder, is_finished):
    folder.claim(SETTINGS, INPUTS)
    left_out = INPUTS | {"b.tif": None}
    folder.write_claim(SETTINGS, left_out)
    if is_finished:
        folder.finish({"settings": SETTINGS, "inputs": left_out, "left_out": ["b.tif"]})
    for more in ({}, {"b.tif": "mended"}):
        assert folder.claim(SETTINGS, INPUTS | more) == "unfinished"
        folder.write_claim(SETTINGS, left_out)
    for other in ({"a.tif": "other"}, {"c.tif": "new"}):
        with pytest.raises(OutputExistsError, match="inputs"):
            folder.claim(SETTINGS, INPUTS | other)


def test_overwrite_removes_what_the_verb_made_and_no_more(folder):
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").mkdir()
    (folder.path / "images" / "x.tif").touch()
    (folder.path / "notes.txt").touch()
    finish(folder)
    assert folder.claim({**SETTINGS, "size": 1}, INPUTS, overwrite=True) == "new"
    assert not (folder.path / "images").exists()
    assert (folder.path / "notes.txt").exists()


def masks_of(folder, *names):
    """The folder, filled by a verb that names what it makes after its inputs."""
    return OutputFolder(folder.path, folder.record, names)


def test_overwrite_removes_what_unfinished_work_of_other_inputs_made(folder):
    masks_of(folder, "1.tif", "2.tif").claim(SETTINGS, INPUTS)
    for name in ("1.tif", "mine.tif"):
        (folder.path / name).touch()
    masks_of(folder, "3.tif").claim(SETTINGS, {"c": ""}, overwrite=True)
    assert {path.name for path in folder.path.glob("*.tif")} == {"mine.tif"}


def test_what_unfinished_work_has_made_is_no_input(folder):
    masks_of(folder, "1.tif").claim(SETTINGS, INPUTS)
    (folder.path / "1.tif").touch()
    with pytest.raises(UsageError, match="1.tif: is an input and lies where the output goes"):
        masks_of(folder, "3.tif").claim(SETTINGS, {"1.tif": ""}, overwrite=True)
    assert (folder.path / "1.tif").exists()


def test_overwrite_ends_what_another_one_began(folder, monkeypatch):
    finished = masks_of(folder, "1.tif", "2.tif")
    finished.claim(SETTINGS, INPUTS)
    for name in finished.contents:
        (folder.path / name).touch()
    finish(finished)
    unlink = Path.unlink

    def die(path, missing_ok=False):
        if path.name == "2.tif":
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", die)
        masks_of(folder, "1.tif", "2.tif", "3.tif").claim(SETTINGS, {"c": ""}, overwrite=True)
    assert finished.claim(SETTINGS, INPUTS) == "unfinished"  # of what it was
    lock.unlock_folder(folder.path)
    masks_of(folder, "3.tif").claim(SETTINGS, {"c": ""}, overwrite=True)
    assert not list(folder.path.glob("*.tif"))


@pytest.mark.parametrize("name", ["", ".", "..", "../x.txt", "/x.txt", 7, None])
def test_claims_of_others_remove_nothing_outside_the_folder(folder, tmp_path, name):
    folder.path.mkdir()
    for path in (tmp_path / "x.txt", folder.path / "x.txt"):
        path.touch()
    write_record(folder.claim_path, {"settings": {}, "inputs": {}, "contents": [name]})
    folder.claim(SETTINGS, INPUTS, overwrite=True)
    assert (tmp_path / "x.txt").exists()
    assert (folder.path / "x.txt").exists()


def test_overwrite_takes_the_place_of_a_damaged_record(folder):
    folder.claim(SETTINGS, INPUTS)
    finish(folder)
    (folder.path / "tiles.json").write_text("{")
    assert folder.claim(SETTINGS, INPUTS, overwrite=True) == "new"


def test_folder_of_somebody_else_is_left_alone_even_with_overwrite(folder):
    folder.path.mkdir()
    (folder.path / "thesis.doc").touch()
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="not made by this verb"):
            folder.claim(SETTINGS, INPUTS, overwrite)
    assert (folder.path / "thesis.doc").exists()


def test_finished_work_with_a_piece_gone_is_not_whole(folder):
    folder.claim(SETTINGS, INPUTS)
    piece = folder.path / "tiles.jsonl"
    piece.touch()
    finish(folder)
    assert folder.claim(SETTINGS, INPUTS, pieces=lambda: [piece]) == "done"
    piece.unlink()
    assert folder.claim(SETTINGS, INPUTS, pieces=lambda: [piece]) == "unfinished"
    assert is_unfinished(folder.path, "tiles.json")


def test_finished_work_without_a_file_that_its_record_names_is_not_whole(folder):
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").mkdir()
    for name in ("images/a.tif", "images/.mstool-b.ab12_9zz.tif", "tiles.jsonl", "notes.txt"):
        (folder.path / name).touch()
    files = folder.list_files()
    assert files == ["images/a.tif", "tiles.jsonl"]
    folder.finish({"settings": SETTINGS, "inputs": INPUTS, "files": files})
    assert folder.claim(SETTINGS, INPUTS) == "done"
    (folder.path / "images/a.tif").unlink()
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"


@pytest.fixture
def resumable(folder):
    """A folder with what unfinished work goes on from."""
    made = OutputFolder(folder.path, folder.record, folder.contents, ("resume",))
    made.claim(SETTINGS, INPUTS)
    (made.path / "resume").mkdir()
    (made.path / "resume" / "state").touch()
    return made


@pytest.mark.parametrize("is_killed", [False, True])
def test_finished_work_keeps_nothing_to_go_on_from(resumable, is_killed):
    if is_killed:  # between the record and what follows it
        write_record(resumable.path / "tiles.json", {"settings": SETTINGS, "inputs": INPUTS})
        assert resumable.claim(SETTINGS, INPUTS) == "done"
    else:
        finish(resumable)
    assert os.listdir(resumable.path) == ["tiles.json"]


def test_what_takes_a_lost_file_for_made_is_not_gone_on_from(resumable):
    with pytest.raises(OutputError, match=r"a\.tif: was removed while"):
        resumable.finish({"files": ["images/a.tif"]})
    assert not (resumable.path / "tiles.json").exists()
    assert not (resumable.path / "resume").exists()
    assert resumable.claim(SETTINGS, INPUTS) == "unfinished"


def test_input_in_what_unfinished_work_goes_on_from_is_refused_and_kept(resumable):
    with pytest.raises(UsageError, match="state: is an input and lies where the output goes"):
        resumable.claim(SETTINGS, {"resume/state": "00"}, overwrite=True)
    assert (resumable.path / "resume" / "state").exists()


def test_leftovers_are_swept_from_what_unfinished_work_goes_on_from(resumable):
    leave_beside(resumable.path / "resume", ".mstool-state.ab12_9zz")
    assert resumable.claim(SETTINGS, INPUTS) == "unfinished"
    assert os.listdir(resumable.path / "resume") == ["state"]


def test_record_of_work_that_is_done_is_younger_than_what_it_is_of(folder):
    folder.claim(SETTINGS, INPUTS)
    finish(folder)
    os.utime(folder.path / "tiles.json", (1, 1))
    assert folder.claim(SETTINGS, INPUTS) == "done"
    assert (folder.path / "tiles.json").stat().st_mtime > 1  # make would ask for ever


def test_input_where_the_output_goes_is_refused_and_kept(folder):
    (folder.path / "images").mkdir(parents=True)
    (folder.path / "images" / "a.tif").touch()
    with pytest.raises(UsageError, match="lies where the output goes"):
        folder.claim(SETTINGS, {"images/a.tif": "00"}, overwrite=True)
    assert (folder.path / "images" / "a.tif").exists()


def leave_temporaries(folder):
    """Temporary files as killed runs leave them, and files that only look like that."""
    (folder.path / "images").mkdir(exist_ok=True)
    (folder.path / "notes").mkdir()
    swept = [
        folder.path / ".mstool-tiles.ab12_9zz.jsonl",
        folder.path / "images" / ".mstool-x.ab12_9zz.tif",
    ]
    kept = [
        folder.path / "images" / ".mstool-notes.txt",
        folder.path / "notes" / ".mstool-x.ab12_9zz.tif",  # perhaps of another verb at work
    ]
    for path in (*swept, *kept):
        path.touch()
    return swept, kept


@pytest.mark.parametrize(("is_finished", "state"), [(False, "unfinished"), (True, "done")])
def test_leftovers_of_a_killed_run_are_swept_by_the_next(folder, is_finished, state):
    folder.claim(SETTINGS, INPUTS)
    if is_finished:
        finish(folder)
    swept, kept = leave_temporaries(folder)
    assert folder.claim(SETTINGS, INPUTS) == state
    assert not any(path.exists() for path in swept)
    assert all(path.exists() for path in kept)


def test_links_are_neither_swept_nor_cleared_behind(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    kept = leave_beside(tmp_path / "elsewhere", ".mstool-x.ab12_9zz.tif", "x.tif")
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").symlink_to(tmp_path / "elsewhere")
    folder.claim(SETTINGS, INPUTS)
    folder.claim({"size": 1}, INPUTS, overwrite=True)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == sorted(kept)
    assert not (folder.path / "images").is_symlink()


def test_leftovers_are_swept_by_overwrite(folder):
    folder.claim(SETTINGS, INPUTS)
    swept, kept = leave_temporaries(folder)
    assert folder.claim({"size": 1}, INPUTS, overwrite=True) == "new"
    assert not any(path.exists() for path in swept)
    assert kept[1].exists()


def test_without_locks_young_leftovers_may_be_of_a_run_beside_this_one(folder, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    folder.claim(SETTINGS, INPUTS)
    (old, young), _ = leave_temporaries(folder)
    os.utime(old, (0, 0))
    folder.claim(SETTINGS, INPUTS)
    assert not old.exists()
    assert young.exists()


def test_kill_while_clearing_leaves_unfinished_work(folder, monkeypatch):
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").mkdir()
    finish(folder)

    def die(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        folder.claim({"size": 1}, INPUTS, overwrite=True)
    assert is_unfinished(folder.path, "tiles.json")


@pytest.mark.parametrize("error", [InputError("a.tif: damaged"), MemoryError()], ids=repr)
def test_bad_input_leaves_no_folder_behind(folder, error):
    state = folder.claim(SETTINGS, INPUTS)

    def fail():
        with folder.filling(state):
            (folder.path / "images").mkdir()
            raise error

    with pytest.raises(type(error)):
        fail()
    assert not folder.path.exists()


def test_bad_input_keeps_what_an_earlier_run_has_finished(folder):
    folder.claim(SETTINGS, INPUTS)
    (folder.path / "images").mkdir()
    leave_beside(folder.path / "images", "x.tif")
    state = folder.claim(SETTINGS, INPUTS)
    with pytest.raises(InputError), folder.filling(state):
        raise InputError("a.tif: damaged")
    assert (folder.path / "images" / "x.tif").exists()


def test_interruption_keeps_the_finished_pieces(folder):
    state = folder.claim(SETTINGS, INPUTS)

    def stop():
        with folder.filling(state):
            (folder.path / "images").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert folder.claim(SETTINGS, INPUTS) == "unfinished"
    assert (folder.path / "images").exists()


def test_undefined_numbers_are_null_in_json():
    assert json.loads(to_json({"a": float("nan"), "b": [float("inf"), 1.5]})) == {
        "a": None,
        "b": [None, 1.5],
    }


def test_run_tells_what_every_record_carries():
    facts = Run().facts("train", "cpu", 2)
    documented = {key.path for key in record_keys().sections["common"].keys}
    assert {f"mstool.{key}" for key in facts} == {p for p in documented if p.startswith("mstool.")}
    assert (facts["schema"], facts["record"]) == (1, "train")
    assert facts["elapsed_s"] >= 0


def test_core_seconds_are_those_of_the_process_and_its_children():
    run = Run()
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    of_child = run.core_s()
    assert of_child >= 0.3
    while run.core_s() < of_child + 0.2:
        pass
    assert run.facts("tiles")["core_s"] >= 0.5
    assert Run().core_s() < 0.2


def test_core_seconds_are_null_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(records, "resource", None)
    facts = Run().facts("tiles")
    assert facts["core_s"] is facts["peak_rss_mb"] is None


def test_record_of_the_same_work_is_the_same_input_however_long_it_took(tmp_path):
    def write(run, **facts):
        common = {"mstool": run.facts("predict"), "settings": SETTINGS, "n_predicted": len(facts)}
        write_record(tmp_path / "predict.json", common | facts)
        return hash_inputs([tmp_path / "predict.json"], tmp_path)["predict.json"]

    known = write(Run(), n_tiles=3, s_per_tile_megapixel=0.1)
    assert known == write(Run(argv=("mstool", "-v"), started="later", clock=0.0), n_tiles=3)
    assert known != write(Run(), n_tiles=4)
    engine = {"name": "openvino", "version": "2026.1", "agreement": 1.0, "speedup": 2.31}
    known = write(Run(), engine=engine)
    assert known == write(Run(), engine=engine | {"speedup": 2.28})  # of another trial
    assert known != write(Run(), engine=engine | {"version": "2026.2"})
    assert known != sha256_of_file(tmp_path / "predict.json")


def test_records_of_older_versions_know_their_inputs(tmp_path):
    path = tmp_path / "tiles.json"
    write_record(path, {"mstool": Run().facts("tiles")})
    assert is_input(path, sha256_of_file(path))
    assert is_input(path, hash_inputs([path], tmp_path)["tiles.json"])
    assert not is_input(path, "00")
    assert not is_input(tmp_path / "none.json", None)


@pytest.mark.parametrize("text", ["[]", "{}", '{"mstool": 1}', "{", '{"mstool": {"a": NaN}}'])
def test_json_of_others_is_hashed_as_it_is(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert hash_inputs([path], tmp_path) == {"a.json": sha256_of_file(path)}


def test_damaged_record_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"half":')
    with pytest.raises(InputError, match=r"a\.json"):
        read_record(tmp_path / "a.json")


LONG_NAMES = {
    "240 bytes": "a" * 236 + ".tif",
    "255 bytes": "a" * 251 + ".tif",
    "CJK": "鋼" * 83 + ".tif",
    "emoji": "🔬" * 61 + ".png",
    "long suffix": "a." + "b" * 250,
}


@pytest.mark.parametrize("name", LONG_NAMES.values(), ids=LONG_NAMES)
def test_any_name_that_the_disk_takes_is_written(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"
    assert os.listdir(tmp_path) == [name]


def test_temporary_name_keeps_the_suffix_that_says_the_format(tmp_path):
    with atomic_path(tmp_path / ("鋼" * 83 + ".tif")) as temporary:
        assert temporary.name.startswith(".mstool-鋼")
        assert temporary.suffix == ".tif"


def test_name_that_is_no_text_is_written(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    write_text(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("names", [3, None, [3], "a.tif"])
def test_a_record_whose_files_are_no_names_is_refused(folder, names):
    folder.path.mkdir()
    write_record(
        folder.path / "tiles.json", {"settings": SETTINGS, "inputs": INPUTS, "files": names}
    )
    with pytest.raises(InputError, match=r"tiles\.json: damaged, files: is no list of names"):
        folder.claim(SETTINGS, INPUTS)
    assert folder.claim(SETTINGS, INPUTS, overwrite=True) == "new"


@pytest.mark.parametrize("place", ["record", "claim"])
def test_single_files_are_taken_again_for_the_same_work_alone(tmp_path, place):
    page, record, used = (tmp_path / name for name in ("a.html", "a.json", "in.csv"))
    used.write_text("1")

    def claim(settings=SETTINGS, **options):
        return claim_files([page], record, settings, [used], **options)

    hashes = claim()
    assert hashes == {"in.csv": sha256_of_file(used)}
    page.write_text("of something else")
    with pytest.raises(OutputExistsError, match=r"a\.html: already there, with other"):
        claim()
    assert claim(overwrite=True) == hashes
    says = record if place == "record" else name_claim(tmp_path, record.name)
    write_record(says, {"settings": SETTINGS, "inputs": hashes})
    assert claim() == hashes
    with pytest.raises(OutputExistsError):
        claim({"size": 1})
    used.write_text("2")
    with pytest.raises(OutputExistsError):
        claim()
