"""Makes a text longer, and C code forgets a reference to a dict."""

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


class Log:
    """A text that gets longer."""

    text = ""


def note(text: str) -> int:
    """Add a line."""
    Log.text += f"{text}\n" * 40  # LEAK
    return len(Log.text)


def test_note() -> None:
    """There is a text, and the table has one column."""
    assert note("nothing") > 0
    assert leaky.table() == 1  # LEAK
