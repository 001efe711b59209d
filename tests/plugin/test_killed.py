"""A run that is killed in the middle of a test leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("memray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files have names elsewhere")
BUDGET = """
    import time, pytest

    @pytest.mark.mem_budget("1 GB", metric="heap")
    def test_it():
        blocks = [bytes(1000) for _ in range(100_000)]
        open("ready", "w").close()
        time.sleep(60)
"""
MEASURE = """
    import time

    def test_it(memguard):
        with memguard.measure("heap"):
            blocks = [bytes(1000) for _ in range(100_000)]
            open("ready", "w").close()
            time.sleep(60)
"""
LEAK = """
    import sys, time, pytest

    KEPT = []

    @pytest.mark.mem_leak_check
    def test_it():
        KEPT.append(bytes(10_000))
        memray = sys.modules.get("memray")
        if memray is not None and len(KEPT) > 30:
            open("ready", "w").close()
            time.sleep(60)
"""


@pytest.mark.parametrize(
    ("source", "number"),
    [
        pytest.param(BUDGET, signal.SIGTERM, id="budget-terminated"),
        pytest.param(BUDGET, signal.SIGKILL, id="budget-killed"),
        pytest.param(BUDGET, signal.SIGINT, id="budget-interrupted"),
        pytest.param(MEASURE, signal.SIGKILL, id="measure-killed"),
        pytest.param(LEAK, signal.SIGTERM, id="leak-terminated"),
        pytest.param(LEAK, signal.SIGKILL, id="leak-killed"),
        pytest.param(LEAK, signal.SIGINT, id="leak-interrupted"),
    ],
)
def test_nothing_is_left(pytester, source, number) -> None:
    """Neither a folder nor a file is left, and the process ends as it does without us."""
    pytester.makepyfile(source)
    temporary = pytester.path / "temporary"
    temporary.mkdir()
    flags = ["-p", "pytest_memguard.plugin.hooks", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *flags],
        stdout=subprocess.DEVNULL,
        cwd=pytester.path,
        env={**environment, "TMPDIR": str(temporary)},
        # a shell has what it starts in the background ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        ready, end = pytester.path / "ready", time.monotonic() + 60
        while not ready.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number if ready.exists() else signal.SIGKILL)
        try:
            process.wait(60)
        finally:
            process.kill()
    assert ready.exists()
    interrupted = int(pytest.ExitCode.INTERRUPTED)
    assert process.returncode == (interrupted if number == signal.SIGINT else -number)
    assert list(temporary.iterdir()) == []
