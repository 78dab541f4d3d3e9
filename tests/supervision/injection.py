"""Faults that are put into a process of the gate's own, for real.

The process imports a ``sitecustomize`` of ours, which replaces a function as soon as its module
is there. Nothing of this is in the package.
"""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path

import pytest

_VARIABLE = "TFX_GRAPHLETS_TEST_FAULT"

# By name, what a function does in place of what it should.
FAULTS = {
    "zero": "raise ZeroDivisionError('unforeseen')",
    "exit": "raise SystemExit(3)",
    "memory": "raise MemoryError()",
    "recursion": "raise RecursionError('maximum recursion depth exceeded')",
    "panic": "raise type('PanicException', (BaseException,), {})('called Option::unwrap()')",
    "interrupt": "raise KeyboardInterrupt()",
    "generator": "raise GeneratorExit()",
    "system": "raise OSError(5, 'Input/output error')",
    "full": "raise OSError(28, 'No space left on device')",
    "rights": "raise PermissionError(13, 'Permission denied')",
    "surrogate": "raise ValueError('half a pair: ' + chr(0xD800))",
    "sleep": "import time; time.sleep(600)",
    # Native code that never lets go of Python's lock.
    "hang": "import ctypes; ctypes.PyDLL(None).sleep(600)",
    "abort": "import os; os.abort()",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "exit_now": "import os; os._exit(7)",
    "hog": "kept = [bytearray(b'x' * (16 << 20)) for _ in range(1024)]",
    "chatter": "import os\nwhile True: os.write(2, b'native noise ' * 80)",
    "print": "import os; os.write(1, b'printed by native code'); raise ZeroDivisionError('x')",
}

_SITE = """
import importlib.abc, importlib.util, json, os, sys

place, code = json.loads(os.environ["{variable}"])
module_name, _, attribute = place.partition(":")


def replace(module):
    *path, last = attribute.split(".")
    owner = module
    for name in path:
        owner = getattr(owner, name)

    def broken(*arguments, **more):
        exec(code, {{}})

    setattr(owner, last, broken)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != module_name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            replace(module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""


def inject(patch: pytest.MonkeyPatch, folder: Path, place: str, fault: str) -> None:
    """Puts a fault into every process of the gate's that starts from now on.

    Args:
      patch: undoes it.
      folder: for the code.
      place: ``module:function`` or ``module:Class.method``.
      fault: one of FAULTS.
    """
    module, _, name = place.partition(":")
    # What is not there would never be broken.
    functools.reduce(getattr, name.split("."), importlib.import_module(module))
    folder.mkdir(parents=True, exist_ok=True)
    site = _SITE.format(variable=_VARIABLE)
    (folder / "sitecustomize.py").write_text(site, encoding="utf-8")
    patch.setenv("PYTHONPATH", str(folder))
    patch.setenv(_VARIABLE, json.dumps([place, FAULTS[fault]]))
