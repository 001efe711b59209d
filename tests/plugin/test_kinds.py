"""Kinds of tests: every one fails when over its budget and passes when within."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("measured_once")

# Blocks of threads have 40 MiB: the C library never keeps those for the thread.

FUNCTIONS = """
    def test_over():
        bytearray(30 << 20)

    def test_within():
        bytearray(10 << 20)
"""
CLASSES = """
    class TestIt:
        def test_over(self):
            bytearray(30 << 20)

        def test_within(self):
            bytearray(10 << 20)
"""
UNITTEST = """
    import unittest

    class TestIt(unittest.TestCase):
        def test_over(self):
            bytearray(30 << 20)

        def test_within(self):
            bytearray(10 << 20)
"""
ISOLATED = """
    import asyncio
    import unittest

    class TestIt(unittest.IsolatedAsyncioTestCase):
        async def test_over(self):
            await asyncio.sleep(0)
            bytearray(30 << 20)

        async def test_within(self):
            await asyncio.sleep(0)
            bytearray(10 << 20)
"""
ASYNCIO = """
    import asyncio
    import pytest

    @pytest.mark.asyncio
    async def test_over():
        await asyncio.gather(asyncio.to_thread(bytearray, 40 << 20), asyncio.sleep(0))

    @pytest.mark.asyncio
    async def test_within():
        await asyncio.sleep(0)
        bytearray(10 << 20)
"""
ANYIO = """
    import anyio
    import pytest

    @pytest.fixture
    def anyio_backend():
        return {backend!r}

    @pytest.mark.anyio
    async def test_over():
        await anyio.to_thread.run_sync(bytearray, 40 << 20)

    @pytest.mark.anyio
    async def test_within():
        await anyio.sleep(0)
        bytearray(10 << 20)
"""
THREADS = """
    import threading
    from concurrent.futures import ThreadPoolExecutor

    def test_over():
        blocks = []
        threads = [
            threading.Thread(target=lambda: blocks.append(bytearray(40 << 20)))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_within():
        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(len, [bytearray(5 << 20)] * 2)) == 10 << 20
"""
GENERATED = """
    import pytest

    def pytest_generate_tests(metafunc):
        metafunc.parametrize("size", [30, 10], ids=["over", "within"])

    def test(size):
        bytearray(size << 20)
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
        pytest.param(THREADS, (), id="threads"),
        pytest.param(GENERATED, (), id="generated"),
    ],
)
@pytest.mark.parametrize("metric", ["rss", "heap"])
def test_kind(pytester, run, source, plugins, metric):
    """A test of this kind fails for its memory, and only if there is too much of it."""
    pytester.makeconftest(f"""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.mem_budget(20, metric={metric!r}))
    """)
    flags = ["-o", "asyncio_default_fixture_loop_scope=function"] if source == ASYNCIO else []
    result = run(source, "-rfp", *flags, plugins=plugins)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    noun = "peak RSS" if metric == "rss" else "peak heap"
    result.stdout.fnmatch_lines(
        [
            f"{noun} *.? MiB*is *.? MiB over the budget of 20.0 MiB set by the marker*",
            "FAILED *over* - * > *: *",
            "PASSED *within*",
        ]
    )


def test_doctests(pytester, run):
    """Doctests of modules and of text files have budgets like all other tests."""
    for name in ("over", "within"):
        text = f"\n>>> len(bytearray({30 if name == 'over' else 10} << 20)) > 0\nTrue\n"
        (pytester.path / f"{name}.txt").write_text(text)
        (pytester.path / f"{name}_module.py").write_text(f'"""A module.\n{text}"""\n')
    result = run(None, "--doctest-modules", "--doctest-glob=*.txt", "--mem-budget=20", "-rfp")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED over.txt::over.txt - * > *: peak RSS *",
            "FAILED over_module.py::over_module - * > *: peak RSS *",
            "PASSED within.txt::within.txt",
            "PASSED within_module.py::within_module",
        ]
    )


def test_items_of_other_kinds(pytester, run):
    """Tests that a plugin makes from files of its own have budgets like all other tests."""
    pytester.makeconftest("""
        import pytest

        class YamlItem(pytest.Item):
            def __init__(self, *, size, **others):
                super().__init__(**others)
                self.size = size

            def runtest(self):
                bytearray(self.size << 20)

            def reportinfo(self):
                return self.path, None, self.name

        class YamlFile(pytest.File):
            def collect(self):
                for line in self.path.read_text().splitlines():
                    name, size = line.split(": ")
                    yield YamlItem.from_parent(self, name=name, size=int(size))

        def pytest_collect_file(parent, file_path):
            if file_path.suffix == ".yaml":
                return YamlFile.from_parent(parent, path=file_path)
    """)
    (pytester.path / "sizes.yaml").write_text("over: 30\nwithin: 10\n")
    result = run(None, "--mem-budget=20", "--mem", "--mem-json=out.json", "-rfp")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*[23][0129].? *20.0 MiB*1[45]?%  sizes.yaml::over",
            "FAILED sizes.yaml::over - * > *: peak RSS *",
            "PASSED sizes.yaml::within",
        ]
    )


def test_unittest_fixtures_run_around_a_breach(run):
    """setUp, tearDown and cleanups of a TestCase run once each, breach or not."""
    result = run("""
        import unittest
        import pytest

        calls = []

        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                calls.append("class")

            def setUp(self):
                calls.append("up")
                self.addCleanup(calls.append, "cleanup")

            def tearDown(self):
                calls.append("down")

            @pytest.mark.mem_budget(20)
            def test_1_over(self):
                bytearray(30 << 20)

            @pytest.mark.mem_budget(20)
            def test_2_after(self):
                self.assertEqual(calls, ["class", "up", "down", "cleanup", "up"])
    """)
    result.assert_outcomes(passed=1, failed=1)


def test_setup_of_classes_and_modules_counts_where_it_runs(run):
    """What a class or module sets up belongs to the setup of the test that triggers it."""
    result = run(
        """
        import unittest
        import pytest

        class TestUnit(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.block = bytearray(30 << 20)

            @pytest.mark.mem_budget(20, phase="setup")
            def test_first(self):
                pass

            @pytest.mark.mem_budget(20, phase="setup")
            def test_second(self):
                pass
        """,
        "-rEp",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "ERROR test_it.py::TestUnit::test_first - * > *: peak RSS of setup *",
            "PASSED test_it.py::TestUnit::test_second",
        ]
    )
