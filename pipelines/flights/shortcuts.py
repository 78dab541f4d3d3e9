"""The same run in less time: what Beam and TFX repeat for every node of every run, done once a process.

A recording runs the pipeline hundreds of times in one process, on days of a few hundred rows, so that
nearly all of its time is Beam's handling of its own graph. Nothing here changes what a run computes or
what it leaves in the store. Written against Beam 2.61 and TFX 1.16; a live run works without it.
"""

from __future__ import annotations

import functools
import gc
import shutil
import types
import weakref

import dill
from apache_beam.internal import dill_pickler
from apache_beam.options import pipeline_options
from apache_beam.transforms import core, userstate
from tfx.components.util import udf_utils


class _NoCompression:
    """Stands in for bz2 in Beam's pickler: what is pickled here never leaves the process."""

    @staticmethod
    def compress(value: bytes, compresslevel: int = 9) -> bytes:
        del compresslevel
        return value

    @staticmethod
    def decompress(value: bytes) -> bytes:
        return value


def install() -> None:
    """Installs the shortcuts in this process; calling it twice does no harm."""
    if getattr(install, "done", False):
        return
    setattr(install, "done", True)  # noqa: B010 - mypy knows no attributes of functions
    _unpack_wheels_once()
    _inspect_functions_once()
    _parse_options_once()
    dill_pickler.bz2 = _NoCompression
    dill.dill._trace = lambda enabled: None  # setLevel empties the cache of every logger of the process
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def _unpack_wheels_once() -> None:
    """Runs pip once for a wheel (its name holds the hash of its content) and copies the result after."""
    original = udf_utils.install_to_temp_directory
    unpacked: dict[str, str] = {}

    def install_to_temp_directory(pip_dependency: str, temp_dir: str | None = None) -> str:
        if pip_dependency not in unpacked:
            unpacked[pip_dependency] = original(pip_dependency, None)
        if temp_dir is None:
            return unpacked[pip_dependency]
        shutil.copytree(unpacked[pip_dependency], temp_dir, dirs_exist_ok=True)
        return temp_dir

    udf_utils.install_to_temp_directory = install_to_temp_directory


def _inspect_functions_once() -> None:
    """Answers at once for plain functions, and once for a class, whether a DoFn keeps state."""
    original = userstate.get_dofn_specs
    by_class: dict[type, tuple[set[object], set[object]]] = {}

    def get_dofn_specs(dofn: core.DoFn) -> tuple[set[object], set[object]]:
        if not isinstance(dofn, core.CallableWrapperDoFn):
            if type(dofn) not in by_class:
                by_class[type(dofn)] = original(dofn)
            return by_class[type(dofn)]
        function = dofn._fn
        if isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type)):
            defaults = getattr(function, "__defaults__", None) or ()
            if not any(isinstance(value, core._DoFnParam) for value in defaults):
                return set(), set()
        return original(dofn)

    userstate.get_dofn_specs = get_dofn_specs


def _parse_options_once() -> None:
    """Keeps the views of an options object: they share its values, and each costs an argument parser."""
    original = pipeline_options.PipelineOptions.view_as
    kept: weakref.WeakKeyDictionary[pipeline_options.PipelineOptions, dict] = weakref.WeakKeyDictionary()

    @functools.wraps(original)
    def view_as(
        self: pipeline_options.PipelineOptions, cls: type[pipeline_options.PipelineOptions]
    ) -> pipeline_options.PipelineOptions:
        views = kept.setdefault(self, {})
        if cls not in views:
            views[cls] = original(self, cls)
        return views[cls]

    pipeline_options.PipelineOptions.view_as = view_as
