"""Roles of executions: by class, by what a custom class does, by the user's word."""

from __future__ import annotations

import pytest

from tests.agreement import Cut, both, cut
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.roles import roles_of_executions
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import EventType, Role

CLASSES = {
    "CsvExampleGen": Role.EXAMPLE_GEN,
    "ExampleGen": Role.EXAMPLE_GEN,
    "MyOwnExampleGen": Role.EXAMPLE_GEN,
    "Importer": Role.IMPORTER,
    "ImporterNode": Role.IMPORTER,
    "StatisticsGen": Role.STATISTICS_GEN,
    "SchemaGen": Role.SCHEMA_GEN,
    "ImportSchemaGen": Role.SCHEMA_GEN,
    "ExampleValidator": Role.DATA_VALIDATOR,
    "DistributionValidator": Role.DATA_VALIDATOR,
    "ExampleDiff": Role.DATA_VALIDATOR,
    "Transform": Role.TRANSFORM,
    "Tuner": Role.TUNER,
    "Trainer": Role.TRAINER,
    "GenericTrainer": Role.TRAINER,
    "Evaluator": Role.MODEL_VALIDATOR,
    "ModelValidator": Role.MODEL_VALIDATOR,
    "InfraValidator": Role.INFRA_VALIDATOR,
    "BulkInferrer": Role.BULK_INFERRER,
    "Pusher": Role.PUSHER,
    "Resolver": Role.RESOLVER,
    "ResolverNode": Role.RESOLVER,
    "SomethingElse": Role.CUSTOM,
    "trainer": Role.CUSTOM,
    "ExampleGenerator": Role.CUSTOM,
    "TrainerResolver": Role.CUSTOM,
}


def role_of_only(build: TraceBuilder, **options: dict[str, Role]) -> Role:
    """Role of the first execution, on which both implementations agree."""
    graphlets, _ = both(build.raw(), **options)
    return Role(int(graphlets.role[0]))


@pytest.mark.parametrize("prefix", ["", "tfx.components.some.component.", "a."])
@pytest.mark.parametrize(("class_name", "role"), CLASSES.items())
def test_role_by_last_dotted_part(prefix: str, class_name: str, role: Role) -> None:
    """The last dotted part of a type's name decides, whatever stands before it."""
    build = TraceBuilder()
    build.execution(prefix + class_name)
    assert role_of_only(build) == role


def test_a_known_class_keeps_its_role_whatever_it_puts_out() -> None:
    """A Transform that puts out a PushedModel is a Transform."""
    build = TraceBuilder()
    build.execution("Transform", outputs={"x": [build.artifact("PushedModel")]})
    assert role_of_only(build) == Role.TRANSFORM


@pytest.mark.parametrize(
    ("takes_in", "puts_out", "role"),
    [
        ("Model", "PushedModel Model Examples", Role.PUSHER),
        ("Model", "ModelBlessing InfraBlessing", Role.MODEL_VALIDATOR),
        ("Model", "ModelEvaluation Model", Role.MODEL_VALIDATOR),
        ("Examples", "InfraBlessing Model", Role.INFRA_VALIDATOR),
        ("Examples", "Model TransformGraph", Role.TRAINER),
        ("TransformGraph", "Model", Role.TRAINER),
        ("Schema", "Model", Role.TRAINER),
        ("HyperParameters Model", "Model HyperParameters", Role.TRAINER),
        ("Model", "Model", Role.CUSTOM),
        ("ExampleStatistics", "Model", Role.CUSTOM),
        ("", "Model", Role.CUSTOM),
        ("Model", "Model TransformGraph", Role.TRANSFORM),
        ("Examples", "TransformGraph HyperParameters", Role.TRANSFORM),
        ("Examples", "HyperParameters ExampleStatistics", Role.TUNER),
        ("Examples", "ExampleStatistics ExampleAnomalies", Role.STATISTICS_GEN),
        ("Examples", "ExampleAnomalies Schema", Role.DATA_VALIDATOR),
        ("Examples", "Schema Examples", Role.SCHEMA_GEN),
        ("", "Examples", Role.EXAMPLE_GEN),
        ("Schema", "Examples", Role.CUSTOM),
        ("Examples", "", Role.CUSTOM),
        ("", "ModelRun TransformCache", Role.CUSTOM),
        ("acme.Examples", "acme.Model", Role.TRAINER),
    ],
)
def test_role_of_a_custom_class(takes_in: str, puts_out: str, role: Role) -> None:
    """The first rule that fits what a class put out and took in gives its role."""
    build = TraceBuilder()
    inputs = {"in": [build.artifact(name) for name in takes_in.split()]}
    outputs = {"out": [build.artifact(name) for name in puts_out.split()]}
    build.execution("acme.Step", inputs=inputs, outputs=outputs)
    assert role_of_only(build) == role


def test_role_of_a_custom_class_is_decided_over_all_its_executions() -> None:
    """One that failed before it put out a Model is a Trainer like its siblings."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution("acme.Forest", inputs={"examples": [data]})
    build.execution("acme.Forest", outputs={"model": [model]})
    build.execution("other.Forest", inputs={"examples": [data]})
    assert cut(build) == [Cut(1, [1], [1], outcome="incomplete"), Cut(2, [2], [2])]


def test_role_of_a_custom_class_needs_edges() -> None:
    """What a class put out by an INTERNAL_OUTPUT or PENDING_OUTPUT event gives no role."""
    build = TraceBuilder()
    step = build.execution("acme.Step")
    build.event(step, build.artifact("PushedModel"), EventType.INTERNAL_OUTPUT)
    build.event(step, build.artifact("Schema"), EventType.PENDING_OUTPUT)
    assert role_of_only(build) == Role.CUSTOM
    build.event(step, build.artifact("Examples"), EventType.DECLARED_OUTPUT)
    assert role_of_only(build) == Role.EXAMPLE_GEN
    build.event(step, build.artifact("Schema"), EventType.INTERNAL_INPUT)
    assert role_of_only(build) == Role.EXAMPLE_GEN


@pytest.mark.parametrize("name", ["acme.Step", "Step"])
def test_a_user_can_override_the_role_of_any_type(name: str) -> None:
    """By the type's full name or its last dotted part."""
    build = TraceBuilder()
    build.execution("acme.Step", outputs={"out": [build.artifact("Model")]})
    assert cut(build) == []
    assert cut(build, role_of_type={name: Role.TRAINER}) == [Cut(1, [1], [1])]


def test_an_override_of_the_full_name_counts_first() -> None:
    """Types that share their last part can be told apart."""
    build = TraceBuilder()
    build.execution("acme.Step")
    build.execution("other.Step")
    given = {"Step": Role.TRAINER, "acme.Step": Role.TUNER}
    assert cut(build, role_of_type=given) == [Cut(2, [2], [], outcome="incomplete")]


def test_an_override_of_a_known_class_counts() -> None:
    """A Trainer that the user calls CUSTOM has no graphlet and is walked through."""
    build = TraceBuilder()
    first, second = build.artifact("Examples"), build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [first]})
    build.execution("Trainer", inputs={"in": [first]}, outputs={"out": [second]})
    build.execution("GenericTrainer", inputs={"in": [second]})
    assert cut(build, role_of_type={"Trainer": Role.CUSTOM}) == [
        Cut(3, [1, 2, 3], [1, 2], outcome="incomplete")
    ]


def test_an_override_makes_and_unmakes_resolvers() -> None:
    """Events are edges by the role that counts, not by the class."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("Resolver", outputs={"out": [data]})
    build.execution("CsvExampleGen", outputs={"out": [data]})
    build.execution("Trainer", inputs={"in": [data]})
    swapped = {"Resolver": Role.CUSTOM, "CsvExampleGen": Role.RESOLVER}
    assert cut(build) == [Cut(3, [2, 3], [1], outcome="incomplete")]
    assert cut(build, role_of_type=swapped) == [Cut(3, [1, 3], [1], outcome="incomplete")]


def test_an_override_of_a_type_that_is_not_there_is_refused() -> None:
    """A misspelt type must not pass in silence."""
    build = TraceBuilder()
    build.execution("Trainer")
    with pytest.raises(InvalidArgumentError, match="role_of_type='Trianer'"):
        roles_of_executions(build.trace(), {"Trianer": Role.TRAINER})
