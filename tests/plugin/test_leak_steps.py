"""Leaks that take memory for many calls at once, and buffers that only look like them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin.leaky import JSON, states

CHECK = ("--mem-leak-check", "--mem-leak-blame=none", JSON)
MANY: dict[str, Any] = {"where": "none", "calls": 2000}
LEAKS = {
    "arena": """
        BLOCKS, LEFT = [], 0

        def test_it():
            global LEFT
            if LEFT < 1000:
                BLOCKS.append(bytearray(32_000))
                LEFT = 32_000
            LEFT -= 1000
    """,
    "buffer": """
        BUFFER = bytearray()

        def test_it():
            BUFFER.extend(b"x" * 100)
    """,
    "small": """
        BUFFER = bytearray()

        def test_it():
            BUFFER.extend(b"x" * 40)
    """,
    "written": """
        import io

        FILE = io.BytesIO()

        def test_it():
            FILE.write(b"x" * 300)
    """,
    "uneven": """
        import random

        DRAW = random.Random(1)
        KEPT = []

        def test_it():
            KEPT.append([object() for _ in range(DRAW.choice((1, 2, 3, 9)))])
    """,
    "ever-more": """
        KEPT = [b""]

        def test_it():
            KEPT.extend([bytes(99) for _ in range(1 + len(KEPT) // 3)])
    """,
}
INNOCENT = {
    "emptied": """
        BUFFER = bytearray()

        def test_it():
            BUFFER.extend(b"x" * 100)
            if len(BUFFER) > 9000:
                BUFFER.clear()
    """,
    "filled": """
        BUFFER = bytearray()

        def test_it():
            if len(BUFFER) < 20_000:
                BUFFER.extend(b"x" * 100)
    """,
    "small": """
        BUFFER = bytearray()

        def test_it():
            if len(BUFFER) < 320:
                BUFFER.extend(b"x" * 40)
    """,
    "first": """
        KEPT = []

        def test_it():
            if not KEPT:
                KEPT.append(bytearray(100_000))
    """,
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_leak_in_steps(leaks, case):
    """What grows in steps, unevenly or by a share of itself is a leak like any other."""
    assert states(leaks(LEAKS[case], **MANY)) == {"test_it": "leaking"}


@pytest.mark.parametrize("case", INNOCENT)
def test_a_buffer_that_does_not_leak(leaks, case):
    """What is emptied, full or taken once is none."""
    assert states(leaks(INNOCENT[case], **MANY)) == {"test_it": "clean"}


def test_calls_show_what_is_rare(run, written):
    """The marker's calls are made before a test is clean, and show what ten calls do not."""
    result = run(
        """
        import pytest

        KEPT = []
        CALLS = {"rare": 0, "asked": 0}

        def keep(name):
            CALLS[name] += 1
            if CALLS[name] % 40 == 25:
                KEPT.append(bytearray(100_000))

        def test_first():
            pass

        def test_rare():
            keep("rare")

        @pytest.mark.mem_leak_check(calls=400)
        def test_asked():
            keep("asked")

        @pytest.mark.mem_leak_check(calls=50)
        def test_clean():
            pass
        """,
        *CHECK,
    )
    result.assert_outcomes(passed=3, failed=1)
    tests = written()
    assert states(tests) == {
        "test_first": "clean",
        "test_rare": "clean",
        "test_asked": "leaking",
        "test_clean": "clean",
    }
    assert tests["test_rare"]["leak"]["calls"] < 24
    assert 38 <= tests["test_clean"]["leak"]["calls"] <= 50
    result.stdout.fnmatch_lines(["clean: nothing grew in * to * calls; *calls=...*"])


def test_caches_that_were_full_hide_no_step(run, written):
    """Emptying caches of the standard library frees as much as the first call keeps."""
    regexes = """
    import re

    for n in range(60):
        re.compile("[a-z]b".join(str(n + k) for k in range(100)))
    """
    run(regexes + LEAKS["arena"], *CHECK)
    assert states(written()) == {"test_it": "leaking"}


@pytest.mark.parametrize(("sleep", "state"), [(0.02, "undecided"), (0, "leaking")])
def test_c_heap_without_a_block_that_stays(leaks, sleep, state):
    """It has to go on for some hundred calls, as the allocator's own slack does not."""
    source = f"""
        import ctypes
        import time

        allocate = ctypes.CDLL(None).malloc

        def test_it():
            time.sleep({sleep})
            allocate(90)
    """
    seconds = 2 if sleep else 20  # calls without a sleep are over sooner, on an idle machine
    assert states(leaks(source, calls=2000, seconds=seconds)) == {"test_it": state}


def test_a_slow_test_that_starts_tracemalloc(leaks):
    """Each start and stop of tracemalloc keeps some bytes, which no block accounts for."""
    source = """
        import time
        import tracemalloc

        def test_it():
            time.sleep(0.02)
            tracemalloc.start()
            assert [str(n) * 3 for n in range(1_000)]
            tracemalloc.stop()
    """
    leak = leaks(source, calls=150, seconds=30)["test_it"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["notes"]
