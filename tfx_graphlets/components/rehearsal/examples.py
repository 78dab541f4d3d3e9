"""Examples of a window as columns, and what Transform makes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx.proto import example_gen_pb2
from tfx.types.artifact import Artifact
from tfx.utils import io_utils
from tfx_bsl.coders import example_coder

from tfx_graphlets.rehearsal import NotCoveredError, Split
from tfx_graphlets.rehearsal.encoding import Array

_PAYLOAD_FORMAT = "payload_format"


@dataclasses.dataclass(frozen=True)
class Records:
    """Serialized tf.Examples of one or more splits.

    Attributes:
      content: one a row.
      columns: what they hold, the label among it; features with several values
        of varying number are left out.
    """

    content: list[bytes]
    columns: Mapping[str, Array]

    def split(self, label: str) -> Split:
        """The examples and their label.

        Raises:
          NotCoveredError: there is no such feature, or it holds no numbers.
        """
        if label not in self.columns:
            raise NotCoveredError([f"The examples hold no feature {label!r}, the label."])
        values = self.columns[label]
        if values.dtype == object or values.ndim != 1:
            raise NotCoveredError([f"The label {label!r} is not one number for each example."])
        columns = {name: column for name, column in self.columns.items() if name != label}
        return Split(columns, values.astype(np.float64))


def read_records(examples: Sequence[Artifact], splits: Sequence[str]) -> Records:
    """Examples of some splits of a window.

    Args:
      examples: Examples artifacts, GZIP-compressed TFRecords of tf.Examples, as
        ExampleGens write them.
      splits: names.

    Raises:
      NotCoveredError: the examples are of another format, or there are none.
    """
    from tfx.types import artifact_utils

    content: list[bytes] = []
    for artifact in examples:
        formats = example_gen_pb2.PayloadFormat
        given = artifact.get_string_custom_property(_PAYLOAD_FORMAT)
        if given not in ("", formats.Name(formats.FORMAT_TF_EXAMPLE)):
            raise NotCoveredError([f"Examples of the format {given} are not covered."])
        for split in splits:
            for uri in artifact_utils.get_split_uris([artifact], split):
                files = tf.io.gfile.glob(io_utils.all_files_pattern(uri))
                records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP")
                for batch in records.batch(4096):
                    content.extend(batch.numpy().tolist())
    if not content:
        raise NotCoveredError([f"The splits {', '.join(splits)} hold no examples."])
    batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(content)
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns):
        values = as_array(column)
        if values is not None:
            columns[name] = values
    return Records(content, columns)


def as_array(column: pa.Array) -> Array | None:
    """One value, or the same number of values, of every example; None where that varies.

    Args:
      column: lists of numbers or bytes, as tfx_bsl decodes tf.Examples.
    """
    if pa.types.is_null(column.type):
        return None
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    most = int(lengths.max()) if len(lengths) else 0
    values = column.flatten()
    text = pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)
    if most == 0 or (most > 1 and (text or (lengths != most).any())):
        return None
    if text:
        found = np.full(len(lengths), None, object)
        found[lengths == 1] = [value.decode("utf-8", "replace") for value in values.to_pylist()]
        return found
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    if most > 1:
        return numbers.reshape(len(lengths), most)
    result = np.full(len(lengths), np.nan)
    result[lengths == 1] = numbers
    return result


def transformed(graph: str, content: Sequence[bytes]) -> dict[str, Array]:
    """What Transform's graph makes of serialized examples: its dense features.

    Args:
      graph: URI of a TransformGraph.
      content: serialized tf.Examples.
    """
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(graph)  # type: ignore[attr-defined,unused-ignore]
    layer, spec = output.transform_features_layer(), output.raw_feature_spec()
    parts: dict[str, list[Array]] = {}
    for start in range(0, len(content), 8192):
        batch = tf.constant(content[start : start + 8192])
        for name, tensor in layer(tf.io.parse_example(batch, spec)).items():
            dense = _dense(tensor)
            if dense is not None:
                parts.setdefault(name, []).append(_plain(dense.numpy()))
    return {
        name: np.concatenate(arrays)
        for name, arrays in parts.items()
        if sum(map(len, arrays)) == len(content) and arrays[0].ndim <= 2
    }


def _dense(tensor: object) -> tf.Tensor | None:
    """The tensor, a sparse one with at most one value an example filled up; None for others."""
    if isinstance(tensor, tf.SparseTensor) and tensor.dense_shape[-1] <= 1:
        default = "" if tensor.dtype == tf.string else 0
        return tf.sparse.to_dense(tensor, default_value=default)
    return tensor if isinstance(tensor, tf.Tensor) else None


def _plain(values: Array) -> Array:
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.dtype != object:
        return flat.astype(np.float64)
    return np.array([value.decode("utf-8", "replace") for value in flat.ravel().tolist()], object)
