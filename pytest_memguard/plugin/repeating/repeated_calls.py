"""Repeats the call alone of a test whose setup and teardown do nothing of its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_memguard.plugin.pytest_internals import items as internals
from pytest_memguard.plugin.pytest_internals.own_phases import is_all_in_its_call
from pytest_memguard.plugin.repeating.repeats import Phase, RepeatedItem

if TYPE_CHECKING:
    from typing import Self


class RepeatedCall(RepeatedItem):
    """A test that stays set up while its call is repeated, as often as it takes.

    The phases around a call of pytest take several times as long as a small test does.
    """

    def __enter__(self) -> Self:
        stash = internals.stash_of(self._item).values()
        # the log of the first call is there, by phase
        self._records = [(value, dict(value)) for value in stash if type(value) is dict]
        super().__enter__()
        self._hook = self._hook_of("call")
        return self

    def tear_down(self) -> BaseException | None:
        """Leave the test set up: there is nothing to tear down."""
        self._restored.note_folder()
        return None

    def set_up(self) -> None:
        """Leave the test as its first run has left it."""

    def _run(self) -> None:
        if self._own_instance:
            internals.forget_instance(self._item)
        self._attributes.begin()
        problem = self._call()
        self._attributes.drop()
        self._trim()
        self._finish(problem)

    def _call(self) -> str:
        """Call the test; what went wrong, in words, or nothing.

        What pytest notes of a phase is made where one has failed: that takes as long as a
        third of an empty test.
        """
        try:
            self._hook()
        except BaseException as error:  # noqa: BLE001  pytest decides what ends the run
            return self._phase("call", partial(_fail, error))
        return ""

    def _is_torn_down_after(self, when: Phase) -> bool:  # noqa: ARG002
        return False

    def _restore(self) -> None:
        internals.set_state(self._item, self._saved)
        super()._restore()
        for stashed, before in self._records:
            stashed.clear()
            stashed.update(before)


def _fail(error: BaseException) -> NoReturn:
    raise error


def repetition_of(
    item: pytest.Item, names: dict[str, Any] | None, filters: list[Any]
) -> RepeatedItem:
    """Return what repeats a test: all of its phases, unless its call is all that it does.

    Args:
        item: the test, after its call.
        names: what a doctest sees, from `doctest_names` before its first run.
        filters: the filters of warnings before its first call.
    """
    kind = RepeatedCall if is_all_in_its_call(item) else RepeatedItem
    return kind(item, names, filters)
