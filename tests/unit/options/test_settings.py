"""Tests of the settings: what each accepts, what it refuses, and where it came from."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.measurements import Budget
from pytest_memguard.model.past_runs import HistoryLocation
from pytest_memguard.option_table import BASELINE, OPTIONS
from pytest_memguard.options.parsing import StopAt
from pytest_memguard.options.settings import Pattern, Settings, default_budgets, resolve
from pytest_memguard.sizes import KIB, MIB

ACCEPTED = [
    pytest.param("mem", True, True, id="switch-by-flag"),
    pytest.param("mem", "True", True, id="switch-true"),
    pytest.param("mem", " yes ", True, id="switch-yes"),
    pytest.param("mem", "on", True, id="switch-on"),
    pytest.param("mem", 1, True, id="switch-one"),
    pytest.param("mem", "false", False, id="switch-false"),
    pytest.param("drill", "No", False, id="switch-no"),
    pytest.param("drill", "off", False, id="switch-off"),
    pytest.param("drill", "0", False, id="switch-zero"),
    pytest.param("off", "", False, id="switch-empty"),
    pytest.param("top", "3", 3, id="count-text"),
    pytest.param("top", 25, 25, id="count-number"),
    pytest.param("json", "out/memory.json", "out/memory.json", id="path"),
    pytest.param("markdown", "summary.md", "summary.md", id="path-markdown"),
    pytest.param("gitlab", "quality.json", "quality.json", id="path-gitlab"),
    pytest.param("github", "off", "off", id="github-off"),
    pytest.param("history", " a b ", HistoryLocation(text="a b"), id="history"),
    pytest.param("budget", "200", 200 * MIB, id="size-text"),
    pytest.param("budget", 1.5, 1536 * KIB, id="size-number"),
    pytest.param("budget", "0", 0, id="size-zero"),
    pytest.param("save", "false", None, id="file-off"),
    pytest.param("compare", False, None, id="file-switched-off"),
    pytest.param("compare", 0, None, id="file-zero"),
    pytest.param("compare", True, BASELINE, id="file-switched-on"),
    pytest.param("compare", "other.json", "other.json", id="file"),
    pytest.param("accept", ["#1.py::t"], ("#1.py::t",), id="no-comment-in-a-list"),
    pytest.param("leak_ignore", " a.* \n", ("a.*",), id="names"),
    pytest.param("warn", "80%", 0.8, id="share-percent"),
    pytest.param("warn", 0.8, 0.8, id="share-number"),
    pytest.param("warn", "0", 0, id="share-zero"),
    pytest.param("mode", "warn", "warn", id="mode"),
    pytest.param("isolate", "module", "module", id="isolate-module"),
    pytest.param("isolate", True, "test", id="isolate-true"),
    pytest.param("isolate", "off", "off", id="isolate-off"),
    pytest.param("flight_record", "workers", "workers", id="record-workers"),
    pytest.param("flight_record", True, "on", id="record-true"),
    pytest.param("flight_record", "no", "off", id="record-no"),
    pytest.param("parallel", "auto", "auto", id="parallel-auto"),
    pytest.param("parallel", "on", "auto", id="parallel-on"),
    pytest.param("parallel", True, "auto", id="parallel-true"),
    pytest.param("parallel", "no", None, id="parallel-no"),
    pytest.param("parallel", "0", None, id="parallel-zero"),
    pytest.param("parallel", 1, MIB, id="parallel-number"),
    pytest.param("parallel", "8 GB", 8192 * MIB, id="parallel-size"),
    pytest.param("parallel_order", "heavy", "heavy", id="parallel-order"),
    pytest.param("explain", "never", "never", id="explain-never"),
    pytest.param("explain", "rerun", "rerun", id="explain-rerun"),
    pytest.param("budgets", [], (), id="no-patterns"),
    pytest.param(
        "budgets",
        ["tests/unit/** = 50", "tests/big.py=1.5 GiB"],
        (
            Pattern(glob="tests/unit/**", limit=50 * MIB),
            Pattern(glob="tests/big.py", limit=1536 * MIB),
        ),
        id="patterns",
    ),
    pytest.param(
        "budgets",
        "a = 1\n\n  # a comment = 7\nb = 0\n",
        (Pattern(glob="a", limit=MIB), Pattern(glob="b", limit=0)),
        id="patterns-in-one-text",
    ),
    pytest.param(
        "budgets",
        ("test_a.py::test[x=1] = 2",),
        (Pattern(glob="test_a.py::test[x=1]", limit=2 * MIB),),
        id="equals-sign-in-a-pattern",
    ),
]

REFUSED = [
    pytest.param("mem", 1.0, "1.0 is neither true nor false", id="switch-float"),
    pytest.param("mem", [True], "[True] is neither true nor false", id="switch-list"),
    pytest.param("mem", "\uff11", "'\uff11' is neither true nor false", id="switch-full-width"),
    pytest.param("top", 3.0, "3.0 is not a number of tests", id="count-float"),
    pytest.param("top", "\uff13", "'\uff13' is not a number of tests", id="count-full-width"),
    pytest.param(
        "confirm",
        "-1",
        "'-1' is not a number of measurements: write a whole number from 0",
        id="count-from-0",
    ),
    pytest.param(
        "confirm", "\uff11", "'\uff11' is not a number of measurements", id="times-full-width"
    ),
    pytest.param(
        "confirm", 10**10, "10000000000 is not a number of measurements", id="times-too-large"
    ),
    *(
        pytest.param(name, value, f"{value!r} is not the path of a file: {remedy}", id=id_)
        for name, value, remedy, id_ in [
            ("json", True, "write it as a text", "path-bool"),
            ("markdown", 5, "write it as a text", "path-number"),
            ("gitlab", ["a"], "write it as a text", "path-list"),
            ("baseline", 1.5, "write it as a text", "path-float"),
            ("json", "true", "write one (./true, if that is its name)", "path-true"),
            ("history", " Off ", "write one (./Off, if that is its name)", "place-off"),
            ("history", True, "write it as a text", "place-bool"),
            ("compare", 5, "write it as a text", "file-number"),
            ("save", ["a"], "write it as a text", "file-list"),
        ]
    ),
    *(
        pytest.param(
            name,
            value,
            "it is empty: write the path of a file, or true for the one of mem_baseline",
            id=f"file-{id_}",
        )
        for name, value, id_ in [("save", "", "empty"), ("compare", " ", "blank")]
    ),
    pytest.param(
        "leak_stop_at",
        "0",
        "in '0', '0' would stop every leak check at once: write a size above 0 ('256 MB')",
        id="no-memory-for-a-leak",
    ),
    pytest.param("fail_on", [""], "'' is no rule, it is empty: write peak:10%", id="no-rule"),
    pytest.param("fail_on", ["  "], "'  ' is no rule, it is empty: ", id="blank-rule"),
    pytest.param("fail_on", [5], "5 is no rule, it is not a text: ", id="rule-number"),
    pytest.param("fail_on", 5, "5 is not a list of rules", id="rules-number"),
    pytest.param("accept", [""], "'' is not a pattern: write a node id", id="accept-empty"),
    pytest.param("accept", ["test_a.py::t[1"], "'test_a.py::t[1' is not", id="accept-bracket"),
    pytest.param("leak_ignore", ["  "], "'  ' is not a pattern: ", id="ignore-blank"),
    pytest.param("leak_ignore", [3], "3 is not a pattern: ", id="ignore-number"),
    pytest.param("leak_ignore", ["[a"], "'[a' is not a pattern: ", id="ignore-bracket"),
    pytest.param("budgets", [" "], "' ' is not a line 'PATTERN = SIZE'", id="blank-line"),
    pytest.param("budgets", [5], "5 is not a line 'PATTERN = SIZE'", id="line-number"),
    pytest.param(
        "budgets",
        ["test_a.py::t[1 = 5"],
        "in the line 'test_a.py::t[1 = 5', 'test_a.py::t[1' is not a pattern of node ids: "
        "close its bracket",
        id="pattern-with-an-open-bracket",
    ),
    pytest.param(
        "budgets",
        ["a = 8388608 TB"],
        "in the line 'a = 8388608 TB', '8388608 TB' is not a size, it is 8 EiB (2**63 bytes)",
        id="pattern-with-too-large-a-size",
    ),
    pytest.param("mem", "maybe", "'maybe' is neither true nor false", id="switch"),
    pytest.param(
        "top", "0", "'0' is not a number of tests: write a whole number from 1", id="count-zero"
    ),
    pytest.param("top", "-1", "'-1' is not a number of tests", id="count-negative"),
    pytest.param("top", "1.5", "'1.5' is not a number of tests", id="count-fraction"),
    pytest.param("top", "", "'' is not a number of tests", id="count-empty"),
    pytest.param("top", True, "True is not a number of tests", id="count-bool"),
    pytest.param("history", " ", "it is empty: write the path of a file", id="place-blank"),
    pytest.param("json", " ", "it is empty: write the path of a file", id="path-blank"),
    pytest.param("budget", "10 bananas", "'10 bananas' is not a size", id="size"),
    pytest.param("warn", "80", "'80' is not a share of the budget", id="share"),
    pytest.param("mode", "ignore", "'ignore' is not one of fail, warn", id="mode"),
    pytest.param("explain", "later", "'later' is not one of next, rerun, never", id="explain"),
    pytest.param("budgets", 5, "5 is not a list of lines 'PATTERN = SIZE'", id="no-lines"),
    pytest.param("budgets", ["a"], "'a' is not a line 'PATTERN = SIZE'", id="no-equals"),
    pytest.param("budgets", ["= 5"], "'= 5' is not a line 'PATTERN = SIZE'", id="no-glob"),
    pytest.param(
        "budgets", ["a ="], "in the line 'a =', '' is not a size", id="pattern-without-size"
    ),
    pytest.param(
        "budgets", ["a = x"], "in the line 'a = x', 'x' is not a size", id="pattern-with-word"
    ),
]


@pytest.mark.parametrize(("name", "written", "value"), ACCEPTED)
def test_accepted(name, written, value) -> None:
    """What users write for a setting becomes its value, and nothing else changes."""
    settings = resolve({name: (written, "source")})
    assert (
        dataclasses.replace(Settings(), **{name: value}, sources={name: "source"}) == settings
    )


@pytest.mark.parametrize(("name", "written", "problem"), REFUSED)
def test_refused(name, written, problem) -> None:
    """A value that makes no sense is refused with its source before the reason."""
    with pytest.raises(ConfigError) as caught:
        resolve({name: (written, "pytest.ini")})
    assert str(caught.value).startswith(f"pytest.ini: {problem}")


def test_all_problems_at_once() -> None:
    """Everything that is wrong is reported together, each with its own source."""
    with pytest.raises(ConfigError) as caught:
        resolve(
            {
                "mode": ("ignore", "--mem-budget-mode"),
                "budget": ("5", "--mem-budget"),
                "budgets": (["a", "b = c", "d = 1"], "mem_budgets in tox.ini"),
            }
        )
    assert [problem.split(": write")[0] for problem in caught.value.problems] == [
        "--mem-budget-mode: 'ignore' is not one of fail, warn",
        "mem_budgets in tox.ini: 'a' is not a line 'PATTERN = SIZE'",
        "mem_budgets in tox.ini: in the line 'b = c', 'c' is not a size",
    ]


def test_nothing_given() -> None:
    """Without any setting, everything is at its default."""
    assert Settings() == resolve({})


@pytest.mark.parametrize(
    ("given", "reruns"),
    [
        pytest.param({"parallel": ("auto", "--mem-parallel")}, "--mem-parallel", id="parallel"),
        pytest.param({"rerun_killed": (True, "the flag")}, "the flag", id="switched-on"),
        pytest.param(
            {"parallel": ("auto", "--mem-parallel"), "rerun_killed": ("false", "the ini key")},
            "",
            id="switched-off",
        ),
        pytest.param({"parallel": ("false", "mem_parallel")}, "", id="not-parallel"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_parallel_runs_repeat_killed_tests(given, reruns) -> None:
    """Tests that were killed for memory run once more where tests share it, by default."""
    assert reruns == resolve(given).reruns_killed


def test_every_option_has_a_setting_and_a_parser() -> None:
    """The table of options, the parsers and the fields of the settings are the same list."""
    written = {"switch": "true", "text": "1", "lines": [], "file": "a.json", "list": []}
    given = {
        option.name: ((option.choices or (written[option.kind],))[0], option.name)
        for option in OPTIONS
    }
    given.update({name: ("0.5", name) for name in ("warn", "tracker_share", "confirm_share")})
    given["parallel"] = ("auto", "parallel")
    given.update(
        {name: ("a.json", name) for name in ("json", "markdown", "gitlab", "baseline")}
    )
    assert set(given) == set(resolve(given).sources)
    assert {option.name for option in OPTIONS} == {
        field.name for field in dataclasses.fields(Settings)
    } - {"sources"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_options_can_be_reached(option) -> None:
    """Every option has a flag or an ini key, and a sentence that says what it does."""
    assert option.flag or option.ini
    assert option.help.endswith(".")


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"mem": True}, True, id="mem"),
        pytest.param({"json": "m.json"}, True, id="json"),
        pytest.param({"markdown": "m.md"}, True, id="markdown"),
        pytest.param({"gitlab": "q.json"}, True, id="gitlab"),
        pytest.param({"github": "auto"}, False, id="github-alone"),
        pytest.param({"budget": 1}, True, id="budget"),
        pytest.param({"history": HistoryLocation(text="h")}, True, id="history"),
        pytest.param({"budgets": (Pattern(glob="a", limit=0),)}, True, id="patterns"),
        pytest.param({"drill": True}, True, id="drill"),
        pytest.param({"mem": True, "budget": 1, "off": True}, False, id="off"),
        pytest.param({"warn": 0.5, "mode": "warn", "top": 3}, False, id="details-alone"),
    ],
)
def test_asked_for(values, asked) -> None:
    """A run measures if a setting wants a number or has a limit, unless it is off."""
    assert asked is Settings(**values).asked_for


@pytest.mark.parametrize(
    ("name", "where"),
    [("budget", "--mem-budget"), ("warn", "the default")],
    ids=["set", "not-set"],
)
def test_where(name, where) -> None:
    """A setting remembers its source; one that the user did not make is a default."""
    assert where == Settings(sources={"budget": "--mem-budget"}).where(name)


@pytest.mark.parametrize(
    ("values", "budgets"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"warn": 0.5}, (), id="share-of-nothing"),
        pytest.param(
            {"budget": 7, "warn": 0.5, "sources": {"budget": "--mem-budget"}},
            (Budget(limit=7, where="--mem-budget", warn=0.5),),
            id="limit-and-share",
        ),
    ],
)
def test_default_budgets(values, budgets) -> None:
    """A default budget holds for the call's resident memory, with the share to warn at."""
    assert budgets == tuple(default_budgets(Settings(**values)))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("leak_check", "all", "all"),
        ("leak_check", "marked", "marked"),
        ("leak_check", "true", "all"),
        ("leak_check", "no", "marked"),
        ("leak_check", True, "all"),
        ("leak_strict", "on", True),
        ("leak_accept", True, True),
        ("leak_blame", "fork", "fork"),
        ("leak_tolerance", "100", 100),
        ("leak_tolerance", 100, 100),
        ("leak_tolerance", "2 KB", 2048),
        ("leak_ignore", "a\n  # b\n\n c.d ", ("a", "c.d")),
        ("leak_ignore", ["a", " b "], ("a", "b")),
        ("leak_calls", "50", 50),
        ("leak_seconds", "0.5", 0.5),
        ("leak_seconds", 3, 3.0),
        ("leak_stop_at", "10", StopAt(memory=10 * MIB)),
        ("leak_stop_at", "1 GiB, 7 files", StopAt(memory=1024 * MIB, files=7)),
        ("leak_stop_at", "8threads,7 files", StopAt(files=7, threads=8)),
        ("leak_stop_at", 5, StopAt(memory=5 * MIB)),
    ],
)
def test_settings_of_the_leak_check(name, value, expected) -> None:
    """Settings of the leak check are parsed; a bare tolerance is bytes."""
    assert expected == getattr(resolve({name: (value, "the test")}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leak_check", "some"),
        ("leak_strict", "perhaps"),
        ("leak_blame", "there"),
        ("leak_tolerance", "-1"),
        ("leak_tolerance", "many"),
        ("leak_ignore", 3),
        ("leak_calls", "0"),
        ("leak_calls", "1e3"),
        ("leak_seconds", "0"),
        ("leak_seconds", "inf"),
        ("leak_seconds", "soon"),
        ("leak_seconds", "1_000"),
        ("leak_seconds", "\uff11"),
        ("leak_seconds", "1e300"),
        ("leak_seconds", True),
        ("leak_seconds", -1),
        ("leak_stop_at", "x"),
        ("leak_stop_at", 0),
        ("leak_stop_at", "0 MB"),
        ("leak_stop_at", "0 files"),
        ("leak_stop_at", "0 threads"),
        ("leak_stop_at", "-1 files"),
        ("leak_stop_at", "threads"),
        ("leak_stop_at", "5 MB, 6 MB"),
        ("leak_stop_at", ["5 MB"]),
    ],
)
def test_bad_settings_of_the_leak_check(name, value) -> None:
    """Settings that make no sense are reported with their source and value."""
    with pytest.raises(ConfigError) as caught:
        resolve({name: (value, "the test")})
    (problem,) = caught.value.problems
    assert problem.startswith("the test: ")
    assert repr(value) in problem


@pytest.mark.parametrize("value", ["0 threads", "0threads"])
def test_what_a_leak_may_use_up_is_quoted_without_blanks(value) -> None:
    """The message quotes the number as it would be written alone."""
    with pytest.raises(ConfigError, match="'0' is not a number of threads"):
        resolve({"leak_stop_at": (value, "the test")})


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        (Settings(leak_check="all"), True),
        (Settings(leak_check="all", off=True), False),
        (Settings(leak_strict=True, leak_ignore=("a",)), False),
    ],
)
def test_a_leak_check_of_all_is_asked_for(settings, asked) -> None:
    """The flag alone sets the plugin going; the other settings of the check do not."""
    assert settings.asked_for == asked
