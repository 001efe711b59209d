"""``memguard.watch`` in tests that pytest runs: servers, failures, pytest-xdist."""

from __future__ import annotations

import json
import re

import pytest

SERVER = """
    import subprocess, sys, time
    import pytest

    @pytest.fixture
    def server():
        code = (
            "import time; kept, start = bytearray(), time.monotonic(); print(1, flush=True)\\n"
            "while True:\\n"  # as the time goes, however busy the machine is
            "    kept.extend(bytes(int((time.monotonic() - start) * 2e7) - len(kept)))\\n"
            "    time.sleep(0.003)"
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
    columns = head.replace("Peak MiB", "Peak").split()
    assert len(rows) == 3
    if "Children" in columns:  # the server may be too small to be shown
        assert all(float(row[columns.index("Children")]) < 2 for row in rows)


@pytest.mark.parametrize(
    ("flags", "plugins"),
    [pytest.param((), (), id="one"), pytest.param(("-n2",), ("xdist.plugin",), id="xdist")],
)
def test_recordings_are_in_json_and_junit(run, pytester, flags, plugins) -> None:
    """Both have each recording of a test, once, also of a fixture and without the fixture."""
    source = """
        import subprocess
        import pytest
        import pytest_memguard

        @pytest.fixture
        def server():
            with subprocess.Popen(["/bin/sleep", "60"]) as process:
                yield process
                process.kill()

        @pytest.fixture
        def watched(memguard, server):
            with memguard.watch(server) as recording:
                yield recording

        def test_two(watched, server):
            with pytest_memguard.watch(server) as recording, recording.stage("load"):
                pass

        @pytest.mark.mem_leak_check
        def test_repeated(memguard, server):
            with memguard.watch(server):
                pass

        def test_none():
            pass
    """
    outputs = ("--mem-json=out.json", "--junitxml=out.xml", "--mem-leak-seconds=1")
    run(source, *outputs, *flags, plugins=plugins)
    data = json.loads((pytester.path / "out.json").read_text())
    watched = {
        test["nodeid"].partition("::")[2]: test.get("watched", []) for test in data["tests"]
    }
    assert {name: len(readings) for name, readings in watched.items()} == {
        "test_two": 2,
        "test_repeated": 1,
        "test_none": 0,
    }
    inner, outer = watched["test_two"]
    assert [stage["name"] for stage in inner["stages"]] == ["load"]
    assert inner["command"] == outer["command"] == "/bin/sleep 60"
    assert inner["signals"][0]["peak"] > 0
    xml = (pytester.path / "out.xml").read_text(encoding="utf-8")
    for name in ("memguard_watch_verdict", "memguard_watch_2_peak_bytes"):
        assert f'name="{name}"' in xml
    assert xml.count('value="/bin/sleep 60"') == 3
