"""Graphs of networks, and what is known of them, kept from run to run."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mstool.errors import InputError, MissingInputError, OutputError
from mstool.io.atomic import write_bytes
from mstool.io.parsing import read_json_object
from mstool.io.records import write_record
from mstool.reporting import Reporter

_MOST_GRAPHS = 16  # some 20 MB each
_WRITERS = ("mstool", "torch", "onnx", "onnxscript")  # on which graphs depend
_N_CHECK = hashlib.sha256().digest_size


@dataclass(frozen=True)
class GraphFolder:
    """A folder of what can be made again at any time.

    Attributes
    ----------
    path : Path or None
        The folder, made when something is kept; None where nothing is.
    report : Reporter
        Hears where nothing can be written.
    """

    path: Path | None
    report: Reporter

    def graph(self, model_sha256: str, size: int, make: Callable[[], bytes]) -> bytes:
        """ONNX graph of a model for tiles of a size [px], kept or made now."""
        path = self._file("graph", ".onnx+sha256", [model_sha256, size])
        if path is not None and (known := _read_checked(path)) is not None:
            return known
        graph = make()
        if path is not None:
            self._keep(lambda: write_bytes(path, graph + hashlib.sha256(graph).digest()))
            _remove_oldest(path.parent)
        return graph

    def read_facts(self, *about: Any) -> dict[str, Any] | None:
        """What `keep_facts` kept of the same thing; None where there is nothing."""
        path = self._file("trial", ".json", about)
        if path is None:
            return None
        try:
            return read_json_object(path)
        except (InputError, MissingInputError):
            return None

    def keep_facts(self, facts: dict[str, Any], *about: Any) -> None:
        """Keep what is known of a thing, which plain values name."""
        path = self._file("trial", ".json", about)
        if path is not None:
            self._keep(lambda: write_record(path, facts))

    def _file(self, kind: str, suffix: str, about: Any) -> Path | None:
        if self.path is None:
            return None
        text = json.dumps([about, [version(name) for name in _WRITERS]])
        return self.path / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}{suffix}"

    def _keep(self, write: Callable[[], None]) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write()
        except (OSError, OutputError):
            self.report.note(f"{self.path}: cannot be written; graphs are made anew each time")


def user_graph_folder(report: Reporter) -> GraphFolder:
    """Folder of this user: ``mstool/graphs`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base.startswith("~"):
        report.note("there is no home directory to keep graphs in; they are made anew each time")
        return GraphFolder(None, report)
    return GraphFolder(Path(base) / "mstool" / "graphs", report)


def _read_checked(path: Path) -> bytes | None:
    """Content of a file that ends in its own hash; None where it does not."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    payload, check = content[:-_N_CHECK], content[-_N_CHECK:]
    if hashlib.sha256(payload).digest() != check:
        return None
    with suppress(OSError):  # what is used is young
        os.utime(path)
    return payload


def _remove_oldest(folder: Path) -> None:
    with suppress(OSError):  # another process is at it too
        graphs = sorted(folder.glob("graph-*"), key=lambda path: path.stat().st_mtime)
        for path in graphs[:-_MOST_GRAPHS]:
            path.unlink()
