"""A heap budget does not pass in silence where memray cannot see what the test takes."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux says what is resident")

TAKEN = """
    import ctypes
    import mmap

    import pytest
    from pytest_memguard import stage

    SIZE = 40 << 20
    LIBC = ctypes.CDLL(None)
    LIBC.malloc.restype = LIBC.mmap.restype = ctypes.c_void_p
    LIBC.malloc.argtypes = [ctypes.c_size_t]
    LIBC.free.argtypes = [ctypes.c_void_p]
    LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_long] * 4

    def by_malloc():
        block = LIBC.malloc(SIZE)
        ctypes.memset(block, 1, SIZE)
        LIBC.free(block)

    def by_mmap():
        rights = mmap.PROT_READ | mmap.PROT_WRITE
        block = LIBC.mmap(None, SIZE, rights, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        ctypes.memset(block, 1, SIZE)
        LIBC.munmap(block, SIZE)
"""
TEST = """
    @pytest.mark.mem_budget({limit}, metric="heap"{more})
    def test_{name}():
        with stage("parse"):
            {how}()
"""
EACH = {
    f"{how}_{at}": {"how": how, "more": more}
    for how in ("by_malloc", "by_mmap")
    for at, more in (("call", ""), ("all", ", phase='all'"), ("stage", ", stage='parse'"))
}


def test_memory_through_ctypes(run):
    """Memory that is taken through ctypes makes a budget undecided that it may have passed."""
    tests = (TEST.format(limit=20, name=name, **each) for name, each in EACH.items())
    result = run(TAKEN + "".join(tests))
    result.assert_outcomes(passed=len(EACH))
    said = "between *.? MiB and [34]?.? MiB, * than memray counted, *metric='rss' counts it"
    for name in EACH:
        result.stdout.fnmatch_lines([f"*::test_{name}: peak heap* lies {said} (undecided)"])


@pytest.mark.parametrize("limit", [60, 0.001])
def test_decided_all_the_same(run, limit):
    """A budget that would hold anyway, or is exceeded by what was counted, is decided."""
    result = run(TAKEN + TEST.format(limit=limit, name="takes", how="by_malloc", more=""))
    assert result.parseoutcomes() == ({"passed": 1} if limit == 60 else {"failed": 1})
    result.stdout.no_fnmatch_line("*undecided*")


COUNTED = """
    import threading

    import pytest

    pytestmark = pytest.mark.mem_budget(31, metric="heap")

    def test_blocks():
        [bytes(500) for _ in range(40_000)]

    def test_lists():
        [[] for _ in range(300_000)]

    def test_texts():
        [str(number) for number in range(350_000)]

    def test_threads():
        threads = [threading.Thread(target=bytearray, args=(1 << 20,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_import():
        import asyncio, email.mime.text, http.server, sqlite3, xml.dom.minidom

    def test_file(tmp_path):
        import mmap
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(25 << 20)
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as text:
            assert sum(text[at] for at in range(0, 25 << 20, 4096)) == 0
"""


def test_what_is_resident_beside_the_heap(run):
    """What allocators add, stacks, libraries and pages of files are no reason for doubt."""
    result = run(COUNTED)
    result.assert_outcomes(passed=6)
    result.stdout.no_fnmatch_line("*undecided*")
