"""Registers a pair of sockets with a selector and forgets them there."""

import selectors
import socket

_SELECTOR = selectors.DefaultSelector()


def connect() -> int:
    """Watch one end of a new pair."""
    here, there = socket.socketpair()  # LEAK
    key = _SELECTOR.register(here, selectors.EVENT_READ, there)
    return key.events


def test_connect() -> None:
    """It is watched for what there is to read."""
    assert connect() == selectors.EVENT_READ
