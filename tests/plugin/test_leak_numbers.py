"""How much a leak is said to keep: what all calls show, not the few that explain it."""

from __future__ import annotations

import pytest

from tests.plugin.leaky import JSON

CHECK = ("--mem-leak-check", "--mem-leak-calls=600", JSON)
IN_PLACE = """
    LOG = bytearray()

    def test_it():
        LOG.extend(b"x" * 3000)
"""
TEXT = """
    TEXT = "x" * 1_000_000

    def test_it():
        global TEXT
        TEXT += "x" * 200
"""
RENEWED = """
    CACHE = {}
    KEPT = []

    def renew():
        for k in range(2_000):
            CACHE[k] = "x" * 60 + str(k)

    renew()

    def test_it():
        renew()
        KEPT.append(object())
"""
LONG_LIST = """
    KEPT = [None] * 1_000_000

    def test_it():
        KEPT.append(object())
"""
TYPE_CACHE = """
    import ctypes

    has = ctypes.pythonapi.PyObject_HasAttrString
    has.argtypes = [ctypes.py_object, ctypes.c_char_p]
    keep = ctypes.pythonapi.Py_IncRef
    keep.argtypes = [ctypes.py_object]

    class Thing:
        pass

    def search(thing):
        return has(thing, b"a_name_that_is_asked_for_by_its_text")

    def lose():
        value = float("2.5")
        keep(value)

    def test_it():
        search(Thing())
        lose()
"""


def _numbers(tests) -> tuple[float, dict[str, float]]:
    """Bytes per call, and blocks per call by function."""
    diagnosis = tests["test_it"]["leak"]["blame"]
    calls = diagnosis["calls"]
    lines = {line["function"]: line["count"] / calls for line in diagnosis["lines"]}
    return diagnosis["bytes_per_call"], lines


@pytest.mark.parametrize(
    ("source", "low", "high"),
    [
        pytest.param(IN_PLACE, 2550, 3450, id="bytes-that-grow-in-place"),
        pytest.param(TEXT, 180, 220, id="text-that-grows-in-place"),
    ],
)
def test_what_grows_in_place(leaks, source, low, high):
    """The whole of it is not what a few calls have added."""
    # it grows in steps of a tenth: one more or less of them matters in few calls
    size, lines = _numbers(leaks(source, calls=600))
    assert low <= size <= high
    assert list(lines) == ["test_it"]


def test_bytes_that_rise_with_every_call(run):
    """The headline claims no rate for each call, and a note has the first and the last one."""
    source = """
        KEPT = []

        def test_it():
            KEPT.append(bytes(1000 + 50 * len(KEPT)))
    """
    result = run(source, *CHECK, "--mem-leak-calls=150")
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [
            r"keeps 1 block, .* per call, rising over \d+ calls; held by .*KEPT \(leaking\)",
            r"Note: each call keeps more .*: .* KiB at first, .* KiB at last\.",
        ]
    )


@pytest.mark.parametrize(("tolerance", "outcome"), [("8 KB", "passed"), ("2 KB", "failed")])
def test_tolerance_for_what_grows_in_place(run, tolerance, outcome):
    """A tolerance is compared with what all calls show."""
    mark = f"@pytest.mark.mem_leak_check(tolerance='{tolerance}', calls=600)"
    source = IN_PLACE.replace("def", f"import pytest\n\n    {mark}\n    def")
    result = run(source, *CHECK)
    result.assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize(
    ("source", "low", "high", "function"),
    [
        pytest.param(RENEWED, 16, 80, "test_it", id="a-table-is-renewed"),
        pytest.param(LONG_LIST, 16, 80, "test_it", id="a-long-list-is-moved"),
        pytest.param(TYPE_CACHE, 23, 25, "lose", id="names-in-the-cache-of-types"),
    ],
)
def test_what_no_call_keeps(leaks, source, low, high, function):
    """What a call replaces, moves or leaves in the interpreter's cache is none of the leak."""
    tests = leaks(source, calls=600)
    (rate,) = tests["test_it"]["leak"]["verdict"]["rates"]
    assert (rate["signal"], round(rate["per_call"], 1)) == ("blocks", 1.0)
    size, lines = _numbers(tests)
    assert low <= size <= high
    assert lines == {function: pytest.approx(1.0, abs=0.07)}


def test_a_test_that_starts_tracemalloc(leaks):
    """What tracemalloc keeps of other blocks is not said to be theirs, and the note tells."""
    source = """
        import tracemalloc

        def work():
            return [str(i) * 3 for i in range(500)]

        def test_it():
            tracemalloc.start()
            work()
            tracemalloc.stop()
            KEPT.append([object() for _ in range(8)])

        KEPT = []
    """
    tests = leaks(source, calls=600)
    (note,) = tests["test_it"]["leak"]["blame"]["notes"]
    assert note.startswith("the test starts tracemalloc, ")
    _, lines = _numbers(tests)
    # the list that the comprehension makes may lie where work had its own
    assert lines.get("work", 0) <= 1


def test_memory_that_no_holder_explains(run, written):
    """It is a leak of its own, with its own number and line."""
    source = """
        import ctypes

        allocate = ctypes.CDLL(None).malloc
        KEPT = []

        def test_it():
            for _ in range(16):
                allocate(500)
            KEPT.append(object())
    """
    result = run(source, *CHECK)
    result.assert_outcomes(failed=1)
    leak = written()["test_it"]["leak"]
    held, other = (part["blame"] for part in (leak, *leak["more"]))
    assert held["path"]["holder"] == "test_it.KEPT"
    assert held["bytes_per_call"] < 100
    assert 8_000 <= other["bytes_per_call"] <= 9_000
    assert [line["line"] for line in other["lines"]] == [9]
    result.stdout.no_fnmatch_line("The lines account for *")


def test_pages_that_grow_in_most_rounds(run, written):
    """Mappings show in pages alone, and are many times what the lines keep."""
    source = """
        import itertools
        import mmap

        KEPT, MAPPED, NUMBERS = [], [], itertools.count()

        def test_it():
            KEPT.append(object())
            if next(NUMBERS) % 4 == 0:
                MAPPED.append(mmap.mmap(-1, 98_304))
                MAPPED[-1].write(bytes(98_304))
    """
    result = run(source, *CHECK)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["USS: * bytes per call, *", "*account for * of * per call."])
    assert 20_000 <= _numbers(written())[0] <= 30_000


def test_another_test_with_larger_objects(run, written):
    """A leak that is explained under another test has the numbers of its own test."""
    source = """
        KEPT = []

        def test_a_small():
            KEPT.append(bytes(100))

        def test_b_large():
            KEPT.append(bytes(400))
    """
    result = run(source, *CHECK)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["This leak is explained under test_it.py::test_a_small."])
    small, large = (
        written()[name]["leak"]["blame"]["bytes_per_call"]
        for name in ("test_a_small", "test_b_large")
    )
    assert 130 <= small <= 200
    assert 400 <= large <= 520


TABLES = """
    DOCUMENTS = []
    LISTS = {}

    def drop():
        options = {"w": 1}  # its table is kept for the next dict
        return options["w"]

    def store():
        DOCUMENTS.append(dict((("id", 1),)))

    def store_list():
        LISTS[str(len(LISTS))] = dict((("id", [1]),))

    def test_one():
        drop()
        store()

    def test_two():
        drop()
        store()
        drop()
        store_list()
"""


def test_tables_of_dicts_that_are_gone(leaks):
    """The table that a dict left for the next one belongs to the line that made the next."""
    tests = leaks(TABLES, calls=600)
    lines = tests["test_one"]["leak"]["blame"]["lines"]
    assert [line["function"] for line in lines] == ["store"]
    assert lines[0]["count"] / tests["test_one"]["leak"]["blame"]["calls"] == pytest.approx(2)
    two = [tests["test_two"]["leak"], *tests["test_two"]["leak"]["more"]]
    told = {line["function"] for leak in two for line in leak["blame"]["lines"]}
    assert told == {"store", "store_list"}
    kept = next(leak for leak in two if "LISTS" in leak["blame"]["path"]["holder"])
    (line,) = kept["blame"]["lines"]
    assert line["count"] / kept["blame"]["calls"] == pytest.approx(5, rel=0.1)


def test_objects_that_take_the_place_of_others_many_calls_later(leaks):
    """Of a list of the latest hundred and one that grows, the line of the latter is named."""
    source = """
        KEPT, LATEST = [], []

        class Handler:
            pass

        def test_it():
            KEPT.append(Handler())
            LATEST.append([{n: str(n + 1000)} for n in range(10)])
            if len(LATEST) > 100:
                del LATEST[0]
    """
    blame = leaks(source, calls=600)["test_it"]["leak"]["blame"]
    (line,) = blame["lines"]
    assert line["function"] == "test_it"
    assert line["count"] / blame["calls"] == pytest.approx(2, abs=0.2)
    assert [kind["type"] for kind in blame["types"]] == ["test_it.Handler"]


def test_memory_of_threads_beside_a_list(leaks):
    """What the system maps for a thread is no memory of the C heap, and no other leak's."""
    source = """
        import threading

        KEPT, STOP = [], threading.Event()

        def test_it():
            KEPT.append(bytearray(3000))
            threading.Thread(target=STOP.wait, daemon=True).start()
    """
    leak = leaks(source, calls=200, seconds=40)["test_it"]["leak"]
    sizes = {part["blame"]["path"]["holder"]: part for part in (leak, *leak["more"])}
    assert len(sizes) == 2
    kept = sizes["test_it.KEPT"]["blame"]
    size = sum(line["size"] for line in kept["lines"]) / kept["calls"]
    assert size == pytest.approx(3_080, rel=0.1)
    functions = {line["function"] for part in sizes.values() for line in part["blame"]["lines"]}
    assert "native code" not in functions


def test_what_other_threads_replace(leaks):
    """Threads that wait in a loop replace their locks, which is no leak beside another."""
    source = """
        import threading

        KEPT = []

        def beat():
            stop = threading.Event()
            while not stop.wait(0.05):
                pass

        for _ in range(20):
            threading.Thread(target=beat, daemon=True).start()

        def test_it():
            class Local:
                pass

            KEPT.append(Local)
    """
    leak = leaks(source, calls=120, seconds=40)["test_it"]["leak"]
    assert leak["more"] == []
    functions = {line["function"] for line in leak["blame"]["lines"]}
    assert functions <= {"test_it", "Local"}
