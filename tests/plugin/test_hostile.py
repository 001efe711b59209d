"""Names and texts that would be lines, commands or broken characters in what a run writes."""

from __future__ import annotations

import json

import pytest

from pytest_memguard.cli import main

XDIST = ["xdist.plugin"]
STAGES = r"""
    import pytest

    NAMES = [
        "a\n::error::boo",
        "::error::boo",
        "b\r::error::boo",
        "c\u2028::error::boo",
        "\x1b[31mred",
        "\u202eturned",
        "half \udc80 a character",
        "```\n::error::boo",
        "p|i|p|e",
        "##[error]boo",
    ]

    @pytest.mark.parametrize("number", range(len(NAMES)))
    def test_it(number, memguard):
        with memguard.stage(NAMES[number]):
            bytearray(9 << 20)

    @pytest.mark.mem_budget("2 MB", stage=NAMES[0])
    def test_over(memguard):
        with memguard.stage(NAMES[0]):
            bytearray(9 << 20)

    @pytest.mark.mem_budget("10 MB", stage=NAMES[6], warn=0.5, metric="python")
    def test_near(memguard):
        with memguard.stage(NAMES[6]):
            bytearray(9 << 20)

    @pytest.mark.mem_budget("10 MB", stage=NAMES[0])
    def test_not_run():
        pass

    @pytest.mark.mem_no_leak_check(NAMES[0])
    def test_left_out():
        pass

    CALLS = []

    def test_undecided():
        CALLS.append(None)
        if len(CALLS) > 2:
            raise ValueError(NAMES[0] + NAMES[6])
"""
PARAMETERS = r"""
    import pytest

    @pytest.mark.parametrize("p", ["a\n::error::boo", "::error::boo", "\x1b[31m", "\u2028::x"])
    @pytest.mark.mem_budget(3)
    def test_it(p):
        bytearray(9 << 20)
"""
RAW = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support"


def commands(text) -> list[str]:
    """Lines that GitHub takes for a command."""
    lines = [line for part in text.split("\n") for line in part.splitlines() or [part]]
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def assert_harmless(text) -> None:
    """Check that an output commands nothing and has no signs that a terminal obeys."""
    text.encode("utf-8")
    assert commands(text) == []
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.fixture
def report(run, pytester):
    """Run tests with a flag for everything that is written; what the terminal got of it."""

    def report(source, *flags, **options):
        wants = ["--mem", "--mem-top=20", "--mem-json=run.json", "--mem-markdown=run.md"]
        wants += ["--mem-gitlab=run.gitlab", "--mem-history", "-p", "no:warnings"]
        result = run(source, *wants, *flags, **options)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert "INTERNALERROR" not in result.stdout.str()
        return result

    yield report
    for name in ("run.md", "run.gitlab"):
        text = (pytester.path / name).read_text(encoding="utf-8")
        assert_harmless(text)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["here", "xdist"])
def test_stages(report, pytester, capsys, workers) -> None:
    """A stage's name and an exception's text are one line each, in every output."""
    result = report(STAGES, "--mem-leak-check", *workers, plugins=XDIST)
    lines = result.stdout.str()
    # what pytest prints itself is what the test has written
    assert_harmless(lines)
    names = {
        stage["path"]
        for test in json.loads((pytester.path / "run.json").read_text())["tests"]
        for stage in test["stages"]
    }
    assert {"a\n::error::boo", "half \udc80 a character"} <= names
    result.stdout.fnmatch_lines(
        [r"a\n::error::boo *", r"\x3a:error::boo *", r"*half \udc80 a character*"]
    )
    capsys.readouterr()
    for arguments in (
        ["report", "run.json"],
        ["report", "run.json", "--markdown"],
        ["report", "run.json", "--tsv"],
        ["export", "run.json", "--format=csv"],
        ["export", "run.json", "--format=openmetrics"],
        ["compare", "run.json", "run.json"],
        ["history", "test_it"],
    ):
        assert main(arguments) in {0, 1}
        assert_harmless(capsys.readouterr().out)


def test_warnings(run) -> None:
    """A warning is one line, with a stage of any name."""
    result = run(STAGES, "-k", "near", "-n", "1", plugins=XDIST)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([r"*MemoryBudgetWarning: *'half \udc80 a character' *"])


def test_baseline(run, pytester) -> None:
    """A baseline keeps stages of any name, and a comparison prints them on one line."""
    run(STAGES, "--mem-save", "--mem-confirm=0", "-k", "test_it")
    path = pytester.path / ".memguard/baseline.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    (tests,) = (part["tests"] for part in data["environments"] if part["metric"] == "rss")
    assert tests["test_it.py::test_it[0]"]["stages"][0][0] == "a\n::error::boo"
    for test in tests.values():
        test["peak_kib"] = 1
        test["stages"] = [[stage[0], 1, 1] for stage in test.get("stages", [])]
    path.write_text(json.dumps(data), encoding="utf-8")
    result = run(None, "--mem-compare", "--mem-confirm=0", "-k", "test_it")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert_harmless(result.stdout.str())


def test_parameters(report, pytester, monkeypatch, capsys) -> None:
    """So are parameters, where pytest is set to leave them as they are."""
    pytester.makeini(f"[pytest]\n{RAW} = true\n")
    result = report(PARAMETERS, "--no-summary", "--tb=no", "--no-header")
    section = result.stdout.str().partition("= memory =")[2]
    assert_harmless(section)
    result.stdout.fnmatch_lines([r" *.? * test_it.py::test_it[[]a\n::error::boo[]]"])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    result = report(None, "--no-summary", "--tb=no", "--no-header")
    found = commands(result.stdout.str())
    assert len(found) == 4
    assert all(line.startswith("::error file=test_it.py,line=") for line in found)
    monkeypatch.delenv("GITHUB_ACTIONS")
    capsys.readouterr()
    for form in ("tsv", "csv", "openmetrics", "bencher", "gitlab"):
        assert main(["export", "run.json", f"--format={form}"]) == 0
        assert_harmless(capsys.readouterr().out)
    assert main(["history", "test_it"]) == 0
    assert_harmless(capsys.readouterr().out)


def test_usage_errors(pytester, run):
    """A node id with a line break is one line where its marker makes no sense."""
    pytester.makeini(
        "[pytest]\n"
        "disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    result = run(
        r"""
        import pytest

        @pytest.mark.mem_budget("x")
        @pytest.mark.parametrize("name", ["a"], ids=["a\n::error::boo"])
        def test_it(name):
            pass
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str() + result.stdout.str()
    assert "::error::boo" in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
