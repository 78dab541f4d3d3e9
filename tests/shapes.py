"""What a gate does in each shape of pipeline, as data: and the tests that hold each.

``CASES`` names the tests of the situations that were taken from public reports.

``python -m tests.shapes`` prints the table as it stands in docs/shapes.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

UNITS: Final = "tests/components/test_units.py"
SHAPES: Final = "tests/components/test_shapes.py"
ONE_LINE: Final = "tests/components/test_gate_pipeline.py"
GATED: Final = "tests/components/test_gated_pipeline.py"
AROUND: Final = "tests/components/test_conditions_around.py"
NEEDED: Final = "tests/graphlets/test_outcome_needed.py"
NODES: Final = "tests/gate/test_latest_nodes.py"
SELECTION: Final = "tests/cli/test_selection.py"
REPLAYED: Final = "tests/components/test_replayed.py"
RECORDED: Final = "tests/backtest/test_recorded.py"
REPLAY_NODES: Final = "tests/backtest/test_backtest_nodes.py"
REPLAY_NEEDED: Final = "tests/backtest/test_backtest_needed.py"
SYSTEM: Final = "tests/stores/test_system_types.py"
SITUATIONS: Final = "tests/graphlets/test_situations.py"
DESCRIBED: Final = "tests/components/test_described.py"


@dataclasses.dataclass(frozen=True)
class Shape:
    """One shape of pipeline.

    Attributes:
      name: what people call it.
      does: what the gate does there.
      tests: node ids of the tests that show it.
    """

    name: str
    does: str
    tests: tuple[str, ...]


ALL: Final = (
    Shape(
        "one Trainer",
        "describes the graphlet to come, skips Trainer, Evaluator and Pusher, or lets them run",
        (
            f"{ONE_LINE}::test_one_line_gates_a_live_pipeline",
            f"{GATED}::test_a_skipped_run_holds_a_decision_and_no_training",
        ),
    ),
    Shape(
        "two Trainers",
        "a gate each, with history, threshold and account of its own node",
        (
            f"{UNITS}::test_each_of_two_gates_describes_its_own_trainer",
            f"{ONE_LINE}::test_trainers_that_share_nothing_get_a_gate_each",
            f"{RECORDED}::test_a_replay_takes_the_recorded_decisions[False-False]",
            f"{SITUATIONS}::test_trainers_that_share_a_transform_share_a_gate_at_input_alone",
        ),
    ),
    Shape(
        "champion and challenger",
        "before one Pusher they share a gate: the run goes on for the sake of either, and the "
        "decision says whose; with a Pusher each, one is skipped and the other runs",
        (
            f"{UNITS}::test_one_gate_over_two_trainers_asks_for_the_likelier",
            f"{REPLAY_NODES}::test_a_node_that_is_pushed_is_not_skipped_for_one_that_never_is",
            f"{SITUATIONS}::test_two_trainers_are_judged_by_an_evaluator_each",
            f"{SITUATIONS}::test_what_chooses_between_two_models_puts_one_gate_before_both",
        ),
    ),
    Shape(
        "base and fine-tuning",
        "one gate stands before both, live and in a replay; a base model is needed from the push "
        "on that it led to",
        (
            f"{SHAPES}::test_all_of_a_run_goes_on_or_none[base_and_fine_tuning-behind0-before0]",
            f"{ONE_LINE}::test_a_base_model_and_its_fine_tuning_share_a_gate",
            f"{NEEDED}::test_a_base_model_is_needed_from_the_push_on_that_it_led_to",
            f"{NEEDED}::test_a_push_is_missed_with_the_base_model_of_its_run",
            f"{RECORDED}::test_a_replay_takes_the_recorded_decisions[False-True]",
            f"{SITUATIONS}::test_a_chain_of_three_is_one_decision",
            f"{SITUATIONS}::test_a_base_model_of_another_pipeline_is_taken_by_a_resolver",
        ),
    ),
    Shape(
        "Tuner",
        "at `pre` the Tuner runs before the gate and is not saved; one behind it is refused. A "
        "gate at `input` skips it too",
        (
            f"{SHAPES}::test_all_of_a_run_goes_on_or_none[tuned-behind1-before1]",
            f"{ONE_LINE}::test_the_tuner_stays_before_the_gate",
            "tests/components/test_described.py::test_a_tuner_behind_a_gate_at_pre_is_refused",
        ),
    ),
    Shape(
        "several Pushers",
        "skips all of them; `pushers=` says whose push counts in history, label and account",
        (
            f"{SHAPES}::test_all_of_a_run_goes_on_or_none[two_pushers-behind2-before2]",
            f"{SHAPES}::test_the_pushers_that_count_make_the_history",
            f"{NEEDED}::test_the_user_says_which_pushers_count",
        ),
    ),
    Shape(
        "several pipelines of one store",
        "ingestion and deployment may stand in other pipelines: their executions belong to the "
        "graphlets of the pipeline that trains",
        (
            f"{SHAPES}::test_ingestion_training_and_deployment_may_be_three_pipelines",
            f"{NODES}::test_a_pusher_of_another_pipeline_counts_by_its_node",
            f"{SELECTION}::test_case_c03_a_pipeline_whose_data_and_pushes_stand_in_others",
            f"{SITUATIONS}::test_pipelines_that_share_a_schema_have_nothing_else_in_common",
        ),
    ),
    Shape(
        "sub-pipelines",
        "an inner pipeline with a Trainer is named: gate it before it is put into another; nodes "
        "that reach a gated output through one are found and refused. TFX 1.16's LocalDagRunner "
        "and BeamDagRunner run no pipeline that holds another",
        (
            f"{ONE_LINE}::test_what_cannot_be_gated_is_named_and_nothing_has_changed",
            f"{AROUND}::test_a_pipeline_that_takes_a_gated_output_must_be_gated",
            f"{AROUND}::test_what_a_pipeline_puts_out_of_gated_nodes_may_not_be_taken_outside",
            f"{AROUND}::test_a_pipeline_two_levels_down_is_looked_into",
        ),
    ),
    Shape(
        "loops (launched again and again)",
        "each launch knows what became of those before; skips in a row are bounded. A replay of "
        "the store takes the same decisions. Iterations of a loop in Kubeflow Pipelines are "
        "trainings of their own",
        (
            f"{REPLAYED}::test_a_replay_takes_the_decisions_of_the_live_gate",
            f"{GATED}::test_skips_in_a_row_are_counted_from_the_decisions",
            f"{GATED}::test_the_history_holds_what_became_of_earlier_runs",
            f"{SYSTEM}::test_the_iterations_of_a_loop_are_trainings_of_their_own",
        ),
    ),
    Shape(
        "retries",
        "of several attempts at one training the last counts; a gate decides once about a run",
        (
            f"{SHAPES}::test_a_failed_trainer_is_run_again",
            f"{NEEDED}::test_only_the_last_of_several_attempts_counts",
            f"{NEEDED}::test_an_attempt_under_another_decision_of_a_gate_is_one_at_the_same_training",
            f"{SITUATIONS}::test_a_training_that_failed_is_tried_again_by_the_next_run",
        ),
    ),
    Shape(
        "cache (`enable_cache=True`)",
        "decides anew in each run; a run that is let through finds Trainer, Evaluator and Pusher "
        "in TFX's cache as without a gate; a skip of what the cache holds saves nothing",
        (
            f"{UNITS}::test_with_the_cache_a_gate_that_says_yes_costs_no_hit",
            f"{UNITS}::test_new_data_are_no_hit_and_old_data_are_one_again",
            f"{UNITS}::test_a_skip_of_what_the_cache_holds_saves_nothing",
            f"{SITUATIONS}::test_a_model_from_the_cache_is_pushed_by_a_later_run",
        ),
    ),
    Shape(
        "partial runs",
        "one that begins behind the gate takes the decision of the run that it goes on from; one "
        "that ends at the gate decides, and trains nothing",
        (
            f"{SHAPES}::test_a_partial_run_behind_the_gate_takes_its_last_decision",
            f"{SHAPES}::test_a_partial_run_up_to_the_gate_decides_and_trains_nothing",
            f"{SITUATIONS}::test_a_partial_run_from_the_evaluator_belongs_to_what_it_goes_on_from",
        ),
    ),
    Shape(
        "notebook (InteractiveContext)",
        "runs no drivers: give GraphletGen `store=`; without one the decision lets the run "
        "through and says so",
        (
            f"{UNITS}::test_in_a_notebook_the_decision_says_what_graphlet_gen_said",
            "tests/components/test_notebook.py::test_the_gates_artifact_shows_decision_and_reason",
        ),
    ),
)


# Of each kind of fault that the public cases show: the case, and what is not like it.
CASES: Final[Mapping[str, tuple[str, ...]]] = {
    "c01_two_trainers": (
        f"{UNITS}::test_each_of_two_gates_describes_its_own_trainer",
        f"{SITUATIONS}::test_two_trainers_are_judged_by_an_evaluator_each",
    ),
    "c01b_challenger": (
        f"{UNITS}::test_one_gate_over_two_trainers_asks_for_the_likelier",
        f"{SITUATIONS}::test_what_chooses_between_two_models_puts_one_gate_before_both",
    ),
    "c03_two_pipelines": (
        f"{SELECTION}::test_case_c03_a_pipeline_whose_data_and_pushes_stand_in_others",
        f"{SELECTION}::test_a_report_of_a_pipeline_or_node_counts_what_stands_in_others",
    ),
    "c05_custom_deployer": (
        f"{SELECTION}::test_case_c05_models_without_a_trainer_are_pointed_out",
        "tests/cli/test_declared.py::test_the_model_keeps_the_roles_and_the_gate_takes_them",
    ),
    "c08_finetune": (
        f"{REPLAY_NEEDED}::test_case_c08_base_and_fine_tuning_are_one_decision",
        f"{SITUATIONS}::test_a_base_model_of_another_pipeline_is_taken_by_a_resolver",
    ),
    "c11_interactive": (
        f"{UNITS}::test_in_a_notebook_the_decision_says_what_graphlet_gen_said",
        "tests/components/test_nodes.py::test_without_a_run_and_without_inputs_nothing_is_guessed",
    ),
    "c13_tuner": (
        f"{DESCRIBED}::test_a_tuner_behind_a_gate_at_pre_is_refused",
        f"{DESCRIBED}::test_data_analysis_behind_a_gate_at_pre_is_refused",
    ),
    "c14_dots": (
        "tests/cli/test_gate_nodes.py::test_case_c14_nodes_that_differ_behind_a_dot",
        "tests/cli/test_gate_nodes.py::test_pipelines_whose_nodes_share_a_name_are_told_apart",
    ),
    "c17_outer_cond": (
        f"{AROUND}::test_a_gate_under_the_users_condition_is_refused_with_the_way_out",
        f"{AROUND}::test_a_graphlet_gen_under_the_users_condition_is_refused",
    ),
    "c18_two_pushers": (
        f"{REPLAY_NEEDED}::test_case_c18_the_user_says_which_pusher_counts",
        f"{SITUATIONS}::test_a_pusher_by_another_name_pushes",
    ),
    "c20_cached_trainer": (
        f"{UNITS}::test_a_skip_of_what_the_cache_holds_saves_nothing",
        f"{SITUATIONS}::test_a_model_from_the_cache_is_pushed_by_a_later_run",
    ),
    "c23_cache_lost": (
        f"{UNITS}::test_with_the_cache_a_gate_that_says_yes_costs_no_hit",
        f"{UNITS}::test_new_data_are_no_hit_and_old_data_are_one_again",
    ),
    "c30_seeing_double": (
        f"{REPLAY_NEEDED}::test_case_c30_a_retried_training_is_no_example_and_no_decision",
        f"{SYSTEM}::test_the_iterations_of_a_loop_are_trainings_of_their_own",
    ),
    "c32_locale": (
        f"{SELECTION}::test_case_c32_a_terminal_that_is_not_utf_8",
        f"{SELECTION}::test_a_name_with_a_line_break_stays_in_its_row",
    ),
    "c33_broken_pipe": (
        f"{SELECTION}::test_case_c33_nobody_reads_the_output",
        f"{SELECTION}::test_a_full_disk_behind_the_output_is_one_line",
    ),
}


def markdown() -> str:
    """The table, as it stands in docs/shapes.md."""
    lines = ["| shape | what the gate does | shown by |", "| --- | --- | --- |"]
    for shape in ALL:
        files = dict.fromkeys(test.partition("::")[0] for test in shape.tests)
        links = ", ".join(f"[{_short(file)}](../{file})" for file in files)
        lines.append(f"| {shape.name} | {shape.does} | {links} |")
    return "\n".join(lines)


def _short(file: str) -> str:
    return file.rpartition("/")[2].removeprefix("test_").removesuffix(".py")


if __name__ == "__main__":
    print(markdown())  # noqa: T201
