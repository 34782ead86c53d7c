"""Run as ``mstool``, or ``python -m mstool``."""

import sys

try:
    from mstool.errors import Interrupted
    from mstool.stopping import die_on_signals, find_stop, raise_if_stopped, raise_on_signals
except KeyboardInterrupt:  # what came sooner still, Python itself shows a traceback of
    sys.exit(130)


def main() -> None:
    """Run the command line; signals are heard before it is loaded, which takes 0.1 s."""
    raise_on_signals()
    try:
        from mstool.cli import main as run

        raise_if_stopped()
    except BaseException:
        if stop := find_stop():
            sys.exit(stop.exit_code)
        raise
    try:
        run()
    except Interrupted as stop:  # it came while the run was ending already
        sys.exit(stop.exit_code)
    finally:
        die_on_signals()  # else they raise while Python takes its modules down


if __name__ == "__main__":
    main()
