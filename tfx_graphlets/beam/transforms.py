"""The PTransforms. An element is a group of pipelines and what is known of it.

Nothing here has state, side inputs or bundles of its own, and no order matters:
that is what every runner has, Beam's DaskRunner included, which calls
``DoFn.process`` and nothing else of a DoFn.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import apache_beam
import pyarrow
from apache_beam.pvalue import PBegin, PCollection

from tfx_graphlets.beam import files, steps
from tfx_graphlets.beam.failures import PartFailedError
from tfx_graphlets.beam.files import TableOfFiles, WrittenPart
from tfx_graphlets.beam.groups import Group, groups_of_store, with_pipeline
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model import load_waste_model


class _Do(apache_beam.DoFn):
    """Applies steps to an element, one after the other."""

    def __init__(self, *chain: steps.Step[Any, Any]) -> None:
        self._chain = chain

    def process(self, element: tuple[Group, Any]) -> Iterator[tuple[Group, Any]]:
        """See the class."""
        group, value = element
        try:
            for step in self._chain:
                value = step(group, value)
        except PartFailedError:
            raise
        except (GraphletsError, OSError) as error:
            raise PartFailedError.of(group.pipelines, group.part, error) from error
        yield group, value


class _KeyOfAll(apache_beam.DoFn):
    """Gives all parts one key, so that they come together."""

    def process(self, element: tuple[Group, WrittenPart]) -> Iterator[tuple[int, WrittenPart]]:
        """See the class."""
        yield 0, element[1]


class _Publish(apache_beam.DoFn):
    """Moves the parts of a table once all are there."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def process(self, element: tuple[int, Iterable[WrittenPart]]) -> Iterator[TableOfFiles]:
        """See the class."""
        yield files.publish(self._directory, element[1])


class ReadPipelines(apache_beam.PTransform):
    """The groups of pipelines of a store, each with its Trace, read by the workers.

    ``groups.groups_of_store`` runs where the job is submitted. A worker opens
    the store by its URI and takes a password from its own environment. What
    features without payloads do not need is not read.

    Executions without a pipeline context are one element, whose worker reads
    the whole store to find them: no store finds them by an index. A pipeline is
    one element however long it is.

    Returns: PCollection of (Group, Trace).
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        *,
        max_executions: int | None = None,
        role_of_type: Mapping[str, Role] | None = None,
        pushers: Collection[str] | None = None,
    ) -> None:
        """Divides the store.

        Args:
          store: as for ``open_store``; workers have to reach it.
          max_executions, role_of_type, pushers: as for ``groups_of_store``.

        Raises:
          InvalidArgumentError, StoreError: as ``groups_of_store``.
        """
        super().__init__()
        self.groups = groups_of_store(
            os.fspath(store),
            max_executions=max_executions,
            role_of_type=role_of_type,
            pushers=pushers,
        )

    def expand(self, pbegin: PBegin) -> PCollection:
        """The transform; see the class."""
        return _each(_elements(pbegin, self.groups), tuple[Group, Trace], steps.Read())


class Segment(apache_beam.PTransform):
    """(Group, Trace) to (Group, Graphlets), by the roles and pushers of the whole store.

    Events of this project's own gates are left out, as for all features.
    """

    def expand(self, traces: PCollection) -> PCollection:
        """The transform; see the class."""
        return _each(traces, tuple[Group, Graphlets], steps.Cut())


class Describe(apache_beam.PTransform):
    """(Group, Graphlets) to (Group, FeatureTable), without payloads."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._step = steps.DescribeAt(stage)

    def expand(self, graphlets: PCollection) -> PCollection:
        """The transform; see the class."""
        return _each(graphlets, tuple[Group, FeatureTable], self._step)


class Score(apache_beam.PTransform):
    """(Group, FeatureTable) to (Group, pyarrow.Table), with a column ``push_probability``."""

    def __init__(self, model: str | os.PathLike[str], *, stage: Stage | None = None) -> None:
        """Looks at the model; each worker loads it for itself.

        Args:
          model: a waste model's directory, which every worker can read.
          stage: the stage that it must be for; None: any.

        Raises:
          ModelFormatError: there is no model, or one for another stage.
          MissingDependencyError: ydf is not installed.
        """
        super().__init__()
        self._step = score_step(model, stage)

    def expand(self, tables: PCollection) -> PCollection:
        """The transform; see the class."""
        return _each(tables, tuple[Group, pyarrow.Table], self._step)


class WriteParquet(apache_beam.PTransform):
    """(Group, FeatureTable or pyarrow.Table) to a directory of Parquet files.

    File ``part-00003-of-00019.parquet`` holds the rows of group 3. All files
    appear when the last one is written, in place of those of an earlier table,
    and ``_table.json`` after them; if a part fails, none does. Not supported:
    two jobs that write to one directory at the same time.

    Returns: PCollection of one TableOfFiles.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Looks at the directory.

        Args:
          directory: a path of Beam's FileSystems, which every worker can write.

        Raises:
          InvalidArgumentError: it holds something else than such a table.
        """
        super().__init__()
        self._directory = os.fspath(directory)
        files.check_target(self._directory)

    def expand(self, tables: PCollection) -> PCollection:
        """The transform; see the class."""
        parts = _each(tables, tuple[Group, WrittenPart], files.WriteDraft(self._directory))
        return _published(parts, self._directory)


class StoreToParquet(apache_beam.PTransform):
    """ReadPipelines, Segment, Describe, Score and WriteParquet, in one step per element.

    The same files. Runners that do not fuse steps (DaskRunner) would send every
    Trace between workers; here only names are sent.

    Returns: PCollection of one TableOfFiles.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        stage: Stage,
        directory: str | os.PathLike[str],
        *,
        model: str | os.PathLike[str] | None = None,
        max_executions: int | None = None,
        role_of_type: Mapping[str, Role] | None = None,
        pushers: Collection[str] | None = None,
        pipeline: str | None = None,
    ) -> None:
        """Looks at directory and model, and divides the store.

        Args:
          store, max_executions, role_of_type, pushers: as for ReadPipelines.
          stage: where the gate stands.
          directory: as for WriteParquet.
          model: as for Score; None: the features alone. The roles and pushers that it was trained
            with count where none are given.
          pipeline: only graphlets whose Trainer is of this one; None: all. What belongs to them
            counts in whatever pipeline it stands.

        Raises:
          InvalidArgumentError: as these; or the model was trained with other roles or pushers.
          TraceNotFoundError: the store holds no such pipeline.
          StoreError, ModelFormatError, MissingDependencyError: as these.
        """
        super().__init__()
        self._directory = os.fspath(directory)
        files.check_target(self._directory)
        self._chain: list[steps.Step[Any, Any]] = [
            steps.Read(),
            steps.Cut(),
            steps.DescribeAt(stage, pipeline),
        ]
        declared = Declared.of(role_of_type, pushers)
        if model is not None:
            self._chain.append(score_step(model, stage))
            own = load_waste_model(model).declared
            if declared and declared != own:
                rule = f"the waste model was trained with {own}: give the same, or none"
                raise InvalidArgumentError("role_of_type or pushers", str(declared), rule)
            declared = own
        self._chain.append(files.WriteDraft(self._directory))
        self.groups = groups_of_store(
            os.fspath(store),
            max_executions=max_executions,
            role_of_type=declared.role_of_type,
            pushers=declared.pushers,
        )
        if pipeline is not None:
            self.groups = with_pipeline(self.groups, pipeline)

    def expand(self, pbegin: PBegin) -> PCollection:
        """The transform; see the class."""
        elements = _elements(pbegin, self.groups)
        parts = _each(elements, tuple[Group, WrittenPart], *self._chain)
        return _published(parts, self._directory)


def score_step(model: str | os.PathLike[str], stage: Stage | None) -> steps.ScoreWith:
    """The step that scores with the model that is now in a directory; see Score."""
    directory = os.fspath(model)
    return steps.ScoreWith(directory, load_waste_model(directory, stage=stage).fingerprint)


def _elements(pbegin: PBegin, groups: tuple[Group, ...]) -> PCollection:
    elements = [(group, None) for group in groups]
    return pbegin | "Groups" >> apache_beam.Create(elements)


def _each(elements: PCollection, produced: object, *chain: steps.Step[Any, Any]) -> PCollection:
    return elements | "Each" >> apache_beam.ParDo(_Do(*chain)).with_output_types(produced)


def _published(parts: PCollection, directory: str) -> PCollection:
    return (
        parts
        | "Key" >> apache_beam.ParDo(_KeyOfAll()).with_output_types(tuple[int, WrittenPart])
        | "Together" >> apache_beam.GroupByKey()
        | "Publish" >> apache_beam.ParDo(_Publish(directory)).with_output_types(TableOfFiles)
    )
