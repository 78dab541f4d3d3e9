"""The throttle on pushes: a component that withholds its blessing while a push comes too soon."""

# No postponed annotations here: TFX's component decorator reads the annotation objects.

from absl import logging
from tfx import v1 as tfx


@tfx.dsl.components.component
def PushThrottle(
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    model_blessing: tfx.dsl.components.InputArtifact[  # noqa: ARG001 - stands after the Evaluator
        tfx.types.standard_artifacts.ModelBlessing
    ],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.InfraBlessing],
    hold: tfx.dsl.components.Parameter[int] = 0,
):
    """Writes an InfraBlessing that is positive unless `hold` is 1.

    Operations decide `hold` from the pushes of earlier runs and from the schedule's clock
    (operations.hold_push, holds). The verdict is
    an artifact, so that the Pusher itself leaves a PushedModel with pushed = 0.
    """
    blessing.set_int_custom_property("blessed", 0 if hold else 1)
    if hold:
        logging.info("PushThrottle holds model %s back.", model.id)
