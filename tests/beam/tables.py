"""What a job has to give, and what it gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from tfx_graphlets.analysis.corpus import describe_trace
from tfx_graphlets.beam import files, steps
from tfx_graphlets.beam.groups import Group, groups_of_store
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Stage


def described_at_once(store: Path, stage: Stage) -> pyarrow.Table:
    """The table of the path without Beam: everything read, one process."""
    with open_store(store) as opened:
        return describe_trace(opened.read_trace(), stage).to_arrow()


def described_in_groups(store: Path, stage: Stage, max_executions: int) -> pyarrow.Table:
    """The table by the steps that the transforms apply, group by group."""
    return pyarrow.concat_tables(
        described(group, stage).to_arrow()
        for group in groups_of_store(str(store), max_executions=max_executions)
    )


def described(group: Group, stage: Stage) -> FeatureTable:
    """The rows of one group."""
    graphlets = steps.Cut()(group, steps.Read()(group, None))
    return steps.DescribeAt(stage)(group, graphlets)


def written(directory: Path) -> pyarrow.Table:
    """The table that a job wrote; it must be whole, and hold nothing else."""
    names = files.read_summary(str(directory)).files
    assert sorted(path.name for path in directory.iterdir()) == [files.SUMMARY, *names]
    return pyarrow.concat_tables(pyarrow.parquet.read_table(directory / name) for name in names)


def assert_same(found: pyarrow.Table, expected: pyarrow.Table) -> None:
    """Same columns, same rows by Trainer, same values; null equals null."""
    assert found.schema.remove_metadata() == expected.schema.remove_metadata()
    found, expected = found.sort_by("trainer"), expected.sort_by("trainer")
    for name in expected.column_names:
        left, right = found[name], expected[name]
        if pyarrow.types.is_floating(right.type):
            pair = (left.to_numpy(), right.to_numpy())
            np.testing.assert_allclose(*pair, rtol=1e-12, err_msg=name)
        else:
            assert left.to_pylist() == right.to_pylist(), name
