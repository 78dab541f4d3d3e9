"""A history that a live gate left, as rows that a replay can decide about again."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest

from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.replay import replay
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.gate.record import decisions_of_gate, past_decisions
from tfx_graphlets.gate.snapshot import without_cut_short
from tfx_graphlets.graphlets.current import current_graphlet
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.trace.trace import FloatArray, Trace
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import Dataset, WasteModel

Key = tuple[str, str]  # run and node
_VERDICTS = ("proceed", "would_skip", "explored")
_FIGURES = ("probability", "threshold", "risk", "freshness", "exploration")


class OneModel:
    """A scorer that stays what it is, as the model of a live gate does."""

    of_all = False

    def __init__(self, model: WasteModel) -> None:
        self._model = model

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """The scores that the model chooses thresholds from."""
        kept, lost = self._model.manifest.pushed_scores, self._model.manifest.unpushed_scores
        return np.array([*kept, *lost]), [True] * len(kept) + [False] * len(lost)

    def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
        """Nothing."""

    def became_needed(self, row: int) -> None:
        """Nothing."""

    def score(self, row: int, features: FeatureTable) -> float:
        """What the model says."""
        del row
        return float(self._model.predict(features)[0])


def as_rows(
    trace: Trace,
    moments: Mapping[Key, int],
    stage: Stage,
    payloads: Payloads | None = None,
    inputs: Mapping[Key, Mapping[str, Sequence[int]]] | None = None,
) -> Dataset:
    """The graphlets of a gated pipeline; a run that was skipped is there with a Trainer to come.

    Args:
      trace: with the gate's nodes.
      moments: when the gate of a node read the store, by run and node.
      stage: where it stands.
      payloads: of the store.
      inputs: what was wired for the Trainer, likewise; by default what the run made for it.
    """
    decisions = past_decisions(trace)
    recorded = without_gates(trace)
    for decision in decisions:
        if decision.proceed or stage.order >= Stage.TRAINER.order:
            continue
        for key in [(decision.run, one.node) for one in decision.nodes]:
            recorded = current_graphlet(
                recorded,
                moment_ms=moments[key],
                stage=stage,
                run=decision.run,
                input_artifacts=inputs[key] if inputs else None,
                pipeline=decision.pipeline,
                node=key[1],
            ).graphlets.trace
    dataset = Dataset.describe(segment(recorded), stage, payloads, "recorded")
    decided = np.array([moments[key] for key in zip(dataset.run, dataset.node)], np.int64)
    table = dataset.describers["recorded"].describe(moment_ms=decided)
    dataset = dataclasses.replace(dataset, table=table, decision_ms=decided)
    return without_cut_short(dataset, decisions)


def replayed(
    dataset: Dataset,
    model: WasteModel,
    policy: GatePolicy,
    *,
    seed: int = 0,
    forced: Collection[Key] = (),
    shared: bool = False,
) -> dict[Key, GateDecision]:
    """The decisions of a replay by run and node.

    Args:
      dataset, model, policy, seed: of the replay.
      forced: what had to run.
      shared: one gate decides about all nodes of a run.
    """
    keys = list(zip(dataset.run, dataset.node))
    rows = [row for row, key in enumerate(keys) if key in forced]
    world = World(dataset, censored=not policy.shadow)
    gate = np.unique(np.array(dataset.run), return_inverse=True)[1] if shared else None
    found = replay(dataset, policy, OneModel(model), world, gate=gate, seed=seed, forced=rows)
    return dict(zip([keys[row] for row in found.rows.tolist()], found.decisions))


def recorded_decisions(
    trace: Trace, stage: Stage, gates: Mapping[str, str]
) -> dict[Key, PastDecision]:
    """What the live gates decided by run and node, with the figures of the node.

    Args:
      trace: with the gates' nodes.
      stage: where they stand.
      gates: node id of the gate of each Trainer node.
    """
    return {
        (decision.run, node): found
        for node, gate in gates.items()
        for decision in decisions_of_gate(past_decisions(trace), stage=stage, gate=gate)
        if (found := decision.of_node(node)) is not None
    }


def differences(live: Mapping[Key, PastDecision], again: Mapping[Key, GateDecision]) -> list[str]:
    """What a replay says otherwise than the live gate did, a line for each value."""
    if live.keys() != again.keys():
        return [f"decided about {sorted(live)}, replayed {sorted(again)}"]
    lines = []
    for at, (key, one) in enumerate(live.items()):
        other = again[key]
        pairs = [
            (name, getattr(one, name), getattr(other, name)) for name in (*_VERDICTS, *_FIGURES)
        ]
        lines += [
            f"{at} {key} {name}: {left}, {right}"
            for name, left, right in pairs
            if left != pytest.approx(right, abs=1e-6)
        ]
        # The live gate goes on to say what moved the probability.
        said = other.reason.partition(". ")[0].rstrip(".")
        if not one.reason.startswith(said):
            lines.append(f"{at} {key} reason: {one.reason!r}, {said!r}")
    return lines
