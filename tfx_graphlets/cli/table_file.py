"""A feature table as a file of CSV or Parquet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from tfx_graphlets.features.table import FeatureKind, FeatureTable


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
        pyarrow.parquet.write_table(features.to_arrow(), target, use_dictionary=categories)
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
