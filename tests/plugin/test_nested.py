"""Runs within runs: pytest started by a measured test in the same process."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

OUTER = '''
    import contextvars
    import pytest

    INNER = """
    import pytest

    @pytest.mark.mem_budget({inner_limit}, metric="{metric}")
    def test_inner(memguard):
        with memguard.stage("inner"):
            bytearray({inner} << 20)
    """

    def run_inside(pytester):
        pytester.makepyfile(INNER)
        result = pytester.runpytest_inprocess(
            "-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider", {flags}
        )
        result.assert_outcomes({expected})

    @pytest.mark.mem_budget({outer_limit}, metric="{metric}")
    def test_outer(pytester, memguard):
        with memguard.stage("before"):
            bytearray({before} << 20)
        with memguard.stage("run"):
            run_inside(pytester)
        with memguard.stage("after"):
            bytearray({after} << 20)
'''


@pytest.mark.parametrize("metric", ["rss", "python"])
@pytest.mark.parametrize(
    ("sizes", "flags"),
    [
        pytest.param({"before": 40, "inner": 5, "after": 5}, "", id="peak-before"),
        pytest.param({"before": 5, "inner": 40, "after": 5}, "", id="peak-inside"),
        pytest.param({"before": 5, "inner": 5, "after": 40}, "", id="peak-after"),
        pytest.param({"before": 5, "inner": 5, "after": 5}, "", id="no-peak"),
        pytest.param(
            {"before": 40, "inner": 5, "after": 5}, "'--mem', '--mem-drill'", id="drill-inside"
        ),
    ],
)
def test_outer_run(run, written, metric, sizes, flags):
    """A test that runs pytest keeps its own peak and stages, wherever the peak was."""
    result = run(
        OUTER.format(
            metric=metric,
            flags=flags,
            expected="passed=1",
            inner_limit=60,
            outer_limit=28,
            **sizes,
        ),
        "--mem-json=out.json",
        plugins=["pytester"],
    )
    fails = max(sizes.values()) > 28
    result.assert_outcomes(passed=int(not fails), failed=int(fails))
    if fails:
        result.stdout.fnmatch_lines(["peak * over the budget of 28.0 MiB set by the marker*"])
    stages = {stage["path"]: stage for stage in written()["test_outer"]["stages"]}
    assert list(stages) == ["before", "run", "after"]
    peaks = {path: stage["peaks"][0]["bytes"] / 2**20 for path, stage in stages.items()}
    assert pytest.approx(sizes["before"], abs=2) == peaks["before"]
    assert pytest.approx(sizes["after"], abs=2) == peaks["after"]
    assert sizes["inner"] - 2 <= peaks["run"]


@pytest.mark.parametrize("metric", ["rss", "python"])
def test_inner_run(run, metric):
    """A run inside a test judges its own tests by their own peaks alone."""
    for inner, expected in ((30, "failed=1"), (10, "passed=1")):
        result = run(
            OUTER.format(
                metric=metric,
                flags="",
                expected=expected,
                inner_limit=20,
                outer_limit=200,
                before=60,
                inner=inner,
                after=60,
            ),
            plugins=["pytester"],
        )
        result.assert_outcomes(passed=1)


def test_heap_inside_heap(run):
    """The outer run has memray; the inner one tells that it could not check its budget."""
    result = run(
        OUTER.format(
            metric="heap",
            flags="",
            expected="passed=1",
            inner_limit=20,
            outer_limit=50,
            before=5,
            inner=60,
            after=5,
        ),
        "-v",
        plugins=["pytester"],
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "peak heap 6* over the budget of 50.0 MiB set by the marker*",
            "*test_inner: the budget of 20.0 MiB on peak heap * not checked: memray tracks *",
        ]
    )
