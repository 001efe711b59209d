"""Tests of a pinned mmap threshold, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's allocator")

# prepended to every program: allocates from the C library, and reads the process
TOOLS = """
import ctypes, json, sys, threading
from pytest_memguard.allocator.mmap_threshold import give_back_large_blocks, pin_mmap_threshold

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
KIB = 1024

def block(kib):
    address = libc.malloc(ctypes.c_size_t(kib * KIB))
    ctypes.memset(address, 1, kib * KIB)
    return address

def mapped():
    # bytes in blocks that have a region of their own
    from pytest_memguard.probes.c_heap import Mallinfo2
    libc.mallinfo2.restype = Mallinfo2
    return libc.mallinfo2().hblkhd

def seen(kib, times=1):
    # whether the last of some blocks, freed one after the other, was unmapped; they are
    # so many that no free chunk of the heap is large enough for all of them
    for _ in range(times):
        before = mapped()
        several = [block(kib) for _ in range(8)]
        was_mapped = mapped() >= before + kib * KIB
        for address in several:
            libc.free(address)
    return was_mapped and mapped() == before

def arena_of_a_thread():
    # arenas begin at multiples of 64 MiB; the first one is where the program's heap is
    found = []
    thread = threading.Thread(target=lambda: found.append(block(1)))
    thread.start()
    thread.join()
    return found[0] >> 26
"""


def result_of(program, **variables: str) -> object:
    """Return what a program prints as JSON.

    Args:
        program: its last lines.
        variables: of its environment.
    """
    done = subprocess.run(
        [sys.executable, "-c", TOOLS + program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def is_glibc() -> bool:
    """Whether the C library is the GNU one."""
    return result_of("print(json.dumps(hasattr(libc, 'gnu_get_libc_version')))") is True


def test_large_blocks_are_given_back() -> None:
    """A freed block of 200 KiB is gone from the process, every time.

    Otherwise the C library keeps such blocks once it has seen one that was larger.
    """
    if not is_glibc():
        pytest.skip("this is not glibc")
    after_a_larger_one = "seen(1000), [seen(200), seen(200, 20), seen(129)]"
    _, kept = result_of(f"print(json.dumps([{after_a_larger_one}]))")
    assert kept == [False] * 3
    said, (_, gone) = result_of(
        f"print(json.dumps([pin_mmap_threshold(), [{after_a_larger_one}]]))"
    )
    assert (said, gone) == (True, [True] * 3)


@pytest.mark.parametrize("function", ["pin_mmap_threshold", "give_back_large_blocks"])
def test_threads_give_back_large_blocks(function) -> None:
    """The blocks of a thread come from the same arena as all others."""
    if not is_glibc():
        pytest.skip("this is not glibc")
    program = "here = block(1) >> 26; print(json.dumps([here, arena_of_a_thread()]))"
    here, there = result_of(program)
    assert here != there
    here, there = result_of(f"{function}(); {program}")
    assert abs(here - there) <= 1  # the heap may lie across a multiple


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_ARENA_MAX", "3"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=3")],
)
def test_a_limit_of_the_user_stays(name, value) -> None:
    """A number of arenas that was set in the environment is left as it is."""
    if not is_glibc():
        pytest.skip("this is not glibc")
    program = (
        "give_back_large_blocks(); print(json.dumps([block(1) >> 26, arena_of_a_thread()]))"
    )
    here, there = result_of(program, **{name: value})
    assert abs(here - there) > 1


KEEPS = "seen(31 * KIB), [seen(8 * KIB, 2), seen(1100, 2)]"


def test_blocks_of_1_mib_are_given_back() -> None:
    """A block of 1,100 KiB leaves the process when it is freed; one of 200 KiB may stay."""
    if not is_glibc():
        pytest.skip("this is not glibc")
    program = f"print(json.dumps([give_back_large_blocks(), {KEEPS}, seen(200, 2)]))"
    assert result_of(program) == [True, True, [True, True], False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_MMAP_THRESHOLD_", str(32 << 20)),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=33554432"),
    ],
)
def test_a_threshold_of_the_user_stays(name, value) -> None:
    """A setting of the environment about large blocks is left as it is."""
    if not is_glibc():
        pytest.skip("this is not glibc")
    program = f"print(json.dumps([give_back_large_blocks(), {KEEPS}]))"
    answers = result_of(program, **{name: value, "MALLOC_TRIM_THRESHOLD_": str(64 << 20)})
    assert answers == [True, False, [False, False]]


def test_nothing_is_set_where_the_user_has() -> None:
    """Where the environment sets all of it, nothing is changed."""
    variables = {"MALLOC_ARENA_MAX": "2", "MALLOC_TOP_PAD_": "4096"}
    assert result_of("print(json.dumps(give_back_large_blocks()))", **variables) is False


def test_twice() -> None:
    """Pinning the threshold a second time changes nothing."""
    if not is_glibc():
        pytest.skip("this is not glibc")
    program = "print(json.dumps([pin_mmap_threshold(), pin_mmap_threshold(), seen(200, 5)]))"
    assert result_of(program) == [True] * 3


def test_elsewhere() -> None:
    """Where the C library is another one, nothing is changed, and the reason is reported."""
    assert (
        result_of("sys.platform = 'darwin'; print(json.dumps(pin_mmap_threshold()))") is False
    )
    # a C library without glibc's own function
    program = """
class Other:
    def mallopt(self, option, value):
        raise SystemExit("it was asked to change something")

ctypes.CDLL = lambda name: Other()
print(json.dumps(pin_mmap_threshold()))
"""
    assert result_of(program) is False
