"""What the wheel holds: the package, man pages and completions, and nothing else."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = {
    "mstool.bash": "share/bash-completion/completions/mstool",
    "_mstool": "share/zsh/site-functions/_mstool",
    "mstool.fish": "share/fish/vendor_completions.d/mstool.fish",
}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="needs hatchling"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def names_under(wheel, *prefixes):
    return {name for name in wheel.namelist() if name.startswith(prefixes)}


def shared_folder(wheel):
    (prefix,) = {name.split("share/")[0] for name in wheel.namelist() if ".data/data/" in name}
    return prefix


def test_package_is_whole(wheel):
    paths = [*ROOT.glob("src/**/*.py"), ROOT / "src/mstool/io/record_keys.toml"]
    paths += ROOT.glob("src/mstool/pipeline/report/templates/*")
    assert names_under(wheel, "mstool/") == {
        path.relative_to(ROOT / "src").as_posix() for path in paths
    }


def test_man_pages_and_completions_are_in_place(wheel):
    prefix = shared_folder(wheel)
    pages = {
        f"{prefix}share/man/man{path.suffix[1:]}/{path.name}" for path in ROOT.glob("man/*.[15]")
    }
    assert names_under(wheel, prefix) == pages | {prefix + place for place in SHARED.values()}
    for name, place in SHARED.items():
        assert wheel.read(prefix + place) == (ROOT / "completions" / name).read_bytes()
    assert all(wheel.read(page) for page in pages)


def test_nothing_else_is_in_it(wheel):
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    rest = set(wheel.namelist()) - names_under(wheel, "mstool/", shared_folder(wheel))
    assert rest == {
        f"{info}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }


def test_entry_point_and_version(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "mstool = mstool.__main__:main" in wheel.read(name).decode()
