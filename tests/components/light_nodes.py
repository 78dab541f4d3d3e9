"""TFX components that do next to nothing, with the class names and artifact types of the real ones.

No postponed annotations here: TFX's component decorator reads the annotation objects.
"""

from tfx import v1 as tfx

from tfx_graphlets.components.artifacts import GateDecision

InputArtifact = tfx.dsl.components.InputArtifact
OutputArtifact = tfx.dsl.components.OutputArtifact
Parameter = tfx.dsl.components.Parameter
types = tfx.types.standard_artifacts


@tfx.dsl.components.component
def LightExampleGen(examples: OutputArtifact[types.Examples], span: Parameter[int] = 0):
    """Puts out Examples of one span."""
    examples.span = span
    examples.split_names = '["train", "eval"]'
    examples.set_string_custom_property(
        "input_fingerprint",
        f"split:s,num_files:1,total_bytes:{1000 + span},xor_checksum:{span},sum_checksum:{span}",
    )


@tfx.dsl.components.component
def Transform(
    examples: InputArtifact[types.Examples],
    transform_graph: OutputArtifact[types.TransformGraph],
    preprocessing_fn: Parameter[str] = "",
):
    """Puts out an empty TransformGraph."""


@tfx.dsl.components.component
def Trainer(
    examples: InputArtifact[types.Examples],
    transform_graph: InputArtifact[types.TransformGraph],
    model: OutputArtifact[types.Model],
    run_fn: Parameter[str] = "",
):
    """Puts out an empty Model."""


@tfx.dsl.components.component
def Evaluator(
    model: InputArtifact[types.Model],
    blessing: OutputArtifact[types.ModelBlessing],
    blessed: Parameter[int] = 1,
):
    """Blesses as it is told."""
    blessing.set_int_custom_property("blessed", blessed)


@tfx.dsl.components.component
def Pusher(
    model: InputArtifact[types.Model],
    blessing: InputArtifact[types.ModelBlessing],
    pushed_model: OutputArtifact[types.PushedModel],
):
    """Pushes what is blessed."""
    blessed = blessing.get_int_custom_property("blessed")
    pushed_model.set_int_custom_property("pushed", blessed)


@tfx.dsl.components.component
def Report(pushed_model: InputArtifact[types.PushedModel]):
    """Takes what the Pusher put out."""


@tfx.dsl.components.component
def Gate(decision: OutputArtifact[GateDecision], proceed: Parameter[int] = 1):
    """Decides as it is told."""
    decision.set_int_custom_property("proceed", proceed)
