"""A finalizer of pytest's own that is a C function and takes a reference too many."""

from functools import partial

import pytest

leaky = pytest.importorskip("leaky", reason="the C extension is not built")


class Ticket:
    """Is to be given back."""


def test_ticket(request: pytest.FixtureRequest) -> None:
    """There is a ticket."""
    ticket = Ticket()  # LEAK
    request.addfinalizer(partial(leaky.keep, ticket))
    assert ticket
