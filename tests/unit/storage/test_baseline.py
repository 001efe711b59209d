"""Tests of the baseline file: what is written is read, and what is wrong is reported."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.baselines import (
    Baseline,
    BaselineEntry,
    EnvironmentKey,
    Fill,
    LineEntry,
    StageEntry,
)
from pytest_memguard.sizes import KIB, MIB
from pytest_memguard.storage.baseline import read_baseline, update_baseline, write_baseline
from pytest_memguard.storage.baseline_parser import parse_baseline
from pytest_memguard.storage.baseline_writer import dump_baseline

PLACE = EnvironmentKey(
    system="Linux", machine="x86_64", implementation="CPython", python="3.11"
)
OLDER = replace(PLACE, python="3.9")
HEAP = replace(PLACE, metric="heap")
FULL = BaselineEntry(
    peak=20 * MIB,
    growth=-64 * KIB,
    ceiling=24 * MIB,
    spread=128 * KIB,
    readings=3,
    stages=(
        StageEntry(path="load/parse", peak=10 * MIB, delta=-KIB, ceiling=11 * MIB),
        StageEntry(path="run", peak=0, delta=0),
    ),
    lines=(LineEntry(file="src/a b.py", function="<lambda>", line=0, size=MIB),),
    leak=216.5,
    imports=7,
)
BARE = BaselineEntry(peak=0, growth=0)
BASELINE = Baseline(
    environments={
        PLACE: {"t.py::test_b": BARE, 't.py::test_a[\u00fc-"\\-\n]': FULL},
        OLDER: {"t.py::test_b": BARE},
        HEAP: {"t.py::test_b": replace(BARE, peak=KIB)},
    }
)


def text_of(baseline) -> str:
    """The whole text of a baseline."""
    return "".join(dump_baseline(baseline))


kib = st.integers(0, 2**32).map(lambda number: number * KIB)
changes = st.integers(-(2**32), 2**32).map(lambda number: number * KIB)
names = st.text(max_size=12)
entries = st.builds(
    BaselineEntry,
    peak=kib,
    growth=changes,
    ceiling=kib,
    spread=kib,
    readings=st.integers(1, 9),
    imports=st.integers(0, 999),
    stages=st.lists(
        st.builds(StageEntry, path=names, peak=kib, delta=changes, ceiling=kib), max_size=3
    ).map(tuple),
    lines=st.lists(
        st.builds(LineEntry, file=names, function=names, line=st.integers(0, 9), size=kib),
        max_size=3,
    ).map(tuple),
    leak=st.none() | st.floats(0, 1e9),
)
environments = st.builds(
    EnvironmentKey,
    system=names,
    machine=names,
    implementation=names,
    python=names,
    metric=names,
)
baselines = st.builds(
    Baseline,
    environments=st.dictionaries(
        environments, st.dictionaries(names, entries, min_size=1, max_size=4), max_size=3
    ),
)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(baselines)
def test_what_is_written_is_read(baseline) -> None:
    """Every field of every entry comes back, whatever names there are."""
    text = text_of(baseline)
    assert baseline == parse_baseline(text, "baseline.json")
    assert text == text_of(parse_baseline(text, "baseline.json"))


def test_the_file_is_for_reviews() -> None:
    """A test has a line, in the order of names; what is not set is not written."""
    text = text_of(BASELINE)
    assert [line.strip()[:40] for line in text.splitlines()] == [
        '{"format": 2, "environments": [',
        '{"system": "Linux", "machine": "x86_64",',
        '"t.py::test_b": {"peak_kib": 0}',
        "}},",
        '{"system": "Linux", "machine": "x86_64",',
        '"t.py::test_b": {"peak_kib": 1}',
        "}},",
        '{"system": "Linux", "machine": "x86_64",',
        '"t.py::test_a[\\u00fc-\\"\\\\-\\n]": {"peak_k',
        '"t.py::test_b": {"peak_kib": 0}',
        "}}",
        "]}",
    ]
    assert '"python": "3.9"' in text.splitlines()[1]
    assert '"metric": "heap"' in text.splitlines()[4]
    assert json.loads(text)["format"] == 2


def test_loaded_libraries_have_a_line() -> None:
    """Libraries are sorted, and read back; an empty list is not the same as none."""
    baseline = replace(
        BASELINE, loaded={PLACE: frozenset({"pandas", "numpy"}), OLDER: frozenset()}
    )
    text = text_of(baseline)
    assert '\n   "loaded": ["numpy", "pandas"], "tests": {\n' in text
    assert baseline == parse_baseline(text, "baseline.json")
    with pytest.raises(ConfigError, match=r"environment \d has \[3\] for loaded"):
        parse_baseline(text.replace('["numpy", "pandas"]', "[3]"), "baseline.json")


def test_what_tests_fill_together_has_a_line() -> None:
    """It comes back with the environment."""
    baseline = replace(
        BASELINE,
        filled={PLACE: (Fill(holder="data.parts", size=3 << 20),)},
        measured_together=frozenset({PLACE}),
    )
    text = text_of(baseline)
    assert text.count('"measured_together": true') == 1
    assert '\n   "filled": [["data.parts", 3072]], "tests": {\n' in text
    assert baseline == parse_baseline(text, "baseline.json")
    with pytest.raises(ConfigError, match=r"environment \d has 3 for filled"):
        parse_baseline(text.replace('[["data.parts", 3072]]', "3"), "baseline.json")


def test_order_of_writing_does_not_matter() -> None:
    """The same numbers in another order are the same file."""
    turned = Baseline(
        environments={
            environment: dict(reversed(tests.items()))
            for environment, tests in reversed(BASELINE.environments.items())
        }
    )
    assert text_of(BASELINE) == text_of(turned)


def test_places_without_tests_are_left_out() -> None:
    """An environment with no test in it is not written."""
    assert Baseline() == parse_baseline(text_of(Baseline(environments={PLACE: {}})), "f")


def test_no_file(tmp_path) -> None:
    """A missing file is None, not an empty baseline."""
    assert read_baseline(tmp_path / "none" / "baseline.json") is None


def test_file(tmp_path) -> None:
    """A baseline is read as it was written, in a folder that was not there."""
    path = tmp_path / ".memguard" / "baseline.json"
    write_baseline(path, BASELINE)
    assert read_baseline(path) == BASELINE


ENTRY = '"t.py::a": {"peak_kib": 1}'
HEAD = (
    '{"format": 1, "environments": [\n'
    '  {"system": "L", "machine": "x", "implementation": "C", "python": "3.11", '
    '"metric": "rss", "tests": {\n'
)


def file_with(*lines: str) -> str:
    """A file with these lines of tests; the first is line 3."""
    return HEAD + ",\n".join(lines) + "\n  }}\n]}\n"


def test_the_form_of_the_examples_is_right() -> None:
    """The files below are wrong for the reason that is tested, not for another."""
    assert len(parse_baseline(file_with(ENTRY), "f").environments) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "line 1: it is cut off: Expecting value", id="empty"),
        pytest.param(file_with(ENTRY)[:150], "line 3: it is cut off: ", id="cut-off"),
        pytest.param("[]", "it is no file that --mem-save wrote", id="other-json"),
        pytest.param("{}", "it is no file that --mem-save wrote", id="empty-object"),
        pytest.param('{"format": 1, "tests": []}', "it is no file that --mem-save", id="run"),
        pytest.param(
            '{"format": 3, "environments": []}',
            "line 1: it has format 3, this version reads format 2; a newer pytest-memguard",
            id="newer",
        ),
        pytest.param(
            '{"format": "1", "environments": []}',
            "line 1: it has format '1', this version reads format 2",
            id="format-text",
        ),
        pytest.param(
            '{"format": true, "environments": []}', "it has format True", id="format-true"
        ),
        pytest.param(
            '{"format": 1, "environments": {}}', "line 1: environments is no list", id="no-list"
        ),
        pytest.param(
            '{"format": 1,\n "environments": [7]}',
            "line 2: environment 1 is no object",
            id="environment-a-number",
        ),
        pytest.param(
            file_with(ENTRY).replace('"machine"', '"maschine"'),
            "line 2: environment 1 has no machine",
            id="environment-misspelt",
        ),
        pytest.param(
            file_with(ENTRY).replace('"tests": {', '"test": {'),
            "line 2: environment 1 has no tests",
            id="no-tests",
        ),
        pytest.param(
            file_with(ENTRY, '"t.py::b": {"peak_kib": -3}'),
            "line 4: peak_kib is -3 in the entry of 't.py::b'",
            id="negative",
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": 1.5}'), "line 3: peak_kib is 1.5", id="fraction"
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": "1"}'), "line 3: peak_kib is '1'", id="text"
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": true}'), "line 3: peak_kib is True", id="true"
        ),
        pytest.param(file_with('"t.py::b": {}'), "line 3: there is no peak_kib", id="no-peak"),
        pytest.param(
            file_with('"t.py::b": 7'), "line 3: 7 stands where numbers should be", id="number"
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": 1, "spred_kib": 1}'),
            "line 3: 'spred_kib' is no key of this format",
            id="misspelt",
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": 1, "readings": 0}'),
            "line 3: readings is 0",
            id="no-readings",
        ),
        pytest.param(
            file_with('"t.py::b": {"peak_kib": 1, "stages": 5}'),
            "line 3: stages, lines or fills are no list",
            id="stages-a-number",
        ),
        *(
            pytest.param(
                file_with(f'"t.py::b": {{"peak_kib": 1, "stages": [{stage}]}}'),
                "line 3: ",
                id=f"stage-{number}",
            )
            for number, stage in enumerate(
                (
                    '"a"',
                    '["a"]',
                    '["a", -1, 1]',
                    '["a", 1, true]',
                    "[1, 1, 1]",
                    '["a", 1, 1, -1]',
                )
            )
        ),
        *(
            pytest.param(
                file_with(f'"t.py::b": {{"peak_kib": 1, "lines": [{line}]}}'),
                "line 3: ",
                id=f"line-{number}",
            )
            for number, line in enumerate(
                ('["f", 1]', '["f", 1, "g", -1]', '["f", true, "g", 1]')
            )
        ),
        *(
            pytest.param(
                file_with(f'"t.py::b": {{"peak_kib": 1, "leak_bytes_per_call": {leak}}}'),
                "line 3: ",
                id=f"leak-{number}",
            )
            for number, leak in enumerate(("-1", '"1"', "true", "NaN", "Infinity", "1e999"))
        ),
        pytest.param(
            file_with(ENTRY, '"t.py::b": {"peak_kib": 2}', ENTRY),
            "line 5: 't.py::a' is there twice",
            id="test-twice",
        ),
        pytest.param(
            file_with(ENTRY, '"t.py::b": {"peak_kib": 1, "peak_kib": 2}'),
            "line 4: 'peak_kib' is there twice",
            id="key-twice",
        ),
        pytest.param(
            file_with(ENTRY, "<<<<<<< HEAD", ENTRY).replace("HEAD,", "HEAD"),
            "line 4: it holds an unresolved merge conflict",
            id="conflict",
        ),
        pytest.param(
            file_with(ENTRY)
            .replace("]}\n", HEAD[HEAD.index("\n") :])
            .replace("  }}\n\n", "  }},\n")
            + ENTRY
            + "}}]}",
            "line 5: environment 2 is one that came before",
            id="environment-twice",
        ),
        pytest.param("[" * 100_000, "is no baseline", id="deep"),
        pytest.param(
            file_with(f'"t.py::b": {{"peak_kib": {"9" * 9999}}}'),
            "is no baseline (Exceeds the limit",
            id="very-long-number",
        ),
    ],
)
def test_damaged(tmp_path, text, words) -> None:
    """A damaged file is reported in one sentence with its line, and is kept."""
    path = tmp_path / "baseline.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_baseline(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message
    with pytest.raises(ConfigError):
        update_baseline(path, lambda _: BASELINE)
    assert text == path.read_text(encoding="utf-8")


def test_the_right_line_of_a_test_in_two_environments() -> None:
    """A wrong number in the second environment is not attributed to the first."""
    text = text_of(BASELINE)
    lines = text.splitlines()
    at = max(n for n, line in enumerate(lines) if '"t.py::test_b"' in line)
    lines[at] = lines[at].replace('"peak_kib": 0', '"peak_kib": null')
    with pytest.raises(ConfigError, match=rf"^f, line {at + 1}: peak_kib is None"):
        parse_baseline("\n".join(lines), "f")


def test_a_name_that_is_written_in_another_way() -> None:
    """Where the line cannot be found by the test's name, the name alone is reported."""
    text = file_with('"t.py::\\u0062": {"peak_kib": -1}')
    with pytest.raises(ConfigError, match=r"^f: peak_kib is -1 in the entry of 't.py::b'"):
        parse_baseline(text, "f")


@settings(deadline=None)
@given(st.data())
def test_cut_anywhere(data) -> None:
    """A file that is cut off anywhere is an error, never fewer tests."""
    text = text_of(BASELINE)
    end = data.draw(st.integers(0, len(text.rstrip()) - 1))
    with pytest.raises(ConfigError, match=r"^f"):
        parse_baseline(text[:end], "f")


@settings(deadline=None)
@given(st.data())
def test_edited_anywhere(data) -> None:
    """A file with any character changed is read or is a clear error, and nothing else."""
    text = text_of(BASELINE)
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.sampled_from('0-"{}[],:.ex \n\x00') | st.characters())
    message = "f, as far as it can be read"
    try:
        parse_baseline(text[:at] + new + text[at + 1 :], "f")
    except ConfigError as error:
        message = str(error)
    assert message.startswith("f")
    assert "\n" not in message


def test_no_text(tmp_path) -> None:
    """Bytes that are no UTF-8, and a folder, are reported."""
    path = tmp_path / "baseline.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no text"):
        read_baseline(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_baseline(tmp_path)


def test_update(tmp_path) -> None:
    """A change gets the old baseline, and what it returns is the new one."""
    path = tmp_path / "baseline.json"
    seen = []

    def change(before):
        seen.append(before)
        return BASELINE

    assert update_baseline(path, change) == BASELINE
    assert update_baseline(path, change) == BASELINE
    assert seen == [None, BASELINE]


def test_update_without_a_change(tmp_path) -> None:
    """A file that would be the same is not written again."""
    path = tmp_path / "baseline.json"
    write_baseline(path, BASELINE)
    os.utime(path, (1, 1))
    update_baseline(path, lambda before: before or Baseline())
    assert path.stat().st_mtime == 1


def test_update_that_fails(tmp_path) -> None:
    """Where the change itself fails, the file is as it was, and can be changed again."""
    path = tmp_path / "baseline.json"
    write_baseline(path, BASELINE)
    with pytest.raises(ZeroDivisionError):
        update_baseline(path, lambda _: 1 / 0)
    assert update_baseline(path, lambda _: Baseline()) == Baseline()


def test_link(tmp_path) -> None:
    """A link stays a link, and the file it leads to is changed."""
    target, link = tmp_path / "real" / "baseline.json", tmp_path / "baseline.json"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("links cannot be made here")
    update_baseline(link, lambda _: BASELINE)
    assert link.is_symlink()
    assert read_baseline(target) == BASELINE
    assert [target] == list(target.parent.iterdir())
