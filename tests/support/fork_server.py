"""Imports a module, then forks for each order that tests/support/fresh_process.py sends."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


def answer(order: Path) -> Callable[[], None]:
    """What a child does: call a function, and leave what it returns or raises in a file.

    Args:
        order: the folder with the question.
    """
    sys.path[:], function, arguments = pickle.loads((order / "question").read_bytes())  # noqa: S301  our own

    def call() -> None:
        found: tuple[Any, Exception | None]
        try:
            found = (function(*arguments), None)
        except Exception as error:  # noqa: BLE001  raised again where it was asked for
            found = (None, error)
        (order / "answer").write_bytes(pickle.dumps(found))

    return call


def _redirect(order: Path) -> None:
    """Read from nowhere and write to files, on the level of the system."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    names = (
        (os.devnull, os.O_RDONLY),
        (order / "stdout", write),
        (order / "stderr", write),
    )
    for descriptor, (name, flags) in enumerate(names):
        opened = os.open(name, flags)
        os.dup2(opened, descriptor)
        os.close(opened)


def _end(work: Callable[[], None]) -> NoReturn:
    """Do the work, and end without freeing every object, which takes as long as a small run."""
    code: object = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001  as an interpreter does
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Fork for each order, and print the child's number, how it ended and its CPU time."""
    module = importlib.import_module(sys.argv[1])
    getattr(module, "prepare", lambda: None)()
    gc.collect()
    gc.freeze()  # no collection in a child need touch, and so copy, all of this
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            order = Path(line.rstrip("\n"))
            _redirect(order)
            work = answer(order)
            break
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status, used = os.wait4(child, 0)
        seconds = used.ru_utime + used.ru_stime
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)} {seconds}\n")
        sys.stdout.flush()
    else:
        return
    _end(work)


if __name__ == "__main__":
    main()
