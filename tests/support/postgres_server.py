"""A PostgreSQL server of the tests' own: a new cluster in a folder, on a socket there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

OWNERS = ("postgres", "nobody")
PASSWORD = "geheim?&%"  # noqa: S105  of a server that lives as long as a test
SETTINGS = "-c listen_addresses= -c unix_socket_directories={} -c fsync=off"
ACCESS = "local all team scram-sha-256\nlocal all all trust\n"


def programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@dataclass
class Cluster:
    """A running server."""

    folder: str
    """Has its files and its socket."""
    made: int = 0
    """Databases made so far."""

    def url(self, database: str, user: str = "postgres", query: str = "") -> str:
        """How to get there; the user team needs its password."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}{query}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        import sqlalchemy

        self.made += 1
        name = f"history_{self.made}"
        engine = sqlalchemy.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server, and stop it; tests are skipped without one."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb")
    root = os.geteuid() == 0
    owner = _owner() if root else None
    # not below tmp_path: the server's user could not get there, nor would its socket's name fit
    with tempfile.TemporaryDirectory(prefix="pg") as place:
        if owner is not None:
            shutil.chown(place, owner)

        def call(program: str, *words: str) -> None:
            command = [str(folder / program), "-D", f"{place}/data", *words]
            log = Path(place) / "log"
            with log.open("a") as file:
                done = subprocess.run(
                    command, cwd=place, user=owner, stdout=file, stderr=file, check=False
                )
            assert done.returncode == 0, log.read_text()

        call("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        (Path(place) / "data" / "pg_hba.conf").write_text(ACCESS)
        call("pg_ctl", "-w", "-o", SETTINGS.format(place), "-l", f"{place}/server.log", "start")
        try:
            yield Cluster(place)
        finally:
            call("pg_ctl", "-m", "immediate", "stop")


def _owner() -> str:
    """A user other than root, for whom the server would not start."""
    import pwd  # there is none on Windows

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in OWNERS if name in known)
