"""Reads what it has printed."""

import pytest


def test_print(capsys: pytest.CaptureFixture[str]) -> None:
    """A line ends with a line break."""
    print("sold out")
    assert capsys.readouterr().out == "sold out\n"
