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
from tfx_graphlets.stores.declared import declared_by, declared_in
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset


def pipeline_of(store: Store, options: argparse.Namespace) -> str | None:
    """The pipeline that is asked for; of an archive of one pipeline, that one."""
    return _asked_or_archived(options.pipeline, store, "selection")


def node_of(store: Store, options: argparse.Namespace) -> str | None:
    """The Trainer node that is asked for; of an archive of one node, that one."""
    return _asked_or_archived(options.node, store, "node")


def _asked_or_archived(asked: str | None, store: Store, attribute: str) -> str | None:
    found = asked
    if found is None:
        found = getattr(getattr(store, "manifest", None), attribute, None)
    return None if found is None else str(found)


def selected(graphlets: Graphlets, store: Store, options: argparse.Namespace) -> IntArray:
    """Numbers of the graphlets that ``--pipeline`` and ``--node`` select, int64 [k]."""
    return graphlets.of(pipeline=pipeline_of(store, options), node=node_of(store, options))


def selected_or_none(
    graphlets: Graphlets,
    store: Store,
    options: argparse.Namespace,
    lacking: list[TraceNotFoundError],
) -> IntArray:
    """As ``selected``; where the store lacks what is named none, and ``lacking`` has the error."""
    try:
        return selected(graphlets, store, options)
    except TraceNotFoundError as error:
        lacking.append(error)
        return np.zeros(0, np.int64)


def hint(graphlets: Graphlets) -> None:
    """Says what to do about a store that holds Models and no Trainer."""
    message = roles.no_trainer_hint(graphlets.trace, graphlets.role)
    if message is not None:
        warn(message, sys.stderr)


def declared(options: argparse.Namespace) -> roles.Declared:
    """What ``--role`` and ``--pusher`` say."""
    return roles.Declared.of(dict(options.role), getattr(options, "pusher", None) or None)


def declared_or_of(model: roles.Declared, options: argparse.Namespace) -> roles.Declared:
    """What ``--role`` and ``--pusher`` say; where none is given, what a waste model says.

    Raises:
      GraphletsError: others are given than the model was trained with.
    """
    from tfx_graphlets.gate.run import check_declared

    given = declared(options)
    if given:
        check_declared(model, given)
    return model


def cut(trace: Trace, store: Store, options: argparse.Namespace) -> Graphlets:
    """The graphlets of a store's trace.

    Roles, pushers and weights are those of the options; roles and pushers also those that an
    archive declares.
    """
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
    chosen = pipeline_of(store, options), node_of(store, options)
    if chosen == (None, None) and pushers is None:
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
    """
    from tfx_graphlets.gate.latest_runs import segment_present
    from tfx_graphlets.gate.record import past_decisions
    from tfx_graphlets.gate.snapshot import without_cut_short

    given = declared(options) if model is None else declared_or_of(model, options)
    strict = len(stores) == 1 and model is None
    datasets, unknown = [], {*given.role_of_type, *(given.pushers or ())}
    lacking: list[TraceNotFoundError] = []
    with contextlib.ExitStack() as own:
        for uri in stores:
            store = (keep_open or own).enter_context(open_store(uri))
            options.progress.step(f"reading {store.name}")
            trace = store.read_trace()
            options.progress.step(f"describing {store.name}")
            plain = without_gates(trace)
            here = declared_by(store, given)
            graphlets = cut(plain, store, options) if strict else segment_present(plain, here)
            known = graphlets.declared
            unknown -= {*known.role_of_type, *(known.pushers or ())}
            hint(graphlets)
            rows = selected_or_none(graphlets, store, options, lacking)
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
        warn(f"the waste model was trained with {names}, which no store here knows", sys.stderr)
    return Dataset.concatenate(datasets)
