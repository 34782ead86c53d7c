"""Fixtures that several folders use."""

import contextlib
import io
import os
import shlex
import shutil
import signal
import sys
from typing import NamedTuple

import hypothesis
import numpy as np
import pytest
import tifffile
from PIL import Image

# Networks here are tiny: more threads than one wait for each other longer than they compute,
# and where a test asks for more, their waiting takes the core that others need.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

# Started in the background by a shell, these are ignored by all processes that tests start too.
for number in {signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT)}:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# make test is one make, and those that tests start are others.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)

# A loaded machine may be slow, and that is no failure; the same examples on every run.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


class Ended(NamedTuple):
    """How a call of mstool ended."""

    code: int
    stdout: str
    stderr: str


def call_main(*arguments):
    """Exit code of ``mstool``, called in this process; signals end what they did before."""
    from mstool.cli import main
    from mstool.stopping import EXIT_CODES

    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    try:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["mstool", *map(str, arguments)])
            main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return ended.value.code or 0


@pytest.fixture
def run_mstool(capsys):
    """Call ``mstool`` in this process; give its exit code, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        return Ended(call_main(*arguments), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def mstool_in():
    """Call ``mstool`` in a folder, from a fixture of any scope; give its standard output.

    A process of its own would load PyTorch for seconds, to work for a fraction of one.
    """

    def run(folder, line):
        printed, said = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(said),
        ):
            code = call_main(*shlex.split(line))
        assert code == 0, f"{line}: {said.getvalue()}"
        return printed.getvalue()

    return run


def write_study(folder, n_images=6, shape=(80, 96), dtype=np.uint8):
    """Micrographs whose bright half is class 1, with noise, and their label maps."""
    rng = np.random.default_rng(0)
    for name in ("raw", "labels"):
        (folder / name).mkdir(parents=True)
    for index in range(n_images):
        truth = np.zeros(shape, np.uint8)
        border = rng.integers(shape[1] // 4, 3 * shape[1] // 4)
        truth[:, border:] = 1
        grey = rng.normal(80 + 90 * truth, 20).clip(0, 255) * (np.iinfo(dtype).max // 255)
        tifffile.imwrite(folder / "raw" / f"img{index}.tif", grey.astype(dtype))
        Image.fromarray(truth).save(folder / "labels" / f"img{index}.png")
    return folder


TINY = "--arch unet-plain --depth 2 --width 4 --augment spatial --seed 1 --device cpu --lr 0.02 -q"


@pytest.fixture(scope="session")
def trained_study(mstool_in, tmp_path_factory):
    """A folder with raw/, labels/, tiles/, split.csv and model/, small and quick; read only."""
    folder = write_study(tmp_path_factory.mktemp("study"))
    mstool_in(folder, "tile raw --labels labels --size 48 --overlap 16 -q")
    mstool_in(folder, "split tiles --folds 3 -o split.csv -q")
    mstool_in(folder, f"train tiles --split split.csv --test-fold 0 --epochs 8 {TINY}")
    return folder


@pytest.fixture
def study(trained_study, tmp_path, monkeypatch):
    """A copy of the trained study that a test may change, as the working directory."""
    folder = tmp_path / "study"
    shutil.copytree(trained_study, folder)
    monkeypatch.chdir(folder)
    return folder
