"""Tests of the process that samples, and of how it is asked, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes import tree_client as module
from pytest_memguard.probes.tree_client import TreeClient, close_client, tree_client
from tests.support.child_processes import MIB, program

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it ends with processes of Unix")
SIZE = 40 * MIB


@pytest.fixture
def client():
    """A sampler of this process."""
    found = TreeClient(0.01)
    yield found
    found.close()


def has_ended(pid: int) -> bool:
    """Whether a process ends in time."""
    for _ in range(30):
        try:
            os.kill(pid, 0)
            if sys.platform == "linux" and ") Z" in Path(f"/proc/{pid}/stat").read_text():
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


def test_it_samples_between_two_questions(client):
    """Memory that a program used and gave back between two requests is in the peak."""
    client.mark("one")
    with program(SIZE):
        time.sleep(0.05)
    since = client.read("one")
    assert SIZE // 2 < since.below < 2 * SIZE  # other children may be there
    assert since.seen
    assert since.interval == 0.01


def test_it_is_no_child_and_adds_no_thread():
    """The test process cannot wait for the sampler in any way, and has no more threads."""
    threads = threading.active_count()
    code = (
        "import os\n"
        "from pytest_memguard.probes.tree_client import TreeClient\n"
        "client = TreeClient()\n"
        "client.mark('one')\n"
        "try:\n"
        "    os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError:\n"
        "    print('none', client.sampler, len(os.listdir('/proc/self/task')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    words = done.stdout.split()
    assert [words[0], words[2]] == ["none", "1"]
    assert has_ended(int(words[1]))
    assert threads == threading.active_count()


def test_it_ends_when_it_is_closed(client):
    """A closed client's sampler ends, and the client reports that when it is used."""
    client.mark("one")
    client.close()
    assert has_ended(client.sampler)
    with pytest.raises(Unmeasurable, match="has ended"):
        client.read("one")


def test_a_sampler_that_was_killed(client):
    """When something kills the sampler, the client reports it now and later."""
    client.mark("one")
    os.kill(client.sampler, 9)
    for _ in range(2):
        with pytest.raises(Unmeasurable, match="has ended"):
            client.read("one")
    client.drop("one")
    client.drop("none")


def test_no_interpreter_to_start(monkeypatch):
    """Where no process can be started, the reason is known."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(Unmeasurable, match="no process could be started"):
        TreeClient()


def test_there_is_one_for_a_process(monkeypatch):
    """A process has one sampler, which stays while a mark is in use; a fork has its own."""
    monkeypatch.setattr(module, "_client", None)
    client = tree_client()
    assert client is tree_client()
    client.mark("one")
    close_client()
    assert client is tree_client()
    client.pid = -1  # as if that one had been forked
    other = tree_client()
    assert client is not other
    close_client()
    assert module._client is None
    assert has_ended(other.sampler)
    client.close()
    assert not has_ended(client.sampler)  # which belongs to the parent
    client.pid = os.getpid()
    client.close()
    assert has_ended(client.sampler)


def test_descriptors_that_a_test_has_closed(client, tmp_path):
    """If a test closes all descriptors and opens files, nothing is written to them."""
    client.mark("one")
    number = client._requests.fileno()
    kept = os.dup(number)
    with (tmp_path / "other").open("wb") as other:
        os.dup2(other.fileno(), number)
        with pytest.raises(Unmeasurable, match="has ended"):
            client.read("one")
    assert not (tmp_path / "other").stat().st_size
    os.dup2(kept, number)
    os.close(kept)


def test_two_threads_may_ask(client):
    """Threads that use the client at the same time get their own answers."""
    for name in ("one", "two"):
        client.mark(name)
    wrong: list[str] = []

    def ask(name: str) -> None:
        wrong.extend(name for _ in range(10) if client.read(name).interval != 0.01)

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
