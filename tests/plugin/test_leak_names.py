"""The names of leaks: one for each, whatever has been imported or run before."""

from __future__ import annotations

import hashlib
import json
from textwrap import dedent

import pytest

from tests.plugin.leaky import IMPATIENT, JSON

CHECK = ("--mem-leak-check", "--mem-leak-calls=60", "--mem-leak-seconds=10", JSON)
THREADS = """
    import threading

    STOP = threading.Event()

    class Poller(threading.Thread):
        def run(self):
            STOP.wait()

    class Mailer(threading.Thread):
        def run(self):
            STOP.wait()

    def watch():
        STOP.wait()

    def send():
        STOP.wait()

    def test_poller():
        Poller(daemon=True).start()

    def test_mailer():
        Mailer(daemon=True).start()

    def test_watch():
        threading.Thread(target=watch, daemon=True).start()

    def test_send():
        timer = threading.Timer(1e6, send)
        timer.daemon = True
        timer.start()
"""


WAITING = """
    import socket
    import threading
    from selectors import DefaultSelector, EVENT_READ

    STOP = socket.socketpair()

    class Server:
        def __init__(self):
            self.selector = DefaultSelector()
            self.selector.register(STOP[0], EVENT_READ)

    def names(text):
        return [letter for letter in text]

    def test_it():
        class Waiter(threading.Thread):
            def run(self):
                Server().selector.select()

        names("abc")
        Waiter(daemon=True).start()
"""


def _names(tests) -> dict[str, tuple[str, str]]:
    """Fingerprint and holder of each test's leak."""
    found = {}
    for name, test in tests.items():
        diagnosis = test["leak"]["blame"]
        found[name] = (
            diagnosis["fingerprint"],
            (diagnosis["path"] or {"holder": ""})["holder"],
        )
    return found


def test_threads_are_told_apart(leaks):
    """By class, by what they run, and by what a timer runs."""
    names = _names(leaks(THREADS, calls=60))
    assert len({name for name, _ in names.values()}) == 4
    assert {test: holder.rpartition(" ")[2] for test, (_, holder) in names.items()} == {
        "test_poller": "test_it.Poller",
        "test_mailer": "test_it.Mailer",
        "test_watch": "test_it.watch",
        "test_send": "test_it.send",
    }


def test_a_thread_that_waits_is_one_leak(leaks):
    """What only its stack refers to is its own, and so is a class made for each thread."""
    leak = leaks(WAITING, calls=60)["test_it"]["leak"]
    assert [part["blame"]["path"] for part in leak["more"]] == []
    assert leak["blame"]["path"]["holder"].startswith("threading._active, thread test_it.")
    kept = {rate["signal"]: rate["per_call"] for rate in leak["verdict"]["rates"]}
    assert kept["Python threads"] == pytest.approx(1, rel=0.2)


def test_context_variables(leaks):
    """A variable has a name; those that each call makes are told by what they hold."""
    source = """
        from contextvars import ContextVar
        from itertools import count

        FIRST, SECOND = ContextVar("first", default=()), ContextVar("second", default=())
        NUMBERS = count()

        class Span:
            pass

        def test_first():
            FIRST.set((*FIRST.get(), Span()))

        def test_second():
            SECOND.set((*SECOND.get(), Span()))

        def test_made():
            ContextVar(f"v{next(NUMBERS)}").set(Span())

        def test_that_the_collector_does_not_follow():
            ContextVar("v").set(object())
    """
    names = _names(leaks(source))  # a call may have twice as much now and then
    assert {name: holder for name, (_, holder) in names.items()} == {
        "test_first": "context variables, context variable first",
        "test_second": "context variables, context variable second",
        "test_made": "context variables, made by each call, of test_it.Span",
        "test_that_the_collector_does_not_follow": (
            "context variables, made by each call, of object"
        ),
    }
    assert len({name for name, _ in names.values()}) == 4


@pytest.mark.parametrize("value", ["[]", "object()"])
def test_a_context_evicts_nothing(leaks, value):
    """No limit can end what makes a variable per call, so it is not followed any further."""
    source = f"""
        from contextvars import ContextVar

        CHANGED = ContextVar("changed", default=())

        def test_made():
            ContextVar("v").set({value})

        def test_changed():
            CHANGED.set((*CHANGED.get(), {value}))
    """
    tests = leaks(source, calls=250)
    assert {name: test["leak"]["calls"] > 240 for name, test in tests.items()} == {
        "test_made": False,
        "test_changed": True,
    }
    path = tests["test_made"]["leak"]["blame"]["path"]
    assert path["never_evicts"]


@pytest.mark.parametrize("imported", [(), ("a_user", "z_user")])
def test_whoever_has_imported_it(tmp_path, leaks, imported):
    """A shared global is that of the module that makes it, be it a package."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").write_text("CARTS = []\n")
    for name in ("a_user", "z_user"):
        (tmp_path / f"{name}.py").write_text("from shop import CARTS\nCARTS.append\n")
    imports = "".join(f"import {name}\n" for name in imported)
    source = f"{imports}from shop import CARTS\ndef test_it(): CARTS.append([])"
    assert _names(leaks(source, calls=60))["test_it"][1] == "shop.CARTS"


def test_a_handler_of_a_logger(leaks):
    """It is held by logging, whichever module has a logger."""
    source = """
        import logging

        LOG = logging.getLogger("mine")
        OTHER = logging.getLogger("other")

        class Handler(logging.Handler):
            pass

        def test_it():
            logging.getLogger("mine.own").addHandler(Handler())
    """
    assert _names(leaks(source, calls=60))["test_it"][1].startswith("logging.")


LOST = """
    import ctypes

    keep = ctypes.pythonapi.Py_IncRef
    keep.argtypes = [ctypes.py_object]

    def lose(make):
        keep(make())

    MADE = [lambda: float("2.5"), lambda: bytes(3000), dict]
"""


def test_leaks_of_one_function(leaks):
    """Type or size tell them apart, the next time and in another order, too."""

    def names(*numbers: int) -> dict[str, tuple[str, str]]:
        tests = (f"def test_{n}(): lose(MADE[{n}])\n" for n in numbers)
        return _names(leaks(dedent(LOST) + "".join(tests), calls=60))

    first = names(0, 1, 2)
    assert len({name for name, _ in first.values()}) == 3
    assert names(2, 1) == {name: first[name] for name in ("test_2", "test_1")}


def test_memory_of_c_code_beside_a_table_that_is_renewed(leaks):
    """The C library keeps every value of a variable; a larger block changes no name."""
    source = """
        import itertools, os

        NUMBERS, TABLE = itertools.count(), [None]

        def test_sets():
            os.putenv("GUARDED", f"{next(NUMBERS):060}")

        def renew(late):
            n = next(NUMBERS)
            once = (n + late) % 16 == 0
            TABLE[0], _ = [n] * 2000 if once else TABLE[0], os.putenv("GUARDED", f"{n:060}")

        def test_renews(): renew(0)
        def test_renews_later(): renew(5)
        def test_renews_last(): renew(10)
    """
    names = _names(leaks(source, calls=2000))
    assert len(names) == 4
    assert len(set(names.values())) == 1


def test_names_of_earlier_versions(pytester, run):
    """One thread accepted under a former name is known for its tests, and no other thread."""
    (pytester.path / ".memguard").mkdir()
    entry = {
        "fingerprint": "dcaa56119fe6",
        "holder": "threading._active",
        "line": "test_it.py: test_poller",
        "tests": ["test_it.py::test_poller"],
    }
    text = json.dumps({"format": 1, "leaks": [entry]})
    (pytester.path / ".memguard/leaks.json").write_text(text)
    pytester.makeconftest(IMPATIENT)
    result = run(THREADS, *CHECK, "-k", "poller or mailer")
    result.assert_outcomes(passed=1, failed=1, deselected=2)
    former = "known leak dcaa56119fe6 (.memguard/leaks.json), which is called ???????????? now"
    gone = "known, but not seen in this run: dcaa56119fe6 (threading._active)"
    result.stdout.fnmatch_lines(
        [f"leaking: *.Poller (leaking); {former}", f"{gone}; its tests show ???????????? now"]
    )


KEYS = """
import itertools, uuid

REGISTRY = {"a": [], "b": [], 1: [], 2: []}
MADE = {uuid.uuid4().hex: [], id(REGISTRY): []}

def add(key):
    REGISTRY[key].append([key])

def test_a(): add("a")
def test_b(): REGISTRY["b"].append([1])
def test_one(): REGISTRY[1].append([1])
def test_two(): REGISTRY[2].append([1])
def test_both(): add("a"); REGISTRY["b"].append([1] * 300)
def test_made(): next(iter(MADE.values())).append([1])
def test_id(): MADE[id(REGISTRY)].append([1])
"""


def test_keys_of_one_dict(leaks):
    """A key that the source code spells out names a leak; one that the run makes does not."""
    tests = leaks(KEYS, calls=60)
    found = _names(tests)
    both = {tests["test_both"]["leak"]["more"][0]["blame"]["fingerprint"]}
    assert both | {found.pop("test_both")[0]} == {found["test_a"][0], found["test_b"][0]}
    assert {name: holder for name, (_, holder) in found.items()} == {
        "test_a": "test_it.REGISTRY['a']",
        "test_b": "test_it.REGISTRY['b']",
        "test_one": "test_it.REGISTRY[1]",
        "test_two": "test_it.REGISTRY[2]",
        "test_made": "test_it.MADE[...]",
        "test_id": "test_it.MADE[...]",
    }
    assert len({name for name, _ in found.values()}) == 5


def test_keys_that_were_not_named_before(pytester, run):
    """A leak accepted under a name without its key is known, and one of another key is not."""
    (pytester.path / ".memguard").mkdir()
    holder = "test_it.REGISTRY[...]"
    former = hashlib.sha256(f"held by {holder}".encode()).hexdigest()[:12]
    entry = {
        "fingerprint": former,
        "holder": holder,
        "line": "test_it.py: test_a",
        "tests": ["test_it.py::test_a"],
    }
    text = json.dumps({"format": 1, "leaks": [entry]})
    (pytester.path / ".memguard/leaks.json").write_text(text)
    result = run(KEYS, *CHECK, "-k", "(test_a or test_b) and not both")
    result.assert_outcomes(passed=1, failed=1, deselected=5)
    known = f"known leak {former} (.memguard/leaks.json), which is called ???????????? now"
    result.stdout.fnmatch_lines([f"leaking: *REGISTRY?'a'? (leaking); {known}"])


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        pytest.param(
            """
            class Peer:
                def __init__(self):
                    self.received = b"x" * 600

            PEER = Peer()

            def test_it():
                PEER.received += b"x" * 250
            """,
            "test_it.PEER.received",
            id="bytes-of-an-object",
        ),
        pytest.param(
            """
            PAGES = {"title": "x", "body": "x" * 600}

            def test_it():
                PAGES["body"] += "x" * 250
            """,
            "test_it.PAGES[...]",
            id="text-in-a-dict",
        ),
        pytest.param(
            """
            class Seen:
                def __init__(self):
                    self.bits = 1 << 5_000

            SEEN = Seen()

            def test_it():
                SEEN.bits <<= 2_000
            """,
            "test_it.SEEN.bits",
            id="number-of-an-object",
        ),
    ],
)
def test_values_that_are_replaced_by_longer_ones(leaks, source, holder):
    """Bytes, texts and numbers that no collector follows are held by what has them."""
    leak = leaks(source, calls=300)["test_it"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["path"]["holder"] == holder


def test_what_atexit_holds_is_one_leak(run, written):
    """Nothing refers to functions registered with it, nor to what they hold."""
    source = """
        import atexit
        from unittest.mock import Mock, patch

        class Lock:
            pass

        @patch(f"{__name__}.Lock")
        def test_it(Lock):
            lock = Lock.return_value = Mock()
            lock.is_locked.return_value = True
            atexit.register(lock.release)
    """
    run(source, *CHECK).assert_outcomes(failed=1)
    (test,) = written().values()
    assert test["leak"]["more"] == []
    assert test["leak"]["blame"]["path"]["holder"] == "atexit"
    lines = test["leak"]["blame"]["lines"]
    assert {line["function"] for line in lines} == {"patched", "test_it"}


def test_lists_of_one_mock(leaks):
    """Of several lists that grow alike, the same one is named for all leaks of all tests."""
    source = """
        from functools import wraps
        from unittest.mock import Mock

        class Watched:
            def __init__(self):
                self.clock, self.gauge = Mock(return_value=0.0), Mock(return_value=0.0)

            def __call__(self, function):
                @wraps(function)
                def wrapper():
                    for number in range(8):
                        self.clock()
                    for number in range(2):
                        self.gauge(number)
                    return function()
                return wrapper

        @Watched()
        def watched():
            pass

        def test_first():
            watched()

        def test_second():
            watched()
    """
    for test in leaks(source).values():
        parts = [test["leak"], *test["leak"]["more"]]
        holders = [part["blame"]["path"]["holder"] for part in parts]
        lists = [holder.rpartition("self.")[2] for holder in holders]
        assert lists == ["clock._mock_call_args_list", "gauge._mock_call_args_list"]


def test_what_is_registered_for_exit_and_for_forks(leaks):
    """Of two registries in C code, the one for the end holds the object, and is named."""
    source = """
        import atexit
        import os

        class Provider:
            def __init__(self):
                self.data = [object() for _ in range(20)]
                atexit.register(self.shutdown)

                def after_fork():
                    pass

                os.register_at_fork(after_in_child=after_fork)

            def shutdown(self):
                pass

        def test_both():
            Provider()

        def test_forks():
            os.register_at_fork(after_in_child=lambda: None)
    """
    tests = leaks(source, calls=60)
    holders = {
        name: tests[name]["leak"]["blame"]["path"]["holder"]
        for name in ("test_both", "test_forks")
    }
    assert holders["test_both"] == "atexit, test_it.Provider.shutdown"
    assert "test_it.test_forks.<locals>.<lambda>" in holders["test_forks"]


def test_what_is_registered_for_exit_is_named_by_its_function(leaks):
    """Two providers are two leaks, and one is the same whatever its objects have."""
    source = """
        import atexit

        class Attribute:
            pass

        class Tracer:
            def __init__(self):
                self.attribute = Attribute()
                atexit.register(self.close)

            def close(self):
                pass

        class Logger:
            def __init__(self, attribute):
                self.attribute = attribute
                atexit.register(self.close)

            def close(self):
                pass

        def test_tracer():
            Tracer()

        def test_logger():
            Logger(Attribute())

        def test_logger_alone():
            Logger(None)
    """
    tests = leaks(source, calls=200, seconds=40)
    names = {name: test["leak"]["blame"]["fingerprint"] for name, test in tests.items()}
    assert names["test_logger"] == names["test_logger_alone"] != names["test_tracer"]
    holder = tests["test_tracer"]["leak"]["blame"]["path"]["holder"]
    assert holder == "atexit, test_it.Tracer.close"


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        pytest.param(
            "os.register_at_fork(after_in_child=lambda: lost.clear())",
            "a list of functions such as test_it.test_it.<locals>.<lambda> that C code alone "
            "holds",
            id="for-forks",
        ),
        pytest.param(
            "ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))", "", id="lost-by-c-code"
        ),
    ],
)
def test_what_is_not_registered_for_exit(leaks, beside, words):
    """A function registered with atexit holds nothing of what leaks beside it."""
    source = f"""
        import atexit
        import ctypes
        import os

        class Provider:
            def __init__(self):
                self.parts = [object() for _ in range(5)]

            def close(self):
                pass

        def test_it():
            atexit.register(Provider().close)
            lost = [bytearray(30) for _ in range(20)]
            {beside}
    """
    leak = leaks(source, calls=200, seconds=40)["test_it"]["leak"]
    parts = [leak, *leak["more"]]
    holders = [(part["blame"]["path"] or {}).get("holder", "") for part in parts]
    blocks = [part["verdict"]["rates"][0]["per_call"] for part in parts]
    assert holders == [words, "atexit, test_it.Provider.close"]
    assert blocks[0] > 40
    assert blocks[1] < 12


def test_new_globals(leaks):
    """A module holds what is a new global of it; a dict that is a global is named itself."""
    source = """
        import itertools

        NUMBERS, TABLE = itertools.count(), {}

        def test_globals():
            globals()[f"made_{next(NUMBERS)}"] = [[], {}]

        def test_dict():
            TABLE[next(NUMBERS)] = [[], {}]
    """
    paths = [test["leak"]["blame"]["path"] for test in leaks(source, calls=60).values()]
    found = [(path["holder"], path["of_globals"]) for path in paths]
    assert found == [("test_it", True), ("test_it.TABLE", False)]


MAKER = """
import itertools
import sys
import types

NUMBERS = itertools.count()

def make():
    module = types.ModuleType(f"made_{next(NUMBERS)}")
    sys.modules[module.__name__] = module
    return module
"""


def test_modules_under_new_names(tmp_path, leaks):
    """A module that each call adds to `sys.modules` has no other holder, and one name."""
    (tmp_path / "maker.py").write_text(MAKER)
    source = """
        import maker

        class Tag:
            def __init__(self):
                self.rows = [1]

        def test_bare():
            maker.make()

        def test_own():
            maker.make().tag = Tag()
    """
    found = [test["leak"] for test in leaks(source, calls=60).values()]
    assert [leak["verdict"]["state"] for leak in found] == ["leaking", "leaking"]
    assert "it is also held by" not in str([leak["blame"]["notes"] for leak in found])
    assert len({leak["blame"]["fingerprint"] for leak in found}) == 1
