"""One decision, without TFX and without a forest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from tests.components.histories import HOUR, feature_table, pipeline_history
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.gate import run as gate_run
from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.gate.record import decisions_of_gate, node_account
from tfx_graphlets.gate.request import GateSettings
from tfx_graphlets.gate.run import run_gate
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.account import SeenScore
from tfx_graphlets.policy.decide import GatePolicy, GateState
from tfx_graphlets.policy.decision import Contribution, Judgement, PastDecision, SimilarGraphlet
from tfx_graphlets.policy.freshness import FreshnessLedger, ThresholdChoice
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.dataset import Dataset

SETTINGS = GateSettings(stage=Stage.PRE, gate="WasteGate", min_labelled=2, exploration=0.0)


@dataclasses.dataclass(frozen=True)
class FixedModel:
    """A waste model that always says the same."""

    probability: float
    stage: Stage = Stage.PRE
    fingerprint: str = "abc"
    pushes_needed: int = 0
    declared: Declared = dataclasses.field(default_factory=Declared)

    @property
    def threshold(self) -> ThresholdChoice:
        return self.threshold_for(0.9)

    def threshold_for(
        self, freshness: float, *, ledger: FreshnessLedger | None = None,
        seen: Sequence[SeenScore] = (),
    ) -> ThresholdChoice:  # fmt: skip
        del seen
        allowance = 1 - freshness if ledger is None else ledger.allowance
        threshold = None if self.pushes_needed else round(allowance, 6)
        return ThresholdChoice(
            threshold, freshness, 9, self.pushes_needed, 0.5, 0.0 if threshold is None else 0.08
        )

    def judge(
        self, table: FeatureTable, row: int, past: Dataset, *, runs: Sequence[str] = (),
        moment_ms: int | None = None,
    ) -> Judgement:  # fmt: skip
        del table, row, moment_ms
        return Judgement(
            self.probability,
            (Contribution("input.num_spans", "3", -0.25),),
            (SimilarGraphlet(int(past.table.trainer[0]), "".join(runs[:1]), 0, True, 0.875),),
        )


def skips(count: int) -> tuple[PastDecision, ...]:
    """So many skips of this gate, after all graphlets of a history of four."""
    first = 5 * HOUR - 1000
    return tuple(
        PastDecision(first + at, "pre", "WasteGate", "", False, True, False) for at in range(count)
    )


def state_of(history: PipelineHistory, settings: GateSettings) -> GateState:
    """What the gate knows."""
    own = decisions_of_gate(history.decisions, stage=settings.stage, gate=settings.gate)
    account = node_account(history, own, 0.9, shadow=settings.shadow)
    return gate_run.gate_state(history, settings, account)


def threshold_of(history: PipelineHistory, model: FixedModel) -> float | None:
    """The threshold that follows from what was risked."""
    return run_gate(history, lambda: model, SETTINGS).threshold


def run(history: PipelineHistory, model: FixedModel, settings: GateSettings = SETTINGS) -> str:
    """The decision as text."""
    return str(run_gate(history, lambda: model, settings))


def test_below_the_models_threshold_it_skips_and_above_it_runs() -> None:
    """The threshold that follows from the model's own freshness decides, and is told."""
    skipped = run_gate(pipeline_history(), lambda: FixedModel(0.05), SETTINGS)
    assert not skipped.proceed
    assert (skipped.probability, skipped.threshold) == (0.05, 0.1)
    assert (skipped.stage, skipped.model_fingerprint) == ("pre", "abc")
    assert "0.050" in skipped.reason
    assert "input.num_spans = 3 (-0.25)" in skipped.reason
    assert "similar past graphlet was pushed (Trainer execution 1)" in skipped.reason
    assert run(pipeline_history(), FixedModel(0.2)).startswith("RUN")


def test_a_freshness_of_the_gate_counts_in_place_of_the_models() -> None:
    """Freshness chooses another threshold from the same model; threshold overrides both."""
    settings = dataclasses.replace(SETTINGS, freshness=0.5)
    assert run(pipeline_history(), FixedModel(0.2), settings).startswith("SKIP")
    settings = dataclasses.replace(settings, threshold=0.1)
    assert run(pipeline_history(), FixedModel(0.2), settings).startswith("RUN")


def test_without_a_threshold_it_runs_and_says_why() -> None:
    """A model that cannot promise the freshness lets everything run."""
    text = run(pipeline_history(), FixedModel(0.0, pushes_needed=12))
    assert text.startswith("RUN")
    assert "12 more" in text


def test_skips_in_the_store_are_held_against_the_limit() -> None:
    """The decisions that GraphletGen found in the store are what is counted."""
    settings = dataclasses.replace(SETTINGS, max_consecutive_skips=3)
    model = FixedModel(0.0)
    assert run(pipeline_history(decisions=skips(2)), model, settings).startswith("SKIP")
    text = run(pipeline_history(decisions=skips(3)), model, settings)
    assert text.startswith("RUN")
    assert "3 runs in a row" in text


def test_staleness_is_counted_from_the_last_push_to_the_moment_of_reading() -> None:
    """The last push of ``pupu`` was known at hour 3; the store was read at hour 5."""
    state = state_of(pipeline_history("pupu"), SETTINGS)
    assert state.hours_since_last_push == pytest.approx(2 - 2 / 3600)
    settings = dataclasses.replace(SETTINGS, max_staleness_hours=1.5)
    assert run(pipeline_history(), FixedModel(0.0), settings).startswith("RUN")


def test_an_outcome_that_was_not_known_yet_does_not_count() -> None:
    """A graphlet that ended after the store was read is neither labelled nor a push."""
    late = pipeline_history("ppp", read_ms=3 * HOUR)
    state = state_of(late, SETTINGS)
    assert (state.labelled, state.pushes) == (2, 2)


def test_with_little_history_it_runs() -> None:
    """Cold start: fewer labelled graphlets than asked for."""
    settings = dataclasses.replace(SETTINGS, min_labelled=5)
    assert "cold start" in run(pipeline_history(), FixedModel(0.0), settings)


def test_the_last_attempt_is_the_last_graphlet_whatever_became_of_it() -> None:
    """A Trainer that failed at hour 4 was an attempt; the store was read at hour 5."""
    state = state_of(pipeline_history("pupf"), SETTINGS)
    assert state.hours_since_last_attempt == pytest.approx(1 - 1 / 3600)
    assert state_of(pipeline_history(""), SETTINGS).hours_since_last_attempt is None
    settings = dataclasses.replace(SETTINGS, max_hours_without_attempt=0.5)
    text = run(pipeline_history(), FixedModel(0.0), settings)
    assert text.startswith("RUN")
    assert "went on to train" in text


def test_a_skip_that_is_explored_runs_and_is_marked() -> None:
    """With an exploration of 1 every predicted skip runs; without one, none does."""
    settings = dataclasses.replace(SETTINGS, exploration=1.0)
    decision = run_gate(pipeline_history(), lambda: FixedModel(0.0), settings)
    assert (decision.proceed, decision.would_skip, decision.explored) == (True, True, True)
    assert decision.exploration == 1.0
    decision = run_gate(pipeline_history(), lambda: FixedModel(0.5), settings)
    assert (decision.proceed, decision.would_skip, decision.explored) == (True, False, False)


def test_runs_are_explored_by_their_share_and_the_same_ones_again() -> None:
    """Of 400 runs about a fifth is explored; a second time they are the same, by another seed not.

    The bounds are four standard deviations of the binomial.
    """

    def explored(seed: int) -> list[bool]:
        settings = dataclasses.replace(SETTINGS, exploration=0.2, exploration_seed=seed)
        draws = [
            state_of(pipeline_history(run=f"run {number}"), settings).draw for number in range(400)
        ]
        return [draw is not None and draw < 0.2 for draw in draws]

    assert 48 <= sum(explored(0)) <= 112
    assert explored(0) == explored(0) != explored(1)


def test_a_run_that_has_not_begun_is_drawn_by_the_moment() -> None:
    """Without a run's name two moments draw apart, and one moment draws the same twice."""
    draws = [
        state_of(pipeline_history(run="", read_ms=at), SETTINGS).draw
        for at in (9 * HOUR, 9 * HOUR, 9 * HOUR + 1)
    ]
    assert draws[0] == draws[1] != draws[2]


def decided(run: str, **more: object) -> PastDecision:
    """A decision of this gate that let the run through."""
    return dataclasses.replace(
        PastDecision(1, "pre", "WasteGate", run, proceed=True, would_skip=False, shadow=False),
        **more,  # type: ignore[arg-type]
    )


def account(*decisions: PastDecision, outcomes: str = "pppp") -> FreshnessLedger:
    """The account that the model is asked with; runs of the graphlets are r0, r1, ..."""
    asked: list[FreshnessLedger] = []

    class Asked(FixedModel):
        def threshold_for(
            self, freshness: float, *, ledger: FreshnessLedger | None = None,
            seen: Sequence[SeenScore] = (),
        ) -> ThresholdChoice:  # fmt: skip
            if ledger is not None:
                asked.append(ledger)
            return super().threshold_for(freshness, ledger=ledger, seen=seen)

    runs = tuple(f"r{number}" for number in range(len(outcomes)))
    history = pipeline_history(outcomes, decisions=decisions, runs=runs)
    run_gate(history, lambda: Asked(0.05), SETTINGS)
    [ledger] = asked
    return ledger


def test_the_threshold_follows_from_what_was_risked_so_far() -> None:
    """A push that was put at no risk leaves more for the next, one at full risk nothing."""
    assert account() == FreshnessLedger(0.9)
    kept = account(decided("r0"), decided("r1"))
    assert (kept.pushes, kept.spent) == (2, 0.0)
    risked = account(decided("r0", risk=0.2))
    assert risked.spent == pytest.approx(0.2 / 0.8)  # it stands for those that nobody saw
    assert kept.allowance > FreshnessLedger(0.9).allowance > risked.allowance


def test_in_shadow_mode_every_push_is_seen() -> None:
    """A push in shadow mode stands for itself alone: it could not have been missed."""
    shadow = account(decided("r0", shadow=True, would_skip=True), decided("r1", shadow=True))
    assert (shadow.pushes, shadow.spent) == (2, 0.0)
    assert account(decided("r0", shadow=True, risk=0.1)).spent == 0.1


def test_only_pushes_that_this_gate_decided_about_stand_in_its_account() -> None:
    """Not those of other gates and stages, nor runs that were not pushed or not decided."""
    ledger = account(
        decided("r0", gate="Other"), decided("r1", stage="input"), decided("r2"), decided("r3"),
        outcomes="pppu",
    )  # fmt: skip
    assert ledger.pushes == 1


def test_a_push_that_was_not_known_when_the_store_was_read_is_not_counted() -> None:
    """The account is that of the moment of reading."""
    history = pipeline_history(
        "pp", read_ms=2 * HOUR, decisions=(decided("r0"), decided("r1")), runs=("r0", "r1")
    )
    assert threshold_of(history, FixedModel(0.5)) == round(
        FreshnessLedger(0.9, pushes=1).allowance, 6
    )


def test_the_risk_and_the_promise_are_those_of_the_models_threshold() -> None:
    """A threshold that was set by hand carries no promise, and so no risk to account for."""
    settings = dataclasses.replace(SETTINGS, exploration=0.25)
    decision = run_gate(pipeline_history(), lambda: FixedModel(0.5), settings)
    assert decision.risk == pytest.approx(0.08 * 0.75)
    assert decision.freshness == 0.9
    by_hand = dataclasses.replace(settings, threshold=0.1)
    decision = run_gate(pipeline_history(), lambda: FixedModel(0.5), by_hand)
    assert (decision.risk, decision.freshness) == (0.0, None)


def test_shadow_and_force_run_proceed_and_record_what_would_have_been() -> None:
    """would_skip stays true where the run proceeds all the same."""
    for option in ("shadow", "force_run"):
        settings = dataclasses.replace(SETTINGS, **{option: True})  # type: ignore[arg-type]
        decision = run_gate(pipeline_history(), lambda: FixedModel(0.0), settings)
        assert (decision.proceed, decision.would_skip) == (True, True)


@pytest.mark.parametrize(
    ("history", "model", "message"),
    [
        (pipeline_history(problem="the store is gone", current=None), FixedModel(0), "is gone"),
        (pipeline_history(stage=Stage.INPUT), FixedModel(0), "input.*pre.*same stage"),
        (pipeline_history(), FixedModel(0, stage=Stage.TRAINER), "trainer.*pre.*train one"),
        (
            pipeline_history(),
            FixedModel(0, declared=Declared({"Fit": Role.TRAINER}, ("Production",))),
            "roles: Fit=trainer, pushers: Production; .* roles: none, pushers: all: give both",
        ),
    ],
)
def test_what_cannot_be_decided_is_an_error_that_says_what_to_do(
    history: PipelineHistory, model: FixedModel, message: str
) -> None:
    """A problem of the history, or a stage that does not fit, is raised for failed_open."""
    with pytest.raises(GraphletsError, match=message):
        run_gate(history, lambda: model, SETTINGS)


def test_failing_open_proceeds_with_one_sentence() -> None:
    """Errors of ours are told as they are; others with their class."""
    ours = gate_run.failed_open("pre", GraphletsError("no model.\nTrain one."))
    assert ours.proceed
    assert ours.reason == "Runs because the gate could not decide: no model. Train one."
    other = gate_run.failed_open("pre", ZeroDivisionError())
    assert other.reason == "Runs because the gate could not decide: ZeroDivisionError."


def test_properties_leave_out_what_is_not_known() -> None:
    """A gate that broke writes no probability, threshold, model or gate id."""
    decision = gate_run.failed_open("pre", GraphletsError("broken"))
    written = gate_run.decision_properties(
        decision, gate="", shadow=False, failed_open=True, seconds=0.5
    )
    assert set(written) == {
        "proceed", "would_skip", "shadow", "failed_open", "reason", "stage", "top_features",
        "similar_graphlets", "seconds", "explored", "exploration", "risk",
    }  # fmt: skip
    assert (written["proceed"], written["failed_open"]) == (1, 1)


def test_properties_hold_the_whole_decision() -> None:
    """Flags are int, probabilities float, features JSON text: what Cond and MLMD accept."""
    decision = run_gate(pipeline_history(), lambda: FixedModel(0.05), SETTINGS)
    written = gate_run.decision_properties(
        decision, gate="WasteGate", shadow=False, failed_open=False, seconds=1.25
    )
    assert written["proceed"] == 0
    assert isinstance(written["proceed"], int)
    assert written["probability"] == 0.05
    assert written["threshold"] == 0.1
    assert written["top_features"] == '[["input.num_spans", "3", -0.25]]'
    assert written["similar_graphlets"] == '[["1", true, 0.875]]'
    assert written["model_fingerprint"] == "abc"
    assert written["gate"] == "WasteGate"
    assert (written["explored"], written["exploration"], written["freshness"]) == (0, 0.0, 0.9)
    assert written["risk"] == 0.08


def test_settings_are_read_from_execution_properties() -> None:
    """Absent properties are the policy's defaults; flags are 0 and 1."""
    settings = GateSettings.of({"stage": "pre", "freshness": 0.8, "shadow": 1, "force_run": 0}, "G")
    assert settings == GateSettings(stage=Stage.PRE, gate="G", freshness=0.8, shadow=True)
    assert settings.policy().exploration == GatePolicy().exploration
    more = {"stage": "pre", "exploration": 0.0, "exploration_seed": 3}
    assert GateSettings.of(more).policy().exploration == 0.0
    assert GateSettings.of(more).exploration_seed == 3
    with pytest.raises(InvalidArgumentError, match="freshness"):
        GateSettings.of({"stage": "pre", "freshness": 1.5}).policy()
    with pytest.raises(InvalidArgumentError, match="stage"):
        GateSettings.of({})


def test_the_current_graphlet_is_what_is_scored() -> None:
    """The model is asked about one row, the current one."""
    seen: list[tuple[FeatureTable, int]] = []

    class Watching(FixedModel):
        def judge(
            self, table: FeatureTable, row: int, past: Dataset, *, runs: Sequence[str] = (),
            moment_ms: int | None = None,
        ) -> Judgement:  # fmt: skip
            seen.append((table, row))
            return super().judge(table, row, past, runs=runs, moment_ms=moment_ms)

    current = feature_table(1, first=0)
    run_gate(pipeline_history(current=current), lambda: Watching(0.5), SETTINGS)
    assert seen == [(current, 0)]


def test_a_promise_of_the_delay_takes_the_place_of_the_freshness() -> None:
    """Four pushes in a row: each waits one run for the next, so 0.25 runs are a quarter."""
    runs = ("r0", "r1", "r2", "r3")
    decisions = tuple(decided(run) for run in runs)
    history = pipeline_history("pppp", decisions=decisions, runs=runs)
    settings = dataclasses.replace(SETTINGS, promise="delay", delay=0.25)
    decision = run_gate(history, lambda: FixedModel(0.05), settings)
    assert decision.freshness == pytest.approx(0.75)
    assert decision.threshold == pytest.approx(2.5 * 0.25)  # all of it was saved up
    patient = dataclasses.replace(SETTINGS, promise="delay", delay=0.0)
    assert run_gate(history, lambda: FixedModel(0.05), patient).threshold == 0.0


@pytest.mark.parametrize(
    "options",
    [
        {"promise": "delay"},
        {"delay": 0.2},
        {"promise": "kept", "delay": 0.2},
        {"promise": "never"},
        {"promise": "delay", "delay": -1.0},
    ],
)
def test_a_promise_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    """A delay goes with the promise of it, and with no other."""
    with pytest.raises(InvalidArgumentError):
        dataclasses.replace(SETTINGS, **options).policy()  # type: ignore[arg-type]
