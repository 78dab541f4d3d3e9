"""Which graphlets the options of a command select, and what is learnt from them."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.cli.render import warn
from tfx_graphlets.errors import InvalidArgumentError, TraceNotFoundError
from tfx_graphlets.features import describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import Store, declared_by, declared_in, open_store
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset


def _asked(store: Store, options: argparse.Namespace) -> dict[str, str | None]:
    """The pipeline and the Trainer node that are asked for; of an archive of one, that one."""
    archived = getattr(store, "manifest", None)
    return {
        asked: getattr(archived, kept, None) if value is None else value
        for asked, kept in (("pipeline", "selection"), ("node", "node"))
        for value in [getattr(options, asked)]
    }


def selected(graphlets: Graphlets, store: Store, options: argparse.Namespace) -> IntArray:
    """Numbers of the graphlets that ``--pipeline`` and ``--node`` select, int64 [k]."""
    return graphlets.of(**_asked(store, options))


def hint(graphlets: Graphlets) -> None:
    """Says what to do about a store that holds Models and no Trainer."""
    message = roles.no_trainer_hint(graphlets.trace, graphlets.role)
    if message is not None:
        warn(f"note: {message}", sys.stderr)


def declared(options: argparse.Namespace) -> roles.Declared:
    """What ``--role`` and ``--pusher`` say."""
    return roles.Declared.of(dict(options.role), getattr(options, "pusher", None) or None)


def cut(trace: Trace, store: Store, options: argparse.Namespace) -> Graphlets:
    """The graphlets of a store's trace.

    Roles, pushers and weights are those of the options; roles and pushers also those that an
    archive declares.
    """
    options.progress.step(f"cutting {store.name} into graphlets")
    given = declared_in(trace, store, declared(options))
    weights: list[tuple[str | Role, float]] = getattr(options, "cost_weight", [])
    return segment(
        trace,
        role_of_type=given.role_of_type,
        pushers=given.pushers,
        cost_weight_of_role={name: w for name, w in weights if isinstance(name, Role)},
        cost_weight_of_type={name: w for name, w in weights if isinstance(name, str)},
    )


def features_of_selected(store: Store, options: argparse.Namespace) -> FeatureTable | None:
    """Features of the graphlets that the options select; None where they select all."""
    pushers = declared_by(store, declared(options)).pushers
    if {*_asked(store, options).values(), pushers} == {None}:
        return None
    options.progress.step(f"reading {store.name}")
    graphlets = cut(without_gates(store.read_trace()), store, options)
    hint(graphlets)
    options.progress.step(f"describing {store.name}")
    rows = selected(graphlets, store, options)
    return describe(graphlets, options.stage, payloads=store.payloads, rows=rows)


def dataset(
    stores: Sequence[str],
    stage: Stage,
    options: argparse.Namespace,
    keep_open: contextlib.ExitStack | None = None,
    model: roles.Declared | None = None,
) -> Dataset:
    """Graphlets of several stores, described.

    Args:
      stores: where they are; one of several may lack a type, pusher, pipeline or node that is
        named.
      stage: of the features.
      options: of the command.
      keep_open: takes the stores, which stay open.
      model: the roles and pushers of the waste model that the rows are for, which count where
        the options say nothing.

    Raises:
      GraphletsError: others are given than the model was trained with.
    """
    from tfx_graphlets.gate.latest_runs import segment_present
    from tfx_graphlets.gate.record import past_decisions
    from tfx_graphlets.gate.run import check_declared
    from tfx_graphlets.gate.snapshot import without_cut_short

    given = declared(options)
    if model is not None:
        if given:
            check_declared(model, given)
        given = model
    strict = len(stores) == 1 and model is None
    datasets, unknown = [], {*given.role_of_type, *(given.pushers or ())}
    lacking: list[TraceNotFoundError] = []
    with contextlib.ExitStack() as own:
        for uri in stores:
            store = (keep_open or own).enter_context(open_store(uri))
            options.progress.step(f"reading {store.name}")
            trace = store.read_trace()
            plain = without_gates(trace)
            here = declared_by(store, given)
            graphlets = cut(plain, store, options) if strict else segment_present(plain, here)
            known = graphlets.declared
            unknown -= {*known.role_of_type, *(known.pushers or ())}
            hint(graphlets)
            try:
                rows = selected(graphlets, store, options)
            except TraceNotFoundError as error:
                lacking.append(error)
                rows = np.zeros(0, np.int64)
            options.progress.step(f"describing {store.name}")
            described = Dataset.describe(graphlets, stage, store.payloads, store.name)
            # What a gate behind the Trainer has cut short has no outcome to learn from.
            described = without_cut_short(described, past_decisions(trace))
            datasets.append(dataclasses.replace(described.take(rows), declared=here))
    if lacking and len(lacking) == len(stores):
        raise lacking[0]
    if unknown and model is None:
        name = min(unknown)
        raise InvalidArgumentError("role or pusher", name, "none of the stores knows this name")
    if unknown:
        names = ", ".join(sorted(unknown))
        warn(
            f"note: the waste model was trained with {names}, which no store here knows", sys.stderr
        )
    return Dataset.concatenate(datasets)
