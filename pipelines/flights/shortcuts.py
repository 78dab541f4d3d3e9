"""The same run in less time: what Beam and TFX repeat for every node, done once a process.

A recording runs the pipeline dozens of times in one process, on days of a few hundred rows, so that
nearly all of its time is Beam's handling of its own graph. Nothing here changes what a run computes
or what it leaves in the store. Written against Beam 2.61 and TFX 1.16; a live run works without it.
"""

from __future__ import annotations

import functools
import gc
import glob
import shutil
import types
import weakref
from collections.abc import Iterator, Sequence

import apache_beam
import dill
import tensorflow as tf
from apache_beam.internal import dill_pickler
from apache_beam.options import pipeline_options
from apache_beam.transforms import core, userstate
from tfx import types as tfx_types
from tfx.components.evaluator import executor as evaluator_executor
from tfx.components.transform import executor as transform_executor
from tfx.components.util import udf_utils
from tfx.types import artifact_utils
from tfx_bsl.tfxio import record_based_tfxio

_JOIN = "|"  # between the folders that are read as one source


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
    _read_records_in_one_stage()
    _read_window_as_one_source()
    dill_pickler.bz2 = _NoCompression
    # Its setLevel empties the cache of every logger of the process, twice for each object.
    dill.dill._trace = lambda _enabled: None  # noqa: SLF001
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def _unpack_wheels_once() -> None:
    """Runs pip once for a wheel (its name holds its content's hash) and copies the result after."""
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
        function = dofn._fn  # noqa: SLF001
        if isinstance(function, (types.FunctionType, types.BuiltinFunctionType, type)):
            defaults = getattr(function, "__defaults__", None) or ()
            if not any(isinstance(value, core._DoFnParam) for value in defaults):  # noqa: SLF001
                return set(), set()
        return original(dofn)

    userstate.get_dofn_specs = get_dofn_specs


def _parse_options_once() -> None:
    """Keeps the views of an options object: they share its values, each costs a parser."""
    original = pipeline_options.PipelineOptions.view_as
    kept: weakref.WeakKeyDictionary[pipeline_options.PipelineOptions, dict] = (
        weakref.WeakKeyDictionary()
    )

    @functools.wraps(original)
    def view_as(
        self: pipeline_options.PipelineOptions, cls: type[pipeline_options.PipelineOptions]
    ) -> pipeline_options.PipelineOptions:
        views = kept.setdefault(self, {})
        if cls not in views:
            views[cls] = original(self, cls)
        return views[cls]

    pipeline_options.PipelineOptions.view_as = view_as


def _read_records_in_one_stage() -> None:
    """Reads record files in one stage where Beam's source, made to be split, takes several."""

    @apache_beam.typehints.with_input_types(str)
    @apache_beam.typehints.with_output_types(bytes)
    class ReadRecords(apache_beam.DoFn):
        def process(self, pattern: str) -> Iterator[bytes]:
            folders, _, name = pattern.rpartition("/")
            for file in sorted(
                file for folder in folders.split(_JOIN) for file in glob.glob(f"{folder}/{name}")
            ):
                yield from tf.data.TFRecordDataset(
                    file, compression_type="GZIP"
                ).as_numpy_iterator()

    @apache_beam.ptransform_fn
    @apache_beam.typehints.with_output_types(bytes)
    def read_tf_record(
        pipeline: apache_beam.Pipeline, file_pattern: Sequence[str]
    ) -> apache_beam.PCollection[bytes]:
        return pipeline | apache_beam.Create(list(file_pattern)) | apache_beam.ParDo(ReadRecords())

    record_based_tfxio.ReadTfRecord = read_tf_record


def _read_window_as_one_source() -> None:
    """Gives Transform and Evaluator a split's spans as one source; each costs half a second."""

    class JoinedUris:
        """artifact_utils with one URI, the spans' joined, where it would give one for each span."""

        def __init__(self) -> None:
            self.spans: list[tfx_types.Artifact] = []

        def __getattr__(self, name: str) -> object:
            return getattr(artifact_utils, name)

        def get_split_uris(self, artifacts: list[tfx_types.Artifact], split: str) -> list[str]:
            return [_JOIN.join(artifact_utils.get_split_uris(self.spans or artifacts, split))]

    transform_uris = JoinedUris()
    original = transform_executor.Executor.Do

    def do(self, input_dict, output_dict, exec_properties):  # type: ignore[no-untyped-def]
        # Transform insists on a source for each artifact: it is shown the first, and reads all.
        transform_uris.spans = input_dict["examples"]
        original(
            self,
            {**input_dict, "examples": input_dict["examples"][:1]},
            output_dict,
            exec_properties,
        )

    transform_executor.Executor.Do = do
    transform_executor.artifact_utils = transform_uris
    evaluator_executor.artifact_utils = JoinedUris()
