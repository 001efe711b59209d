"""Tests of what lets slack stay."""

from __future__ import annotations

from pytest_memguard.measure.screen import Screen


def test_slack_stays_until_there_is_doubt() -> None:
    """After a test in doubt, slack is filled before a hundred tests, and then stays again."""
    screen = Screen(lambda: True)
    assert (screen.most(10), screen.most(10)) == (8, 8)
    screen.note_doubt()
    assert [screen.most(10) for _ in range(100)] == [0] * 100
    assert screen.most(10) == 8


def test_slack_is_filled_where_no_process_can_answer() -> None:
    """Without a fresh process each peak has to be as exact as possible."""
    assert Screen().most(10) == 0


def test_whether_it_is_open() -> None:
    """The fast path reads whether slack might stay the last time, and is closed by doubt."""
    screen = Screen(lambda: True)
    assert not screen.is_open
    assert screen.most(100) == 80
    assert screen.is_open
    screen.note_doubt()
    assert not screen.is_open
    assert screen.most(100) == 0
    assert not screen.is_open
