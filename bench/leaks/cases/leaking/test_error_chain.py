"""Raises each error from the one before it, so that none ever goes."""


class TroubleError(Exception):
    """Something went wrong."""


class Service:
    """Remembers what went wrong last."""

    last: Exception | None = None


def fail(text: str) -> str:
    """Go wrong, because it has gone wrong before."""
    try:
        raise TroubleError(text) from Service.last  # LEAK
    except TroubleError as error:
        Service.last = error
        return str(error)


def test_fail() -> None:
    """The error has the text it was given."""
    assert fail("again") == "again"
