"""Tests of the rules of a comparison: what users write, and which rule holds."""

from __future__ import annotations

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.baselines import FailRule
from pytest_memguard.options.rules import DEFAULT, about_stage, closest, parse_rule, parse_rules
from pytest_memguard.sizes import KIB, MIB

FULL_WIDTH = "\uff11\uff10\uff10"
"""A hundred in the digits of East Asian typography."""
NEITHER = "is neither a share nor a size from 1 byte to 8 EiB"


@pytest.mark.parametrize(
    ("text", "kind", "share", "floor", "stage"),
    [
        pytest.param("peak:10%", "peak", 0.1, 0, "", id="share"),
        pytest.param("peak:5MB", "peak", 0.0, 5 * MIB, "", id="size"),
        pytest.param("peak:10%+2MB", "peak", 0.1, 2 * MIB, "", id="both"),
        pytest.param("peak:2MB+10%", "peak", 0.1, 2 * MIB, "", id="both-the-other-way"),
        pytest.param(" peak: 2.5 % + 512 KB ", "peak", 0.025, 512 * KIB, "", id="spaces"),
        pytest.param("peak:0%", "peak", 0.0, 0, "", id="nothing-more"),
        pytest.param("peak:250%", "peak", 2.5, 0, "", id="more-than-all"),
        pytest.param("growth:1MiB", "growth", 0.0, MIB, "", id="growth"),
        pytest.param("stage:load:5%", "stage", 0.05, 0, "load", id="stage"),
        pytest.param("stage:load/parse:5%", "stage", 0.05, 0, "load/parse", id="inner-stage"),
        pytest.param("stage:a:b:1MB", "stage", 0.0, MIB, "a:b", id="stage-with-a-colon"),
        pytest.param("stage:*:5%", "stage", 0.05, 0, "*", id="every-stage"),
        pytest.param("leak:100", "leak", 0.0, 100, "", id="leak-in-bytes"),
        pytest.param("leak:100.", "leak", 0.0, 100, "", id="leak-with-a-point"),
        pytest.param("leak:0", "leak", 0.0, 0, "", id="no-leak"),
        pytest.param("peak:1000000%", "peak", 10_000.0, 0, "", id="largest-share"),
        pytest.param("leak:10%+2KB", "leak", 0.1, 2048, "", id="leak"),
    ],
)
def test_rule(text, kind, share, floor, stage) -> None:
    """A rule is read as it was meant, and knows its text and its source."""
    expected = FailRule(
        kind=kind,
        share=share,
        floor=floor,
        stage=stage,
        where="the marker",
        text=text.strip(),
    )
    assert expected == parse_rule(text, "the marker")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "it is empty", id="empty"),
        pytest.param(" \t ", "it is empty", id="blank"),
        pytest.param("10%", "'10%' is nothing that is compared", id="no-kind"),
        pytest.param("peek:10%", "'peek' is nothing that is compared", id="misspelt"),
        pytest.param("peak", "it has no amount", id="kind-alone"),
        pytest.param("peak:", "it has no amount", id="no-amount"),
        pytest.param("peak:10%+", "it has no amount", id="half-an-amount"),
        pytest.param("peak:ten", f"'ten' {NEITHER}", id="word"),
        pytest.param("peak:-5%", f"'-5%' {NEITHER}", id="negative"),
        pytest.param("peak:-5MB", f"'-5MB' {NEITHER}", id="negative-size"),
        pytest.param("peak:8388608TB", f"'8388608TB' {NEITHER}", id="size-too-large"),
        pytest.param(
            "leak:9223372036854775808", f"'9223372036854775808' {NEITHER}", id="2**63"
        ),
        pytest.param("leak:0.5", f"'0.5' {NEITHER}", id="less-than-a-byte"),
        pytest.param("peak:1e30GB", f"'1e30GB' {NEITHER}", id="exponent"),
        pytest.param("peak:1e400%", f"'1e400%' {NEITHER}", id="share-with-exponent"),
        pytest.param("peak:inf%", f"'inf%' {NEITHER}", id="infinite-share"),
        pytest.param("peak:nan%", f"'nan%' {NEITHER}", id="share-that-is-no-number"),
        pytest.param("peak:1000001%", "more than 1000000% is no limit", id="share-too-large"),
        pytest.param(
            f"peak:{FULL_WIDTH}%", f"'{FULL_WIDTH}%' {NEITHER}", id="full-width-share"
        ),
        pytest.param(
            f"peak:{FULL_WIDTH}MB", f"'{FULL_WIDTH}MB' {NEITHER}", id="full-width-size"
        ),
        pytest.param(f"leak:{FULL_WIDTH}", f"'{FULL_WIDTH}' {NEITHER}", id="full-width-bytes"),
        pytest.param(
            "peak:10", "'10' is neither a share nor a size with a unit", id="bare-number"
        ),
        pytest.param(
            "peak:10.", "'10.' is neither a share nor a size with a unit", id="bare-with-point"
        ),
        pytest.param("peak:10%+5%", "it has a share twice", id="two-shares"),
        pytest.param("peak:1MB+5MB", "it has bytes twice", id="two-sizes"),
        pytest.param("stage:10%", "it names no stage", id="no-stage"),
        pytest.param("stage::10%", "it names no stage", id="empty-stage"),
        pytest.param("stage", "it names no stage", id="stage-alone"),
        pytest.param(
            "stage:load/*:10%",
            "'load/*' is no name, and only * alone is every stage",
            id="pattern-of-stages",
        ),
        pytest.param("stage:load:", "it has no amount", id="stage-without-amount"),
        pytest.param(10, "it is not a text", id="number"),
        pytest.param(None, "it is not a text", id="none"),
    ],
)
def test_bad_rule(text, why) -> None:
    """A text that is no rule is reported in one sentence, with what would be a rule."""
    with pytest.raises(ConfigError) as caught:
        parse_rule(text, "--mem-fail-on")
    message = str(caught.value)
    assert message.startswith(f"{text!r} is no rule, {why}: write peak:10%, ")
    assert len(caught.value.problems) == 1


def test_every_bad_rule_is_reported() -> None:
    """Several bad rules give a sentence each."""
    with pytest.raises(ConfigError) as caught:
        parse_rules(["peak:10%", "peak:x", "leek:1"], "the config file")
    assert [p.split(" is ")[0] for p in caught.value.problems] == ["'peak:x'", "'leek:1'"]


def test_rules_keep_their_order() -> None:
    """Good rules come in the order they were written."""
    rules = parse_rules(["leak:1", "peak:1%"], "--fail-on")
    assert [rule.text for rule in rules] == ["leak:1", "peak:1%"]


def test_default_is_what_it_says() -> None:
    """The text of the default rule means the default rule."""
    assert parse_rule(DEFAULT.text, DEFAULT.where) == DEFAULT


def rules(*texts):
    """Rules from any source."""
    return parse_rules(texts, "somewhere")


@pytest.mark.parametrize(
    ("levels", "texts"),
    [
        pytest.param([], ["peak:10%+2MB"], id="default"),
        pytest.param([["peak:5%"]], ["peak:5%"], id="instead-of-the-default"),
        pytest.param([["growth:1MB"]], ["growth:1MB", "peak:10%+2MB"], id="beside-it"),
        pytest.param([["peak:1%"], ["peak:5%"]], ["peak:1%"], id="closest-first"),
        pytest.param(
            [["stage:a:1%"], ["stage:b:2%", "stage:a:3%", "peak:4%"]],
            ["peak:4%", "stage:a:1%", "stage:b:2%"],
            id="each-stage-by-itself",
        ),
        pytest.param(
            [["peak:5%", "peak:5MB"], ["peak:1%"]], ["peak:5%", "peak:5MB"], id="two-of-one"
        ),
    ],
)
def test_closest(levels, texts) -> None:
    """The closest source wins, for each thing that is compared."""
    assert texts == sorted(rule.text for rule in closest(*(rules(*level) for level in levels)))


@pytest.mark.parametrize(
    ("rule", "path", "about"),
    [
        ("stage:load:1%", "load", True),
        ("stage:load:1%", "run/load", True),
        ("stage:load:1%", "load/parse", False),
        ("stage:load:1%", "reload", False),
        ("stage:run/load:1%", "run/load", True),
        ("stage:*:1%", "run/load", True),
        ("peak:1%", "load", False),
    ],
)
def test_about_stage(rule, path, about) -> None:
    """A rule names a stage by its path or by the end of it, as a budget does."""
    assert about is about_stage(parse_rule(rule, "x"), path)
