"""Makes a patch of its own that is undone only at the end of the session."""

import pytest


class Shop:
    """Is open or not."""

    is_open = False


@pytest.fixture(scope="session")
def patches() -> pytest.MonkeyPatch:
    """For the whole session."""
    return pytest.MonkeyPatch()


def test_open(patches: pytest.MonkeyPatch) -> None:
    """A patched shop is open."""
    patches.setattr(Shop, "is_open", bool("yes"))  # LEAK
    assert Shop.is_open
