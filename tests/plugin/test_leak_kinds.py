"""The leak check and every kind of test: leaks fail, and clean ones pass, in all of them."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import CHECK, JSON, KEEP, states

FUNCTIONS = """
    def test_leak():
        keep()

    def test_clean():
        pass
"""
CLASSES = """
    class TestIt:
        def setup_method(self):
            self.mine = [1]

        def test_leak(self):
            keep()

        def test_clean(self):
            self.mine.append(2)
            assert self.mine == [1, 2]
            assert vars(self) == {"mine": [1, 2]}
"""
UNITTEST = """
    import unittest

    class TestIt(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.ups = getattr(cls, "ups", 0) + 1

        def setUp(self):
            self.mine = [1]

        def test_leak(self):
            keep()

        def test_clean(self):
            self.mine.append(2)
            self.addCleanup(self.mine.clear)
            assert self.mine == [1, 2]
            assert self.ups == 1
"""
ISOLATED = """
    import asyncio
    import unittest

    class TestIt(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self):
            self.mine = [1]

        async def test_leak(self):
            await asyncio.sleep(0)
            keep()

        async def test_clean(self):
            await asyncio.sleep(0)
            self.mine.append(2)
            assert self.mine == [1, 2]
"""
ASYNCIO = """
    import asyncio
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def mine():
        await asyncio.sleep(0)
        yield [1]

    @pytest.mark.asyncio
    async def test_leak():
        await asyncio.sleep(0)
        keep()

    @pytest.mark.asyncio
    async def test_clean(mine):
        mine.append(2)
        assert await asyncio.gather(asyncio.sleep(0, mine)) == [[1, 2]]
"""
ANYIO = """
    import anyio

    @pytest.fixture
    def anyio_backend():
        return {backend!r}

    @pytest.fixture
    async def mine():
        await anyio.sleep(0)
        yield [1]

    @pytest.mark.anyio
    async def test_leak():
        await anyio.sleep(0)
        keep()

    @pytest.mark.anyio
    async def test_clean(mine):
        await anyio.sleep(0)
        mine.append(2)
        assert mine == [1, 2]
"""
PARAMETRISED = """
    @pytest.fixture(params=["a", "b"])
    def letter(request):
        return request.param

    @pytest.mark.parametrize("n", [0, 1])
    def test_it(n, letter):
        if n and letter == "b":
            keep()
"""
SUBTESTS = """
    def test_leak(subtests):
        for n in range(3):
            with subtests.test(n=n):
                keep()

    def test_clean(subtests):
        for n in range(3):
            with subtests.test("it", n=n):
                assert n < 3
"""
UNITTEST_SUBTESTS = """
    import unittest

    class TestIt(unittest.TestCase):
        def test_leak(self):
            for n in range(3):
                with self.subTest(n=n):
                    keep()

        def test_clean(self):
            for n in range(3):
                with self.subTest("it", n=n):
                    self.assertLess(n, 3)
"""


@pytest.mark.parametrize(
    ("source", "plugins"),
    [
        pytest.param(FUNCTIONS, (), id="functions"),
        pytest.param(CLASSES, (), id="classes"),
        pytest.param(UNITTEST, (), id="unittest"),
        pytest.param(ISOLATED, (), id="unittest-asyncio"),
        pytest.param(ASYNCIO, ("pytest_asyncio.plugin",), id="pytest-asyncio"),
        pytest.param(
            ANYIO.format(backend="asyncio"), ("anyio.pytest_plugin",), id="anyio-asyncio"
        ),
        pytest.param(ANYIO.format(backend="trio"), ("anyio.pytest_plugin",), id="anyio-trio"),
        pytest.param(SUBTESTS, (), id="subtests"),
        pytest.param(UNITTEST_SUBTESTS, (), id="unittest-subtests"),
    ],
)
def test_kind(run, written, source, plugins):
    """A test of this kind fails for its leak, and passes if it has none."""
    flags = ["-o", "asyncio_default_fixture_loop_scope=function"] if source == ASYNCIO else []
    result = run(KEEP + source, *CHECK, JSON, "-rf", *flags, plugins=plugins)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert states(written()) == {"test_clean": "clean", "test_leak": "leaking"}
    result.stdout.fnmatch_lines(["FAILED *test_leak - LeakDetected: keeps *"])
    assert (result.parseoutcomes()["failed"], result.parseoutcomes()["passed"]) == (1, 1)


def test_parametrised(run, written):
    """Each set of parameters is a test of its own."""
    run(KEEP + PARAMETRISED, *CHECK, JSON).assert_outcomes(failed=1, passed=3)
    assert states(written()) == {
        "test_it[a-0]": "clean",
        "test_it[a-1]": "clean",
        "test_it[b-0]": "clean",
        "test_it[b-1]": "leaking",
    }


def test_a_parameter_that_the_test_grows(run, written):
    """What a test appends to its own parameter is growth, and the path says whose it is."""
    run(
        """
        import pytest

        @pytest.mark.parametrize("values", [[]])
        def test_it(values):
            values.append([object() for _ in range(20)])
        """,
        "--mem-leak-check",
        "--mem-leak-calls=120",
        JSON,
    ).assert_outcomes(failed=1)
    path = written()["test_it[values0]"]["leak"]["blame"]["path"]
    assert path["holder"].startswith("test_it.test_it.pytestmark")
    assert path["remark"] == "an argument of a mark: the test grows its own parameter"


def test_property_based_methods(run, written):
    """A property-based method is repeated on one instance, since another is a mistake there."""
    run(
        """
        import unittest

        from hypothesis import given, settings, strategies

        class TestPlain:
            @settings(max_examples=2, database=None, deadline=None)
            @given(strategies.booleans())
            def test_plain(self, flag):
                assert flag in {True, False}

        class TestCase(unittest.TestCase):
            @settings(max_examples=2, database=None, deadline=None)
            @given(strategies.booleans())
            def test_case(self, flag):
                assert flag in {True, False}
        """,
        "--mem-leak-check",
        JSON,
    ).assert_outcomes(passed=2)
    assert states(written()) == {"test_case": "clean", "test_plain": "clean"}


def test_doctests(pytester, run, written):
    """Doctests of modules and of text files are checked like all other tests."""
    pytester.makepyfile(
        inmodule='''
        KEPT = []

        def leaks():
            """
            >>> KEPT.append([object() for _ in range(20)])
            """

        def cleans():
            """
            >>> made = [object() for _ in range(20)]
            >>> len(made)
            20
            """
        '''
    )
    (pytester.path / "clean.txt").write_text(">>> a = 1\n>>> a\n1\n", encoding="utf-8")
    result = run(None, "--doctest-modules", "--doctest-glob=*.txt", *CHECK, JSON, ".")
    assert states(written()) == {
        "clean.txt": "clean",
        "inmodule.cleans": "clean",
        "inmodule.leaks": "leaking",
    }
    result.assert_outcomes(passed=2, failed=1)


def test_doctests_in_a_wrapper_of_their_runner(pytester, run, written):
    """A plugin may wrap what runs doctests: each leak has the line of its own example."""
    pytester.makeconftest(
        """
        from doctest import DocTestRunner

        ORIGINAL = DocTestRunner.run

        def run(*args, **kwargs):
            return ORIGINAL(*args, **kwargs)

        DocTestRunner.run = run
        """
    )
    pytester.makepyfile(
        inmodule='''
        import os

        def opens():
            """
            >>> file = os.open(os.devnull, os.O_RDONLY)
            """

        def duplicates():
            """
            >>> file = os.dup(0)
            """
        '''
    )
    run(None, "--doctest-modules", "--mem-leak-check", JSON, "inmodule.py")
    found = [test["leak"]["blame"] for test in written().values()]
    assert {line["file"] for blame in found for line in blame["lines"]} == {
        "<doctest inmodule.duplicates[0]>",
        "<doctest inmodule.opens[0]>",
    }
    assert len({blame["fingerprint"] for blame in found}) == 2


def test_subtests_are_told_once(run):
    """The reports of subtests are those of the one run."""
    result = run(SUBTESTS, "--mem-leak-check", "-v", "-k", "clean", "-rA")
    assert result.stdout.str().count("SUBPASSED") == 3
    assert "passed" in result.parseoutcomes()


def test_a_failing_subtest_is_not_repeated(pytester, run, written):
    """A test of which a subtest fails has failed."""
    run(
        """
        import unittest

        def test_it(subtests):
            open("calls", "a").write("x")
            with subtests.test():
                assert False

        class TestIt(unittest.TestCase):
            def test_case(self):
                open("calls", "a").write("y")
                with self.subTest():
                    self.fail()
        """,
        *CHECK,
        JSON,
    )
    assert "".join(sorted((pytester.path / "calls").read_text(encoding="utf-8"))) == "xy"
    assert states(written()) == {}


def test_setup_functions(pytester, run, written):
    """Set-up in the old style is run with each repetition where it is the test's own."""
    run(
        """
        def log(text):
            with open("log", "a") as file:
                file.write(text)

        def setup_module():
            log("M")

        def teardown_module():
            log("m")

        def setup_function():
            log("f")

        class TestIt:
            @classmethod
            def setup_class(cls):
                log("C")

            @classmethod
            def teardown_class(cls):
                log("c")

            def setup_method(self):
                log("+")

            def teardown_method(self):
                log("-")

            def test_method(self):
                pass

        def test_function():
            pass
        """,
        *CHECK,
        JSON,
        "-p",
        "no:randomly",
    )
    tests = written()
    assert states(tests) == {"test_function": "clean", "test_method": "clean"}
    # the first run, the repetitions, and the setup for the last teardown
    methods = 2 + tests["test_method"]["leak"]["calls"]
    functions = 2 + tests["test_function"]["leak"]["calls"]
    expected = "MC" + "+-" * methods + "c" + "f" * functions + "m"
    assert expected == (pytester.path / "log").read_text(encoding="utf-8")


def test_a_subtest_that_fails_later_is_undecided(run, written):
    """A subtest that fails in a repetition makes the verdict undecided, and nothing fails."""
    result = run(
        """
        CALLS = []

        def test_it(subtests):
            CALLS.append(1)
            with subtests.test():
                assert len(CALLS) < 3
        """,
        *CHECK,
        JSON,
        "-rA",
    )
    assert states(written()) == {"test_it": "undecided"}
    result.stdout.fnmatch_lines(
        ["undecided: *: call 2 of the repetition went wrong: a subtest failed: assert 3 < 3*"]
    )
    assert result.ret == pytest.ExitCode.OK
    assert "failed" not in result.parseoutcomes()


def test_who_opened_what_nobody_knows_any_more(run, written):
    """A descriptor whose number is forgotten is laid to the line that opened it."""
    result = run(
        """
        import os

        def size(path):
            descriptor = os.open(path, os.O_RDONLY)
            return os.fstat(descriptor).st_size

        def test_size():
            assert size(os.devnull) == 0
        """,
        "--mem-leak-check",
        "--mem-leak-calls=40",
        JSON,
    )
    diagnosis = written()["test_size"]["leak"]["blame"]
    (line, *_) = diagnosis["lines"]
    assert (line["function"], line["line"]) == ("size", 5)
    assert line["left"]["open files"] == diagnosis["calls"]
    result.stdout.fnmatch_lines(["*left by size, test_*.py:5*", "*+1 open files*"])


def test_a_class_that_is_its_own_metaclass(leaks):
    """Garbage collection clears it, and it stays: it leaks, and can be looked into."""
    source = """
    class Meta(type):
        def __new__(cls, name, bases, namespace):
            made = super().__new__(cls, name, bases, namespace)
            made.__class__ = made
            return made

    def test_leak():
        class Own(Meta, metaclass=Meta):
            pass
    """
    leak = leaks(source)["test_leak"]["leak"]
    assert leak["verdict"]["state"] == "leaking"
    assert leak["blame"]["lines"][0]["function"] == "__new__"


LISTENERS = """
import pytest, weakref

class Listener:
    def __init__(self):
        self.me = self  # only the garbage collector frees it
        self.heard = []

LISTENERS = weakref.WeakSet()
LATEST = []

@pytest.fixture
def listening():
    for listener in LISTENERS:
        listener.heard.append(object())
    LATEST[:] = [Listener()]
    LISTENERS.add(LATEST[0])
"""


def test_a_cycle_that_lives_until_the_next_call(run, written):
    """What was alive when the heap was frozen is collected once a later call lets it go."""
    source = f"{LISTENERS}\ndef test_it(listening): pass\n"
    run(source, "--mem-leak-check", JSON).assert_outcomes(passed=1)
    (test,) = written().values()
    assert test["leak"]["verdict"]["state"] == "clean"


def test_a_leak_beside_such_a_cycle(leaks):
    """The whole heap is collected before each reading then, and the leak has its own number."""
    head = LISTENERS.replace("@pytest.fixture\n", "")
    source = f"{head}\nKEPT = []\ndef test_it():\n    listening()\n    KEPT.append([])\n"
    leak = leaks(source, calls=300)["test_it"]["leak"]
    assert leak["more"] == []
    assert leak["blame"]["path"]["holder"] == "test_it.KEPT"
    rates = leak["verdict"]["rates"]
    assert [rate["signal"] for rate in rates] == ["blocks"]
    assert rates[0]["per_call"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("made", ["Parent()", "a = []; a.append(a)"])
def test_garbage_that_the_test_freezes(leaks, made):
    """A test that freezes the heap hides garbage from the collector for ever: it leaks."""
    source = f"""
        import gc

        class Parent:
            def __init__(self):
                self.child = [self]

        def test_it():
            {made}
            gc.freeze()
    """
    assert states(leaks(source, calls=300)) == {"test_it": "leaking"}


def test_growth_that_emptying_caches_makes(leaks):
    """A type hint in typing's cache is evaluated once, and holds one class, not many."""
    source = """
        from typing import Optional, get_type_hints
        from weakref import WeakKeyDictionary

        HINTS = WeakKeyDictionary()

        def test_it():
            class Node:
                other: Optional["Node"] = None

            HINTS[Node] = dict(Node.__annotations__)
            get_type_hints(Node, None, {"Node": Node})
    """
    assert states(leaks(source, calls=2000)) == {"test_it": "clean"}
    kept = source.replace("HINTS[Node] =", "HINTS[Node] = Node,")
    path = leaks(kept, calls=300)["test_it"]["leak"]["blame"]["path"]
    assert path["holder"].startswith("test_it.HINTS")


def test_threads_that_are_slow_to_end(leaks):
    """What each call leaves for a second is no leak, though many calls leave many at a time."""
    source = """
        import threading
        import time

        def test_it():
            data = [object() for _ in range(50)]
            threading.Thread(target=lambda: time.sleep(1) or data, daemon=True).start()
    """
    verdict = leaks(source, calls=2000, wait=5)["test_it"]["leak"]["verdict"]
    assert verdict["state"] == "settling"
    assert "Python threads that calls leave are gone" in verdict["reason"].replace(
        "Python threads and native threads", "Python threads"
    )


def test_leak_beside_threads_that_are_slow_to_end(leaks):
    """An open file that each call leaves is no pass because the call's threads end later."""
    source = """
        import os
        import threading
        import time

        KEPT = []

        def test_it():
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
            threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
    """
    verdict = leaks(source, calls=2000, wait=5)["test_it"]["leak"]["verdict"]
    assert verdict["state"] in {"undecided", "leaking"}
    assert "file" in str(verdict)
