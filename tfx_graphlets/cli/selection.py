"""Which graphlets the options of a command select."""

from __future__ import annotations

import argparse
import sys

from tfx_graphlets.cli.render import warn
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role


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
