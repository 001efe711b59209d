"""Makes a module for every script it runs and leaves it in ``sys.modules``."""

import sys
from itertools import count
from types import ModuleType

_NUMBERS = count(1)


def run_script(text: str) -> ModuleType:
    """Run a script in a module of its own."""
    name = f"script_{next(_NUMBERS)}"  # LEAK
    module = ModuleType(name)  # LEAK
    sys.modules[name] = module
    vars(module)["text"] = text  # LEAK
    return module


def test_run_script() -> None:
    """The module knows its script."""
    assert run_script("pass").text == "pass"
