"""Every call makes 20 MB that take the place of those of the call before."""


class Scene:
    """What is shown."""

    pixels = b""


def test_draw() -> None:
    """Something is shown."""
    Scene.pixels = b"x" * 20_000_000
    assert Scene.pixels
