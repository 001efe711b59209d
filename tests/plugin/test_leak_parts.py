"""One leak is one: what is there in the place of something else is none beside it."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from tests.plugin.leaky import JSON

COPIED = """
    import weakref

    class App:
        pass

    KEPT = [App() for _ in range(100)]
    APPS = weakref.WeakSet(KEPT)

    class Signal:
        def remove(self):
            pass

    SIGNAL = Signal()

    def receiver():
        pass

    def test_it():
        global APPS
        APPS = weakref.WeakSet(APPS)
        weakref.finalize(receiver, SIGNAL.remove)
"""
ENDED = """
    import atexit
    import threading

    class Publisher:
        def __init__(self):
            self.rows = [[] for _ in range(10)]
            self.thread = threading.Thread(target=self.stop)
            self.thread.start()
            self.thread.join()

        def stop(self):
            pass

    def test_it():
        atexit.register(Publisher().stop)
"""
ABSTRACT = """
    import abc

    class Base(abc.ABC):
        pass

    class Parser:
        KNOWN = [type(f"Known{n}", (Base,), {}) for n in range(40)]

    def test_it():
        class Custom(Base):
            pass

        Parser.KNOWN.append(Custom)
        isinstance(Custom(), tuple(Parser.KNOWN))
"""
FREE_LIST = """
    import ctypes
    import pytest

    LOSE = ctypes.pythonapi.Py_IncRef
    LOSE.argtypes = [ctypes.py_object]
    SOME = {"a": 1, "b": 2}

    @pytest.fixture(autouse=True)
    def other():
        SOME.copy()  # gone at once

    def lose(**named):
        LOSE(named)

    def test_it():
        lose(type=100)
"""
LOST_CLASS = """
    import ctypes

    LOSE = ctypes.pythonapi.Py_IncRef
    LOSE.argtypes = [ctypes.py_object]

    class Base:
        pass

    def test_it():
        LOSE(type("Child", (Base,), {"mark": lambda self: 0}))
"""
ENVIRONMENT = """
    import os
    from unittest.mock import patch

    import pytest

    KEPT = []

    @pytest.fixture(autouse=True)
    def environment():
        with patch.dict(os.environ, clear=True):
            yield

    def test_it():
        for _ in range(20):
            KEPT.append(object())
"""
HANDLERS = """
    HANDLERS = []

    def test_it():
        seen = []

        def handler(event):
            seen.append(event)

        HANDLERS.append(handler)
        event = object()
        for handler in HANDLERS:
            handler(event)
"""
LISTENERS = """
    LISTENERS = []

    class Event:
        pass

    def notify(event):
        for listener in LISTENERS:
            listener(event)

    def test_it():
        events = []
        LISTENERS.append(events.append)
        for _ in range(6):
            notify(Event())
"""
ADDS_TO_ALL = """
    WATCHERS = []

    class Event:
        pass

    def test_it():
        events = []
        WATCHERS.append(events.append)
        for watcher in WATCHERS:
            watcher(Event())
"""
COUNTERS = """
    HANDLERS = []

    def test_it():
        class Handler:
            def __init__(self):
                self.counts = dict.fromkeys(["sent", "seen"], 250)

            def notify(self):
                self.counts["sent"] += 3
                self.counts["seen"] += 3

        HANDLERS.append(Handler())
        for handler in HANDLERS:
            handler.notify()
"""
ATEXIT = """
    import atexit

    class Lock:
        def release(self):
            pass

    def test_it():
        lock = Lock()
        lock.path = ["a", "b"]
        atexit.register(lock.release)
"""
BYTES = """
    import io

    KEPT = {}

    class Runner:
        def __init__(self):
            self.out = io.BytesIO()

    def write(runner):
        runner.out.write(b"x" * 3000)

    def test_it():
        runner = Runner()
        write(runner)
        KEPT[len(KEPT)] = runner
"""
SET_AGAIN = """
    KEPT = []
    CACHE = {}

    def test_it():
        for i in range(6):
            CACHE[i] = (None, None, f"a{i}\\nb{i}\\nc{i}\\nd{i}".splitlines(True), i)
        KEPT.append([[i] for i in range(40)])
"""
LOST = """
    import ctypes
    import weakref

    add_reference = ctypes.pythonapi.Py_IncRef
    add_reference.argtypes = [ctypes.py_object]

    class Registry:
        def __init__(self):
            self.names = [(f"{i} name", ["a", i], {"k": [i]}) for i in range(300)]
            self.me = weakref.ref(self)

    REGISTRY = None

    def test_it():
        global REGISTRY
        REGISTRY = Registry()
        for i in range(4):
            add_reference("text %d" % (i + id(REGISTRY)))
"""

IN_CONTEXT = """
    import abc
    from contextvars import ContextVar

    CURRENT = ContextVar("current")

    class Base(abc.ABC):
        pass

    def test_it():
        class Local:
            pass
        isinstance(Local(), Base)
        CURRENT.set((CURRENT.get(None), Local))
"""
EMPTIED = """
    KEPT = []

    class Pool:
        def __init__(self):
            self.free = []

    def test_it():
        pool = Pool()
        pool.free.append(pool)
        pool.free.pop()
        KEPT.append(pool)
"""
RAISED = """
    ERROR = ValueError("again")

    def fail():
        class Local:
            pass
        here = Local()
        raise ERROR

    def test_it():
        try:
            fail()
        except ValueError:
            pass
"""


@pytest.mark.parametrize(
    ("source", "blocks", "holder"),
    [
        pytest.param(COPIED, 5, "weakref.finalize._registry", id="a-set-that-is-copied"),
        pytest.param(HANDLERS, 6, "test_it.HANDLERS", id="lists-that-all-grow"),
        pytest.param(
            LISTENERS,
            # six events, their values apart before 3.13; a list with its table, and a method
            15 if sys.version_info < (3, 13) else 9,
            "test_it.LISTENERS",
            id="lists-that-only-methods-hold",
        ),
        pytest.param(ADDS_TO_ALL, None, "test_it.WATCHERS", id="each-adds-to-all"),
        pytest.param(COUNTERS, None, "test_it.HANDLERS", id="numbers-of-old-counters"),
        pytest.param(BYTES, None, "test_it.KEPT", id="bytes-that-only-c-code-knows"),
        pytest.param(
            ATEXIT, None, "atexit, test_it.Lock.release", id="functions-called-at-exit"
        ),
        pytest.param(SET_AGAIN, 82, "test_it.KEPT", id="entries-that-are-set-again"),
        pytest.param(LOST, 4, "", id="lost-beside-a-structure-that-is-renewed"),
        pytest.param(
            IN_CONTEXT,
            None,
            "context variables, context variable current",
            id="classes-that-a-context-variable-has",
        ),
        pytest.param(EMPTIED, None, "test_it.KEPT", id="lists-that-were-emptied"),
        pytest.param(RAISED, None, "test_it.ERROR.__traceback__", id="one-error-raised-again"),
        pytest.param(LOST_CLASS, 9, "", id="a-class-that-c-code-has-lost"),
        pytest.param(
            ENDED,
            38,
            "atexit, test_it.Publisher.stop",
            id="an-ended-thread-that-atexit-has",
        ),
    ],
)
def test_one_leak(leaks, source, blocks, holder):
    """It has one holder and all of the growth."""
    leak = leaks(source)["test_it"]["leak"]
    assert leak["more"] == []
    assert (leak["blame"]["path"] or {"holder": ""})["holder"] == holder
    rates = _rates(leak)
    assert "blocks" in rates
    assert blocks is None or rates["blocks"] == pytest.approx(blocks, rel=0.25)


def test_one_leak_beside_an_environment_that_is_set_again(run, written):
    """Variables that pytest and a fixture set again with each call are no leak beside it."""
    run(ENVIRONMENT, "--mem-leak-check", "--mem-leak-calls=120", JSON).assert_outcomes(failed=1)
    leak = written()["test_it"]["leak"]
    assert leak["more"] == []
    assert leak["blame"]["path"]["holder"] == "test_it.KEPT"
    assert _rates(leak)["blocks"] == pytest.approx(20, rel=0.25)


def _rates(leak: dict[str, Any]) -> dict[str, float]:
    return {rate["signal"]: rate["per_call"] for rate in leak["verdict"]["rates"]}


def test_errors_that_are_parameters(run, written):
    """What measured a test before is no holder, though a traceback keeps its frames."""
    source = """
        import pytest
        from unittest.mock import Mock

        @pytest.mark.parametrize("error", [ValueError("a"), ValueError("b")])
        def test_it(error):
            function = Mock(side_effect=error)
            try:
                function()
            except ValueError:
                mock = Mock()
                function = lambda: mock
    """
    flags = ("--mem-leak-check", "--mem-leak-calls=120", JSON)
    run(source, *flags).assert_outcomes(failed=2)
    for test in written().values():
        assert test["leak"]["more"] == []
        assert test["leak"]["blame"]["path"]["holder"].endswith(".__traceback__")
        assert "memguard" not in str(test["leak"]["blame"]["path"])


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="there, what a traceback keeps is divided by its lines"
)
def test_a_thread_local_in_a_traceback(run, written):
    """What the interpreter keeps of a `threading.local` belongs to what holds the local."""
    source = """
        import threading
        from unittest.mock import Mock
        import pytest

        class Client:
            def __init__(self):
                self.local = threading.local()

            def send(self, error):
                function = Mock(side_effect=error)
                try:
                    function()
                except ValueError:
                    pass

        @pytest.mark.parametrize("error", [ValueError("a")])
        def test_it(error):
            client = Client()
            client.send(error)
            mock = Mock()
            function = lambda: mock
    """
    flags = ("--mem-leak-check", "--mem-leak-calls=120", JSON)
    run(source, *flags).assert_outcomes(failed=1)
    (test,) = written().values()
    assert test["leak"]["more"] == []
    assert test["leak"]["blame"]["path"]["holder"].endswith(".__traceback__")


def test_blocks_of_pytest_in_a_traceback(run, written):
    """They are attributed to no line of the tests, though another leak is beside them."""
    source = """
        import pytest
        from unittest.mock import Mock

        KEPT = []

        def send(error):
            function = Mock(side_effect=error)
            try:
                function()
            except ValueError:
                pass

        @pytest.mark.parametrize("error", [ValueError("a")])
        def test_alone(error):
            send(error)

        @pytest.mark.parametrize("error", [ValueError("a")])
        def test_beside(error):
            send(error)
            KEPT.append([None] * 400)
    """
    flags = ("--mem-leak-check", "--mem-leak-calls=120", JSON)
    run(source, *flags).assert_outcomes(failed=2)
    alone, beside = (test["leak"] for _, test in sorted(written().items()))
    assert [len(leak["more"]) for leak in (alone, beside)] == [0, 1]
    blocks = [
        sum(line["count"] for line in diagnosis["lines"]) / diagnosis["calls"]
        for diagnosis in (alone["blame"], beside["blame"])
    ]
    assert blocks[1] == pytest.approx(blocks[0], rel=0.25)


def test_lines_of_two_leaks(leaks):
    """Each has the lines that made its objects, instances of classes among them."""
    source = """
        A, B = [], []

        class Jar:
            def __init__(self):
                self.rows = [[i + 10**6] for i in range(4)]

        class Box:
            def __init__(self):
                self.text = "x" * 300 + str(id(self))

        def test_it():
            A.append(Jar())
            B.append(Box())
    """
    leak = leaks(source)["test_it"]["leak"]
    told = [
        {
            line["line"]: line["count"] / part["blame"]["calls"]
            for line in part["blame"]["lines"]
        }
        for part in (leak, *leak["more"])
    ]
    made = [6, 13], [10, 14]
    assert sorted(map(sorted, told)) == [list(lines) for lines in made]
    jars, boxes = sorted(told, key=min)
    assert jars[6] == pytest.approx(13, rel=0.25)
    assert boxes[10] == pytest.approx(1, rel=0.6)


def test_lines_of_attributes_and_tables(leaks):
    """They are blocks of the lines that set the attributes and filled the dict."""
    source = """
        A, B = [], []

        class Node:
            def __init__(self):
                self.keys = {}
                for i in range(13):
                    self.keys[i] = Key(self)

        class Key:
            def __init__(self, owner):
                self.owner, self.call = owner, self.run

            def run(self):
                pass

        def test_it():
            A.append(Node())
            B.append([bytearray(5000), str(id(B))])
    """
    leak = leaks(source)["test_it"]["leak"]
    nodes = next(
        part["blame"]
        for part in (leak, *leak["more"])
        if part["blame"]["path"]["holder"] == "test_it.A"
    )
    blocks, size = (
        {line["line"]: line[what] / nodes["calls"] for line in nodes["lines"]}
        for what in ("count", "size")
    )
    apart = sys.version_info < (3, 13)  # later, attributes are in the memory of the instance
    assert blocks[8] == pytest.approx(27 if apart else 14, rel=0.1)
    assert blocks[12] == pytest.approx(13, rel=0.1)
    assert size[8] > 1.5 * size[12]  # 13 instances and the table of the dict
    assert blocks[6] < 2.5


def test_tables_of_many_lists(leaks):
    """Those that move in a few calls count with what they have grown by, and hide no leak."""
    source = """
        LISTS, OTHER = [], []
        for n in range(1000, 1300):
            LISTS.append([])
            for _ in range(n):
                LISTS[-1].append(None)

        class Event:
            pass

        def test_it():
            event = Event()
            for rows in LISTS:
                rows.append(event)
            OTHER.append([bytearray(3000), str(len(OTHER))])
    """
    leak = leaks(source, calls=200)["test_it"]["leak"]
    told = {
        part["blame"]["path"]["holder"]: part["blame"]["bytes_per_call"]
        for part in (leak, *leak["more"])
    }
    assert sorted(told) == ["test_it.LISTS[...]", "test_it.OTHER"]
    # how the two share it depends on where the tables lie
    assert sum(told.values()) == pytest.approx(300 * 8 * 9 / 8 + 3200, rel=0.2)


def test_the_table_of_atexit(leaks):
    """It keeps the entries of the calls, wherever it lies now, and nothing of earlier ones."""
    source = """
        import atexit

        OPEN = []

        def close(number):
            pass

        for number in range(20_000):
            atexit.register(close, number)

        def test_it():
            atexit.register(close, 1)
            OPEN.append([None] * 250)
    """
    leak = leaks(source, calls=200)["test_it"]["leak"]
    told = {
        part["blame"]["path"]["holder"]: part["blame"]["bytes_per_call"]
        for part in (leak, *leak["more"])
    }
    assert sorted(told) == ["atexit", "test_it.OPEN"]
    assert told["test_it.OPEN"] == pytest.approx(2080, rel=0.1)
    assert told["atexit"] < 150


def test_lines_of_what_only_atexit_holds(leaks):
    """They made its objects and tables; the interpreter may have reused memory of others."""
    source = """
        import atexit

        OPEN = []

        class Manager:
            def __init__(self):
                for number in range(40):
                    setattr(self, f"name_{number}", [])
                self.rows = [{"a": number} for number in range(20)]
                self.codes = [compile(str(10**6 + n), "", "eval") for n in range(3)]

            def stop(self):
                pass

        def test_it():
            kept = Manager()
            [{"b": number} for number in range(40)]
            atexit.register(kept.stop)
            OPEN.append([None] * 250)
    """
    leak = leaks(source, calls=200)["test_it"]["leak"]
    told = {
        part["blame"]["path"]["holder"]: {
            line["line"]: (
                line["count"] / part["blame"]["calls"],
                line["size"] / part["blame"]["calls"],
            )
            for line in part["blame"]["lines"]
        }
        for part in (leak, *leak["more"])
    }
    assert sorted(told["atexit, test_it.Manager.stop"]) == [9, 10, 11, 17, 19]
    lines = told["atexit, test_it.Manager.stop"]
    assert lines[9][0] == pytest.approx(41, rel=0.1)
    assert lines[9][1] == pytest.approx(40 * 56 + 64 + 1500, rel=0.3)
    assert lines[10][0] == pytest.approx(42, rel=0.1)


def test_item_at_the_front(leaks):
    """The example of what a list holds is one of its new items, wherever they are."""
    source = """
        PATHS = ["x" * 14]

        def test_it():
            PATHS.insert(0, "/".join(["srv", str(len(PATHS)), "y" * 40]))
    """
    path = leaks(source)["test_it"]["leak"]["blame"]["path"]
    assert not path["steps"][-1].endswith("14 characters")


def test_a_dict_with_memory_of_a_fixture(run, written):
    """What C code has lost has its own line, not that of a dict that was there before."""
    run(FREE_LIST, "--mem-leak-check", "--mem-leak-calls=120", JSON).assert_outcomes(failed=1)
    diagnosis = written()["test_it"]["leak"]["blame"]
    assert {line["function"] for line in diagnosis["lines"]} == {"test_it"}
    found = sum(line["count"] for line in diagnosis["lines"])
    assert found == pytest.approx(2 * diagnosis["calls"], abs=4)


def test_abstract_classes_that_are_asked_about_others(leaks):
    """Each has a set of weak references to those; all of them belong to the list of classes."""
    leak = leaks(ABSTRACT)["test_it"]["leak"]
    assert leak["more"] == []
    assert leak["blame"]["path"]["holder"].startswith("test_it.Parser.KNOWN")


def test_bytes_of_objects_that_have_tables(leaks):
    """A list with its table is two blocks, and the sizes of both are known."""
    source = """
        KEPT, OTHER = [], []

        def test_it():
            KEPT.append([[i] for i in range(40)])
            OTHER.append(object())
    """
    leak = leaks(source)["test_it"]["leak"]
    assert len(leak["more"]) == 1
    # 41 lists of 56 bytes, 40 of them with tables of 8, and the table of the outer one
    expected = 41 * 56 + 40 * 8 + 40 * 8
    assert leak["blame"]["bytes_per_call"] == pytest.approx(expected, rel=0.2)


def _bytes_per_call(call: Callable[[], object]) -> float:
    """What tracemalloc counts, over a hundred calls."""
    for _ in range(20):
        call()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(100):
        call()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / 100


def test_bytes_of_attributes(leaks):
    """The values of an instance's attributes are blocks that no object tells of."""
    source = """
        from unittest.mock import Mock

        FIRST, SECOND = Mock(return_value=1), Mock(return_value=1)

        def test_it():
            for number in range(6):
                FIRST(), SECOND(1000.5 + number)
    """
    leak = leaks(source)["test_it"]["leak"]
    said = sorted(part["blame"]["bytes_per_call"] for part in (leak, *leak["more"]))
    first, second = Mock(return_value=1), Mock(return_value=1)
    calls = (
        lambda: [first() for _ in range(6)],
        lambda: [second(1000.5 + number) for number in range(6)],
    )
    assert said == pytest.approx(sorted(map(_bytes_per_call, calls)), rel=0.15)


def test_types_of_a_structure_that_each_call_renews(leaks):
    """Its objects do not become more, though the old ones are in cycles and were frozen."""
    source = """
        KEPT = []
        LATEST = None

        class Node:
            pass

        class Request:
            pass

        def test_it():
            global LATEST
            LATEST = [Node() for _ in range(80)]
            LATEST.append(LATEST)
            KEPT.append(Request())
    """
    leak = leaks(source)["test_it"]["leak"]
    assert leak["more"] == leak["kept"] == []
    assert [growth["type"] for growth in leak["blame"]["types"]] == ["test_it.Request"]


def test_a_leak_beside_one_that_is_known(leaks):
    """What another test has shown already does not hide what this one leaves beside it."""
    source = """
        KNOWN, OTHER = [], []

        def leak():
            KNOWN.append([object()])

        def test_first():
            leak()

        def test_same():
            leak()

        def test_with_another():
            leak()
            OTHER.append(object())
    """
    tests = leaks(source)
    held = {
        name: [
            part["blame"]["path"]["holder"] for part in (test["leak"], *test["leak"]["more"])
        ]
        for name, test in tests.items()
    }
    assert held == {
        "test_first": ["test_it.KNOWN"],
        "test_same": ["test_it.KNOWN"],
        "test_with_another": ["test_it.KNOWN", "test_it.OTHER"],
    }
    assert tests["test_same"]["leak"]["calls"] < 100  # followed to its end once


def test_texts_that_a_stream_holds(leaks):
    """A stream holds what was written to it, beside another leak as well as alone."""
    source = """
        import io

        class Writer:
            def __init__(self):
                self.file = io.StringIO()

            def write(self, text):
                self.file.write("note: %s\\n" % text)

        class Node:
            pass

        WRITER = Writer()
        NODES = []

        def test_both():
            NODES.append(Node())
            WRITER.write(str(len(NODES)))

        def test_text():
            WRITER.write(str(len(NODES)))
    """
    tests = leaks(source, calls=300)
    first = tests["test_both"]["leak"]
    holders = {
        leak["blame"]["path"]["holder"]: leak["blame"]["fingerprint"]
        for leak in (first, *first["more"])
    }
    assert holders.keys() == {"test_it.NODES", "test_it.WRITER.file"}
    alone = tests["test_text"]["leak"]
    assert not alone["more"]
    assert alone["blame"]["fingerprint"] == holders["test_it.WRITER.file"]
