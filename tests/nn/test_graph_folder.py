"""Graphs of networks, kept from run to run."""

import os

import pytest

from mstool.nn.graph_folder import GraphFolder, user_graph_folder
from mstool.reporting import Reporter


@pytest.fixture
def folder(tmp_path):
    return GraphFolder(tmp_path / "a" / "kept", Reporter("predict", 0))


def forbidden():
    raise AssertionError("made again")


def test_a_graph_is_made_once(folder):
    assert folder.graph("model", 16, lambda: b"one") == b"one"
    assert folder.graph("model", 16, forbidden) == b"one"
    assert folder.graph("model", 32, lambda: b"two") == b"two"
    assert folder.graph("other", 16, lambda: b"three") == b"three"


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda b: b""])
def test_a_damaged_graph_is_made_again(folder, damage):
    folder.graph("model", 16, lambda: b"one")
    (path,) = folder.path.glob("graph-*")
    path.write_bytes(damage(path.read_bytes()))
    assert folder.graph("model", 16, lambda: b"again") == b"again"


def test_the_oldest_go(folder):
    for n in range(20):
        folder.graph(str(n), 16, lambda: b"graph")
        newest = max(folder.path.glob("graph-*"), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (n, n))
    assert len(list(folder.path.glob("graph-*"))) == 16
    assert folder.graph("19", 16, forbidden) == b"graph"
    assert folder.graph("0", 16, lambda: b"again") == b"again"


def test_facts_are_kept_by_what_they_are_about(folder):
    folder.keep_facts({"speed": 2}, "model", [1, 2])
    assert folder.read_facts("model", [1, 2]) == {"speed": 2}
    assert folder.read_facts("model", [1, 3]) is None


def test_where_nothing_can_be_written_it_goes_on_and_says_so(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    folder = GraphFolder(tmp_path / "file" / "kept", Reporter("predict", 0))
    assert folder.graph("model", 16, lambda: b"one") == b"one"
    assert "cannot be written; graphs are made anew" in capsys.readouterr().err


def test_without_a_home_nothing_is_kept(monkeypatch, capsys):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    folder = user_graph_folder(Reporter("predict", 0))
    assert folder.path is None
    assert "no home directory" in capsys.readouterr().err
    assert folder.graph("model", 16, lambda: b"one") == b"one"
    folder.keep_facts({}, "model")
    assert folder.read_facts("model") is None


def test_the_users_folder_is_where_caches_are(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_graph_folder(Reporter("predict", 0)).path == tmp_path / "mstool" / "graphs"
