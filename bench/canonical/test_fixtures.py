"""Fixtures of every scope that keep memory, and budgets on setup and teardown."""

from __future__ import annotations

import pytest
from memory import OVER, WITHIN, block, shares, small_lists, small_objects


class Node:
    """An object that refers to itself: garbage that only the collector frees."""

    def __init__(self, mebibytes):
        self.data = block(mebibytes)
        self.me = self


@pytest.fixture(scope="session")
def of_session():
    """Keep some memory for the run."""
    return small_objects(5)


@pytest.fixture(scope="module")
def of_module():
    """Keep a node until the module's last test."""
    return Node(9)


@pytest.fixture(scope="class")
def of_class():
    """Keep a node until the class's last test, and use more when it goes."""
    yield Node(9)
    small_lists(6)


@pytest.fixture
def of_function():
    """Keep a node until the test has ended."""
    return Node(9)


@pytest.mark.usefixtures("of_session", "of_module", "of_class", "of_function")
class TestScopes:
    """Tests that need fixtures of all scopes."""

    @pytest.mark.mem_budget(8)
    def test_over(self):
        """What fixtures keep hides nothing of what the call uses."""
        block(8 * OVER)

    @pytest.mark.mem_budget(8)
    def test_within(self):
        """Memory of fixtures does not belong to the call."""
        block(8 * WITHIN)

    @pytest.mark.mem_budget(8, metric="heap")
    def test_heap_over(self):
        """What fixtures keep hides nothing from memray."""
        small_objects(8 * OVER)

    @pytest.mark.mem_budget(8, metric="python")
    def test_python_within(self):
        """What fixtures keep is not in Python's memory of the call."""
        small_objects(8 * WITHIN)


@pytest.fixture
def given(request):
    """Keep the memory that the test's parameter asks for."""
    return block(request.param)


@pytest.mark.parametrize("given", shares(14, phase="setup"), indirect=True)
def test_setup(given):
    """Memory that a fixture allocates belongs to the setup."""


@pytest.fixture(scope="class")
def large_of_class():
    """Keep more than the budget for a class that has one test."""
    return block(12 * OVER)


@pytest.fixture(scope="class")
def small_of_class():
    """Keep less than the budget for a class that has one test."""
    return block(12 * WITHIN)


class TestLargeClass:
    """A class whose fixture is larger than the budget."""

    @pytest.mark.mem_budget(12, phase="setup")
    def test_setup_over(self, large_of_class):
        """A fixture of a wider scope belongs to the test that requests it first."""


class TestSmallClass:
    """A class whose fixture is within the budget."""

    @pytest.mark.mem_budget(12, phase="setup")
    def test_setup_within(self, small_of_class):
        """A fixture of a wider scope belongs to the test that requests it first."""


@pytest.fixture
def generator(request):
    """Use memory after the test."""
    yield
    small_objects(request.param)


@pytest.mark.parametrize("generator", shares(10, phase="teardown"), indirect=True)
def test_generator(generator):
    """Memory that a fixture uses after its yield belongs to the teardown."""


@pytest.mark.parametrize("mebibytes", shares(10, phase="teardown", metric="python"))
def test_finalizer(request, mebibytes):
    """Memory that a finalizer uses belongs to the teardown."""
    request.addfinalizer(lambda: block(mebibytes))


class TestXunit:
    """Methods of the old style around each test."""

    def setup_method(self):
        """Use memory before the test."""
        block(13)

    def teardown_method(self):
        """Use memory after the test."""
        block(13)

    @pytest.mark.mem_budget(10, phase="setup")
    def test_setup_over(self):
        """Memory that setup_method uses belongs to the setup."""

    @pytest.mark.mem_budget(10, phase="teardown")
    def test_teardown_over(self):
        """Memory that teardown_method uses belongs to the teardown."""

    @pytest.mark.mem_budget(10)
    def test_within(self):
        """Memory that both use does not belong to the call."""
        block(10 * WITHIN)
