"""Workers that are really killed: their tests run once more, alone, before they have failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="endings are seen on Linux")
SCHEMA = Path(__file__).parents[2] / "docs/mem-json.schema.json"
XDIST = ["xdist.plugin"]
SUITE = """
    import os, signal

    def test_before():
        pass

    def test_big():
        rows = bytearray(b"x") * ({mib} << 20)
        number = len(os.listdir("kills"))
        if number < {times}:
            open(f"kills/{{number}}", "w").close()
            os.kill(os.getpid(), signal.{signal})
        assert {right}

    def test_after():
        pass
"""


@pytest.fixture(autouse=True)
def kills(pytester) -> Path:
    """Where the suite counts how often it was killed."""
    return pytester.mkdir("kills")


def suite(*, mib=40, times=1, right=True, by="SIGKILL") -> str:
    """Return a suite in which one test is killed.

    Args:
        mib: MiB that it needs.
        times: how often it is killed.
        right: whether it passes otherwise.
        by: the signal.
    """
    return SUITE.format(mib=mib, times=times, right=right, signal=by)


@pytest.mark.parametrize(
    "flags",
    [("-n2", "--dist=worksteal"), ("-n1", "--mem")],
    ids=" ".join,
)
def test_passes_alone(run, pytester, flags) -> None:
    """A test that passes alone has passed, and the report says what it needs."""
    flags = (*flags, "--mem-rerun-killed", "--mem-json=out.json", "--junitxml=out.xml")
    result = run(suite(), *flags, plugins=XDIST)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 3, "rerun": 1}
    workers = "2 workers" if "-n2" in flags else "1 worker"
    (line,) = (line for line in result.stdout.lines if line.startswith("  once more  "))
    words, _, size = line.rpartition(" with ")
    assert words.endswith(f"killed with {workers}, passes alone")
    data = json.loads((pytester.path / "out.json").read_text(encoding="utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    (lost,) = data["lost_workers"]
    assert lost["alone"]["result"] == "passed"
    assert lost["alone"]["highest_rss_bytes"] > 40 << 20
    assert size.endswith("MiB")
    cases = ET.parse(pytester.path / "out.xml").findall(".//testcase")  # noqa: S314  ours
    assert sorted(case.get("name") for case in cases) == [
        "test_after",
        "test_before",
        "test_big",
    ]
    assert not [case for case in cases if case.find("failure") or case.find("error")]


def test_run_again_by_xdist(run) -> None:
    """Where pytest-xdist runs the test again by itself, that decides."""
    flags = ("-n1", "--dist=loadfile", "--mem-rerun-killed")
    found = run(suite(right=False), *flags, plugins=XDIST)
    assert found.parseoutcomes() == {"passed": 2, "rerun": 1, "failed": 1}
    found.stdout.fnmatch_lines(["*once more *, then run again by pytest-xdist, beside others"])


def test_fails_alone(run) -> None:
    """A test that fails alone has failed, and its failure says so."""
    result = run(suite(right=False), "-n1", "--mem-rerun-killed", plugins=XDIST)
    assert result.parseoutcomes() == {"passed": 2, "failed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(
        ["this is its run alone: killed with 1 worker", "*once more *, fails alone with *"]
    )


@pytest.mark.parametrize("others", [[], ["pytest_rerunfailures"]], ids=str)
def test_killed_again(run, others) -> None:
    """A test that is killed alone, too, has failed; no other worker takes its place."""
    result = run(suite(times=9), "-n1", "--mem-rerun-killed", plugins=[*XDIST, *others])
    assert result.parseoutcomes() == {"passed": 2, "failed": 1, "rerun": 1}
    text = result.stdout.str()
    assert "memguard: killed with 1 worker, and alone" in text
    assert "is killed alone with " in text
    assert text.count("replacing crashed worker") == 1


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        pytest.param(suite(by="SIGSEGV"), ["--mem-rerun-killed"], id="segfault"),
        pytest.param(suite(mib=1), ["--mem-rerun-killed"], id="no-memory"),
        pytest.param(suite(), [], id="not-asked"),
    ],
)
def test_for_other_reasons(run, source, flags) -> None:
    """A test that was killed for another reason has failed at once."""
    result = run(source, "-n1", *flags, plugins=XDIST)
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}


def test_a_worker_that_cannot_be_started(run, pytester) -> None:
    """Whatever goes wrong when the test is to run once more, it has failed then."""
    pytester.makeconftest(
        """
        from pytest_memguard.plugin.pytest_internals.xdist_alone import WorkerAlone

        def run(self):
            raise RuntimeError("no more workers")

        WorkerAlone.run = run
        """
    )
    result = run(suite(), "-n1", "--mem-rerun-killed", plugins=XDIST)
    assert result.parseoutcomes() == {"passed": 2, "failed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(
        ["memguard: *, did not run once more: RuntimeError: no more workers"]
    )


def test_without_a_record(run) -> None:
    """Without flight records the reason is not known, and the header says so."""
    flags = ("-n1", "-omem_rerun_killed=true", "-omem_flight_record=off")
    result = run(suite(), *flags, plugins=XDIST)
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    result.stdout.fnmatch_lines(["memguard: mem_rerun_killed in * does nothing: *"])


def test_a_run_that_is_stopped(run) -> None:
    """A test that could not run once more has failed."""
    source = suite() + "\n    def test_wrong():\n        assert 0\n"
    result = run(source, "-n1", "-x", "--mem-rerun-killed", plugins=XDIST)
    assert result.parseoutcomes()["failed"] == 2
    text = result.stdout.str()
    assert "memguard: killed with 1 worker, did not run once more: the run was stopped" in text


def test_a_test_that_is_gone(run) -> None:
    """A test that its own worker does not collect has failed, with this reason."""
    source = suite() + "\n    if os.listdir('kills'):\n        del test_big\n"
    result = run(source, "-n1", "--mem-rerun-killed", "--max-worker-restart=0", plugins=XDIST)
    assert result.parseoutcomes()["failed"] == 1
    assert "did not run once more: its worker did not collect it" in result.stdout.str()


def test_without_workers(run) -> None:
    """Runs without workers are as they were."""
    result = run("def test_it(): pass", "-omem_rerun_killed=true", "-omem_flight_record=off")
    result.assert_outcomes(passed=1)
    assert "memguard" not in result.stdout.str()
