"""What CI services read: summary and annotations on GitHub, Markdown and GitLab files."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

SUITE = """
    import pytest

    @pytest.mark.mem_budget(20)
    def test_over():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(40, warn=0.5)
    def test_near():
        bytearray(30 << 20)

    @pytest.mark.xfail
    @pytest.mark.mem_budget(20)
    def test_expected():
        bytearray(30 << 20)

    def test_plain():
        pass
"""
PLAIN = "def test_it():\n    pass"
OVER = (
    "::error file=test_it.py,line=4,title=over-budget%3A test_it.py%3A%3Atest_over::peak RSS *"
)
NEAR = "::warning file=test_it.py,line=8,title=near-budget%3A test_it.py%3A%3Atest_near::peak *"


@pytest.fixture
def run(run, monkeypatch):
    """Every run is a process of its own, which does not know that a test has started it."""

    def run_alone(*arguments, current="", **options) -> pytest.RunResult:
        monkeypatch.setenv("PYTEST_CURRENT_TEST", current)
        return run(*arguments, **options)

    return run_alone


@pytest.fixture
def github(pytester, run, monkeypatch):  # noqa: ARG001  "run" clears these variables
    """The summary of a step on GitHub Actions, which this run is made to believe it is."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    return pytester.path / "summary.md"


def commands(result: pytest.RunResult) -> list[str]:
    """The workflow commands of a run."""
    return [line for line in result.outlines if line.startswith("::")]


def test_findings_become_annotations(github, run):
    """Markers alone are enough: findings are annotated, and the summary has them."""
    result = run(SUITE)
    result.assert_outcomes(passed=2, failed=1, xfailed=1, warnings=1)
    result.stdout.fnmatch_lines([OVER, NEAR])
    assert len(commands(result)) == 2
    text = github.read_text(encoding="utf-8")
    assert text.startswith("## Memory: 1 over budget, 0 regressions, 0 leaking, 1 warning\n")
    assert "| **fails** | `test_it.py::test_over` | peak RSS " in text
    assert "| warns | `test_it.py::test_near` | peak RSS " in text


def test_the_summary_is_appended(github, run):
    """What other steps have written stays, and each run adds its own."""
    github.write_text("What was there.\n", encoding="utf-8")
    run(SUITE, "--mem")
    run(SUITE, "--mem")
    text = github.read_text(encoding="utf-8")
    assert text.startswith("What was there.\n\n## Memory: 4 tests, 1 over budget")
    assert text.count("## Memory: 4 tests") == 2


def test_workers_do_not_publish(github, run):
    """With pytest-xdist the controller alone writes, once."""
    result = run(SUITE, "-n", "2", "--mem", plugins=["xdist.plugin"])
    result.stdout.fnmatch_lines([OVER, NEAR])
    assert len(commands(result)) == 2
    assert github.read_text(encoding="utf-8").count("## Memory") == 1


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        pytest.param(["--no-mem"], {}, id="switched-off"),
        pytest.param(["--mem", "--mem-github=off"], {}, id="option-off"),
        pytest.param(["--mem", "-o", "mem_github=off"], {}, id="ini-off"),
        pytest.param(["--mem"], {"GITHUB_ACTIONS": "false"}, id="elsewhere"),
    ],
)
def test_nothing_is_published(github, run, monkeypatch, flags, environment):
    """Neither summary nor annotations where they were switched off or are not ours to make."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run(SUITE, *flags)
    assert commands(result) == []
    assert not github.exists()


def test_runs_inside_of_tests(github, run):
    """A run that a test has started is not what the job is about."""
    result = run(SUITE, "--mem", current="test_outer.py::test_it (call)")
    assert commands(result) == []
    assert not github.exists()


def test_runs_that_do_not_use_memguard(github, run):
    """A run in which nobody asked for memory checks adds nothing."""
    result = run(PLAIN)
    result.assert_outcomes(passed=1)
    assert commands(result) == []
    assert not github.exists()


def test_a_summary_that_cannot_be_written(github, run):
    """That is one line, and no failure of the tests."""
    github.mkdir()
    result = run(PLAIN, "--mem")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["the job's summary was not written: * it is a folder, not a regular file: *"]
    )


def test_a_summary_that_is_full(github, run):
    """GitHub drops a summary that is too long, so nothing is added to a full one."""
    github.write_bytes(b"x" * (1024 * 1024 - 100))
    result = run(PLAIN, "--mem")
    result.stdout.fnmatch_lines(["the job's summary is full: nothing of ours was added"])
    assert github.stat().st_size == 1024 * 1024 - 100


def test_a_summary_with_little_room(github, run):
    """What does not fit behind what is there is cut, and the whole keeps within the limit."""
    github.write_bytes(b"x" * (1024 * 1024 - 5000))
    source = """
        import pytest

        @pytest.mark.parametrize("n", range(200))
        def test_it(n):
            pass
    """
    run(source, "--mem", "--mem-top=200")
    assert github.stat().st_size <= 1024 * 1024
    assert github.read_text(encoding="utf-8").endswith(" bytes.*\n")


def test_no_place_for_a_summary(github, run, monkeypatch):
    """Annotations do not need a summary."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    run(SUITE).stdout.fnmatch_lines([OVER])
    assert not github.exists()


@pytest.mark.parametrize(
    "variable",
    [
        pytest.param("GITHUB_WORKSPACE", id="github"),
        pytest.param("CI_PROJECT_DIR", id="gitlab"),
        pytest.param(None, id="git"),
    ],
)
@pytest.mark.usefixtures("github")
def test_paths_start_at_the_repository(pytester, run, monkeypatch, variable):
    """Where pytest's root is a folder of the repository, paths have that folder."""
    if variable is None:
        pytester.mkdir(".git")
    else:
        monkeypatch.setenv(variable, str(pytester.path))
    folder = pytester.path / "services/api"
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]", encoding="utf-8")
    source = "def test_it():\n    bytearray(30 << 20)"
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    result = run(None, "services/api", "--mem-budget=20", "--mem-gitlab=quality.json")
    result.stdout.fnmatch_lines(["::error file=services/api/test_it.py,line=1,*"])
    (entry,) = json.loads((pytester.path / "quality.json").read_text(encoding="utf-8"))
    assert entry["location"]["path"] == "services/api/test_it.py"


@pytest.mark.usefixtures("github")
def test_a_workspace_elsewhere(pytester, run, monkeypatch):
    """A workspace that pytest's root is not in changes no path."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.mkdir("other")))
    run(SUITE).stdout.fnmatch_lines([OVER])


def test_markdown_file(pytester, run):
    """--mem-markdown measures every test and writes the summary; there is no other output."""
    result = run(SUITE, "--mem-markdown=deep/er/summary.md")
    result.stdout.fnmatch_lines(["Markdown summary: */deep/er/summary.md"])
    assert commands(result) == []
    text = (pytester.path / "deep/er/summary.md").read_text(encoding="utf-8")
    assert text.startswith("## Memory: 4 tests, 1 over budget, ")
    assert " | `test_it.py::test_plain` |" in text


def test_gitlab_file(pytester, run):
    """--mem-gitlab writes every finding with its test's place, and no expected failure."""
    result = run(SUITE, "--mem-gitlab=quality.json")
    result.stdout.fnmatch_lines(["code quality report: */quality.json"])
    data = json.loads((pytester.path / "quality.json").read_text(encoding="utf-8"))
    assert [
        (
            entry["check_name"],
            entry["severity"],
            entry["location"]["path"],
            entry["location"]["lines"]["begin"],
        )
        for entry in data
    ] == [
        ("memguard/over-budget", "major", "test_it.py", 4),
        ("memguard/near-budget", "minor", "test_it.py", 8),
    ]


def test_gitlab_file_without_findings(pytester, run):
    """Without findings the file is an empty list, so that GitLab forgets the last ones."""
    pytester.makeini("[pytest]\nmem_gitlab = quality.json")
    run(PLAIN).assert_outcomes(passed=1)
    assert (pytester.path / "quality.json").read_text(encoding="utf-8") == "[]\n"


@pytest.mark.parametrize("flag", ["--mem-markdown", "--mem-gitlab"])
def test_paths_that_cannot_be_written(pytester, run, flag):
    """A path that cannot be written is a usage error before the first test."""
    pytester.mkdir("folder")
    result = run("def test_it():\n    open('it_ran', 'w').close()", f"{flag}=folder")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: memguard: {flag}: cannot write folder: *"])
    assert not (pytester.path / "it_ran").exists()


@pytest.mark.parametrize("flag", ["--mem-markdown", "--mem-gitlab"])
def test_paths_that_vanish(run, flag):
    """A file that cannot be written in the end is told, and the run does not count as good."""
    source = """
        import os

        def test_it():
            os.rmdir("folder")
            open("folder", "w").close()
    """
    result = run(source, f"{flag}=folder/out")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*/folder/out could not be written: *"])


@pytest.mark.parametrize("flags", [(), ("--collect-only",)])
def test_a_run_of_no_tests_replaces_nothing(pytester, run, flags):
    """A file of an earlier run stays where no test ran."""
    path = pytester.path / "quality.json"
    path.write_text("before", encoding="utf-8")
    run("import pytest" if not flags else PLAIN, f"--mem-gitlab={path}", *flags)
    assert path.read_text(encoding="utf-8") == "before"


def test_a_leak_is_an_annotation(github, run):
    """A leaking test is an error at its line, and the summary has its verdict."""
    source = """
        KEPT = []

        def test_leak():
            KEPT.append(object())
    """
    result = run(source, "--mem-leak-check", "--mem-leak-calls=60", "--mem-leak-blame=none")
    result.stdout.fnmatch_lines(
        ["::error file=test_it.py,line=4,title=leaking%3A test_it.py%3A%3Atest_leak::keeps 1 *"]
    )
    text = github.read_text(encoding="utf-8")
    assert text.startswith("## Memory: 0 over budget, 0 regressions, 1 leaking\n")


def test_a_regression_is_an_annotation(github, pytester, run):
    """A test that got worse than the baseline is an error, until that is accepted."""
    source = "def test_it():\n    bytearray({} << 20)"
    run(source.format(10), "--mem-save").assert_outcomes(passed=1)
    result = run(source.format(30), "--mem-compare", "--mem-gitlab=quality.json")
    result.stdout.fnmatch_lines(
        ["::error file=test_it.py,line=1,title=regression%3A test_it.py%3A%3Atest_it::peak *"]
    )
    text = github.read_text(encoding="utf-8")
    assert "## Memory: 1 test, 0 over budget, 1 regression, 0 leaking\n" in text
    (entry,) = json.loads((pytester.path / "quality.json").read_text(encoding="utf-8"))
    assert (entry["check_name"], entry["severity"]) == ("memguard/regression", "major")

    result = run(source.format(30), "--mem-compare", "--mem-accept=test_it.py::test_it")
    result.assert_outcomes(passed=1)
    assert commands(result) == []


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_new_test_is_an_annotation(github, pytester, run, written, workers):
    """A test that --mem-strict refuses as new is an error at its line, wherever it ran."""
    plugins = ["xdist.plugin"] if workers else []
    known = "def test_old():\n    pass\n"
    run(known, "--mem-save").assert_outcomes(passed=1)
    source = f"{known}\ndef test_new():\n    pass\n"
    result = run(
        source,
        *("--mem-compare", "--mem-strict", "--mem-gitlab=quality.json", "--mem-json=out.json"),
        *workers,
        plugins=plugins,
    )
    result.assert_outcomes(passed=1, failed=1)
    (command,) = commands(result)
    text = (
        ".memguard/baseline.json has no numbers of this test, which --mem-strict does not let"
    )
    title = "title=new-test%3A test_it.py%3A%3Atest_new"
    assert command.startswith(f"::error file=test_it.py,line=4,{title}::{text} pass: pytest ")
    assert "0 leaking, 1 not on record\n" in github.read_text(encoding="utf-8")
    (entry,) = json.loads((pytester.path / "quality.json").read_text(encoding="utf-8"))
    assert entry["description"].startswith(f"test_it.py::test_new: {text}")
    assert (entry["check_name"], entry["severity"]) == ("memguard/new-test", "major")
    assert entry["location"] == {"path": "test_it.py", "lines": {"begin": 4}}
    (finding,) = written()["test_new"]["findings"]
    assert (
        finding["rule"],
        finding["raised"],
        finding["budget"]["where"],
    ) == ("new-test", True, "--mem-strict")
    assert written()["test_old"]["findings"] == []


@pytest.mark.usefixtures("github")
def test_new_tests_that_may_be(pytester, run):
    """What is accepted, expected to fail, skipped or left out is no annotation."""
    run("def test_old():\n    pass", "--mem-save").assert_outcomes(passed=1)
    source = """
        import pytest

        def test_accepted():
            pass

        @pytest.mark.xfail
        def test_expected():
            pass

        @pytest.mark.skip
        def test_skipped():
            pass

        @pytest.mark.mem_regression(None)
        def test_left_out():
            pass
    """
    flags = ("--mem-compare", "--mem-strict", "--mem-accept=*accepted")
    result = run(source, *flags, "--mem-gitlab=quality.json")
    result.assert_outcomes(passed=2, xfailed=1, skipped=1)
    assert commands(result) == []
    assert (pytester.path / "quality.json").read_text(encoding="utf-8") == "[]\n"


@pytest.mark.usefixtures("github")
def test_an_undecided_test_is_an_annotation(pytester, run):
    """A test that --mem-strict refuses as undecided is an error, and without it a warning."""
    pytester.makepyfile(heavy="DATA = b'h' * (6 << 20)\n")
    test = "def test_{}():\n    import heavy\n    assert heavy\n\n"
    source = test.format("first") + test.format("second")
    run(source, "--mem-save").assert_outcomes(passed=2)
    compare = ("--mem-compare", "--mem-confirm=0")
    flags = (*compare, "--mem-gitlab=quality.json", "test_it.py::test_second")
    title = "title=undecided%3A test_it.py%3A%3Atest_second"
    for strict, level, severity in (
        ("", "warning", "info"),
        ("--mem-strict", "error", "major"),
    ):
        result = run(source, *filter(None, [strict]), *flags)
        (command,) = commands(result)
        assert command.startswith(f"::{level} file=test_it.py,line=5,{title}::peak RSS ")
        (entry,) = json.loads((pytester.path / "quality.json").read_text(encoding="utf-8"))
        assert ("memguard/undecided", severity) == (entry["check_name"], entry["severity"])
