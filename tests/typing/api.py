"""What users may rely on, as types: mypy checks this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import tfx_graphlets
from tfx_graphlets.graphlets import graphlet
from tfx_graphlets.policy import decide as policy
from tfx_graphlets.trace.trace import Artifacts, BoolArray, Events, Executions, FloatArray
from tfx_graphlets.waste_model import model as waste_model

if TYPE_CHECKING:
    from tfx_graphlets.stores.store import Store


def reading_and_cutting() -> None:
    """A store gives a Trace, a Trace gives Graphlets, which are a sequence of Graphlet."""
    with tfx_graphlets.open_store("metadata.sqlite") as store:
        assert_type(store.name, str)
        trace = store.read_trace(pipeline="flights", properties=("span",))
    assert_type(trace, tfx_graphlets.Trace)
    assert_type(trace.executions, Executions)
    assert_type(trace.artifacts, Artifacts)
    assert_type(trace.events, Events)
    graphlets = tfx_graphlets.segment(trace, role_of_type={"MyTrainer": tfx_graphlets.Role.TRAINER})
    assert_type(graphlets, graphlet.Graphlets)
    assert_type(graphlets[0], graphlet.Graphlet)
    assert_type(iter(graphlets), Iterator[graphlet.Graphlet])
    assert_type(graphlets[0].outcome, tfx_graphlets.Outcome)


def opening(uri: str) -> Store:
    """What open_store returns is a Store, whatever the URI names."""
    return tfx_graphlets.open_store(uri)


def deciding(probability: float | None) -> None:
    """The policy and the state give a decision, with a flag and a sentence."""
    cautious = tfx_graphlets.GatePolicy(threshold=0.2)
    decision = tfx_graphlets.decide(cautious, probability, tfx_graphlets.GateState())
    assert_type(decision, policy.GateDecision)
    assert_type(decision.proceed, bool)
    assert_type(decision.reason, str)


def predicting(table: tfx_graphlets.FeatureTable) -> None:
    """A waste model gives one probability per row."""
    model = tfx_graphlets.load_waste_model("model", stage=tfx_graphlets.Stage.PRE)
    assert_type(model, waste_model.WasteModel)
    assert_type(model.predict(table), FloatArray)


def catching(error: tfx_graphlets.GraphletsError) -> Exception:
    """Every error of the package can be caught as one."""
    return error


def selecting(graphlets: graphlet.Graphlets) -> BoolArray:
    """Which graphlets were pushed is an array of numpy's booleans."""
    return graphlets.pushed
