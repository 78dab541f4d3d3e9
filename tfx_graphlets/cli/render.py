"""Results of commands to text: a JSON document, a table for people, or a file of features."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import errno
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from tfx_graphlets.errors import fault_of, shown
from tfx_graphlets.features.table import FeatureKind, FeatureTable

_LONGEST_CELL: Final = 200  # characters


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command has to show.

    Attributes:
      document: plain values (dict, list, str, numbers, None) for JSON.
      text: the same for people, without a trailing newline.
      skip: true if a gate decided to skip.
      alarm: true if a live gate needs a person.
    """

    document: object
    text: str
    skip: bool = False
    alarm: bool = False


def show(result: Result, output_format: str, stream: TextIO | None) -> None:
    """Writes a result as JSON (one document) or as text.

    What the stream's encoding cannot show is replaced: a terminal that is not UTF-8 gets ``?``.

    Raises:
      OSError: the stream cannot be written (``BrokenPipeError`` where nobody reads it).
    """
    if output_format == "json":
        text = json.dumps(_plain(result.document), indent=1, allow_nan=False)
    else:
        text = result.text
    if stream is None:  # so Python has it where it was closed
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if text:
        stream.write(_showable(text, stream) + "\n")
    stream.flush()


def warn(message: str, stream: TextIO | None) -> None:
    """Writes one line of the program's own, where it can be written."""
    line = shown(" ".join(message.split()))
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.write(_showable(f"tfx-graphlets: {line}\n", stream))


def _showable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        return text
    return text.encode(encoding, "replace").decode(encoding)


def show_error(error: Exception, reason: str, stream: TextIO | None) -> None:
    """Writes a failure as one JSON document."""
    kind = getattr(error, "kind", "") or type(error).__name__
    fault = str(fault_of(error))
    document = {"error": {"type": kind, "fault": fault, "message": reason}}
    show(Result(document, ""), "json", stream)


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows under their column names, numbers to the right.

    A missing value is shown as ``-``.
    """
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [
        max([len(column), *(len(line[number]) for line in cells)])
        for number, column in enumerate(columns)
    ]
    right = [
        all(isinstance(row.get(column), (int, float, type(None))) for row in rows)
        for column in columns
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right)
        ).rstrip()
        for line in [list(columns), *cells]
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return shown(value, _LONGEST_CELL)


def _plain(value: object) -> object:
    """The value with NaN and infinity, which JSON lacks, as None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def write_table(features: FeatureTable, target: Path, suffix: str) -> None:
    """Writes a table, a row a graphlet; a missing value is empty, or null.

    Args:
      features: the table.
      target: the file.
      suffix: ``.parquet``, else CSV.
    """
    if suffix == ".parquet":
        import pyarrow.parquet

        # Hardly a number repeats: dictionaries of them would cost time and space.
        categories = [f.name for f in features.features if f.kind is FeatureKind.CATEGORY]
        with pyarrow.OSFile(os.fsencode(target), "wb") as sink:  # its paths as text must be UTF-8
            pyarrow.parquet.write_table(features.to_arrow(), sink, use_dictionary=categories)
        return
    columns: list[Sequence[object]] = [features.trainer.tolist()]
    for feature in features.features:
        values = features.columns[feature.name]
        if feature.kind is FeatureKind.NUMBER:
            columns.append(
                ["" if math.isnan(v) else v for v in features.numbers(feature.name).tolist()]
            )
        else:
            columns.append(["" if value is None else value for value in values])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trainer", *(feature.name for feature in features.features)])
    writer.writerows(zip(*columns))
    target.write_text(text.getvalue(), encoding="utf-8")
