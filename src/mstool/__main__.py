"""Run as ``python -m mstool``."""

from mstool.cli import main

if __name__ == "__main__":
    main()
