"""Tests of the values of the history."""

from __future__ import annotations

import pytest

from pytest_memguard.history import HistoryPlace, Step

SECRETS = [
    pytest.param(
        "postgresql+psycopg://me:geheim@host:5432/name",
        "postgresql+psycopg://me:***@host:5432/name",
        id="behind-the-user",
    ),
    pytest.param(
        "postgresql://me:geh:ei@m@host/name", "postgresql://me:***@host/name", id="odd-signs"
    ),
    pytest.param(
        "postgresql://me@/name?host=/run&password=geheim&user=x",
        "postgresql://me@/name?host=/run&password=***&user=x",
        id="in-the-query",
    ),
    pytest.param(
        "postgresql://host/name?sslpassword=geheim",
        "postgresql://host/name?sslpassword=***",
        id="of-a-key",
    ),
    pytest.param("postgresql://me:a/b?geheim#@host/x", "postgresql://me:***@host/x", id="raw"),
    pytest.param("postgresql://host:5432/x", "postgresql://host:5432/x", id="a-port"),
    pytest.param("postgresql://me@host/name", "postgresql://me@host/name", id="none"),
]


@pytest.mark.parametrize(("url", "shown"), SECRETS)
def test_passwords_are_not_shown(url, shown) -> None:
    """Neither as a text nor in a message of Python's is a password to be seen."""
    place = HistoryPlace(text=url)
    assert place.is_url
    assert (shown, shown) == (str(place), f"{place}")
    assert "geheim" not in repr(place)


@pytest.mark.parametrize("text", ["a:b@c.sqlite3", "x/y", r"C:\runs\h.sqlite3", "password=a"])
def test_paths_are_shown_as_they_are(text) -> None:
    """A file is no URL, whatever signs its name has."""
    place = HistoryPlace(text=text)
    assert (False, text) == (place.is_url, str(place))


def test_share_of_a_step() -> None:
    """A step is measured by the level before it; from nothing there is no share."""
    assert Step(at=3, before=20, after=25).share == 0.25
    assert Step(at=3, before=0, after=25).share == 0
