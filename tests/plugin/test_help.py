"""The help of pytest: every flag, ini key, marker and fixture of the plugin is listed in it."""

from __future__ import annotations

import re

import pytest

from pytest_memguard.option_table import OPTIONS

pytestmark = pytest.mark.fast

MARKERS = ("mem_budget", "mem_leak_check", "mem_no_leak_check", "mem_regression")


def words(text: str) -> str:
    """The text without its line breaks, which depend on the width of the terminal."""
    return " ".join(text.split())


@pytest.fixture
def shown(run):
    """Ask pytest for something and return what it prints, in words with single blanks."""

    def shown(*flags: str) -> str:
        result = run(None, *flags)
        assert result.ret == pytest.ExitCode.OK
        return words(result.stdout.str())

    return shown


def test_help_lists_every_flag_and_ini_key(shown) -> None:
    """`pytest --help` shows each option's text as the table has it, percent signs included."""
    text = shown("--help")
    missing = [
        option.name
        for option in OPTIONS
        if (option.flag and not re.search(rf"{option.flag}(?![\w-])", text))
        or (option.ini and f" {option.ini} (" not in text)
        or text.count(words(option.help)) != bool(option.flag) + bool(option.ini)
    ]
    assert missing == []
    assert "%%" not in text


def test_help_shows_the_default_rule(shown) -> None:
    """A default that contains a percent sign is shown with one."""
    assert "Default: peak:10%+2MB." in shown("--help")


def test_markers_and_fixtures_are_listed(shown) -> None:
    """`pytest --markers --fixtures` lists every marker and the fixture."""
    text = shown("--markers") + shown("--fixtures")
    assert [name for name in MARKERS if f"@pytest.mark.{name}(" not in text] == []
    assert "memguard --" in text
    assert "%%" not in text


def test_help_with_markers_and_fixtures(shown) -> None:
    """Asked for all three at once, pytest shows the help."""
    assert "--mem-fail-on" in shown("--help", "--markers", "--fixtures")
