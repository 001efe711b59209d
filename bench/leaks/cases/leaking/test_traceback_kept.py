"""Keeps every error, and with its traceback the frame's variables."""

_ERRORS: list[Exception] = []


def parse(text: str) -> int | None:
    """Turn a text into a number, or keep why not."""
    scratch = bytearray(2_000)  # LEAK
    try:
        return int(text)  # LEAK
    except ValueError as error:
        _ERRORS.append(error)
        return None if scratch else 0


def test_parse() -> None:
    """A word is no number."""
    assert parse("seven") is None
