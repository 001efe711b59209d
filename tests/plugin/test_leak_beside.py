"""What leaks beside a cache that fills, and what a cache that fills is by itself."""

from __future__ import annotations

from typing import Any

import pytest

HEAD = """
import collections, ctypes, functools, itertools, os, re, sqlite3, threading
N = itertools.count(1000)
"""
LRU = """
@functools.lru_cache(maxsize=5000)
def square(n):
    return (n, [n])

def fill():
    square(next(N))
"""
FILES = """
@functools.lru_cache(maxsize=190)
def opened(n):
    return open(os.devnull)

def fill():
    opened(next(N))
"""
DEQUE = """
LAST = collections.deque(maxlen=3000)

def fill():
    LAST.append(bytes(600))
    LAST.append([next(N)])
"""
CLAIMS = """
class Cache:
    def __init__(self):
        self.maxsize = 4000
        self.data = {}

CACHE = Cache()

def fill():
    CACHE.data[next(N)] = [1]
"""
KEPT_LIMIT = """
class Cache:
    def __init__(self):
        self.maxsize = 120
        self.data = {}

CACHE = Cache()

def fill():
    CACHE.data[next(N)] = [1]
    if len(CACHE.data) > CACHE.maxsize:
        del CACHE.data[next(iter(CACHE.data))]
"""
BROKEN_LIMIT = CLAIMS.replace("4000", "100")
PATTERNS = """
def fill():
    re.compile(f"memguard-{next(N)}")
"""
STATEMENTS = """
CONNECTION = sqlite3.connect(":memory:")

def fill():
    CONNECTION.execute(f"select {next(N)}").fetchall()
"""
CACHES = {
    "lru": LRU,
    "files": FILES,
    "deque": DEQUE,
    "claims": CLAIMS,
    "kept-limit": KEPT_LIMIT,
    "patterns": PATTERNS,
    "statements": STATEMENTS,
}
DESCRIPTOR = "def leak():\n    os.open(os.devnull, os.O_RDONLY)\n"
SMALL = "KEPT = []\ndef leak():\n    KEPT.append(object())\n"
LOST = (
    "LOSE = ctypes.pythonapi.Py_IncRef\nLOSE.argtypes = [ctypes.py_object]\n"
    'def leak():\n    LOSE({"a": [object()]})\n'
)
NATIVE = (
    "TAKE = ctypes.pythonapi.PyMem_RawMalloc\nTAKE.restype = ctypes.c_void_p\n"
    "def leak():\n    TAKE(1000)\n"
)
THREAD = (
    "STOP = threading.Event()\n"
    "def leak():\n    threading.Thread(target=STOP.wait, daemon=True).start()\n"
)
TEXT = 'TEXT = ""\ndef leak():\n    global TEXT\n    TEXT += "x" * 300\n'
SAME = "KEPT = []\ndef leak():\n    KEPT.append(LAST[-1])\n"
TEST = "def test_it():\n    fill()\n    leak()\n"


def _leak(leaks, source: str) -> dict[str, Any]:
    found: dict[str, Any] = leaks(f"{HEAD}\n{source}", calls=300, seconds=30)["test_it"]["leak"]
    return found


@pytest.mark.parametrize("cache", CACHES)
def test_a_cache_that_fills_is_no_leak(leaks, cache):
    """By itself it is clean, full or not."""
    leak = _leak(leaks, CACHES[cache] + TEST.replace("    leak()\n", ""))
    assert leak["verdict"]["state"] in {"clean", "settling"}


@pytest.mark.parametrize(
    ("cache", "leak", "named"),
    [
        pytest.param(LRU, DESCRIPTOR, "leak", id="descriptor-beside-lru"),
        pytest.param(FILES, LOST, "leak", id="lost-beside-files"),
        pytest.param(LRU, SMALL, "test_it.KEPT", id="object-beside-lru"),
        pytest.param(DEQUE, NATIVE, "leak", id="native-beside-deque"),
        pytest.param(DEQUE, SAME, "test_it.KEPT", id="same-contents"),
        pytest.param(CLAIMS, LOST, "leak", id="lost-beside-claimed-limit"),
        pytest.param(KEPT_LIMIT, SMALL, "test_it.KEPT", id="object-beside-kept-limit"),
        pytest.param(PATTERNS, SMALL, "test_it.KEPT", id="object-beside-patterns"),
        pytest.param(STATEMENTS, SMALL, "test_it.KEPT", id="object-beside-statements"),
        pytest.param(
            FILES,
            THREAD,
            "threading._active, thread threading.Event.wait",
            id="thread-beside-files",
        ),
        pytest.param(LRU, TEXT, "test_it.TEXT", id="text-beside-lru"),
    ],
)
def test_what_leaks_beside_it_is_found(leaks, cache, leak, named):
    """A cache explains its own share of the growth, and no more."""
    found = _leak(leaks, cache + leak + TEST)
    assert found["verdict"]["state"] == "leaking"
    assert named in [_named(part["blame"]) for part in (found, *found["more"])]


def test_a_limit_that_is_not_kept(leaks):
    """What grows beyond the limit that it claims is a leak."""
    leak = _leak(leaks, BROKEN_LIMIT + TEST.replace("    leak()\n", ""))
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["path"]["holder"] == "test_it.CACHE.data"


def _named(diagnosis) -> str:
    return (
        diagnosis["path"]["holder"] if diagnosis["path"] else diagnosis["lines"][0]["function"]
    )


def test_dead_cursors_of_a_connection(leaks):
    """An SQLite connection drops weak references to them after every 200."""
    source = """
        import sqlite3
        CONNECTION = sqlite3.connect(":memory:")

        def test_it():
            for _ in range(3):
                CONNECTION.cursor()
    """
    verdict = leaks(source, calls=48)["test_it"]["leak"]["verdict"]
    assert verdict["state"] == "undecided"
    assert "weak references to objects that are gone" in verdict["reason"]


def test_living_cursors_of_a_connection(leaks):
    """Those that something else holds are a leak."""
    source = """
        import sqlite3
        CONNECTION = sqlite3.connect(":memory:")
        KEPT = []

        def test_it():
            KEPT.append(CONNECTION.cursor())
    """
    leak = leaks(source, calls=48)["test_it"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["path"]["holder"] == "test_it.KEPT"
