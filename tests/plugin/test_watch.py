"""``memguard.watch`` in tests that pytest runs: servers, failures, pytest-xdist."""

from __future__ import annotations

import re

import pytest

SERVER = """
    import subprocess, sys, time
    import pytest

    @pytest.fixture
    def server():
        code = (
            "import sys, time; kept = []; print(1, flush=True)\\n"
            "while True: kept.append(bytearray(40_000)); time.sleep(0.002)"
        )
        with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=-1) as process:
            process.stdout.readline()
            yield process
            process.kill()
"""


TESTS = (
    SERVER
    + """
    def test_peak(memguard, server):
        with memguard.watch(server, interval=0.05) as recording:
            time.sleep(0.2)
        assert recording.peak.rss < "1 MB"

    def test_growth(memguard, server):
        with memguard.watch(server, interval=0.05) as recording:
            time.sleep(1.5)
        assert recording.growth.state != "growing"

    def test_check(memguard, server):
        with memguard.watch(server, interval=0.05, warm_up=0.2) as recording:
            time.sleep(1.3)
        recording.check_growth()
"""
)


@pytest.mark.parametrize(
    ("flags", "plugins"),
    [pytest.param((), (), id="one"), pytest.param(("-n2",), ("xdist.plugin",), id="xdist")],
)
def test_assertions_read_well(run, flags, plugins) -> None:
    """A failed assertion shows the numbers of the recording."""
    result = run(TESTS, *flags, plugins=plugins)
    result.assert_outcomes(failed=3)
    for line in (
        r"E +AssertionError: assert [\d.]+ MiB < '1 MB'",
        r"E +\+  where [\d.]+ MiB = Levels\(rss=[\d.]+ MiB, fds=\d+, .*\.rss",
        r"E +\+  where 'growing' = <growing: rss \+.* MiB per hour \(95 %: .*>\.state",
        r".*grows under load: rss .*",
        r"E +rss MiB +growing .*",
    ):
        assert re.search(line, result.stdout.str())


def test_what_watches_is_none_of_the_children(run) -> None:
    """The process that takes the samples counts neither to a budget nor as a child."""
    result = run(
        """
        import subprocess, time
        import pytest

        @pytest.fixture(scope="module")
        def server():
            with subprocess.Popen(["/bin/sleep", "60"]) as process:
                yield process
                process.kill()

        def test_sampled_from_here_on(server):
            pass

        @pytest.mark.parametrize("number", range(3))
        @pytest.mark.mem_budget(3, metric="tree")
        def test_watch(memguard, server, number):
            with memguard.watch(server, interval=0.05):
                time.sleep(0.1)
        """,
        "--mem",
    )
    result.assert_outcomes(passed=4)
    rows = [line.split() for line in result.stdout.lines if "::test_watch[" in line]
    head = next(line for line in result.stdout.lines if line.startswith("Peak MiB"))
    column = head.replace("Peak MiB", "Peak").split().index("Children")
    assert len(rows) == 3
    assert all(float(row[column]) < 2 for row in rows)
