import os
import subprocess
import sys


def test_matplotlib_says_nothing_of_its_own():
    environment = {name: os.environ[name] for name in os.environ if name != "MPLCONFIGDIR"}
    ended = subprocess.run(
        [sys.executable, "-c", "import mstool.pictures.curves"],
        env=environment | {"HOME": "/dev/null", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
