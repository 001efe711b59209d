"""The cases of the leak benchmark, and what a tool should report of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
"""The folder with a file for each."""
MARK = "# LEAK"
"""Ends every line that allocates what stays."""
NO_HOLDER = ""
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
    """The type of what stays, by all its possible names; empty where no tool can know it."""
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
        """A name of the manifest as a tool would report it."""
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
        holders=holders or (NO_HOLDER,),
    )


LEAKING: tuple[Case, ...] = (
    # Python objects with a holder
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
    _leak("atexit_callbacks", ".Session", "atexit", NO_HOLDER),
    _leak("weak_key_held_by_value", ".Stream", "._WRAPPERS"),
    _leak("thread_local", ".Request", "._STATE"),
    _leak("traceback_kept", "ValueError", "._ERRORS"),
    _leak("generator_kept", "generator", "._RUNNING"),
    _leak("context_variable", ".Span", "._CURRENT", "contextvars", "context variables"),
    _leak("modules_made", "module", "sys.modules"),
    _leak("string_table", "", "._TABLE"),
    _leak("array_of_ints", "", "._SAMPLES", NO_HOLDER),
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
    _leak("sqlite_functions", ".Scale", "._CONNECTION, C memory"),
    _leak("sqlite_collations", "function", "._STORE.connection, C memory"),
    _leak("classes_of_abstract", "abc.ABCMeta", "._MADE"),
    _leak("classes_by_metaclass", ".RecordMeta", "._RECORDS"),
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
    # all of them refer back to what has them
    _leak("rows_refer_back", ".Row", "._MANAGER"),
    _leak("tree_with_parents", ".Node", ".App.tree"),
    _leak("nodes_linked_twice", ".Node", "._UNDO"),
    _leak("thread_local_refers_back", ".Resource", "._CURRENT.transaction"),
    _leak(
        "weak_key_of_own_class",
        ".test_bad_order.<locals>.Order type str",
        ".Orders.bad",
    ),
    _leak("thread_local_in_python", ".Request", "._STATE.requests"),
    # not on every call, or not the same on every call
    _leak("error_path", ".Job", "._ACTIVE"),
    _leak("every_third_call", ".Sample", "._KEPT"),
    _leak("random_size", "", "._KEPT"),
    _leak("random_count", ".Row", "._KEPT"),
    # Python objects without a holder
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
    # C functions that other C code calls, pytest's calls among them
    _leak("raises_calls_c"),
    _leak("warns_calls_c"),
    _leak("fixture_end_calls_c", ".Ticket"),
    _leak("sort_key_in_c"),
    _leak("partial_of_c"),
    _leak("weak_callback_in_c", "weakref.ReferenceType weakref"),
    # uneven: context variables, tasks, threads
    _leak("context_variable_uneven", ".Span", "._SPANS", "contextvars", "context variables"),
    _leak(
        "context_variables_made",
        "_contextvars.ContextVar ContextVar list",
        "contextvars",
        "context variables",
    ),
    _leak("tasks_pending_uneven", "_asyncio.Task asyncio.Task", "._NEVER", "._LOOP", "asyncio"),
    _leak("tasks_kept_uneven", "_asyncio.Task asyncio.Task", "._TASKS"),
    _leak("threads_some_stay", ".Poller", "threading"),
    _leak("thread_results_uneven", ".Result", "._RESULTS"),
    # beside a cache that fills and has a bound
    _leak("cache_beside_descriptor"),
    _leak("bound_deque_beside_native"),
    _leak("patterns_beside_objects", ".Match", "._MATCHES"),
    _leak("named_bound_beside_thread", "threading.Thread", "threading"),
    _leak("statements_beside_objects", ".Row", "._ROWS"),
    _leak("cache_beside_its_like", ".Answer", "._ANSWERS"),
    # two in one test: either may be named first
    _leak("two_lists", ".Order .Invoice", "._ORDERS", "._INVOICES"),
    _leak("objects_and_descriptor", ".Visit", "._VISITS", NO_HOLDER),
    _leak("thread_and_native", ".Watcher", "threading", NO_HOLDER),
    _leak("text_and_lost_dict", "dict list", ".Log.text", NO_HOLDER),
    _leak(
        "cache_and_callbacks",
        ".View method list",
        "functools.cache of .parts",
        "functools.lru_cache of .parts",
        "._BUS",
    ),
    # in steps
    _leak("bytearray_extended", "", "._BUFFER", NO_HOLDER),
    _leak("bytesio_written", "", "._BUFFER", NO_HOLDER),
    _leak("list_extended", "", "._SLOTS", NO_HOLDER),
    _leak("arena_of_blocks", "", "._ARENA"),
    _leak("block_every_16th", "", "._BLOCKS"),
    _leak("table_of_small_numbers", "", "._SEEN"),
    # more on every call than on the one before
    _leak("grows_by_a_fifth", ".Node", "._NODES"),
    _leak("text_doubles", "", ".Page.text"),
    _leak("objects_double", ".Task", "._TASKS"),
    _leak("bytes_by_a_tenth", "", "._BUFFER"),
    _leak("native_by_a_quarter"),
    # beside what pytest and its plugins keep or restore
    _leak("plugin_keeps_and_list", ".Visit", "._VISITS"),
    _leak("records_kept", "logging.LogRecord", "._MEMORY"),
    _leak("warnings_listed", "warnings.WarningMessage", "._LISTED"),
    _leak("patches_never_undone", "tuple", "fixture patches"),
    _leak("modules_of_new_names_kept", "module", "sys.modules"),
    # beside memory that each call replaces
    _leak("generation_beside_objects", ".Version", "._VERSIONS"),
    _leak("rotation_beside_lost_dict", "dict list"),
    _leak("renewed_list_beside_descriptor"),
    _leak("snapshot_beside_bytes", "", "._SUMS"),
    _leak("swapped_beside_native"),
    # one number, text or tuple that grows
    _leak("growing_int", "", "._FLAGS"),
    _leak("growing_int_of_object", "", "._SEEN"),
    _leak("growing_text", "", "._TEXT"),
    _leak("growing_bytes", "", "._PEER"),
    _leak("growing_tuple_of_class", ".Step", ".Plan"),
    _leak("growing_text_in_dict", "", "._PAGES"),
    # beside tracemalloc, and what the collector does not see
    _leak("traced_and_kept", ".Report", "._REPORTS"),
    _leak("traced_lost_dict", "dict list"),
    _leak("collector_off_and_kept", ".Batch", "._BATCHES"),
    _leak("frozen_and_kept", ".Model", "._MODELS"),
    _leak("frozen_cycles", ".Parent .Child"),
    _leak("places_kept", "tracemalloc.Traceback", "._PLACES"),
)
"""Those in which every so many calls leave something behind."""

INNOCENT: tuple[Case, ...] = tuple(
    Case(name=name, leaks=False)
    for name in (
        # caches whose bound can be read
        "lru_cache_8",
        "lru_cache_128",
        "lru_cache_1000",
        "lru_cache_100000",
        "deque_maxlen_300",
        "named_bound_5000",
        # caches whose bound cannot be read
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
        "warnings_repeated",
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
        "listeners_in_cycles",
        "classes_collected",
        "classes_asked",
        "sqlite_function_renewed",
        "sqlite_function_removed",
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
        # C functions that other C code calls
        "raises_calls_int",
        "warns_calls_list",
        "fixture_end_clears",
        "sort_key_freed",
        "weak_callback_discards",
        # context variables, tasks and threads that end
        "context_copied",
        "tasks_left_to_run",
        "tasks_done_in_kept_loop",
        "threads_end_late",
        "thread_replaced",
        # a cache that fills beside nothing
        "lru_cache_of_method_3000",
        "deque_maxlen_5000",
        "cache_beside_descriptor_closed",
        "statements_cached",
        "named_capacity_1500",
        # two at once
        "two_caches_fill",
        "two_buffers_cut",
        "cache_and_cut_buffer",
        "two_named_bounds",
        "two_pools",
        # buffers that end or are cut back
        "bytearray_cut_back",
        "bytesio_emptied",
        "list_emptied",
        "buffer_made_in_full",
        "buffer_doubles_early",
        "arena_reset",
        # large, but not more and more
        "large_once",
        "large_temporary",
        "large_replaced",
        "grows_by_a_fifth_to_1000",
        "large_first_four",
        # what pytest and its plugins keep or restore
        "plugin_keeps_names",
        "modules_of_new_names",
        "warning_filters_changed",
        "warnings_in_registry",
        "import_path_patched",
        "properties_recorded",
        # what each call replaces
        "generation_replaced",
        "ordered_dict_rotated",
        "list_renewed",
        "generations_swapped",
        "ring_of_frames",
        # one number, text or tuple that stays as long as it is
        "counter",
        "text_cut_back",
        "int_of_fixed_width",
        "bytes_taken_by_line",
        "tuple_of_last_five",
        # tracemalloc and the collector
        "traced_through",
        "snapshots_compared",
        "collector_paused",
        "frozen_and_thawed",
        "collector_asked_rarely",
        # all of them refer back to what has them
        "rows_leave",
        "tree_pruned",
        "nodes_unlinked",
        "weak_key_of_class_dropped",
        "thread_local_cleared",
        "thread_local_python_ends",
    )
)
"""Cases in which nothing is lost, whatever memory does meanwhile."""


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
