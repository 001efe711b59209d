"""Opens a database in memory, fills it and closes it."""

import sqlite3


def test_rows() -> None:
    """All rows are there."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (n)")
    connection.executemany("insert into t values (?)", [(n,) for n in range(50)])
    assert connection.execute("select count(*) from t").fetchone() == (50,)
    connection.close()
