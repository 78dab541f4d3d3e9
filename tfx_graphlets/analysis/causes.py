"""Causes: why a training did not reach serving, in words, and what to do about it.

A wasted graphlet (unpushed and not useful) has exactly one cause: the first of
``Cause`` that holds, in the order in which they stand. It is told from what
was recorded in the end: the verdict that the Pusher listened to, and the
features at stage ``validation``.
"""

from __future__ import annotations

import enum
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.verdicts import Verdicts
from tfx_graphlets.trace.trace import BoolArray, FloatArray, SmallArray
from tfx_graphlets.vocabulary import ExecutionState, Outcome, Role

NOT_WASTED: Final = -1


class Cause(enum.IntEnum):
    """Why a graphlet was wasted; the first that holds, from the top."""

    FAILED_PUSH = 0
    HELD_BACK = 1
    VALIDATION_FAILED = 2
    NO_NEW_DATA = 3
    SAME_CODE_FAILED = 4
    DATA_INVALID = 5
    NOT_SERVABLE = 6
    BELOW_BOUND = 7
    NO_GAIN = 8
    NO_PUSHER = 9
    UNEXPLAINED = 10

    @property
    def title(self) -> str:
        """For people, a few words."""
        return _WORDS[self][0]

    @property
    def definition(self) -> str:
        """When it holds."""
        return _WORDS[self][1]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _WORDS[self][2]


_WORDS: Final = {
    Cause.FAILED_PUSH: (
        "failed push",
        "The model was blessed, and an execution of a Pusher behind it failed.",
        "Mend the deployment: until then every training of this pipeline is wasted.",
    ),
    Cause.HELD_BACK: (
        "pushed too lately",
        "The Evaluator that its Pusher listens to blessed the model; none failed, none pushed.",
        "Train when a push may follow: a gate with this pipeline's rhythm skips the rest.",
    ),
    Cause.VALIDATION_FAILED: (
        "validation failed",
        "An execution that validates the model failed, so that there is no verdict.",
        "Mend the Evaluator; a gate before the Trainer saves what is trained meanwhile.",
    ),
    Cause.NO_NEW_DATA: (
        "no new data",
        "An earlier graphlet had exactly these spans, and no change of the code is recorded.",
        "Start runs by new data, or let a gate at stage input skip re-runs.",
    ),
    Cause.SAME_CODE_FAILED: (
        "same code failed before",
        "The candidate missed a value threshold, and so did the last evaluated one of this code.",
        "Push a fix of the code before the next run; a gate at stage input skips until then.",
    ),
    Cause.DATA_INVALID: (
        "data invalid",
        "The newest span has more anomalies than half of the pipeline's pushed graphlets had.",
        "Stop the run when data validation fails, or mend the data or the schema.",
    ),
    Cause.NOT_SERVABLE: (
        "not servable",
        "InfraValidator did not bless the model.",
        "Mend the signature or the serving environment: it is not the data.",
    ),
    Cause.BELOW_BOUND: (
        "metric below the bound",
        "The candidate missed a value threshold of the Evaluator.",
        "Look at the code and the data of these runs, or at whether the bound is meant.",
    ),
    Cause.NO_GAIN: (
        "no gain over the serving model",
        "The candidate missed a change threshold against the serving model.",
        "Train less often, or with a rehearsal before: most of these are close to a tie.",
    ),
    Cause.NO_PUSHER: (
        "nothing pushes",
        "No graphlet of the pipeline has a Pusher.",
        "If nobody serves this model, train it only where somebody looks at it.",
    ),
    Cause.UNEXPLAINED: (
        "unexplained",
        "None of the others: not blessed and the metrics are gone, or not recorded.",
        "Keep the files of evaluations, for instance in an archive.",
    ),
}


def causes_of(graphlets: Graphlets, table: FeatureTable) -> SmallArray:
    """Cause of every graphlet, int8 [n]; NOT_WASTED where it is pushed, useful or has no model.

    Args:
      graphlets: the graphlets.
      table: their features at stage ``validation``, row-aligned. Missing
        values decide nothing.
    """
    wasted = (graphlets.outcome == Outcome.UNPUSHED) & ~graphlets.useful
    pipeline = graphlets.pipeline
    failed = graphlets.trace.executions.state == ExecutionState.FAILED
    counts = graphlets.pusher
    has_pusher = np.isin(pipeline, pipeline[_has(graphlets, Role.PUSHER, among=counts)])

    def number(name: str) -> FloatArray:
        return table.numbers(name)

    verdicts = Verdicts.of(graphlets)
    rows, entries = graphlets.executions.rows(), np.arange(len(graphlets.executions.index))
    verdict = verdicts.of_model(rows, entries, len(graphlets))
    infra_verdict = verdicts.of_infra(rows, entries, len(graphlets))

    with np.errstate(invalid="ignore"):
        not_servable = (infra_verdict == 0) & _has(
            graphlets, Role.INFRA_VALIDATOR, among=_types(graphlets, "InfraValidator")
        )
        # A custom class that withholds an InfraBlessing is a throttle, not a test of serving.
        blessed = (verdict == 1) & ~not_servable
        same_code = ~(number("code.trainer_same_1") == 0)
        missed_value = number("evaluation.value_margin") < 0
        holds = {
            Cause.FAILED_PUSH: blessed & _has(graphlets, Role.PUSHER, among=counts & failed),
            Cause.HELD_BACK: blessed & has_pusher,
            Cause.VALIDATION_FAILED: np.isnan(verdict)
            & _has(graphlets, Role.MODEL_VALIDATOR, among=failed),
            Cause.NO_NEW_DATA: (number("history.same_spans_runs") > 0) & same_code,
            Cause.SAME_CODE_FAILED: missed_value & (number("code.trainer_value_failed") == 1),
            Cause.DATA_INVALID: _more_than_usual(graphlets, number("input_data.newest_anomalies")),
            Cause.NOT_SERVABLE: not_servable,
            Cause.BELOW_BOUND: missed_value,
            Cause.NO_GAIN: number("evaluation.change_margin") <= 0,
            Cause.NO_PUSHER: ~has_pusher,
            Cause.UNEXPLAINED: np.ones(len(graphlets), bool),
        }
    result = np.full(len(graphlets), NOT_WASTED, np.int8)
    for cause in reversed(Cause):
        result[wasted & holds[cause]] = cause
    return result


def _has(graphlets: Graphlets, role: Role, among: BoolArray) -> BoolArray:
    """Graphlets with an execution of a role behind their Trainer, bool [n].

    Args:
      graphlets: the graphlets.
      role: of the execution.
      among: bool [num_executions], those that count.
    """
    index = graphlets.executions.index
    found = (graphlets.part == Part.DOWNSTREAM) & (graphlets.role[index] == role) & among[index]
    result = np.zeros(len(graphlets), bool)
    result[graphlets.executions.rows()[found]] = True
    return result


def _types(graphlets: Graphlets, base: str) -> BoolArray:
    """Executions of a class, by the last dotted part of its name, bool [num_executions]."""
    executions = graphlets.trace.executions
    names = [vocabulary.base_name(name) == base for name in executions.type_names]
    return np.array([*names, False])[executions.type]


def _more_than_usual(graphlets: Graphlets, count: FloatArray) -> BoolArray:
    """Where a count is above the median of the pushed graphlets of the pipeline, bool [n].

    Where none was pushed, or none has the count, any is more than usual.
    """
    usual = np.zeros(len(graphlets))
    order = np.argsort(graphlets.pipeline, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(graphlets.pipeline[order])) + 1):
        of_pushed = count[mine][graphlets.pushed[mine]]
        of_pushed = of_pushed[~np.isnan(of_pushed)]
        usual[mine] = np.median(of_pushed) if len(of_pushed) else 0.0
    return np.asarray(count > usual)
