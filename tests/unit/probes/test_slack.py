"""Tests of what the allocators' own statistics say about slack."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc

import pytest

from pytest_memguard.errors import Unmeasurable
from pytest_memguard.probes.slack import Slack, SlackProbe, parse_malloc_stats
from pytest_memguard.sizes import MIB

STATISTICS = b"""\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           1             135           886
    1     32           3            1150             0
   31    512           2              50            12

# arenas allocated total           =                    4
# arenas reclaimed                 =                    0
4 arenas * 1048576 bytes/arena     =            4,194,304

# bytes in allocated blocks        =            3,418,304
# bytes in available blocks        =              307,280
26 unused pools * 16384 bytes      =              425,984
# bytes lost to pool headers       =               10,992
Total                              =            4,194,304

      0 free PyCFunctionObjects * 56 bytes each =                    0
"""


def test_statistics() -> None:
    """Free blocks come by size, free pools by number; what is full is left out."""
    assert Slack(
        blocks=((16, 886), (512, 12)),
        pools=26,
        pool_size=16384,
        arena_size=1048576,
        used=135 * 16 + 1150 * 32 + 50 * 512,
        explained=4 << 20,
    ) == parse_malloc_stats(STATISTICS)


@pytest.mark.parametrize("text", [b"", b"\n"], ids=["empty", "blank"])
def test_no_statistics(text) -> None:
    """Where pymalloc is not in use, it holds nothing free."""
    assert Slack() == parse_malloc_stats(text)


def test_statistics_of_another_form() -> None:
    """Statistics that cannot be read are not taken for an empty heap."""
    with pytest.raises(Unmeasurable, match="another form"):
        parse_malloc_stats(STATISTICS.replace(b"unused pools", b"idle pools"))


@pytest.mark.parametrize(
    ("slack", "total"),
    [
        pytest.param(Slack(), 0, id="none"),
        pytest.param(Slack(blocks=((16, 10), (512, 2))), 1184, id="places"),
        pytest.param(Slack(pools=3, pool_size=16384), 49152, id="pools"),
        pytest.param(Slack(malloc=77), 77, id="chunks"),
        pytest.param(
            Slack(blocks=((16, 1),), pools=1, pool_size=4096, malloc=5), 4117, id="all"
        ),
    ],
)
def test_total(slack, total) -> None:
    """The slack is the sum of what pymalloc and the C heap hold free."""
    assert total == slack.total


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's statistics are needed")
def test_real_chunks_that_were_given_back_are_no_slack() -> None:
    """Of what malloc has freed only what is still resident counts, wherever threads ran."""
    code = (
        "import ctypes, threading\n"
        "from pytest_memguard.measure.instruments import Instruments\n"
        "made = Instruments()\n"
        "watch, level = made.slack_estimator, made.resident.level\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "def fill():\n"
        "    blocks = [libc.malloc(40_000) for _ in range(1000)]\n"
        "    for number, block in enumerate(blocks):\n"
        "        ctypes.memset(block, 1, 40_000)\n"
        "    for block in blocks[:-1]:\n"
        "        libc.free(block)\n"
        "for target in (fill, lambda: [bytes(1000) for _ in range(50)], fill):\n"
        "    if target is fill:\n"
        "        fill()\n"
        "    else:\n"
        "        thread = threading.Thread(target=target)\n"
        "        thread.start()\n"
        "        thread.join()\n"
        "    made.settle(-1)\n"
        "    slack = watch._probe()\n"
        "    print(slack.malloc, slack.anywhere)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "8"},  # or all threads share the main arena
    )
    alone, threaded, again = (
        tuple(map(int, line.split())) for line in done.stdout.splitlines()
    )
    assert alone[0] < 2 * MIB
    assert alone[1] == 0
    for malloc, anywhere in (threaded, again):
        assert malloc < 2 * MIB
        assert 0 < anywhere < MIB


def test_pymalloc_that_is_hooked() -> None:
    """While tracemalloc runs, pymalloc reports nothing, which does not mean nothing free."""
    probe = SlackProbe()
    assert probe.read_used()
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        slack = probe.read()
        assert slack.hooked
        assert slack.small == 0
        assert probe.read_used() is None
    finally:
        if not was_tracing:
            tracemalloc.stop()
    assert not probe.read().hooked
