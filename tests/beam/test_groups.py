"""Groups of pipelines: nothing is lost, nothing is doubled, nothing is seen that was not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings

from tests.beam.stores import many_pipelines, train, with_a_custom_trainer, with_own_pushers
from tests.beam.tables import assert_same, described_at_once, described_in_groups
from tests.corpus import needs_corpus, public_stores, real_runs
from tests.stores.mlmd_files import write_store
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows, with_unrelated
from tfx_graphlets.analysis.corpus import describe_trace
from tfx_graphlets.beam import steps
from tfx_graphlets.beam.groups import groups_of_store
from tfx_graphlets.errors import (
    EmptyStoreError,
    InvalidArgumentError,
    StoreNotFoundError,
)
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.archive.archive import update_archive
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import Role, Stage

_numbers = itertools.count()


@settings(deterministic, max_examples=20)
@given(rows=pipeline_rows(), other=arbitrary_rows())
def test_groups_give_the_table_of_the_whole_store(
    tmp_path_factory: pytest.TempPathFactory, rows: RowBuilder, other: RowBuilder
) -> None:
    """Every feature of every graphlet, in the smallest groups there are."""
    path = tmp_path_factory.mktemp("stores") / f"{next(_numbers)}.sqlite"
    write_store(path, with_unrelated(rows, other))
    found = described_in_groups(path, Stage.VALIDATION, 1)
    assert_same(found, described_at_once(path, Stage.VALIDATION))


@needs_corpus
@pytest.mark.parametrize("store", [*public_stores(), *real_runs()], ids=lambda p: p.stem)
def test_real_stores_give_the_same_table_in_groups(store: Path) -> None:
    """Stores that real pipelines wrote."""
    assert_same(described_in_groups(store, Stage.PRE, 1), described_at_once(store, Stage.PRE))


def test_every_pipeline_is_in_one_group(tmp_path: Path) -> None:
    """Numbered from 0 on, told of their count, none without a pipeline."""
    groups = groups_of_store(str(many_pipelines(tmp_path / "s.sqlite")), max_executions=60)
    names = sorted(name for group in groups for name in group.pipelines)
    assert names == sorted(set(names))
    assert [group.number for group in groups] == list(range(len(groups)))
    assert {group.count for group in groups} == {len(groups)}
    assert len(groups) > 2


def test_groups_are_filled_up_to_the_size_asked_for(tmp_path: Path) -> None:
    """Small pipelines share a group; a pipeline that is larger has one of its own."""
    build = TraceBuilder()
    for pipeline in ("a", "b", "c"):
        train(build, pipeline)
    for run in range(5):
        train(build, "long", run=str(run))
    path = str(write_store(tmp_path / "s.sqlite", build.raw()))
    groups = groups_of_store(path, max_executions=4)
    assert [group.pipelines for group in groups] == [("a", "b"), ("c",), ("long",)]
    assert [group.executions for group in groups] == [4, 2, 10]


@pytest.mark.parametrize("shared", [True, False])
def test_pipelines_that_share_an_artifact_are_one_element(tmp_path: Path, shared: bool) -> None:
    """A producer in another pipeline is upstream: it is read with its consumer."""
    build = TraceBuilder()
    span = build.artifact("Examples", span=7)
    build.execution("CsvExampleGen", outputs={"examples": [span]}, pipeline="data", run="data-1")
    train(build, "model", *([span] if shared else []))
    path = write_store(tmp_path / "s.sqlite", build.raw())
    assert len(groups_of_store(str(path), max_executions=1)) == (1 if shared else 2)
    table = described_in_groups(path, Stage.PRE, 1)
    assert_same(table, described_at_once(path, Stage.PRE))


def test_executions_of_two_pipelines_keep_both_together(tmp_path: Path) -> None:
    """Read apart, such an execution would be in two elements."""
    build = TraceBuilder()
    trainer = train(build, "p")
    train(build, "q")
    build.associate(trainer, "pipeline", "q")
    path = write_store(tmp_path / "s.sqlite", build.raw())
    (group,) = groups_of_store(str(path), max_executions=1)
    assert group.pipelines == ("p", "q")


def test_executions_without_a_pipeline_are_one_element(tmp_path: Path) -> None:
    """With the pipelines that they share artifacts with."""
    build = TraceBuilder()
    span = build.artifact("Examples", span=7)
    build.execution("CsvExampleGen", outputs={"examples": [span]})
    train(build, "with", span)
    train(build, "without")
    path = write_store(tmp_path / "s.sqlite", build.raw())
    groups = groups_of_store(str(path), max_executions=1)
    assert [(group.pipelines, group.others) for group in groups] == [
        (("with",), True), (("without",), False),
    ]  # fmt: skip
    table = described_in_groups(path, Stage.PRE, 1)
    assert_same(table, described_at_once(path, Stage.PRE))


def test_roles_of_custom_classes_are_those_of_the_whole_store(tmp_path: Path) -> None:
    """A class that failed in one pipeline is a Trainer there, too."""
    path = with_a_custom_trainer(tmp_path / "s.sqlite")
    table = described_in_groups(path, Stage.PRE, 1)
    assert table.num_rows == 2
    assert_same(table, described_at_once(path, Stage.PRE))


def test_roles_that_are_given_go_with_every_group(tmp_path: Path) -> None:
    """As for segment; a type that the store does not hold is refused."""
    path = str(with_a_custom_trainer(tmp_path / "s.sqlite"))
    groups = groups_of_store(path, max_executions=1, role_of_type={"Fit": Role.CUSTOM})
    assert [group.classes.role["acme.Fit"] for group in groups] == [Role.CUSTOM, Role.CUSTOM]
    with pytest.raises(InvalidArgumentError, match="Other"):
        groups_of_store(path, role_of_type={"Other": Role.TRAINER})


@pytest.mark.parametrize("pushers", [None, ["canary"], ["acme.Ship", "canary"], ["Mirror"]])
@pytest.mark.parametrize(
    "role_of_type", [{}, {"Ship": Role.PUSHER}, {"Ship": Role.PUSHER, "acme.Mirror": Role.PUSHER}]
)
def test_pushers_that_are_given_push_as_in_the_whole_store(
    role_of_type: Mapping[str, Role], pushers: list[str] | None, tmp_path: Path
) -> None:
    """Whether a class says ``pushed`` is asked of the store, and one group may lack a pusher."""
    path = with_own_pushers(tmp_path / "s.sqlite")
    if "Ship" not in role_of_type and pushers and "acme.Ship" in pushers:
        with pytest.raises(InvalidArgumentError, match=r"acme\.Ship"):
            groups_of_store(str(path), role_of_type=role_of_type, pushers=pushers)
        return
    with open_store(path) as store:
        whole = segment(store.read_trace(), role_of_type=role_of_type, pushers=pushers)
    groups = groups_of_store(
        str(path), max_executions=1, role_of_type=role_of_type, pushers=pushers
    )
    parts = [steps.Cut()(group, steps.Read()(group, None)) for group in groups]
    assert len(parts) == 2
    found = {
        trainer: outcome
        for part in parts
        for trainer, outcome in zip(part.trainer_id.tolist(), part.outcome.tolist())
    }
    assert found == dict(zip(whole.trainer_id.tolist(), whole.outcome.tolist()))
    at_once = describe(whole, Stage.VALIDATION).to_arrow()
    sharded = describe_trace(
        whole.trace, Stage.VALIDATION, max_executions=1, role_of_type=role_of_type, pushers=pushers
    )
    assert_same(sharded.to_arrow(), at_once)
    in_groups = [steps.DescribeAt(Stage.VALIDATION)(groups[0], part).to_arrow() for part in parts]
    assert_same(pyarrow.concat_tables(in_groups), at_once)


def test_an_archive_declares_for_its_groups_too(tmp_path: Path) -> None:
    """Roles and pushers that it keeps count for whoever reads it."""
    path = with_own_pushers(tmp_path / "s.sqlite")
    declared = Declared.of({"Ship": Role.PUSHER}, ["canary"])
    with open_store(path) as store:
        update_archive(store, store.payloads, tmp_path / "kept", created_ms=1, declared=declared)
    (group, *_) = groups_of_store(str(tmp_path / "kept"), max_executions=1)
    assert group.classes.role["acme.Ship"] is Role.PUSHER
    assert group.pushers == ("canary",)


def test_a_store_that_is_not_there_is_told_before_a_job_begins(tmp_path: Path) -> None:
    """As is one that holds nothing."""
    with pytest.raises(StoreNotFoundError):
        groups_of_store(str(tmp_path / "none.sqlite"))
    with pytest.raises(EmptyStoreError):
        groups_of_store(str(write_store(tmp_path / "empty.sqlite")))


def test_a_password_does_not_travel() -> None:
    """A URI that holds one is refused, and the message does not show it."""
    with pytest.raises(InvalidArgumentError, match="TFX_GRAPHLETS_DB_PASSWORD") as refused:
        groups_of_store("mysql://reader:hidden@host:3306/metadata")
    assert "hidden" not in str(refused.value)


def test_a_size_below_one_is_refused() -> None:
    """The message names the argument."""
    with pytest.raises(InvalidArgumentError, match="max_executions=0"):
        groups_of_store("any.sqlite", max_executions=0)
