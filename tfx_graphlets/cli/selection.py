"""Which graphlets the options of a command select, and what is learnt from them."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from tqdm import tqdm

from tfx_graphlets.cli.render import warn
from tfx_graphlets.features import describe
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.gate_nodes import without_gates
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset


def pipeline_of(store: Store, options: argparse.Namespace) -> str | None:
    """The pipeline that is asked for; of an archive of one pipeline, that one."""
    if options.pipeline is not None:
        return str(options.pipeline)
    selection = getattr(getattr(store, "manifest", None), "selection", None)
    return None if selection is None else str(selection)


def selected(graphlets: Graphlets, store: Store, options: argparse.Namespace) -> IntArray:
    """Numbers of the graphlets that ``--pipeline`` and ``--node`` select, int64 [k]."""
    return graphlets.of(pipeline=pipeline_of(store, options), node=options.node)


def hint(graphlets: Graphlets) -> None:
    """Says what to do about a store that holds Models and no Trainer."""
    message = roles.no_trainer_hint(graphlets.trace, graphlets.role)
    if message is not None:
        warn(message, sys.stderr)


def cut(trace: Trace, options: argparse.Namespace) -> Graphlets:
    """The graphlets of a trace, by the roles, pushers and weights of the options."""
    weights: list[tuple[str | Role, float]] = getattr(options, "cost_weight", [])
    return segment(
        trace,
        role_of_type=dict(options.role),
        pushers=getattr(options, "pusher", None) or None,
        cost_weight_of_role={name: w for name, w in weights if isinstance(name, Role)},
        cost_weight_of_type={name: w for name, w in weights if isinstance(name, str)},
    )


def features_of_selected(store: Store, options: argparse.Namespace) -> FeatureTable | None:
    """Features of the graphlets that the options select; None where they select all."""
    selects = pipeline_of(store, options) or options.node or options.pusher
    if not selects:
        return None
    graphlets = cut(without_gates(store.read_trace()), options)
    rows = selected(graphlets, store, options)
    return describe(graphlets, options.stage, payloads=store.payloads, rows=rows)


def dataset(
    stores: Sequence[str],
    stage: Stage,
    options: argparse.Namespace,
    keep_open: contextlib.ExitStack | None = None,
) -> Dataset:
    """Graphlets of several stores, described; these stay open where a stack is given."""
    from tfx_graphlets.gate.record import past_decisions
    from tfx_graphlets.gate.snapshot import without_cut_short

    datasets = []
    with contextlib.ExitStack() as own:
        for uri in tqdm(stores, desc="stores", disable=None, leave=False):
            store = (keep_open or own).enter_context(open_store(uri))
            trace = store.read_trace()
            graphlets = cut(without_gates(trace), options)
            hint(graphlets)
            rows = selected(graphlets, store, options)
            described = Dataset.describe(graphlets, stage, store.payloads, store.name)
            # What a gate behind the Trainer has cut short has no outcome to learn from.
            runs = [graphlet.run or "" for graphlet in graphlets]
            described = without_cut_short(described, runs, past_decisions(trace))
            datasets.append(described.take(rows))
    return Dataset.concatenate(datasets)
