"""Leaks that do not fail: accepted before, or ignored by a pattern; and the file of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugin.leaky import JSON, KEEP

FLAGS = ("--mem-leak-check", "--mem-leak-calls=120")
LEAK = (
    KEEP
    + """
    def test_leak():
        keep()

    def test_clean():
        pass
"""
)
OTHER = """
    MORE = []

    def test_other():
        MORE.append([object() for _ in range(30)])
"""
FILE = ".memguard/leaks.json"


def test_accepted_leaks_are_known_afterwards(pytester, run, written):
    """Accepted leaks pass from then on and are counted; new ones fail; gone ones are told."""
    result = run(LEAK, *FLAGS, "--mem-leak-accept")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "2 tests checked for leaks: 1 clean, 1 leaking (1 of them accepted); *",
            "leaking: *; accepted in this run (--mem-leak-accept)",
            "1 leak accepted: */.memguard/leaks.json",
        ]
    )
    text = (pytester.path / FILE).read_text(encoding="utf-8")
    kept = json.loads(text)
    assert kept["format"] == 1
    (entry,) = kept["leaks"]
    assert entry["holder"] == "test_it.KEPT"
    assert entry["line"] == "test_it.py: made"
    assert entry["tests"] == ["test_it.py::test_leak"]

    result = run(LEAK + OTHER, *FLAGS, JSON)
    result.assert_outcomes(passed=2, failed=1)
    name = entry["fingerprint"]
    result.stdout.fnmatch_lines(
        [
            "3 tests checked for leaks: 1 clean, 2 leaking (1 of them accepted); *",
            f"leaking: {name}, 1 test: *; known leak {name} (.memguard/leaks.json)",
            "FAILED test_it.py::test_other - LeakDetected: *",
        ]
    )
    assert written()["test_leak"]["leak"]["accepted"].startswith("known leak")
    assert (pytester.path / FILE).read_text(encoding="utf-8") == text

    result = run(LEAK + OTHER, *FLAGS, "--mem-leak-accept")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["1 leak accepted: *"])
    more = json.loads((pytester.path / FILE).read_text(encoding="utf-8"))["leaks"]
    assert [leak["holder"] for leak in more] == ["test_it.KEPT", "test_it.MORE"]
    assert entry in more

    mended = (LEAK + OTHER).replace("MORE.append", "len").replace("KEPT.append", "len")
    result = run(mended, *FLAGS, "--mem-leak-accept")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines_random(
        [
            "known, but not seen in this run: *test_it.KEPT*",
            "known, but not seen in this run: *test_it.MORE*",
            "no new leaks to accept",
        ]
    )


def test_accepting_in_several_processes(pytester, run):
    """The file is written once, by the process that talks to the user."""
    result = run(LEAK, *FLAGS, "--mem-leak-accept", "-n2", plugins=["xdist.plugin"])
    result.assert_outcomes(passed=2)
    assert len(json.loads((pytester.path / FILE).read_text(encoding="utf-8"))["leaks"]) == 1
    result = run(LEAK, *FLAGS, "-n2", plugins=["xdist.plugin"])
    result.assert_outcomes(passed=2)


def test_nothing_to_accept(pytester, run):
    """Without a leak there is no file."""
    result = run("def test_it(): pass", *FLAGS, "--mem-leak-accept")
    result.stdout.fnmatch_lines(["no new leaks to accept"])
    assert not (pytester.path / ".memguard").exists()


BROKEN = [
    pytest.param("no JSON", (), "is no file that --mem-leak-accept wrote", id="no-json"),
    pytest.param(
        '{"format": 2, "leaks": [{"new": 1}]}',
        ("--mem-leak-accept",),
        "has format 2, this version reads format 1",
        id="newer-and-to-be-written",
    ),
]


@pytest.mark.parametrize(("text", "flags", "problem"), BROKEN)
def test_a_file_that_cannot_be_read(pytester, run, text, flags, problem):
    """A broken or newer file stops the run before the first test, and stays as it is."""
    (pytester.mkdir(".memguard") / "leaks.json").write_text(text, encoding="utf-8")
    result = run("def test_it(): open('ran', 'w')", *FLAGS, *flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert f"leaks.json {problem}" in said
    assert "INTERNALERROR" not in said
    assert not (pytester.path / "ran").exists()
    assert (pytester.path / FILE).read_text(encoding="utf-8") == text


def test_a_broken_file_stops_only_who_checks_for_leaks(pytester, run):
    """A run that checks nothing for leaks leaves a broken file alone, and passes."""
    (pytester.mkdir(".memguard") / "leaks.json").write_text("no JSON", encoding="utf-8")
    result = run(
        """
        def test_budget(memguard):
            memguard.measure

        def test_leak(memguard):
            memguard.check_leaks(keep)

        def keep():
            KEPT.append([1])

        KEPT = []
        """,
        "--mem",
        "-rf",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["/*leaks.json is no file that --mem-leak-accept wrote *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_broken_file_and_markers_alone(pytester, run):
    """A marker without any flag finds the broken file before the first test, too."""
    (pytester.mkdir(".memguard") / "leaks.json").write_text("no JSON", encoding="utf-8")
    result = run(
        """
        import pytest

        @pytest.mark.mem_leak_check
        def test_it():
            open("ran", "w")
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "ran").exists()


def test_a_file_that_cannot_be_written(pytester, run):
    """Where the file cannot be written, the run says so and does not end well."""
    (pytester.path / ".memguard").write_text("no folder", encoding="utf-8")
    result = run(LEAK, *FLAGS, "--mem-leak-accept")
    said = result.stdout.str() + result.stderr.str()
    assert result.ret != pytest.ExitCode.OK
    assert ".memguard" in said
    assert "INTERNALERROR" not in said


HELPER = """
    class Request:
        pass

    class Registry:
        def __init__(self):
            self.requests = []

        def put(self):
            self.requests.append([made() for _ in range(20)])

    def made():
        return Request()

    REGISTRY = Registry()
"""


@pytest.fixture
def app(pytester: pytest.Pytester) -> Path:
    """A package with a module that leaks."""
    folder = pytester.mkpydir("app")
    (folder / "helper.py").write_text("\n".join(HELPER.splitlines()).replace("\n    ", "\n"))
    pytester.syspathinsert()
    return folder


IGNORED = {
    "function": "made",
    "folder": "app/*",
    "type": "app.helper.Request",
    "holder": "*.REGISTRY*",
    "list": ["nothing", "app/*"],
    "tuple": ("*REGISTRY*",),
    "module": "helper",  # without its package
}
OTHERS = {"method": "put", "package": "app"}


@pytest.mark.usefixtures("app")
def test_ignored_by_the_marker(run, written):
    """A pattern of the marker lets the leak of its test pass; it fits whole names alone."""
    tests = "".join(
        f"""
    @pytest.mark.mem_leak_check(ignore={ignore!r})
    def test_{name}():
        REGISTRY.put()
"""
        for name, ignore in {**IGNORED, **OTHERS}.items()
    )
    head = "import pytest\n    from app.helper import REGISTRY\n"
    result = run(f"\n    {head}{tests}", "--mem-leak-calls=120", JSON)
    result.assert_outcomes(passed=len(IGNORED), failed=len(OTHERS))
    accepted = {name: test["leak"]["accepted"] for name, test in written().items()}
    for name, ignore in IGNORED.items():
        pattern = ignore if isinstance(ignore, str) else ignore[-1]
        assert accepted[f"test_{name}"] == f"the marker's ignore has the pattern {pattern!r}"
    for name in OTHERS:
        assert accepted[f"test_{name}"] == ""


@pytest.mark.usefixtures("app")
def test_ignored_by_the_config_file(pytester, run):
    """A pattern of mem_leak_ignore lets a leak pass, and the report says which one did."""
    pytester.makeini("[pytest]\nmem_leak_ignore =\n    # not ours\n    nothing\n    app/*\n")
    source = """
        from app.helper import REGISTRY

        def test_it():
            REGISTRY.put()
    """
    result = run(source, *FLAGS)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "1 test checked for leaks: 0 clean, 1 leaking (1 of them accepted); *",
            "leaking: *; mem_leak_ignore has the pattern 'app/[*]'",
        ]
    )


def test_items_that_the_check_of_another_test_has_left(run):
    """A test that keeps something in each of them alone names the test that has left them."""
    source = """
        SUBSCRIBERS = []

        def notify(event):
            for subscriber in SUBSCRIBERS:
                subscriber(event)

        def test_a():
            log = []
            SUBSCRIBERS.append(log.append)

        def test_b():
            notify(object())
    """
    result = run(source, *FLAGS)
    result.assert_outcomes(failed=2)
    note = "left something in test_it.SUBSCRIBERS, which may be why."
    text = f"Note: each of * calls in the leak check of test_it.py::test_a {note}"
    result.stdout.fnmatch_lines([text])
