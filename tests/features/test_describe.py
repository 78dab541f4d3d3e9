"""describe: stages, rows, moments, and the registry behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpus import needs_corpus, public_stores
from tests.features.memory_payloads import metrics, statistics
from tests.features.runs import Runs
from tests.import_graph import ROOT
from tests.row_lists import put, rows_of
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import (
    GROUPS,
    FeatureGroup,
    FeatureKind,
    all_features,
    describe,
    properties_read,
)
from tfx_graphlets.features.look_back import Rows
from tfx_graphlets.features.table import advice, numbers
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Stage


def test_a_stage_has_the_features_of_the_earlier_ones() -> None:
    """Features only come in from stage to stage, and none is declared twice."""
    names = [[feature.name for feature in all_features(stage)] for stage in Stage]
    for earlier, later in zip(names, names[1:]):
        assert set(earlier) < set(later)
    assert len(names[-1]) == len(set(names[-1]))


def test_every_feature_says_what_it_is() -> None:
    """Unit, meaning of missing and source are there, and the name starts with its group's."""
    for group in GROUPS:
        (name,) = {feature.group for feature in group.features}
        for feature in group.features:
            assert feature.unit
            assert feature.missing
            assert feature.source
            assert feature.name.startswith(f"{name}.")


def group_of(**values: float) -> FeatureGroup:
    """A group that declares ``one`` at input and ``two`` at pre, and returns these values."""
    declared = (
        *numbers("own", Stage.INPUT, "never", "nowhere", one="count"),
        *numbers("own", Stage.PRE, "never", "nowhere", two="count"),
    )

    def columns(rows: Rows) -> dict[str, FloatArray]:
        return {name: np.full(len(rows), value) for name, value in values.items()}

    return FeatureGroup("own", declared, columns)


def test_a_group_of_ones_own_is_described() -> None:
    """Its columns stand under the group's name, next to nothing else."""
    runs = Runs()
    runs.run()
    graphlets = segment(runs.build.trace())
    table = describe(graphlets, Stage.PRE, groups=[group_of(one=1.0, two=2.0)])
    assert table.row(0) == {"own.one": 1.0, "own.two": 2.0}


@pytest.mark.parametrize(
    ("stage", "values", "wrong"),
    [
        (Stage.PRE, {"one": 1.0}, "own.two"),
        (Stage.INPUT, {"one": 1.0, "two": 2.0}, "own.two"),
        (Stage.PRE, {"one": 1.0, "two": 2.0, "three": 3.0}, "own.three"),
    ],
)
def test_columns_must_be_the_declared_features(
    stage: Stage, values: dict[str, float], wrong: str
) -> None:
    """A feature that no function fills, one of a later stage, and one that is not declared."""
    runs = Runs()
    runs.run()
    graphlets = segment(runs.build.trace())
    with pytest.raises(InvalidArgumentError, match=rf"group 'own'=\['{wrong}'\]"):
        describe(graphlets, stage, groups=[group_of(**values)])


def test_the_example_of_the_documentation_is_a_feature_in_one_place() -> None:
    """Declaration, words, advice and values of a new feature come from one module's text."""
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    (code,) = re.findall(
        r"```python\n(.*?)```", text.partition("## How to add a feature")[2], re.DOTALL
    )
    module: dict[str, Any] = {"__name__": "pace"}
    exec(compile(code, "docs/development.md", "exec"), module)  # noqa: S102 - our own text
    runs = Runs()
    for _ in range(6):
        runs.run()
    (feature,) = module["FEATURES"]
    table = describe(segment(runs.build.trace()), Stage.INPUT, groups=[module["GROUP"]])
    values = table.numbers(feature.name).tolist()
    assert values == sorted(values)
    assert values[:2] == [0.0, 1.0]
    assert feature.phrase(1.0) == "1 training in the last 5 days"
    assert advice([feature], {feature.name: 5.0}).startswith("Train less often")


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_reads_the_properties_that_its_groups_name(stage: Stage) -> None:
    """Without all other properties every feature is what it was."""
    runs = Runs()
    first = runs.run(metrics=metrics(0.8, 0.7), statistics=statistics(numbers={"x": (0.0, 1.0)}))
    runs.run(span=2, window=(first.examples,), pushed=False, base_model=first.model)
    raw = runs.build.raw()
    expected = describe(segment(assemble(raw.rows())), stage, payloads=runs.payloads)
    for table in ("ExecutionProperty", "ArtifactProperty"):
        kept = [row for row in rows_of(raw, table) if row[1] in properties_read(stage)]
        put(raw, table, kept)
    found = describe(segment(assemble(raw.rows())), stage, payloads=runs.payloads)
    assert [found.row(n) for n in range(2)] == [expected.row(n) for n in range(2)]


def test_columns_do_not_depend_on_the_data() -> None:
    """An empty trace gives a table without rows and with all columns."""
    empty = describe(segment(TraceBuilder().trace()), Stage.TRAINER)
    assert len(empty) == 0
    assert empty.features == all_features(Stage.TRAINER)
    kinds = {feature.name: feature.kind for feature in empty.features}
    assert kinds["model.trainer_type"] is FeatureKind.CATEGORY
    assert empty.columns["model.trainer_type"] == ()


def test_rows_are_chosen_and_ordered() -> None:
    """Asking for rows 2 and 0 gives these two, the same as in the whole table."""
    runs = Runs()
    for pushed in (True, False, True):
        runs.run(pushed=pushed)
    graphlets = segment(runs.build.trace())
    whole = describe(graphlets, Stage.PRE)
    chosen = describe(graphlets, Stage.PRE, rows=np.array([2, 0]))
    assert chosen.trainer.tolist() == whole.trainer[[2, 0]].tolist()
    assert [chosen.row(0), chosen.row(1)] == [whole.row(2), whole.row(0)]


def test_an_earlier_moment_knows_less() -> None:
    """Decided before the first run was pushed, the second knows of no push."""
    runs = Runs()
    runs.run()
    runs.run()
    graphlets = segment(runs.build.trace())
    executions = graphlets.trace.executions
    before_push = int(executions.create_ms[graphlets.trainer[0]]) + 1
    row = describe(
        graphlets, Stage.PRE, rows=np.array([1]), moment_ms=np.array([before_push])
    ).row(0)  # fmt: skip
    assert row["history.pushed_1"] is None
    assert row["history.labelled"] == 0.0


def test_moments_must_fit_the_rows() -> None:
    """One moment for two rows is refused with the numbers in the message."""
    runs = Runs()
    runs.run()
    runs.run()
    with pytest.raises(InvalidArgumentError, match=r"moment_ms=1: its length must be 2"):
        describe(segment(runs.build.trace()), Stage.PRE, moment_ms=np.array([5]))


def test_a_payload_is_read_once() -> None:
    """Statistics of a span that five graphlets share are decoded one time."""
    runs = Runs()
    content = statistics(numbers={"x": (0.0, 1.0)})
    first = runs.run(statistics=content)
    for span in range(2, 6):
        runs.run(span=span, window=(first.examples,), statistics=content)
    runs.table(Stage.PRE)
    assert runs.payloads.reads == ["Split-train/FeatureStats.pb"] * 5


@needs_corpus
@pytest.mark.parametrize("store", public_stores(), ids=lambda path: path.stem)
def test_every_public_store_can_be_described(store: Path) -> None:
    """Each graphlet gets a row at the last stage; spans are counted in all of them."""
    with open_store(store) as opened:
        graphlets = segment(opened.read_trace())
    table = describe(graphlets, Stage.VALIDATION)
    assert table.trainer.tolist() == graphlets.trainer_id.tolist()
    assert (table.numbers("input_data.spans") >= 0).all()
