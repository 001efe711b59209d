"""The report: header, memory section, peaks behind statuses, JSON file and command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pytest_memguard.cli import main

pytestmark = [pytest.mark.fast, pytest.mark.usefixtures("measured_once")]

SCHEMA = Path(__file__).parents[2] / "docs" / "mem-json.schema.json"
SUITE = """
    import pytest

    kept = []

    @pytest.fixture
    def large():
        bytearray(15 << 20)
        yield
        bytearray(12 << 20)

    @pytest.mark.mem_budget(40)
    def test_large(large):
        bytearray(30 << 20)

    @pytest.mark.mem_budget(100)
    @pytest.mark.mem_budget(200, metric="heap")
    def test_keeps():
        kept.append(bytearray(20 << 20))

    def test_small():
        bytearray(10 << 20)

    def test_empty():
        pass
"""
EVERYTHING = """
    import pytest

    @pytest.fixture
    def large():
        bytearray(30 << 20)

    @pytest.mark.mem_budget(20, warn=0.5)
    def test_near(memguard, large):
        with memguard.stage("load", budget=100):
            bytearray(15 << 20)

    @pytest.mark.mem_budget(20)
    @pytest.mark.mem_budget(20, metric="heap", phase="all")
    @pytest.mark.mem_budget(20, metric="python", stage="never")
    def test_over():
        bytearray(30 << 20)

    @pytest.mark.skip
    def test_skipped(): pass

    @pytest.mark.xfail
    def test_xfail(): assert False

    @pytest.mark.xfail
    def test_xpass(): pass

    @pytest.fixture
    def broken():
        raise ValueError

    def test_error(broken): pass

    @pytest.mark.parametrize("name", ["a b", "ü/[x]::y"])
    def test_names(name): pass
"""


def row(result: pytest.RunResult, test: str) -> dict[str, str]:
    """The cells of a test's row in the memory section, by the headers of their columns."""
    lines = result.stdout.lines
    headers = next(line for line in lines if line.startswith("Peak MiB"))
    line = next(line for line in lines if line.endswith(f"  {test}"))
    line = re.sub(r" #+ ", "  ", line)  # the bar has no header
    pairs = zip(re.split(r"\s{2,}", headers), re.split(r"\s{2,}", line.strip()), strict=True)
    return dict(pairs)


def test_header(pytester, run):
    """The header names the metric, how it is measured, every limit, and who set them."""
    pytester.makeini("[pytest]\nmem_budgets =\n  a = 1\n  b = 2\nmem_budget_mode = warn")
    result = run(SUITE, "--mem-budget=500")
    result.stdout.fnmatch_lines(
        [
            (
                "memguard: peak RSS by the kernel's high-water mark; budget 500.0 MiB "
                "(--mem-budget); 2 patterns (mem_budgets in tox.ini); breaches only warn "
                "(mem_budget_mode in tox.ini)"
            ),
            "rootdir: *",
        ]
    )


@pytest.mark.parametrize("flag", ["--mem", "ini"])
def test_memory_section(pytester, run, flag):
    """The section lists tests by peak, with phases, what stays, budget and its share."""
    if flag == "ini":
        pytester.makeini("[pytest]\nmem = true")
    result = run(SUITE, *([flag] if flag != "ini" else []))
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "*= memory =*",
            "Peak MiB * After * Budget * Used  Test",
            "-----*",
            "* test_it.py::test_large",
            "* test_it.py::test_keeps",
            "* test_it.py::test_small",
            "* test_it.py::test_empty",
            "",
            (
                "Total: 4 tests, RSS *.? MiB before, *.? MiB after, *.? MiB at its highest; "
                "measuring took * (median * ms per test)"
            ),
        ],
        consecutive=False,
    )
    large = row(result, "test_it.py::test_large")
    sizes = [
        float(large[name].split()[0]) for name in ("Peak MiB", "Setup", "Teardown", "After")
    ]
    assert pytest.approx(sizes, abs=2) == [30, 15, 12, 0]
    assert large["Budget"] == "40.0 MiB"
    assert pytest.approx(int(large["Used"].rstrip("%")), abs=6) == 75
    keeps = row(result, "test_it.py::test_keeps")
    assert pytest.approx(float(keeps["After"]), abs=2) == 20
    assert keeps["Budget"] == "100.0 MiB +1"
    empty = row(result, "test_it.py::test_empty")
    assert [empty["Budget"], empty["Used"]] == ["-", "-"]


def test_freed_memory_is_not_left_behind(run):
    """What a test has freed does not count as left behind, though the C library keeps it."""
    result = run(
        """
        import pytest

        @pytest.mark.parametrize("size", [31, 30, 29])
        @pytest.mark.mem_budget(200, phase="all")
        def test_it(size):
            bytearray(size << 20)
        """,
        "--mem",
    )
    result.assert_outcomes(passed=3)
    after = [
        float(row(result, f"test_it.py::test_it[{size}]").get("After", 0))
        for size in (31, 30, 29)
    ]
    assert pytest.approx(after, abs=2) == [0, 0, 0]


@pytest.mark.parametrize("flag", ["--mem-top=2", "ini"])
def test_top(pytester, run, flag):
    """Only so many tests are listed as were asked for, and the rest is counted."""
    if flag == "ini":
        pytester.makeini("[pytest]\nmem_top = 2")
    result = run(SUITE, "--mem", *([flag] if flag != "ini" else []))
    result.stdout.fnmatch_lines(
        ["* test_it.py::test_large", "* test_it.py::test_keeps", "(2 more; --mem-top N *)"],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("test_it.py::test_small*")


def test_nothing_to_say(run):
    """Without --mem a run within all budgets looks as it does without the plugin."""
    result = run(SUITE)
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*memory*")
    result.stdout.no_fnmatch_line("*MiB*")
    result.stdout.no_fnmatch_line("*memguard*")


def test_peaks_behind_statuses(run):
    """With -v the peak stands behind a test's status, on that line and nowhere else."""
    source = f"{SUITE}\n    def test_over():\n        assert not bytearray(30 << 20)[:1]\n"
    result = run(source, "--mem", "-v", "-rA")
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_large PASSED (*.? MiB) *",
            "test_it.py::test_keeps PASSED (*.? MiB) *",
            "test_it.py::test_small PASSED (*.? MiB) *",
            "test_it.py::test_empty PASSED (* *B) *",
            "test_it.py::test_over FAILED (*.? MiB) *",
            "*= short test summary info =*",
            "PASSED test_it.py::test_large",
            "FAILED test_it.py::test_over - *",
            "*= 1 failed, 4 passed in *",
        ]
    )
    lines = result.stdout.lines
    start = next(i for i, line in enumerate(lines) if "short test summary" in line)
    assert not [line for line in lines[start:] if "MiB)" in line]

    result = run(SUITE, "--mem")
    result.stdout.no_fnmatch_line("*MiB)*")
    result = run(SUITE, "-v")
    result.stdout.no_fnmatch_line("*MiB)*")


def test_json_file(pytester, run, written):
    """--mem-json writes environment, settings and every test, in the form of the schema."""
    jsonschema = pytest.importorskip("jsonschema")
    pytester.makeini("[pytest]\nmem_warn = 90%")
    flags = ["--mem-json=deep/er/out.json", "--mem-budget=400", "--mem-drill"]
    result = run(EVERYTHING, *flags)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["numbers of 8 tests: */deep/er/out.json"])
    folder = pytester.path / "deep/er"
    assert [path.name for path in folder.iterdir()] == ["out.json"]
    data = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    if SCHEMA.exists():
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(data)
    assert data["format"] == 3
    assert data["settings"]["--mem-budget"] == "419430400 (--mem-budget)"
    assert data["settings"]["mem_warn"] == "0.9 (mem_warn in tox.ini)"
    shutil.move(folder / "out.json", pytester.path / "out.json")
    tests = written()
    assert {name: test["result"] for name, test in tests.items()} == {
        "test_near": "passed",
        "test_over": "error",
        "test_skipped": "skipped",
        "test_xfail": "xfailed",
        "test_xpass": "xpassed",
        "test_error": "error",
        "test_names[a b]": "passed",
        "y]": "passed",
    }
    near = tests["test_near"]
    assert [phase["name"] for phase in near["phases"]] == ["setup", "call", "teardown"]
    assert [stage["path"] for stage in near["stages"]] == ["load"]
    assert [finding["rule"] for finding in near["findings"]] == ["near-budget"]
    assert "setup rose" in near["notes"][0]
    over = tests["test_over"]
    assert {"rss", "python"} == {
        peak["metric"] for phase in over["phases"] for peak in phase["peaks"]
    }
    assert {("rss", "over-budget"), ("heap", "over-budget")} == {
        (finding["budget"]["metric"], finding["rule"]) for finding in over["findings"]
    }
    assert (near["file"], near["line"]) == ("test_it.py", 8)


def test_json_file_is_written_whole(pytester, run):
    """The file of the run before stays as it is until the new one is complete."""
    path = pytester.path / "out.json"
    path.write_text("the one before")
    result = run(
        f"""
        from pathlib import Path

        def test_it():
            assert Path({str(path)!r}).read_text() == "the one before"
        """,
        "--mem-json=out.json",
    )
    result.assert_outcomes(passed=1)
    assert json.loads(path.read_text())["format"] == 3
    assert [name.name for name in pytester.path.glob("*out.json*")] == ["out.json"]


def test_json_path_that_cannot_be_written(pytester, run):
    """A path that cannot be written is a usage error before the first test."""
    (pytester.path / "file").write_text("")
    (pytester.path / "folder").mkdir()
    source = "def test_it():\n    open('it_ran', 'w').close()"
    for flag in ("--mem-json=file/out.json", "--mem-json=folder"):
        result = run(source, flag)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"ERROR: memguard: --mem-json: cannot write {flag[11:]}: *"]
        )
        assert not (pytester.path / "it_ran").exists()


def test_json_path_that_vanishes(run):
    """A file that cannot be written in the end is told, and the run does not count as good."""
    result = run(
        """
        import os
        import shutil

        def test_it():
            shutil.rmtree("folder")
            open("folder", "w").close()
        """,
        "--mem-json=folder/out.json",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*/folder/out.json could not be written: *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_many_notes_are_cut(run):
    """Of very many notes twenty are shown, and where the others are."""
    result = run("""
        import pytest

        @pytest.mark.parametrize("n", range(25))
        @pytest.mark.mem_budget(20, stage="never")
        def test_it(n):
            pass
    """)
    assert result.stdout.str().count("(stage-not-run)") == 20
    result.stdout.fnmatch_lines(["... and 5 more; --mem-json PATH keeps all of them"])


def test_runs_without_tests(run):
    """A run without a single test ends as it does without the plugin, report or not."""
    for flags in ((), ("--mem", "--mem-json=out.json"), ("--mem", "--collect-only")):
        result = run("import pytest", *flags)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_report_command(run, capsys):
    """``memguard report`` prints the section of a stored run again, and its notes."""
    result = run(EVERYTHING, "--mem", "--mem-json=out.json")
    printed = result.stdout.str()
    capsys.readouterr()
    assert main(["report", "out.json"]) == 0
    said = capsys.readouterr().out
    section = printed.partition(" memory ")[2].partition("\n")[2].partition("\nTotal: ")[0]
    assert section.strip()
    assert said.startswith(section)
    assert re.search(r"^test_it.py::test_over: peak .* \(over-budget\)$", said, re.MULTILINE)
    assert re.search(r"^test_it.py::test_near: .* \(near-budget\)$", said, re.MULTILINE)

    assert main(["report", "out.json", "--top", "1"]) == 0
    said = capsys.readouterr().out
    assert "(7 more; " in said
    assert "test_it.py::test_xpass" not in said


def test_report_command_with_bad_input(pytester, capsys):
    """A file that is missing, broken or something else gives one line and exit status 2."""
    contents = {
        "not.json": ("{", "not.json is not a JSON file: "),
        "other.json": ('{"a": 1}', "other.json is not a file that --mem-json wrote"),
        "list.json": ("[1]", "list.json is not a file that --mem-json wrote"),
        "newer.json": (
            '{"format": 99, "tests": []}',
            "newer.json has format 99, this version ",
        ),
        "lacking.json": (
            '{"format": 1, "tests": []}',
            "lacking.json lacks something a run has",
        ),
        "binary.json": (b"\xff\xfe\x00", "binary.json is not a JSON file: "),
    }
    for name, (content, _) in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (pytester.path / name).write_bytes(data)
    for name, message in (
        ("missing.json", "missing.json cannot be read: "),
        (".", ". cannot be read: "),
        *((name, message) for name, (_, message) in contents.items()),
    ):
        assert main(["report", name]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"memguard: {message}")
        assert err.count("\n") == 1
