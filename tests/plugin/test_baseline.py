"""The regression check: what is saved, what fails, and what is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

SUITE = """
    import json
    import os
    from pathlib import Path

    MIB = 1024 * 1024
    SIZES = json.loads(Path(__file__).with_name("sizes.json").read_text())

    def use(name):
        return bytearray(SIZES[name] * MIB)

    def test_large():
        assert use("large")

    def test_small():
        assert use("small")
"""
FILE = ".memguard/baseline.json"
SLACK_KIB = 512  # slack up to this is left as it is, and may take in a part of a peak
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"


@pytest.fixture(autouse=True)
def sizes(pytester):
    """Set how many MiB the tests of the suite use."""

    def sizes(**mib):
        text = json.dumps({"large": 20, "small": 4, **mib})
        (pytester.path / "sizes.json").write_text(text, encoding="utf-8")

    sizes()
    return sizes


@pytest.fixture
def stored(pytester):
    """Read the baseline's tests, and the whole text."""

    def stored(name=FILE):
        text = (pytester.path / name).read_text(encoding="utf-8")
        (environment,) = json.loads(text)["environments"]
        return environment["tests"]

    return stored


def test_save_then_compare_then_accept(run, sizes, stored):
    """What was saved is compared; what grew fails until it is accepted."""
    result = run(SUITE, "--mem-save")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "saved in .memguard/baseline.json: 2 tests; entries: 2 new, 0 changed, 0 dropped",
            "*.*  test_it.py::test_large",
        ]
    )
    assert set(stored()) == {"test_it.py::test_large", "test_it.py::test_small"}

    result = run(SUITE, "--mem-compare")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["compared with .memguard/baseline.json: 2 as before"])

    sizes(large=30)
    before = stored()
    result = run(SUITE, "--mem-compare")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "peak RSS * MiB is * MiB (*%) above the baseline of * MiB; *(regression)",
            "If it is meant to be so: pytest --mem-accept 'test_it.py::test_large' stores *",
            "compared with .memguard/baseline.json: 1 regression, 1 as before",
            "FAILED test_it.py::test_large - * > *: peak RSS * MiB is *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert before == stored()

    result = run(SUITE, "--mem-accept", "test_it.py::test_large")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_large: *; accepted in this run (--mem-accept)*(regression)",
            "compared with .memguard/baseline.json: 1 accepted, 1 as before",
            "saved in .memguard/baseline.json: *0 new, 1 changed, 0 dropped",
            "test_it.py::test_large  peak RSS  * *.* * *.* *+*.* *+*% *",
        ]
    )
    assert before["test_it.py::test_small"] == stored()["test_it.py::test_small"]
    run(SUITE, "--mem-compare").assert_outcomes(passed=2)


def test_saving_is_accepting_all(run, saved, sizes, stored):
    """A whole run that saves takes what grew, and says by how much."""
    saved(SUITE)
    sizes(large=30)
    result = run(SUITE, "--mem-save")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "saved in *: 2 tests; entries: 0 new, * changed, 0 dropped",
            "test_it.py::test_large  peak RSS  * *.* * *.* *+*.* *+*% *",
        ]
    )
    assert stored()["test_it.py::test_large"]["peak_kib"] == pytest.approx(30 * 1024, rel=0.03)
    run(SUITE, "--mem-compare").assert_outcomes(passed=2)


def test_saving_again_keeps_the_peaks(run, stored):
    """Three runs of the same code store the same peaks, but for slack that is left."""
    peaks = []
    for _ in range(3):
        run(SUITE, "--mem-save").assert_outcomes(passed=2)
        peaks.append([entry["peak_kib"] for _, entry in sorted(stored().items())])
    assert peaks[0] == pytest.approx(peaks[1], abs=SLACK_KIB)
    assert peaks[0] == pytest.approx(peaks[2], abs=SLACK_KIB)


def test_what_was_not_compared_is_not_as_before(run, saved):
    """A test that fails by itself, or is skipped, has no reading to compare."""
    saved(SUITE)
    more = """
    def test_fails():
        raise ValueError

    def test_skips():
        import pytest
        pytest.skip("no")
    """
    result = run(SUITE + more, "--mem-compare")
    result.stdout.fnmatch_lines(["compared with *: 2 as before, 2 not compared"])


def test_a_record_that_is_not_exact_is_told(run, saved, sizes, pytester):
    """Growth that an upper bound on record may explain passes, and is named."""
    sizes(small=20)
    saved(SUITE)
    path = pytester.path / FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if "test_small" in line)
    lines[at] = '"test_it.py::test_small": {"peak_kib": 4096, "ceiling_kib": 40960}'
    path.write_text("\n".join(lines), encoding="utf-8")
    result = run(SUITE, "--mem-compare")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_small: * is not exact*; measured again in a fresh process: * (undecided)",
            "compared with *: 1 undecided, 1 as before",
        ]
    )
    result = run(SUITE, "--mem-compare", "--mem-confirm=0")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*test_small: * is not exact* (undecided)", "compared with *: 1 undecided, *"]
    )
    result = run(SUITE, "--mem-compare", "--mem-strict")
    result.assert_outcomes(passed=1, failed=1)


def test_regressions_are_not_saved(run, saved, sizes, stored):
    """With both flags the old file is compared with first, and what fails is not stored."""
    saved(SUITE)
    before = stored()
    sizes(large=30, small=9)
    result = run(SUITE, "--mem-save", "--mem-compare", "--mem-accept=test_it.py::test_small")
    result.assert_outcomes(passed=1, failed=1)
    assert before["test_it.py::test_large"] == stored()["test_it.py::test_large"]
    assert stored()["test_it.py::test_small"]["peak_kib"] == pytest.approx(9 * 1024, rel=0.05)


def test_failed_tests_are_not_saved(run, stored):
    """The numbers of a test that fails, skips or errs are not stored."""
    run(
        SUITE
        + """
    import pytest

    def test_fails():
        assert use("small") == 0

    def test_skips():
        pytest.skip()

    def test_errs(missing):
        pass
    """,
        "--mem-save",
    ).assert_outcomes(passed=2, failed=1, skipped=1, errors=1)
    assert set(stored()) == {"test_it.py::test_large", "test_it.py::test_small"}


def test_improvements_and_new_tests(run, saved, sizes):
    """What got better, and what is new, is told and does not fail."""
    saved(SUITE)
    sizes(large=5)
    result = run(SUITE + "\n    def test_more():\n        pass\n", "--mem-compare")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "compared with .memguard/baseline.json: 1 improvement, 1 new, 1 as before",
            "improvement: test_it.py::test_large: peak RSS * MiB is * MiB (*%) below *",
            "--mem-save stores what has become better",
            "new: test_it.py::test_more: *",
        ]
    )


def test_xfail_and_reruns_see_a_failure(run, saved, sizes):
    """A regression is a failure of the test: xfail expects it."""
    saved(SUITE)
    sizes(large=30)
    marked = SUITE.replace(
        "def test_large", "import pytest\n    @pytest.mark.xfail\n    def test_large"
    )
    run(marked, "--mem-compare").assert_outcomes(passed=1, xfailed=1)


def test_no_file(run, pytester):
    """Without a file there is one line, and nothing fails unless that is wanted."""
    result = run(SUITE, "--mem-compare")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["nothing to compare with: there is no .memguard/baseline.json (--mem-save writes it)"]
    )
    result = run(SUITE, "--mem-compare", "--mem-strict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: memguard: --mem-strict: there is no .memguard/*"])
    assert not (pytester.path / ".memguard").exists()


def test_strict_fails_new_tests(run, saved, pytester):
    """With --mem-strict a test without an entry fails, unless it is accepted."""
    saved(SUITE)
    more = SUITE + "\n    def test_more():\n        pass\n"
    result = run(more, "--mem-compare", "--mem-strict", "--mem-json=out.json")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*baseline.json has no numbers of this test, which --mem-strict does not let pass: *"]
    )
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    pytest.importorskip("jsonschema").Draft202012Validator(schema).validate(data)
    run(more, "--mem-compare", "--mem-strict", "--mem-accept=test_it.py::test_more")
    run(more, "--mem-compare", "--mem-strict").assert_outcomes(passed=3)


def test_other_environment(run, saved, sizes, pytester):
    """Numbers of another environment are not compared with; that is said."""
    saved(SUITE)
    path = pytester.path / FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"CPython"', '"PyPy"'), encoding="utf-8")
    sizes(large=30)
    result = run(SUITE, "--mem-compare")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["nothing to compare with: .memguard/baseline.json has no numbers for CPython *PyPy*"]
    )
    run(SUITE, "--mem-save")
    assert [e["implementation"] for e in json.loads(path.read_text())["environments"]] == [
        "CPython",
        "PyPy",
    ]


@pytest.mark.parametrize("flag", ["--mem-compare", "--mem-save", "--mem-accept=a"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("no JSON", "line 1: it is cut off: ", id="no-json"),
        pytest.param('{"format": 99}', "line 1: it has format 99, this version ", id="newer"),
        pytest.param('{"tests": []}', "it is no file that --mem-save wrote", id="other"),
    ],
)
def test_unreadable_file(run, pytester, flag, text, words):
    """A file that cannot be read stops the run before the first test, and is kept."""
    path = pytester.path / FILE
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    result = run("def test_it(): open('ran', 'w')", flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: memguard: *.memguard/baseline.json*{words}*"])
    assert path.read_text(encoding="utf-8") == text
    assert not (pytester.path / "ran").exists()


GROWS = """
    import json
    from pathlib import Path

    N = json.loads(Path(__file__).with_name("n.json").read_text())

    def test_rows():
        assert [str(n) for n in range(100_000, 100_000 + N)]
"""


def test_what_is_accepted_is_measured_like_all_else(run, pytester):
    """A test that the run before remembered is stored as a plain run measures it."""
    numbers = pytester.path / "n.json"
    flags = ("-p", "no:randomly")
    numbers.write_text("300", encoding="utf-8")
    run(GROWS, "--mem-save", *flags, cache=True).assert_outcomes(passed=1)
    numbers.write_text("300000", encoding="utf-8")
    run(GROWS, "--mem-compare", *flags, cache=True).assert_outcomes(failed=1)
    run(GROWS, "--mem-accept=*", *flags, cache=True).assert_outcomes(passed=1)
    text = (pytester.path / ".memguard/baseline.json").read_text(encoding="utf-8")
    assert "site-packages" not in text
    result = run(GROWS, "--mem-compare", "--mem-strict", *flags, cache=True)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["compared with *: 1 as before"])
