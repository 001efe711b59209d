"""The history on a PostgreSQL server, through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from pytest_memguard.errors import ConfigError
from pytest_memguard.model.past_runs import passwords_in, without_password
from pytest_memguard.storage.database import SqlRow, SqlValues, StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

EXTRA: Final = "pip install 'pytest-memguard[sql]'"
_LOCK: Final = 0x6D656D67  # "memg": a key that other programs hardly use
_PATIENCE: Final = 10  # seconds to wait for a server that does not answer
_QUEUE: Final = 30.0  # seconds to wait for another run that is writing


class Server:
    """A `Database` on a server.

    Args:
        url: a URL for SQLAlchemy: ``postgresql+psycopg://user@host/database``.
        patience: seconds to wait for another process that is writing.

    Raises:
        ConfigError: if the URL makes no sense, or a library is missing.
        StoreError: if the server does not answer or refuses the connection.
    """

    def __init__(self, url: str, *, patience: float = _QUEUE) -> None:
        self._patience = patience
        self.name = without_password(url)
        self._hidden = [
            form for secret in passwords_in(url) for form in (secret, unquote_plus(secret))
        ]
        self._engine = self._make_engine(url)
        with self._as_store_errors():
            self._connection: Connection = self._engine.connect()

    def _make_engine(self, url: str) -> Engine:
        try:
            import sqlalchemy
            from sqlalchemy.pool import NullPool
        except ImportError as error:
            msg = f"{self.name} needs SQLAlchemy, which is not installed: {EXTRA}"
            raise ConfigError(msg) from error
        try:
            parsed = sqlalchemy.make_url(url)
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            msg = (
                f"{self.name} is not a URL: write one like postgresql+psycopg://user@host/name"
            )
            raise ConfigError(msg) from error
        if parsed.get_backend_name() not in {"postgresql", "postgres"}:
            msg = (
                f"{self.name} is not the URL of a PostgreSQL server: write one like "
                "postgresql+psycopg://user@host/name, or the path of a SQLite file"
            )
            raise ConfigError(msg)
        if parsed.drivername in {"postgresql", "postgres"}:  # the extra installs psycopg
            parsed = parsed.set(drivername="postgresql+psycopg")
        psycopg = parsed.get_driver_name().startswith("psycopg")
        patience = {"connect_timeout": _PATIENCE} if psycopg else {}
        patience = {} if "connect_timeout" in parsed.query else patience
        try:
            return sqlalchemy.create_engine(parsed, poolclass=NullPool, connect_args=patience)
        except ImportError as error:
            driver = parsed.get_driver_name()
            remedy = (
                EXTRA if driver == "psycopg" else f"install it, or write +psycopg and {EXTRA}"
            )
            msg = f"{self.name} needs {driver}, which is not installed: {remedy}"
            raise ConfigError(msg) from error
        except sqlalchemy.exc.ArgumentError as error:  # a driver that does not exist
            msg = f"{self.name} cannot be used: {self._clean(str(error))}"
            raise ConfigError(msg) from error

    @contextmanager
    def _as_store_errors(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            lines = str(cause).strip().splitlines() or [type(cause).__name__]
            msg = f"{self.name}: {self._clean(lines[0])}"
            # without the cause: its words may have the password in them
            raise StoreError(msg) from None

    def _clean(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text

    def rows(self, statement: str, values: SqlValues | None = None) -> list[SqlRow]:
        """Return the rows that a query finds."""
        from sqlalchemy import text

        with self._as_store_errors():
            return list(self._connection.execute(text(statement), dict(values or {})))

    def run(
        self, statement: str, values: SqlValues | Sequence[SqlValues] | None = None
    ) -> None:
        """Execute a statement, once for each set of values if there are several."""
        from sqlalchemy import text

        several = isinstance(values, Sequence)
        given = [dict(each) for each in values] if several else dict(values or {})  # type: ignore[union-attr,arg-type]
        with self._as_store_errors():
            self._connection.execute(text(statement), given)

    def tables(self) -> set[str]:
        """Return the names of the tables that can be used without a schema's name."""
        found = self.rows(
            "SELECT c.relname FROM pg_catalog.pg_class c"
            " WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(c.oid)"
        )
        return {name for (name,) in found}

    @contextmanager
    def write(self) -> Iterator[None]:
        """Return a transaction in which no other run of ours writes."""
        with suppress(StoreError):
            self._end("rollback")  # an earlier query has begun one
        try:
            self.run(f"SET LOCAL lock_timeout = {int(self._patience * 1000)}")
            self.rows("SELECT pg_advisory_xact_lock(:lock)", {"lock": _LOCK})
            yield
            self._end("commit")
        except BaseException:
            with suppress(StoreError):
                self._end("rollback")
            raise

    def _end(self, how: str) -> None:
        with self._as_store_errors():
            getattr(self._connection, how)()

    def close(self) -> None:
        """Close the connection."""
        with self._as_store_errors():
            self._connection.close()
            self._engine.dispose()
