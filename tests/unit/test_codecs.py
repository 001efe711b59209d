"""Tests of the model's plain form: every value there and back, and files that are not ours."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest

from pytest_memguard.codecs.measurement_codecs import PEAK_CODEC
from pytest_memguard.codecs.run_codec import (
    FORMAT,
    OUTCOME_CODEC,
    run_from_json,
    run_in_pieces,
)
from pytest_memguard.errors import ConfigError
from pytest_memguard.model.causes import Cause
from pytest_memguard.model.flights import Ending
from pytest_memguard.model.leaks import Kept
from pytest_memguard.model.measurements import Budget, Finding
from pytest_memguard.model.metrics import metric_named
from pytest_memguard.model.results import Outcome, Run
from tests.support.sample_values import (
    ABORT,
    ALERT,
    BUDGET,
    DEATH,
    EXCEEDED,
    FINDING,
    LEAK,
    LOST,
    OUTCOME,
    PARALLEL,
    PEAK,
    PHASE,
    RUN,
    SITE,
    STAGE,
    STOP,
    WAITED,
    WATCHED,
)
from tests.support.stored_runs import as_stored

KEPT = Kept(owner="plugin syrupy", holder="syrupy.kept", rates=(("blocks", 16.0),))
OF_ANOTHER = replace(FINDING, rule="check-failed", check="fd_budget")
HARD_BUDGET = replace(BUDGET, hard=True)
CAUSE = Cause(
    growth=3,
    lines=("shop.py:1 (f)",),
    holder="data.table",
    is_fill=True,
    stage="load",
    fixtures=("cart",),
    first="test_a",
)
STOPPED = replace(OF_ANOTHER, rule="hard-limit", budget=HARD_BUDGET, stop=STOP, cause=CAUSE)
BARE_BUDGET = Budget(limit=0, where="--mem-budget")
MISSED, UNBOUNDED = replace(PEAK, unseen=7), replace(PEAK, unseen=None)
CRASHED = replace(LOST, cause="crashed", ending=Ending(signal=11), level=None, raised=())
OUTCOMES = [
    pytest.param(OUTCOME, id="everything-set"),
    pytest.param(Outcome(nodeid="t"), id="nothing-set"),
    pytest.param(replace(OUTCOME, budgets=(BARE_BUDGET, BUDGET)), id="bare-budget"),
    pytest.param(
        replace(OUTCOME, findings=(Finding(rule="not-measured", budget=BARE_BUDGET),)),
        id="finding-without-peak",
    ),
    pytest.param(
        replace(OUTCOME, findings=(replace(FINDING, sites=(replace(SITE, kept=None),)),)),
        id="site-without-kept",
    ),
    pytest.param(replace(OUTCOME, findings=(OF_ANOTHER,)), id="check-of-another-plugin"),
    pytest.param(replace(OUTCOME, findings=(STOPPED,)), id="stopped"),
    pytest.param(replace(OUTCOME, death=DEATH), id="died"),
    pytest.param(replace(OUTCOME, watched=(WATCHED, WATCHED)), id="watched"),
    pytest.param(replace(OUTCOME, phases=(replace(PHASE, peaks=()),)), id="no-peaks"),
    pytest.param(
        replace(OUTCOME, phases=(replace(PHASE, peaks=(MISSED, UNBOUNDED)),)), id="sampled"
    ),
    pytest.param(replace(OUTCOME, stages=(STAGE, STAGE)), id="two-stages"),
    pytest.param(
        replace(OUTCOME, leak=replace(LEAK, kept=(KEPT,), more=(LEAK, LEAK))),
        id="several-leaks",
    ),
    pytest.param(replace(OUTCOME, nodeid="t[\u00fc-\U0001f600]"), id="no-ascii-name"),
]


def by_json(plain):
    """What is left of a plain form once it has been written and read."""
    return json.loads(json.dumps(plain))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_round_trip(outcome) -> None:
    """A test's outcome is the same after a journey through JSON."""
    assert outcome == OUTCOME_CODEC.read(by_json(OUTCOME_CODEC.write(outcome)))


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(RUN, id="everything-set"),
        pytest.param(
            replace(RUN, settings=(), gaps=(), outcomes=(), totals=()), id="nothing-measured"
        ),
        pytest.param(
            replace(
                RUN,
                settings=(("--mem-leak-strict", "True (mem_leak_strict in setup.cfg)"),),
                leak_strict=True,
            ),
            id="strict",
        ),
        pytest.param(
            replace(RUN, settings=(("--mem-leak-strict", "False (mem_leak_strict in t.ini)"),)),
            id="not-strict",
        ),
        pytest.param(replace(RUN, lost=(LOST, CRASHED)), id="lost-workers"),
        pytest.param(replace(RUN, abort=ABORT), id="stopped"),
        pytest.param(replace(RUN, alerts=(ALERT, replace(ALERT, nodeid=""))), id="alerts"),
        pytest.param(replace(RUN, parallel=PARALLEL), id="parallel"),
        pytest.param(
            replace(RUN, parallel=replace(PARALLEL, waited=(), real=0)),
            id="parallel-unmeasured",
        ),
    ],
)
def test_run_round_trip(run) -> None:
    """A whole run is the same after a journey through JSON."""
    assert run == run_from_json(as_stored(run), "memory.json")


@pytest.mark.parametrize(
    "outcomes",
    [
        pytest.param((), id="no-test"),
        pytest.param((OUTCOME,), id="one-test"),
        pytest.param(RUN.outcomes, id="two-tests"),
    ],
)
def test_run_in_pieces(outcomes) -> None:
    """A file that is written test by test has the bytes of one that is written at once."""
    text = "".join(run_in_pieces(replace(RUN, outcomes=outcomes)))
    assert json.dumps(json.loads(text), indent=1) + "\n" == text


@pytest.mark.parametrize(
    "value",
    [
        HARD_BUDGET,
        SITE,
        STOP,
        STOPPED,
        PHASE,
        STAGE,
        replace(OUTCOME, death=DEATH, watched=(WATCHED,)),
        WATCHED,
        WATCHED.signals[0],
        *RUN.totals,
        *RUN.gaps,
        RUN.environment,
        LOST,
        *LOST.neighbours,
        ABORT,
        ABORT.parts[0],
        ALERT,
        DEATH,
        PARALLEL,
        WAITED,
        EXCEEDED,
    ],
    ids=lambda value: type(value).__name__,
)
def test_samples_set_every_field(value) -> None:
    """No field of a sample is at its default, so that none can be lost unseen."""
    at_default = [
        field.name
        for field in dataclasses.fields(value)
        if getattr(value, field.name) in {field.default, None, ()}
    ]
    assert at_default == []


def test_peak_to_json() -> None:
    """A peak's plain form names its unit."""
    assert PEAK_CODEC.write(PEAK) == {
        "metric": "rss",
        "bytes": 125829120,
        "upper_bound_bytes": 136314880,
        "method": "memray estimate",
    }


def test_an_outcome_is_stored_with_its_growth() -> None:
    """The plain form has the test's growth, which readers would have to work out."""
    assert OUTCOME_CODEC.write(OUTCOME)["growth_bytes"] == -3


def test_a_run_is_stored_with_its_format() -> None:
    """A file says first which format it has."""
    assert next(iter(as_stored(RUN).items())) == ("format", FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param("text", id="text"),
        pytest.param(7, id="number"),
        pytest.param({}, id="empty"),
        pytest.param({"format": FORMAT}, id="format-alone"),
        pytest.param({"tests": []}, id="tests-alone"),
    ],
)
def test_foreign_file(data) -> None:
    """A file of something else is distinguished by name."""
    with pytest.raises(ConfigError) as caught:
        run_from_json(data, "other.json")
    assert str(caught.value) == "other.json is not a file that --mem-json wrote"


@pytest.mark.parametrize("number", [0, FORMAT + 1, "1", True, 1.0, None])
def test_other_format(number) -> None:
    """A file of another format is refused, with both numbers."""
    with pytest.raises(ConfigError) as caught:
        run_from_json({"format": number, "tests": []}, "new.json")
    words = f"new.json has format {number!r}, this version reads format {FORMAT}"
    assert str(caught.value).startswith(words)


def test_the_first_format() -> None:
    """A file of the first format is read: it has no cold peaks."""
    data = as_stored(RUN)
    data["format"] = 1
    for test in data["tests"]:
        for key in {"cold", "fills"} & test.keys():
            del test[key]
    found = run_from_json(data, "old.json")
    assert [test.cold for test in found.outcomes] == [None, None]


def _delete(*path):
    def damage(data) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return damage


def _put(value, *path):
    def damage(data) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(_delete("environment"), "KeyError: 'environment'", id="no-environment"),
        pytest.param(_delete("environment", "python"), "'python'", id="no-python"),
        pytest.param(_put("x", "environment", "extra"), "'extra'", id="extra-environment"),
        pytest.param(_delete("settings"), "KeyError: 'settings'", id="no-settings"),
        pytest.param(_put([], "settings"), "AttributeError", id="settings-of-another-kind"),
        pytest.param(_delete("gaps"), "KeyError: 'gaps'", id="no-gaps"),
        pytest.param(_put([7], "gaps"), "TypeError", id="gap-of-another-kind"),
        pytest.param(_delete("totals", 0, "worker"), "KeyError: 'worker'", id="no-worker"),
        pytest.param(_put(None, "totals"), "TypeError", id="totals-of-another-kind"),
        pytest.param(_put(7, "tests"), "TypeError", id="tests-of-another-kind"),
        pytest.param(_put(["text"], "tests"), "TypeError", id="test-of-another-kind"),
        pytest.param(_delete("tests", 0, "nodeid"), "KeyError: 'nodeid'", id="no-node-id"),
        pytest.param(_delete("tests", 0, "phases", 0, "peaks"), "'peaks'", id="no-peaks"),
        pytest.param(_delete("tests", 0, "findings", 0, "peak"), "'peak'", id="no-peak"),
        pytest.param(
            _delete("tests", 0, "findings", 0, "budget", "limit_bytes"),
            "KeyError: 'limit_bytes'",
            id="no-limit",
        ),
        pytest.param(_delete("tests", 0, "stages", 0, "lines"), "'lines'", id="no-lines"),
    ],
)
def test_damaged_file(damage, words) -> None:
    """A file of ours that lacks something says what."""
    data = as_stored(RUN)
    assert isinstance(run_from_json(data, "memory.json"), Run)
    damage(data)
    with pytest.raises(ConfigError) as caught:
        run_from_json(data, "memory.json")
    assert str(caught.value).startswith("memory.json lacks something a run has (")
    assert words in str(caught.value)


def test_units_of_other_metrics() -> None:
    """A stored run has the units of metrics that only another plugin knows."""
    data = as_stored(RUN) | {"units": {"widgets": "widgets"}}
    run_from_json(data, "run.json")
    assert metric_named("widgets").amount(5) == "5 widgets"
    assert metric_named("unheard_of").amount(5) == "5 B"


def test_state_of_a_leak_check_in_an_older_file() -> None:
    """The state unclear of formats up to 2 is read as undecided."""
    data = OUTCOME_CODEC.write(replace(OUTCOME, leak=LEAK))
    data["leak"]["verdict"]["state"] = "unclear"
    leak = OUTCOME_CODEC.read(data).leak
    assert leak is not None
    assert leak.verdict.state == "undecided"
