"""Tests of which lines only pass a call on."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from pytest_memguard.attribution.forwarders import is_forwarder


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        pytest.param(
            """
            def decorated(function):
                def wrapper(*args, **kwargs):
                    return function(*args, **kwargs)  # here
            """,
            True,
            id="decorator",
        ),
        pytest.param(
            """
            class Function:
                def __call__(self, *args):
                    with self._lock:
                        result = self._function(*args)  # here
                    return result
            """,
            True,
            id="callable-that-an-object-has",
        ),
        pytest.param(
            """
            async def retried(function, seconds, *args, **kwargs):
                await function(*args, timeout=seconds, **kwargs)  # here
            """,
            True,
            id="coroutine",
        ),
        pytest.param(
            "run = lambda function, *args: function(*args)  # here", True, id="lambda"
        ),
        pytest.param(
            """
            def put(*rows):
                return store(*rows)  # here
            """,
            False,
            id="function-that-is-always-the-same",
        ),
        pytest.param(
            """
            class Rows(Base):
                def __init__(self, *args, **kwargs):
                    super().__init__(*args, **kwargs)  # here
            """,
            False,
            id="base-class",
        ),
        pytest.param(
            """
            def get(session, *args, **kwargs):
                return session.request("GET", *args, **kwargs)  # here
            """,
            False,
            id="says-more-than-it-was-given",
        ),
        pytest.param(
            """
            def call(function, *args, **kwargs):
                return function(*args)  # here
            """,
            False,
            id="passes-only-a-part-on",
        ),
        pytest.param(
            """
            def call(kept, function, *args):
                kept.result = function(*args)  # here
            """,
            False,
            id="keeps-the-result",
        ),
        pytest.param(
            """
            def call(kept, function, *args):
                kept.append(function(*args))  # here
            """,
            False,
            id="keeps-the-result-in-a-list",
        ),
        pytest.param(
            """
            class Rows:
                def put(self, row):
                    self.rows.append(row)  # here
            """,
            False,
            id="without-arbitrary-arguments",
        ),
        pytest.param(
            """
            def add(rows, *more):
                rows.extend(more)  # here
            """,
            False,
            id="arguments-as-one-object",
        ),
        pytest.param(
            """
            def decorated(function):
                def wrapper(*args, **kwargs):
                    KEPT.append(args)  # here
                    return function(*args, **kwargs)
            """,
            False,
            id="beside-it",
        ),
        pytest.param("def f(*args: # here", False, id="no-python"),
    ],
)
def test_lines_that_pass_a_call_on(tmp_path: Path, source: str, *, passes: bool) -> None:
    """A line does not tell leaks apart if it calls what it was given, as it was given."""
    file = tmp_path / "app.py"
    text = dedent(source)
    file.write_text(text, encoding="utf-8")
    here = next(n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# here"))
    assert is_forwarder(str(file), here) is passes


def test_a_file_that_is_not_there() -> None:
    """Without a source no line is known to pass a call on."""
    assert not is_forwarder("<string>", 1)
    assert not is_forwarder("/nowhere/app.py", 3)
