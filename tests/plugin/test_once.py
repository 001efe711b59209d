"""Tests that must not run twice are measured in their own run alone."""

from __future__ import annotations

TESTS = """
    import gc
    import os
    import shop

    import pytest

    KEPT = []

    def noted(name):
        with open("ran.txt", "a") as file:
            file.write(f"{name} ")

    @pytest.mark.mem_once
    def test_sends_mail():
        noted("once")
        held = bytearray(shop.MIB << 20)
        KEPT.append(object())

    def test_other():
        noted("other")
        held = bytearray(shop.MIB << 20)
"""


def _ran(pytester) -> list[str]:
    return (pytester.path / "ran.txt").read_text(encoding="utf-8").split()


def test_a_suspect_is_undecided(run, pytester) -> None:
    """A number above the baseline's is no regression, and no pass without a word."""
    pytester.makepyfile(shop="MIB = 1")
    run(TESTS, "--mem-save").assert_outcomes(passed=2)
    pytester.makepyfile(shop="MIB = 30")
    (pytester.path / "ran.txt").unlink()
    result = run(TESTS, "--mem-compare")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*test_sends_mail: *it must not run twice (mem_once)*"])
    assert _ran(pytester).count("once") == 1
    assert _ran(pytester).count("other") > 1


def test_no_leak_check(run, pytester) -> None:
    """The leak check leaves it out, and says why."""
    pytester.makepyfile(shop="MIB = 0")
    result = run(TESTS, "--mem-leak-check")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*it must not run twice (mem_once)*"])
    assert _ran(pytester).count("once") == 1


def test_the_marker_alone_measures_nothing(run, pytester) -> None:
    """A suite with that marker and without any option is one without memguard."""
    pytester.makepyfile(shop="MIB = 0")
    result = run(TESTS)
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*memguard*")
