"""Leaks that users reported in public, each with a release that has it and one that has not."""

from __future__ import annotations

from dataclasses import dataclass

MARK = "# LEAK"
"""Ends the line of the test from which what stays is allocated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two releases of a package, and a test that the issue's reproduction became."""

    name: str
    """Of its row."""
    package: str
    """On the index."""
    leaking: str
    """The release with the leak."""
    fixed: str
    """The release without it."""
    issue: str
    """Where it was reported."""
    source: str
    """The test file."""
    needs: tuple[str, ...] = ()
    """What else has to be installed."""
    own_line: str = ""
    """End of the name of the package's own file whose line allocates, if it is in Python."""


PAIRS: tuple[Pair, ...] = (
    Pair(
        name="multidict pop",
        package="multidict",
        leaking="6.6.3",
        fixed="6.6.4",
        issue="https://github.com/aio-libs/multidict/issues/1232",
        source="""
from multidict import MultiDict


def test_pop():
    headers = MultiDict()
    headers["key"] = "x" * 500  # LEAK
    headers.pop("key")
""",
    ),
    Pair(
        name="hiredis map",
        package="hiredis",
        leaking="3.1.0",
        fixed="3.2.0",
        issue="https://github.com/redis/hiredis-py/issues/175",
        source="""
from hiredis import Reader

REPLY = b"%1\\r\\n$3\\r\\nkey\\r\\n$200\\r\\n" + b"v" * 200 + b"\\r\\n"


def test_map():
    reader = Reader()
    reader.feed(REPLY)
    reader.gets()  # LEAK
""",
    ),
    Pair(
        name="ujson dump",
        package="ujson",
        leaking="5.12.0",
        fixed="5.12.1",
        issue="https://nvd.nist.gov/vuln/detail/CVE-2026-44660",
        source="""
import ujson

DATA = {"a": "x" * 1000}


class Full:
    def write(self, text):
        raise OSError


def test_dump():
    try:
        ujson.dump(DATA, Full())  # LEAK
    except OSError:
        pass
""",
    ),
    Pair(
        name="h5py objects",
        package="h5py",
        leaking="3.15.1",
        fixed="3.16.0",
        issue="https://github.com/h5py/h5py/issues/2771",
        needs=("numpy",),
        own_line="h5py/_hl/dataset.py",
        source="""
import h5py

FILE = h5py.File("numbers", "w", driver="core", backing_store=False)
FILE["data"] = [1, 2, 3]


def test_read():
    FILE["data"][0]  # LEAK
""",
    ),
    Pair(
        name="numpy roots",
        package="numpy",
        leaking="2.4.0",
        fixed="2.4.1",
        issue="https://github.com/numpy/numpy/issues/30547",
        own_line="numpy/lib/_twodim_base_impl.py",
        source="""
import numpy


def test_roots():
    numpy.roots([3.2, 2, 1])  # LEAK
""",
    ),
)
"""In the order of the table."""
