"""Tests of the names of leaks: the same for one leak, and another for each other one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from pytest_memguard.attribution.fingerprints import (
    fingerprint,
    former_fingerprint,
    is_registry,
)
from pytest_memguard.model.leaks import (
    Diagnosis,
    LeakLine,
    RetentionPath,
    TypeGrowth,
)

LINE = LeakLine(file="src/app/io.py", line=3, function="load", count=16, size=384)
OF_TEST = LeakLine(file="tests/test_io.py", line=9, function="test_load", count=16, size=9999)
SAVES = replace(LINE, function="save")
NATIVE = replace(LINE, native=("io_parse", "io_open"))


def held(holder: str, *types: str, lines: tuple[LeakLine, ...] = (LINE,)) -> Diagnosis:
    """A leak that something holds."""
    return replace(
        lost(*types, lines=lines), path=RetentionPath(steps=("module",), holder=holder)
    )


def item_held(holder: str, item: str, *types: str) -> Diagnosis:
    """A leak of items of a type, which lead to objects of others."""
    path = RetentionPath(steps=("module", "[3]", item), holder=holder)
    return replace(lost(*types), path=path)


def lost(*types: str, lines: tuple[LeakLine, ...] = (LINE,)) -> Diagnosis:
    """A leak that nothing holds."""
    grown = tuple(TypeGrowth(type=name, count=16, size=160) for name in types)
    return Diagnosis(calls=16, lines=lines, types=grown)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(held("app.CACHE", "app.Row"), held("app.CACHE", "str"), id="holder"),
        pytest.param(
            held("app.CACHE"), held("app.CACHE", lines=(OF_TEST,)), id="whatever-allocates"
        ),
        pytest.param(
            held("atexit", "app.Row"),
            held("atexit", "app.Row", lines=(OF_TEST,)),
            id="registry-of-a-type",
        ),
        pytest.param(
            held("sys.modules", "test_io.Tag", "tests.data.Row"),
            held("sys.modules", "conftest.Tag"),
            id="types-of-tests-in-a-registry",
        ),
        pytest.param(
            item_held("logging.root.handlers", "app.Sink", "app.Sink"),
            item_held("logging.root.handlers", "app.Sink", "app.Envelope", "app.Sink"),
            id="registry-of-items-that-lead-to-others",
        ),
        pytest.param(
            lost(),
            lost(lines=(replace(LINE, line=99, file="/elsewhere/app/io.py"),)),
            id="line",
        ),
        pytest.param(lost(), lost(lines=(replace(LINE, count=48, size=1152),)), id="rate"),
        pytest.param(
            lost(lines=(LINE, OF_TEST)), lost(lines=(OF_TEST, LINE)), id="not-the-test-s-line"
        ),
        pytest.param(
            lost(lines=(replace(OF_TEST, native=("io_parse",)),)),
            lost(
                lines=(replace(OF_TEST, native=("io_parse",), function="test_it", size=9000),)
            ),
            id="tests-that-call-c-code-themselves",
        ),
        pytest.param(
            lost(lines=(NATIVE,)),
            lost(lines=(replace(SAVES, native=("io_parse", "io_reopen")),)),
            id="a-slot-and-a-method",
        ),
        pytest.param(
            lost(lines=(replace(NATIVE, native=("io_parse",)),)),
            lost(lines=(replace(OF_TEST, native=("io_parse",), size=384),)),
            id="callers-of-a-c-function",
        ),
        pytest.param(
            lost(lines=(replace(LINE, native=("io_parse", "io_open"), through_ffi=True),)),
            lost(
                lines=(
                    replace(
                        LINE,
                        native=("io_name", "io_add", "io_open"),
                        size=9000,
                        through_ffi=True,
                    ),
                )
            ),
            id="what-a-library-allocates-that-ctypes-called",
        ),
        pytest.param(
            lost("dict", lines=(replace(LINE, size=1000),)),
            lost("dict", lines=(replace(LINE, size=99_000),)),
            id="size-of-a-known-type",
        ),
        pytest.param(lost("list", "dict"), lost("dict", "list"), id="order-of-types"),
        pytest.param(lost("app.Row", "dict"), lost("dict", "app.Row"), id="own-type-first"),
        pytest.param(
            lost(lines=(replace(NATIVE, typical=38),)),
            lost(lines=(replace(NATIVE, typical=38, count=17, size=9000),)),
            id="a-table-that-grew-once",
        ),
        pytest.param(
            lost(lines=(replace(LINE, typical=24), replace(SAVES, typical=20))),
            lost(lines=(replace(SAVES, typical=20, size=9000), replace(LINE, typical=24))),
            id="a-table-that-grew-once-at-another-line",
        ),
        pytest.param(
            lost(lines=(replace(LINE, typical=24), replace(SAVES, typical=30))),
            lost(lines=(replace(SAVES, typical=24), replace(LINE, typical=30))),
            id="which-of-two-lines-is-larger",
        ),
        pytest.param(
            held(
                "linecache.cache", lines=(replace(LINE, typical=30), replace(SAVES, typical=24))
            ),
            held(
                "linecache.cache", lines=(replace(SAVES, typical=30), replace(LINE, typical=24))
            ),
            id="lines-of-a-registry-that-are-alike",
        ),
        pytest.param(
            lost(lines=(replace(LINE, count=1, size=9000),)),
            lost(lines=(replace(LINE, count=2, size=99_000),)),
            id="size-of-what-grows-in-place",
        ),
    ],
)
def test_one_leak_has_one_name(one, other) -> None:
    """Neither numbers nor folders nor what a test does beside it change the name."""
    assert fingerprint(one) == fingerprint(other)
    assert len(fingerprint(one)) == 12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(held("app.CACHE"), held("app.QUEUE"), id="holders"),
        pytest.param(
            held("atexit", "app.Row"), held("atexit", "shop.Cart"), id="types-in-a-registry"
        ),
        pytest.param(
            held("atexit", "dict"),
            held("atexit", "dict", lines=(replace(LINE, function="save"),)),
            id="lines-of-a-registry",
        ),
        pytest.param(
            held("threading._active, thread app.Poller"),
            held("threading._active, thread app.Mailer"),
            id="threads",
        ),
        pytest.param(
            held("threading._active, thread concurrent.futures.thread._worker"),
            held(
                "threading._active, thread concurrent.futures.thread._worker",
                lines=(replace(LINE, function="save"),),
            ),
            id="threads-of-the-standard-library",
        ),
        pytest.param(
            held("functools.lru_cache of json.loads", "app.Row"),
            held("functools.lru_cache of json.loads", "shop.Cart"),
            id="a-cache-of-the-standard-library",
        ),
        pytest.param(
            held("parameters of a test.params[...]"),
            held("parameters of a test.params[...]", lines=(OF_TEST,)),
            id="parameters",
        ),
        pytest.param(lost(), lost(lines=(replace(LINE, function="save"),)), id="functions"),
        pytest.param(lost(), lost(lines=(NATIVE,)), id="c-function"),
        pytest.param(
            lost(lines=(NATIVE,)),
            lost(lines=(replace(NATIVE, native=("io_close",)),)),
            id="c-functions",
        ),
        pytest.param(
            lost(lines=(replace(NATIVE, native=("dup", "io_parse", "io_open")),)),
            lost(lines=(replace(NATIVE, native=("dup", "io_close", "io_open")),)),
            id="c-functions-with-a-common-helper",
        ),
        pytest.param(
            lost(lines=(replace(LINE, native=("strdup",), through_ffi=True),)),
            lost(lines=(replace(SAVES, native=("strdup",), through_ffi=True),)),
            id="callers-through-ctypes",
        ),
        pytest.param(lost("dict"), lost("list"), id="types"),
        pytest.param(lost(), lost(lines=(replace(LINE, size=16_000),)), id="sizes"),
        pytest.param(
            lost(lines=(replace(LINE, block=100),)),
            lost(lines=(replace(LINE, block=300),)),
            id="sizes-of-blocks-that-are-alike",
        ),
    ],
)
def test_two_leaks_have_two_names(one, other) -> None:
    """The difference between two leaks is in the name."""
    assert fingerprint(one) != fingerprint(other)


def test_a_line_that_was_watched_goes_first() -> None:
    """Only what opened a file is known for certain."""
    opened = replace(OF_TEST, left=(("open files", 16),))
    assert fingerprint(lost(lines=(opened, LINE))) == fingerprint(lost(lines=(opened,)))


def test_nothing_known_has_no_name() -> None:
    """Only what tracemalloc keeps of each start is known without a line."""
    assert fingerprint(Diagnosis(calls=16)) == ""
    assert fingerprint(Diagnosis(calls=16, traced=True))
    assert former_fingerprint(Diagnosis(calls=16)) == ""


@pytest.mark.parametrize(
    ("diagnosis", "subject"),
    [
        pytest.param(lost("dict"), "io.py:load", id="line"),
        pytest.param(lost("dict", lines=(OF_TEST, LINE)), "test_io.py:test_load", id="first"),
        pytest.param(held("atexit", "app.Row"), "held by atexit", id="registry"),
        pytest.param(
            held("threading._active, thread app.Poller"),
            "held by threading._active",
            id="thread",
        ),
        pytest.param(held("app.CACHE", "app.Row"), "", id="the-same"),
        pytest.param(
            held("app.STORES['users'].rows", "app.Row"),
            "held by app.STORES[...].rows",
            id="a-key",
        ),
        pytest.param(
            held("logging.root.manager[3].handlers", "app.Row"),
            "held by logging.root.manager[...].handlers, app.Row",
            id="a-key-of-a-registry",
        ),
    ],
)
def test_former_names(diagnosis, subject) -> None:
    """A leak that has another name than before has that of before as well."""
    name = hashlib.sha256(subject.encode()).hexdigest()[:12] if subject else ""
    assert former_fingerprint(replace(diagnosis, fingerprint=fingerprint(diagnosis))) == name


@pytest.mark.parametrize(
    ("holder", "shared"),
    [
        ("threading._active, thread app.Poller", True),
        ("logging.Logger.manager.loggerDict[...].handlers", True),
        ("sys.modules", True),
        ("context variables, context variable request", True),
        ("parameters of a test[...]", True),
        ("functools.lru_cache of json.loads", True),
        ("functools.lru_cache of app.shape", False),
        ("app.cache._REGISTRY", False),
        ("app.STORES['sys, x'].rows", False),
        ("logging.Logger.manager.loggerDict['app.views'].handlers", True),
        ("fixture visits", False),
        ("handler of SIGUSR2", False),
    ],
)
def test_registries(holder, shared) -> None:
    """Growth of a registry of the standard library may come from any leak."""
    assert is_registry(holder) is shared
