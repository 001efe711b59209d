"""Opens a database for every question and keeps all of them."""

import sqlite3

_CONNECTIONS: list[sqlite3.Connection] = []


def ask(question: str) -> str:
    """Ask a database of one's own."""
    connection = sqlite3.connect(":memory:")  # LEAK
    _CONNECTIONS.append(connection)
    (answer,) = connection.execute("select upper(?)", (question,)).fetchone()  # LEAK
    return str(answer)


def test_ask() -> None:
    """The answer is loud."""
    assert ask("why") == "WHY"
