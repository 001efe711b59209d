"""``python -m pytest_memguard`` is the ``memguard`` command."""

import sys

from pytest_memguard.cli import main

if __name__ == "__main__":
    sys.exit(main())
