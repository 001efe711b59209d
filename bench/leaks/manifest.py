"""The cases of the leak benchmark, and what a tool should say of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
"""The folder with a file for each."""
MARK = "# LEAK"
"""Ends every line that allocates what stays."""
NOBODY = ""
"""The holder where no Python object holds what stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test file with one test, and the truth about it.

    A name that starts with a dot, be it the second of two words, is one of the case's own
    module.
    """

    name: str
    """The file's, without ``test_`` and suffix."""
    leaks: bool
    """Whether every so many calls leave something behind."""
    types: tuple[str, ...] = ()
    """The type of what stays, by all names it may go; empty if nothing tells it."""
    holders: tuple[str, ...] = ()
    """What may be named as its holder."""

    @property
    def module(self) -> str:
        """The name its file is imported by."""
        return f"test_{self.name}"

    @property
    def path(self) -> Path:
        """Its file."""
        return CASES / ("leaking" if self.leaks else "innocent") / f"{self.module}.py"

    @property
    def native(self) -> bool:
        """Whether it needs the C extension."""
        return 'importorskip("leaky"' in self.path.read_text()

    @property
    def lines(self) -> frozenset[int]:
        """The marked lines."""
        source = self.path.read_text().splitlines()
        return frozenset(n for n, line in enumerate(source, 1) if line.endswith(MARK))

    def in_full(self, name: str) -> str:
        """A name of the manifest as a tool would say it."""
        return re.sub(r"(?<!\S)\.", f"{self.module}.", name)


def _leak(
    name: str,
    types: str = "",
    *holders: str,
) -> Case:
    return Case(
        name=name,
        leaks=True,
        types=tuple(types.split()),
        holders=holders or (NOBODY,),
    )


LEAKING: tuple[Case, ...] = (
    # Python objects that somebody holds
    _leak("module_dict", ".Session", "._SESSIONS"),
    _leak("module_list", "list", "._HISTORY"),
    _leak("module_set", "", "._SEEN"),
    _leak("class_registry", "type", ".Plugin"),
    _leak("closure", ".Event", "._RECORD", ".recorder"),
    _leak("default_argument", ".Item", ".put"),
    _leak("unbounded_lru_cache", ".Shape", "functools.lru_cache of .shape"),
    _leak("cached_method", ".Document", "functools.lru_cache of .Document.words"),
    _leak("bound_callbacks", ".View", "._BUS"),
    _leak("linked_nodes", ".Node", ".Undo"),
    _leak("logging_handlers", ".OrderHandler", "._LOG", "logging"),
    _leak("atexit_callbacks", ".Session", "atexit", NOBODY),
    _leak("weak_key_held_by_value", ".Stream", "._WRAPPERS"),
    _leak("thread_local", ".Request", "._STATE"),
    _leak("traceback_kept", "ValueError", "._ERRORS"),
    _leak("generator_kept", "generator", "._RUNNING"),
    _leak("context_variable", ".Span", "._CURRENT", "contextvars", "context variables"),
    _leak("modules_made", "module", "sys.modules"),
    _leak("string_table", "", "._TABLE"),
    _leak("array_of_ints", "", "._SAMPLES", NOBODY),
    _leak("bytes_kept", "", "._RAW"),
    _leak("deque_without_bound", ".Message", "._HISTORY"),
    _leak("slot_of_singleton", ".Change", "._APP"),
    _leak("broken_limit", ".Page", "._CACHE"),
    _leak("numpy_arrays", "", "._FRAMES"),
    _leak("mapped_files", "", "._MAPPINGS"),
    _leak("queue_never_drained", ".Event", "._EVENTS"),
    _leak("counts_of_strangers", "list", "._COUNTS"),
    _leak("mock_calls", ".Letter", "._SENDER"),
    _leak("session_fixture", ".Visit", "fixture visits"),
    _leak("text_buffer", "", "._LOG"),
    _leak("reused_tuples", "", "._SEEN"),
    _leak("memory_views", "memoryview", "._HEADERS"),
    _leak("array_views", "", "._HEADS"),
    _leak("exit_stack", ".Lock", "._STACK"),
    _leak("futures_kept", "concurrent.futures._base.Future", "._FUTURES"),
    _leak("ctypes_callbacks", "_ctypes.CThunkObject", "._SAFE"),
    _leak("sqlite_connections", "sqlite3.Connection", "._CONNECTIONS"),
    # errors and wrappers, each on the one before it
    _leak("error_reused", "traceback", "._REFUSED"),
    _leak("error_chain", ".TroubleError", ".Service.last"),
    _leak("wrapped_again", "function", ".Hooks.show"),
    # what the interpreter and the standard library keep
    _leak("dispatch_registrations", "type", ".show"),
    _leak("cache_of_classes", "type", "functools.lru_cache of .columns"),
    _leak("loggers_by_name", "logging.Logger", "logging"),
    _leak("finalizer_holds_itself", ".Handle", "weakref.finalize"),
    _leak("import_path", "", "sys.path"),
    _leak("import_hooks", ".Finder", "sys.meta_path"),
    _leak("environment", "", "os.environ"),
    _leak("signal_handlers", ".Handler", "handler of SIGUSR2"),
    _leak("codec_searches", ".Search", "a list of .Search that C code alone holds"),
    _leak("fork_hooks", ".Pool", "a list of method that C code alone holds"),
    # not on every call, or not the same on every call
    _leak("error_path", ".Job", "._ACTIVE"),
    _leak("every_third_call", ".Sample", "._KEPT"),
    _leak("random_size", "", "._KEPT"),
    _leak("random_count", ".Row", "._KEPT"),
    # Python objects that nobody holds
    _leak("cycles_collector_off", ".Parent"),
    _leak("decref_small"),
    _leak("decref_large"),
    _leak("decref_dict", "dict list"),
    _leak("decref_type", "type"),
    # no Python objects
    _leak("native_small"),
    _leak("native_large"),
    _leak("native_error_path"),
    _leak("native_pages"),
    # descriptors, threads, processes, tasks
    _leak("open_files", "_io.TextIOWrapper io.TextIOWrapper", "._FILES"),
    _leak("pipes", "", "._PIPES"),
    _leak("sockets", "socket.socket", "._SOCKETS"),
    _leak("raw_descriptor"),
    _leak("temporary_descriptors"),
    _leak("unread_pipes", "_io.BufferedReader", "._DONE"),
    _leak("shared_memory", "multiprocessing.shared_memory.SharedMemory", "._BLOCKS"),
    _leak("selector_keys", "socket.socket", "._SELECTOR"),
    _leak("event_loops", "asyncio.unix_events._UnixSelectorEventLoop", "._LOOPS"),
    _leak("executors_kept", "concurrent.futures.thread.ThreadPoolExecutor", "._EXECUTORS"),
    _leak("daemon_threads", "threading.Thread", "threading"),
    _leak("native_threads"),
    _leak("child_processes", "subprocess.Popen", "._CHILDREN"),
    _leak("asyncio_tasks", "_asyncio.Task asyncio.Task", "._NEVER", "._LOOP", "asyncio"),
    _leak("timers_far_away", ".Session", "._LOOP._scheduled"),
)
"""Those in which every so many calls leave something behind."""

INNOCENT: tuple[Case, ...] = tuple(
    Case(name=name, leaks=False)
    for name in (
        # caches that tell their bound
        "lru_cache_8",
        "lru_cache_128",
        "lru_cache_1000",
        "lru_cache_100000",
        "deque_maxlen_300",
        "named_bound_5000",
        # caches that do not
        "dict_cleared_at_64",
        "slow_cache_64",
        "dict_oldest_out_100",
        "dict_oldest_out_200",
        "dict_cleared_at_512",
        "dict_oldest_out_1024",
        "weak_values",
        # caches of the interpreter and the standard library
        "regex_patterns",
        "fnmatch_patterns",
        "url_parts",
        "source_lines",
        "struct_formats",
        "date_formats",
        "dispatch_caches",
        "interned_strings",
        "database_cursors",
        "flags_combined",
        "abstract_classes",
        "warnings_told",
        "free_lists",
        "lazy_imports",
        # pools and buffers
        "object_pool",
        "connection_pool",
        "thread_pool",
        "buffer_reused",
        "native_scratch",
        "sawtooth_10",
        "sawtooth_50",
        "memory_handler",
        "log_cut",
        "queue_drained",
        "iterators_in_step",
        # what comes and goes
        "cycles",
        "classes_collected",
        "errors_handled",
        "context_variable_reset",
        "pickle_round_trip",
        "noise",
        "mocks",
        "finalizers",
        "databases_closed",
        "numpy_temporaries",
        "native_freed",
        # pytest's own fixtures
        "temporary_files",
        "captured_log",
        "captured_output",
        "monkeypatched",
        # descriptors, threads, processes, tasks
        "child_run",
        "child_killed",
        "child_not_found",
        "shared_memory_unlinked",
        "timers_cancelled",
        "thread_locals_gone",
        "threads_joined",
        "executor_dropped",
        "sockets_closed",
        "file_closed_late",
        "asyncio_run",
    )
)
"""Those in which nothing is lost, whatever it looks like."""


def cases(names: frozenset[str] = frozenset()) -> Iterator[Case]:
    """All cases, or those with these names.

    Raises:
        ValueError: if there is no case of that name.
    """
    everything = (*LEAKING, *INNOCENT)
    if unknown := names - {case.name for case in everything}:
        msg = f"no such case: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    return (case for case in everything if not names or case.name in names)
