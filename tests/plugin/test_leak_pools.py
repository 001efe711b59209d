"""Tests of leaks in libraries that keep memory for reuse."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs memray and a compiler"
)
LIBRARY = """
#include <stdlib.h>
#include <string.h>
#define SEEN __attribute__((noinline))
#define HERE __asm__ volatile("" ::: "memory")
struct block { struct block *next; char rest[312]; };
static struct block *kept;
SEEN static void *get(int pools) {
    struct block *one = kept;
    if (pools && one) { kept = one->next; return one; }
    one = malloc(sizeof *one); HERE;
    return one;
}
static void give_back(struct block *one) { one->next = kept; kept = one; }
SEEN static void use(int n, int back, int pools) {
    void *all[16];
    for (int i = 0; i < n; i++) all[i] = get(pools);
    for (int i = 0; back && i < n; i++) if (pools) give_back(all[i]); else free(all[i]);
    HERE;
}
void borrow(void) { use(6, 1, 1); HERE; }
void lose(void) { use(7, 0, 1); HERE; }
void spoil(void) { use(6, 1, 0); HERE; }
void leave(void) { use(2, 0, 0); HERE; }
void forget(void) { use(3, 0, 0); HERE; }
SEEN void name(void) { strdup("a name of some length"); HERE; }
SEEN void title(void) { strdup("a text of some length"); HERE; }
"""
SOURCE = """
    import ctypes
    import pathlib

    lib = ctypes.CDLL(str(pathlib.Path(__file__).with_name("lib.so")))

    def test_pool():
        lib.borrow()
        lib.lose()

    def test_wrapper():
        lib.spoil()
        lib.leave()
        lib.forget()

    def test_strdup():
        lib.name()
        lib.title()
"""


@pytest.fixture
def library(tmp_path):
    """The library beside the tests."""
    (tmp_path / "lib.c").write_text(LIBRARY, encoding="utf-8")
    command = ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", tmp_path / "lib.so"]
    subprocess.run([*command, tmp_path / "lib.c"], check=True)


@pytest.mark.usefixtures("library")
def test_pool(leaks):
    """Lines that share a pool are one leak of it, since none is known to keep the memory.

    Lines are sure if the function that allocates also frees, or if it is the C library's.
    """
    found = {name: test["leak"] for name, test in leaks(SOURCE, calls=400).items()}
    pools = {name: leak["blame"] and leak["blame"]["pool"] for name, leak in found.items()}
    assert pools == {"test_pool": "get", "test_wrapper": "", "test_strdup": ""}, found
    assert found["test_pool"]["more"] == []
    assert round(found["test_pool"]["blame"]["bytes_per_call"]) == 7 * 336
