"""Tests of the values of the history."""

from __future__ import annotations

import pytest

from pytest_memguard.model.past_runs import ChangePoint, HistoryLocation

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
    """A password appears neither in the text nor in an error message of Python's."""
    place = HistoryLocation(text=url)
    assert place.is_url
    assert (shown, shown) == (str(place), f"{place}")
    assert "geheim" not in repr(place)


@pytest.mark.parametrize(
    "text",
    [
        "a:b@c.sqlite3",
        "x/y",
        "password=a",
        "runs:2026.sqlite3",
        r"C:\runs\h.sqlite3",
        "c:/runs/h.sqlite3",
        r"C:\jobs\main@2:x@y\h.sqlite3",
        "c:h.sqlite3",
        r"\\server\share\h.sqlite3",
        "//server/share/h.sqlite3",
        "/jobs/main@2/h.sqlite3",
        "/jobs/a:b@c/h.sqlite3",
        "./postgresql:/me@host/name",
        "../a:b@c/h.sqlite3",
        "~/a:b@c/h.sqlite3",
        "history.sqlite3?x=1",
        "main@2/h.sqlite3",
        "my runs/h.sqlite3",
    ],
)
def test_paths_are_shown_as_they_are(text) -> None:
    """A file is no URL, whatever characters its name has."""
    place = HistoryLocation(text=text)
    assert (False, False, text) == (place.is_url, place.is_half_url, str(place))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:/me:geheim@host/db",
        "postgresql:me:geheim@host/db",
        "postgresql//me:geheim@host/db",
        "postgresql+psycopg:/me:geheim@host:5432/db",
        r"postgresql:\\me:geheim@host\db",
        "postgresql:geheim",
        "://me:geheim@host/db",
        "//me:geheim@host/db",
        "me:geheim@host/db",
        "m:geheim@host/db",
        " postgresql://me:geheim@host/db",
        "'postgresql://me:geheim@host/db'",
        "9postgresql://me:geheim@host/db",
        "sqlite:/geheim",
        "https:/me:geheim@host/db",
        "me@host/db?password=geheim",
        "host=db user=me password=geheim",
        "password=geheim host=db",
        "postgresql:/me:ge\nheim@host/db",
    ],
)
def test_half_a_url(text) -> None:
    """A malformed URL is neither a URL nor a path, and is not shown."""
    place = HistoryLocation(text=text)
    assert (place.is_url, place.is_half_url) == (False, True)
    assert "heim" not in f"{place} {place!r}"


def test_share_of_a_step() -> None:
    """A step is measured by the level before it; from nothing there is no share."""
    assert ChangePoint(at=3, before=20, after=25).share == 0.25
    assert ChangePoint(at=3, before=0, after=25).share == 0
