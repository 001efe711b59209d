"""Tests of markers that are put into the source of tests."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from pytest_memguard.errors import ConfigError
from pytest_memguard.storage.marker_edits import with_markers

PLAIN = """\
import pytest

def test_a():
    pass
"""


def edited(source: str, budgets=None, updated=None) -> str:
    """The source with these budgets, every line of it."""
    return with_markers(source, budgets or {}, updated or {}).text


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        pytest.param(
            "import pytest\n\ndef test_a():\n    pass\n",
            "test_a",
            'import pytest\n\n@pytest.mark.mem_budget("65 MiB")\ndef test_a():\n    pass\n',
            id="function",
        ),
        pytest.param(
            "import pytest as pt\nasync def test_a(): pass",
            "test_a",
            'import pytest as pt\n@pt.mark.mem_budget("65 MiB")\nasync def test_a(): pass',
            id="async-and-a-short-name",
        ),
        pytest.param(
            "from pytest import mark\n\nclass TestA:\n\tclass TestB:\n"
            "\t\tdef test_a(self): pass\n",
            "TestA::TestB::test_a",
            "from pytest import mark\n\nclass TestA:\n\tclass TestB:\n"
            '\t\t@mark.mem_budget("65 MiB")\n\t\tdef test_a(self): pass\n',
            id="class-and-tabs",
        ),
        pytest.param(
            "import pytest\n@pytest.mark.parametrize('n', [\n    1,\n])\ndef test_a(n): pass\n",
            "test_a",
            'import pytest\n@pytest.mark.mem_budget("65 MiB")\n'
            "@pytest.mark.parametrize('n', [\n    1,\n])\ndef test_a(n): pass\n",
            id="parametrized",
        ),
        pytest.param(
            "import pytest\r\n\r\ndef test_a():\r\n    'é\u2028'\r\n",
            "test_a",
            'import pytest\r\n\r\n@pytest.mark.mem_budget("65 MiB")\r\ndef test_a():\r\n'
            "    'é\u2028'\r\n",
            id="ends-of-windows",
        ),
        pytest.param(
            "import pytest\nif True:\n    def test_a(): pass\nelse:\n    pass\n",
            "test_a",
            'import pytest\nif True:\n    @pytest.mark.mem_budget("65 MiB")\n'
            "    def test_a(): pass\nelse:\n    pass\n",
            id="branch",
        ),
        pytest.param(
            '"""Tests."""\nfrom __future__ import annotations\nimport os\n\n'
            "def test_a(): pass\n",
            "test_a",
            '"""Tests."""\nfrom __future__ import annotations\nimport pytest\nimport os\n\n'
            '@pytest.mark.mem_budget("65 MiB")\ndef test_a(): pass\n',
            id="import",
        ),
        pytest.param(
            "def test_a(): pass\n",
            "test_a",
            'import pytest\n\n\n@pytest.mark.mem_budget("65 MiB")\ndef test_a(): pass\n',
            id="import-above-the-test-itself",
        ),
        pytest.param(
            "\ufeffimport pytest\ndef test_a(): pass\n",
            "test_a",
            '\ufeffimport pytest\n@pytest.mark.mem_budget("65 MiB")\ndef test_a(): pass\n',
            id="byte-order-mark",
        ),
    ],
)
def test_new_marker(before, name, after) -> None:
    """A new marker stands above all other decorators, in the style of the file."""
    assert after == edited(before, {name: 65})
    ast.parse(after.removeprefix("\ufeff"))
    assert after == edited(after, {name: 65})


@pytest.mark.parametrize(
    ("marker", "after"),
    [
        pytest.param("mem_budget(10)", "mem_budget(65)", id="number"),
        pytest.param("mem_budget(1e3, warn=0.8)", "mem_budget(65, warn=0.8)", id="float"),
        pytest.param("mem_budget('10 MB')", 'mem_budget("65 MiB")', id="text"),
        pytest.param(
            "mem_budget(hard=True, limit=10)", "mem_budget(hard=True, limit=65)", id="named"
        ),
        pytest.param("mem_budget('65MB')", "mem_budget('65MB')", id="as-it-is"),
    ],
)
def test_marker_that_is_there(marker, after) -> None:
    """The limit of a marker that is there changes, in its form, and nothing else."""
    source = dedent("""\
        import pytest
        @pytest.mark.skipif(False, reason="é")
        @pytest.mark.{}
        def test_a(): pass
    """)
    assert source.format(after) == edited(source.format(marker), updated={"test_a": 65})
    assert source.format(after) == edited(source.format(marker), {"test_a": 65})


def test_other_markers_stay() -> None:
    """A budget on another metric, phase or stage is no reason for one on the call's memory."""
    others = (
        '@pytest.mark.mem_budget(5, metric="heap")\n'
        '@pytest.mark.mem_budget(5, stage="load")\n'
        '@pytest.mark.mem_budget(5, phase="setup")\n'
    )
    source = PLAIN.replace("def", others + "def")
    assert source == edited(source, updated={"test_a": 65})
    new = source.replace(others, '@pytest.mark.mem_budget("65 MiB")\n' + others)
    assert new == edited(source, {"test_a": 65})


def test_tests_that_need_none() -> None:
    """A test that is only to be updated gets no marker."""
    found = with_markers(PLAIN, {}, {"test_a": 4})
    assert (found.text, found.changed, found.left) == (PLAIN, (), {})


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param("from base import *", "it is not defined in this file", id="elsewhere"),
        pytest.param(
            "try:\n    def test_a(): pass\nexcept E:\n    def test_a(): pass\n",
            "it is defined several times",
            id="twice",
        ),
        pytest.param(
            "@pytest.mark.mem_budget(lambda p: p['n'])\ndef test_a(): pass\n",
            "the limit of its mem_budget is no single constant",
            id="function-of-parameters",
        ),
        pytest.param(
            "@pytest.mark.mem_budget(1)\n@pytest.mark.mem_budget(2)\ndef test_a(): pass\n",
            "the limit of its mem_budget is no single constant",
            id="two",
        ),
        pytest.param(
            "@pytest.mark.mem_budget(None)\ndef test_a(): pass\n",
            "its mem_budget switches budgets off",
            id="off",
        ),
        pytest.param(
            '@pytest.mark.mem_budget("1"\n" MB")\ndef test_a(): pass\n',
            "the limit of its mem_budget spans several lines",
            id="two-lines",
        ),
    ],
)
def test_left_as_it_is(source, why) -> None:
    """A test that cannot be edited is named with the reason."""
    found = with_markers("import pytest\n" + source, {"test_a": 65}, {})
    assert found.text == "import pytest\n" + source
    assert found.left == {"test_a": why}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("def test_a(:", "it cannot be parsed", id="syntax"),
        pytest.param("import pytest\n\0", "it cannot be parsed", id="null"),
        pytest.param(
            '"""Doc."""; x = 1\ndef test_a(): pass', "cannot be edited safely", id="one"
        ),
        pytest.param(
            "import pytest\n@\\\na.b\ndef test_a(): pass", "cannot be edited safely", id="at"
        ),
    ],
)
def test_refused(source, problem) -> None:
    """A file that an edit could break is not edited."""
    with pytest.raises(ConfigError, match=problem):
        with_markers(source, {"test_a": 65}, {})
