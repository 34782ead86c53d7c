"""Output of verbs that print text, or write it to one file that is no record."""

import os
from pathlib import Path

from mstool.errors import OutputExistsError
from mstool.io.atomic import sweep_beside, write_text
from mstool.reporting import Reporter


def write_output(path: Path, text: str, overwrite: bool, report: Reporter) -> None:
    """Write the text, unless another one is there already.

    Raises
    ------
    OutputExistsError
        If so, and `overwrite` is not set.
    """
    sweep_beside(path)
    if path.exists() and not overwrite:
        if not path.is_file() or path.read_bytes() != text.encode():
            raise OutputExistsError(
                f"{path}: already there, with another content; choose another --out, or replace it "
                "with --overwrite"
            )
        os.utime(path)  # make compares times
        report.note(f"{path}: nothing left to do")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
