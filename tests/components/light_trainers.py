"""Trainers of other kinds than ``light_nodes.Trainer``, with channels and no work.

No postponed annotations here: TFX's component decorator reads the annotation objects.
"""

from pathlib import Path

from tfx import v1 as tfx

InputArtifact = tfx.dsl.components.InputArtifact
OutputArtifact = tfx.dsl.components.OutputArtifact
Parameter = tfx.dsl.components.Parameter
types = tfx.types.standard_artifacts


@tfx.dsl.components.component
def BaseTrainer(examples: InputArtifact[types.Examples], model: OutputArtifact[types.Model]):
    """Puts out a model to start from."""


@tfx.dsl.components.component
def FineTuner(
    examples: InputArtifact[types.Examples],
    base_model: InputArtifact[types.Model],
    model: OutputArtifact[types.Model],
):
    """Starts from a model."""


@tfx.dsl.components.component
def Tuner(
    examples: InputArtifact[types.Examples],
    best_hyperparameters: OutputArtifact[types.HyperParameters],
):
    """Puts out hyperparameters."""


@tfx.dsl.components.component
def TunedTrainer(
    examples: InputArtifact[types.Examples],
    hyperparameters: InputArtifact[types.HyperParameters],
    model: OutputArtifact[types.Model],
):
    """Takes in hyperparameters."""


@tfx.dsl.components.component
def Fit(dataset: InputArtifact[types.Examples], model: OutputArtifact[types.Model]):
    """A Trainer by its channels, with keys of its own."""


@tfx.dsl.components.component
def FlakyTrainer(
    examples: InputArtifact[types.Examples],
    model: OutputArtifact[types.Model],
    broken: Parameter[str],
    steps: Parameter[int] = 1,
):
    """Fails as long as a file is there."""
    if Path(broken).exists():
        raise RuntimeError(f"{broken} is there")
