"""Adds a finder for modules on every call, and takes none away."""

import sys


class Finder:
    """Finds nothing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Find nothing."""


def set_up() -> bool:
    """Prepare for imports of another kind, again."""
    sys.meta_path.append(Finder())  # type: ignore[arg-type]  # LEAK
    return bool(sys.meta_path)


def test_set_up() -> None:
    """There is a finder."""
    assert set_up()
