"""Runs tests against a mutant: in a forked process, the checkout left as it is."""

from __future__ import annotations

import dataclasses
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

import pytest

_FAST = "not (slow or long or tfx or server)"
_PLUGINS_LEFT_OUT = ("randomly", "cacheprovider")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How the tests ended: pytest's exit code, None after a timeout; seconds; what they wrote."""

    code: int | None
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        """Whether all tests passed: a mutant survived."""
        return self.code == pytest.ExitCode.OK


def run(module: str, source: str | None, tests: Sequence[Path], timeout: float) -> Outcome:
    """Runs tests, the first failure ends them, with a module of another source.

    What this process has imported the tests do not import again, so that it must not
    have imported the package itself.

    Args:
      module: dotted name of the module that is replaced.
      source: its source; None: as it is.
      tests: files, in the order in which they are run.
      timeout: seconds after which they are stopped.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            _in_child(module, source, tests, output.fileno())
        code = _wait(child, began + timeout)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    return Outcome(code, time.monotonic() - began, text)


def _wait(child: int, until: float) -> int | None:
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _in_child(module: str, source: str | None, tests: Sequence[Path], output: int) -> None:
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        if source is not None:
            sys.meta_path.insert(0, _Finder(module, source))
        left_out = [f"-pno:{name}" for name in _PLUGINS_LEFT_OUT]
        options = ["-x", "-q", "--durations=0", "--tb=line", f"-m{_FAST}", *left_out]
        code = int(pytest.main([*options, *map(str, tests)]))
    except BaseException:  # noqa: BLE001 - this process ends here, whatever happened
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nothing of the parent's is run twice


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, whose source is given."""

    def __init__(self, module: str, source: str) -> None:
        self._module, self._source = module, source

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module with the other source; None for every other."""
        del target
        if fullname != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)  # type: ignore[arg-type]
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(fullname, spec.origin, self._source)
        return importlib.util.spec_from_file_location(
            fullname,
            spec.origin,
            loader=loader,
            submodule_search_locations=spec.submodule_search_locations,
        )


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a source in place of the file's."""

    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """The code of the source that was given, never that of a cache."""
        del fullname
        return compile(self._source, self.path, "exec", dont_inherit=True)
