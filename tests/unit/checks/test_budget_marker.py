"""Tests of the marker of a budget: its arguments as a budget."""

from __future__ import annotations

import pytest

from pytest_memguard.checks.budget.marker import SIGNATURE, budget_from_mark
from pytest_memguard.errors import ConfigError
from pytest_memguard.model.measurements import Budget
from pytest_memguard.sizes import KIB, MIB

HINT = "write a number of MiB (200) or a text with a unit ('512 KB', '200 MB', '1.5 GiB')"


def budget(limit=5, **values) -> Budget:
    """A budget of some bytes."""
    return Budget(limit=limit, where="the marker", **values)


def per_row(params):
    """A limit that depends on a test's parameters."""
    return f"{params['rows']} KB"


def broken(params):
    """A limit that asks for a parameter the test does not have."""
    return params["columns"]


def skips(_):
    """A limit that skips the test it is for."""
    pytest.skip("not here")


ACCEPTED = [
    pytest.param((200,), {}, budget(200 * MIB), id="bare-number"),
    pytest.param(("512 KB",), {}, budget(512 * KIB), id="text"),
    pytest.param((), {"limit": 1}, budget(MIB), id="limit-by-name"),
    pytest.param((0,), {}, budget(0), id="zero"),
    pytest.param((None,), {}, budget(0), id="none"),
    pytest.param((), {"limit": None}, budget(0), id="none-by-name"),
    pytest.param((per_row,), {}, budget(3 * KIB), id="function-of-the-parameters"),
    pytest.param((), {"limit": per_row}, budget(3 * KIB), id="function-by-name"),
    pytest.param((lambda _: None,), {}, budget(0), id="function-that-gives-none"),
    pytest.param((1,), {"metric": "heap"}, budget(MIB, metric="heap"), id="metric"),
    pytest.param((1,), {"phase": "all"}, budget(MIB, phase="all"), id="phase"),
    pytest.param((1,), {"stage": "load"}, budget(MIB, stage="load"), id="stage"),
    pytest.param((1,), {"stage": None}, budget(MIB), id="no-stage"),
    pytest.param(
        (1,), {"stage": None, "phase": "setup"}, budget(MIB, phase="setup"), id="phase-alone"
    ),
    pytest.param((1,), {"warn": "80%"}, budget(MIB, warn=0.8), id="warn"),
    pytest.param((1,), {"warn": None}, budget(MIB), id="no-warn"),
    pytest.param((1,), {"warn": 0}, budget(MIB, warn=0), id="warn-switched-off"),
    pytest.param(
        (1,),
        {"metric": "heap", "threads": "current"},
        budget(MIB, metric="heap", threads="current"),
        id="own-thread",
    ),
    pytest.param(
        ("1 KB",),
        {
            "metric": "python",
            "stage": "load/parse",
            "warn": 0.5,
            "threads": "all",
        },
        budget(KIB, metric="python", stage="load/parse", warn=0.5),
        id="everything",
    ),
]

REFUSED = [
    pytest.param((), {}, [f"it takes one limit: {SIGNATURE}"], id="no-limit"),
    pytest.param((1, 2), {}, [f"it takes one limit: {SIGNATURE}"], id="two-limits"),
    pytest.param(
        (1,), {"limit": 2}, [f"it takes one limit: {SIGNATURE}"], id="limit-given-twice"
    ),
    pytest.param(("big",), {}, [f"'big' is not a size: {HINT}"], id="limit-no-size"),
    pytest.param((-1,), {}, [f"-1 is not a size: {HINT}"], id="limit-negative"),
    pytest.param((True,), {}, [f"True is not a size: {HINT}"], id="limit-bool"),
    pytest.param(
        (broken,),
        {},
        ["the function for the limit raised KeyError: 'columns'"],
        id="function-that-raises",
    ),
    pytest.param(
        (lambda _: "much",), {}, [f"'much' is not a size: {HINT}"], id="function-no-size"
    ),
    pytest.param(
        (1,),
        {"metric": "uss"},
        ["metric 'uss' is not one of rss, heap, python, tree"],
        id="metric",
    ),
    pytest.param(
        (1,),
        {"metric": None},
        ["metric None is not one of rss, heap, python, tree"],
        id="metric-none",
    ),
    pytest.param(
        (1,),
        {"phase": "run"},
        ["phase 'run' is not one of setup, call, teardown, all"],
        id="phase",
    ),
    pytest.param(
        (1,), {"threads": "mine"}, ["threads 'mine' is not one of all, current"], id="threads"
    ),
    pytest.param(
        (1,),
        {"threads": "current"},
        ["threads='current' needs metric='heap': no other metric knows threads"],
        id="threads-without-heap",
    ),
    pytest.param(
        (1,), {"stage": ""}, ["stage '' is not the name of a stage"], id="stage-empty"
    ),
    pytest.param(
        (1,), {"stage": "  "}, ["stage '  ' is not the name of a stage"], id="stage-blank"
    ),
    *(
        pytest.param(
            (1,),
            {"stage": "load", "phase": phase},
            ["stage goes without phase: its budget holds in whatever phase it runs"],
            id=f"stage-and-{phase}",
        )
        for phase in ("call", "setup", "all")
    ),
    pytest.param(
        (10**400,),
        {},
        [
            (
                f"1{'0' * 59}... (401 characters) is not a size, "
                f"it is 8 EiB (2**63 bytes) or more: {HINT}"
            )
        ],
        id="limit-beyond-floats",
    ),
    pytest.param(
        ("8388608 TB",),
        {},
        [f"'8388608 TB' is not a size, it is 8 EiB (2**63 bytes) or more: {HINT}"],
        id="limit-too-large",
    ),
    pytest.param(
        (1e-9,),
        {},
        [f"1e-09 is not a size, it is less than a byte: {HINT}"],
        id="limit-below-a-byte",
    ),
    pytest.param(
        (skips,),
        {},
        ["the function for the limit raised Skipped: not here"],
        id="function-that-skips",
    ),
    pytest.param((1,), {"stage": 5}, ["stage 5 is not the name of a stage"], id="stage-number"),
    pytest.param(
        (1,),
        {"warn": 80},
        ["warn: 80 is not a share of the budget: write one below 1, as 0.8 or '80%'"],
        id="warn",
    ),
    pytest.param(
        (1,), {"limits": 2}, [f"it has no argument 'limits': {SIGNATURE}"], id="misspelt"
    ),
    pytest.param(
        (1, 2),
        {
            "limit": 3,
            "metric": "uss",
            "phase": "run",
            "threads": "mine",
            "stage": "",
            "warn": 2,
            "strict": True,
        },
        [
            f"it takes one limit: {SIGNATURE}",
            "metric 'uss' is not one of rss, heap, python, tree",
            "phase 'run' is not one of setup, call, teardown, all",
            "threads 'mine' is not one of all, current",
            "stage '' is not the name of a stage",
            "warn: 2 is not a share of the budget: write one below 1, as 0.8 or '80%'",
            f"it has no argument 'strict': {SIGNATURE}",
        ],
        id="everything-wrong",
    ),
]


@pytest.mark.parametrize(("args", "kwargs", "expected"), ACCEPTED)
def test_budget_from_mark(args, kwargs, expected) -> None:
    """A marker's arguments become a budget that knows who set it."""
    assert expected == budget_from_mark(args, kwargs, {"rows": 3}, "the marker")


@pytest.mark.parametrize(("args", "kwargs", "problems"), REFUSED)
def test_bad_marker(args, kwargs, problems) -> None:
    """All arguments that make no sense are reported together."""
    with pytest.raises(ConfigError) as caught:
        budget_from_mark(args, kwargs, {"rows": 3}, "the marker")
    assert problems == list(caught.value.problems)


def test_function_without_parameters() -> None:
    """A limit that is a function says what it needs where a test has no parameters."""
    with pytest.raises(ConfigError) as caught:
        budget_from_mark((per_row,), {}, None, "the marker")
    assert str(caught.value) == (
        "a limit that is a function needs a parametrised test, whose parameters it gets"
    )


def test_function_cannot_change_the_parameters() -> None:
    """A limit that is a function gets a copy of the test's parameters."""
    params = {"rows": 3}
    budget_from_mark((lambda given: given.pop("rows"),), {}, params, "the marker")
    assert params == {"rows": 3}


def test_arguments_are_left_as_they_are() -> None:
    """The marker's own arguments can be read again for the next test."""
    kwargs = {"limit": 1, "metric": "heap"}
    budget_from_mark((), kwargs, None, "the marker")
    assert kwargs == {"limit": 1, "metric": "heap"}
