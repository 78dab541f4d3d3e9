"""SQL that loads the rows of a store: several rows of a table for each row of columns."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Final, Union

from tests.benchmarks.synthetic import layout, values
from tests.benchmarks.synthetic.new_store import Insert


@dataclasses.dataclass(frozen=True)
class Column:
    """A value that differs from row to row: an SQL expression over named columns in braces."""

    sql: str


@dataclasses.dataclass(frozen=True)
class Property:
    """A property of an artifact or execution.

    Attributes:
      name: its key.
      value: the same for all, or a Column.
      kind: column of the table that holds it, ``int_value`` or ``string_value``.
      custom: it is no declared property.
    """

    name: str
    value: Union[int, str, Column]
    custom: bool = True
    kind: str = ""


def _insert(table: str, columns: str, values: str) -> Insert:
    width = max(int(number) for number in re.findall(r"\?(\d+)", values))
    return Insert(f"INSERT INTO {table} ({columns}) VALUES", values, width)


_TIMES: Final = "create_time_since_epoch, last_update_time_since_epoch"
CONTEXT: Final = _insert("Context", f"id, type_id, name, {_TIMES}", "(?1, ?2, ?3, ?4, ?4)")
PARENT_CONTEXT: Final = _insert("ParentContext", "context_id, parent_context_id", "(?1, ?2)")
EXECUTION: Final = _insert(
    "Execution", f"id, type_id, last_known_state, name, {_TIMES}", "(?1, ?2, ?3, ?4, ?5, ?6)"
)
ARTIFACT: Final = _insert(
    "Artifact", f"id, type_id, uri, state, {_TIMES}", "(?1, ?2, ?3 || ?4, 2, ?5, ?5)"
)
EVENT: Final = _insert(
    "Event", "id, artifact_id, execution_id, type, milliseconds_since_epoch",
    "(?1, ?2, ?3, ?4, ?5)",
)  # fmt: skip
EVENT_PATH: Final = _insert(
    "EventPath", "event_id, is_index_step, step_index, step_key",
    "(?1, 0, NULL, ?2), (?1, 1, ?3, NULL)",
)  # fmt: skip
# An artifact that is read once more by the same node stands in its context already.
ATTRIBUTION_AGAIN: Final = Insert(
    "INSERT OR IGNORE INTO Attribution (context_id, artifact_id) VALUES", "(?1, ?2)", 2
)


def memberships(table: str, member: str, contexts: int) -> Insert:
    """One row for each of some columns of contexts, all with the member in the first column.

    >>> memberships("Association", "execution_id", 2).values
    '(?1, ?2), (?1, ?3)'
    """
    rows = ", ".join(f"(?1, ?{number + 2})" for number in range(contexts))
    return _insert(table, f"{member}, context_id", rows)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def property_statement(
    table: str, owner: str, properties: Sequence[Property]
) -> tuple[Insert, tuple[str, ...]]:
    """SQL that writes all properties of one owner, and the names of its columns.

    Returns:
      The insert, and the columns in the order of its parameters ?2, ?3, ...; ?1 is the owner.
    """
    columns: list[str] = []
    rows = []
    for one in properties:
        if isinstance(one.value, Column):
            sql = one.value.sql
            for name in COLUMNS:
                if f"{{{name}}}" in sql:
                    if name not in columns:
                        columns.append(name)
                    sql = sql.replace(f"{{{name}}}", f"?{columns.index(name) + 2}")
            kind = one.kind
        else:
            kind = "int_value" if isinstance(one.value, int) else "string_value"
            sql = str(one.value) if isinstance(one.value, int) else _quoted(one.value)
        integer, string = (sql, "NULL") if kind == "int_value" else ("NULL", sql)
        rows.append(f"(?1, {_quoted(one.name)}, {int(one.custom)}, {integer}, {string})")
    names = f"{owner}, name, is_custom_property, int_value, string_value"
    return _insert(table, names, ", ".join(rows)), tuple(columns)


# What a property may be made of; rows.py has a column of values for each.
COLUMNS: Final = (
    "root", "span", "total_bytes", "checksum", "transform_code", "trainer_code", "custom_config",
    "train_args", "eval_config", "anomalies", "blessed", "infra_blessed", "pushed", "seconds",
    "model", "model_id", "baseline", "baseline_id",
)  # fmt: skip


_FINGERPRINT = Property(
    "input_fingerprint",
    Column(
        "'split:all,num_files:1,total_bytes:' || {total_bytes} || ',xor_checksum:' || {checksum}"
        " || ',sum_checksum:' || {checksum}"
    ),
    kind="string_value",
)
_SPAN = Property("span", Column("{span}"), kind="int_value")
_NO_CONFIG = Property("custom_config", "null")
_EXCLUDE = Property("exclude_splits", "[]")


def _module(node: str, code: str) -> Property:
    return Property(
        "module_path",
        Column(
            f"'{node.lower()}_module@' || {{root}} || '/_wheels/tfx_user_code_{node}-0.0+' ||"
            f" {{{code}}} || '-py3-none-any.whl'"
        ),
        kind="string_value",
    )


def _text(name: str, column: str) -> Property:
    return Property(name, Column(f"{{{column}}}"), kind="string_value")


_OF_EXECUTION: Final = {
    layout.EXAMPLE_GEN: (
        Property("input_base", Column("{root} || '/data'"), kind="string_value"),
        Property(
            "input_config",
            Column(" || {span} || ".join(_quoted(part) for part in values.INPUT_CONFIG)),
            kind="string_value",
        ),
        _FINGERPRINT,
        Property("output_config", values.OUTPUT_CONFIG),
        Property("output_data_format", 6),
        Property("output_file_format", 5),
        _SPAN,
        Property("version", 0),
    ),
    layout.STATISTICS_GEN: (_EXCLUDE,),
    layout.SCHEMA_GEN: (_EXCLUDE, Property("infer_feature_shape", 0)),
    layout.EXAMPLE_VALIDATOR: (_EXCLUDE,),
    layout.TRANSFORM: (
        _NO_CONFIG,
        Property("disable_statistics", 0),
        Property("force_tf_compat_v1", 0),
        _module("Transform", "transform_code"),
        Property("splits_config", values.SPLITS_CONFIG),
    ),
    layout.TUNER: (
        _NO_CONFIG,
        Property("eval_args", values.EVAL_ARGS),
        _module("Tuner", "trainer_code"),
        Property("train_args", values.TUNER_ARGS),
    ),
    layout.TRAINER: (
        _text("custom_config", "custom_config"),
        Property("eval_args", values.EVAL_ARGS),
        _module("Trainer", "trainer_code"),
        _text("train_args", "train_args"),
    ),
    layout.EVALUATOR: (
        _text("eval_config", "eval_config"),
        Property("example_splits", '["eval"]'),
        Property("fairness_indicator_thresholds", "null"),
    ),
    layout.INFRA_VALIDATOR: (
        Property("request_spec", values.REQUEST_SPEC),
        Property("serving_spec", values.SERVING_SPEC),
        Property("validation_spec", values.VALIDATION_SPEC),
    ),
    layout.PUSHER: (
        _NO_CONFIG,
        Property(
            "push_destination",
            Column(
                "'{' || char(10) || '  \"filesystem\": {' || char(10) ||"
                " '    \"base_directory\": \"' || {root} || '/serving\"' || char(10) || '  }' ||"
                " char(10) || '}'"
            ),
            kind="string_value",
        ),
    ),
    layout.BULK_INFERRER: (
        Property("data_spec", values.DATA_SPEC),
        Property("model_spec", values.MODEL_SPEC),
    ),
}
EXECUTION_PROPERTIES: Final = {
    slot: property_statement("ExecutionProperty", "execution_id", properties)
    for slot, properties in _OF_EXECUTION.items()
}

_COMMON = (Property("is_external", 0), Property("tfx_version", "1.16.0"))
_SPLITS = Property("split_names", values.SPLIT_NAMES, custom=False)
_NO_SPAN = Property("span", 0, custom=False)
_STATISTICS = (
    Property("sample_rate_by_split", values.SAMPLE_RATES),
    _NO_SPAN,
    _SPLITS,
    Property("stats_dashboard_link", ""),
)
_BLESSED = (
    Property("blessed", Column("{blessed}"), kind="int_value"),
    Property("current_model", Column("{model}"), kind="string_value"),
    Property("current_model_id", Column("{model_id}"), kind="int_value"),
)
_OF_ARTIFACT: Final = {
    (layout.EXAMPLE_GEN, "examples"): (
        Property("file_format", "tfrecords_gzip"),
        _FINGERPRINT,
        Property("payload_format", "FORMAT_TF_EXAMPLE"),
        _SPAN,
        _SPLITS,
        Property("version", 0),
    ),
    (layout.STATISTICS_GEN, "statistics"): _STATISTICS,
    (layout.EXAMPLE_VALIDATOR, "anomalies"): (
        _text("blessed", "anomalies"),
        _NO_SPAN,
        _SPLITS,
    ),
    (layout.TRANSFORM, "transformed_examples"): (_SPLITS,),
    (layout.EVALUATOR, "blessing"): _BLESSED,
    (layout.INFRA_VALIDATOR, "blessing"): (
        Property("blessed", Column("{infra_blessed}"), kind="int_value"),
    ),
    (layout.PUSHER, "pushed_model"): (Property("pushed", Column("{pushed}"), kind="int_value"),),
}
ARTIFACT_PROPERTIES: Final = tuple(
    property_statement(
        "ArtifactProperty", "artifact_id",
        (*_COMMON, *_OF_ARTIFACT.get((layout.base_slot(made.slot), made.key), ())),
    )
    for made in layout.OUTPUTS
)  # fmt: skip
# Of a blessing that compared with a baseline, and of a model that was pushed.
BASELINE_PROPERTIES: Final = property_statement(
    "ArtifactProperty", "artifact_id",
    (
        _text("baseline_model", "baseline"),
        Property("baseline_model_id", Column("{baseline_id}"), kind="int_value"),
    ),
)  # fmt: skip
PUSHED_PROPERTIES: Final = property_statement(
    "ArtifactProperty", "artifact_id",
    (
        Property(
            "pushed_destination",
            Column("{root} || '/serving/' || {seconds}"),
            kind="string_value",
        ),
        Property("pushed_version", Column("CAST({seconds} AS TEXT)"), kind="string_value"),
    ),
)  # fmt: skip
