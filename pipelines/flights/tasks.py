"""What a model predicts: the label, the columns beside it, and the loss that is compared."""

from __future__ import annotations

from dataclasses import dataclass

WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
FLIGHT_COLUMNS = ("origin", "carrier", "dest", "weekday", "hour", "distance", *WEATHER_COLUMNS)
HOUR_COLUMNS = ("origin", "weekday", "hour", *WEATHER_COLUMNS)


@dataclass(frozen=True)
class Task:
    """One thing to predict from the flights and the weather of a day.

    label: its column, the last one of a span.
    features: columns before it, in order.
    loss: the metric of TensorFlow Model Analysis that is compared, by class name; a lower one is
      better. Nats for a cross-entropy, minutes for an absolute error.
    loss_key: the same metric as an evaluation names it.
    binary: the label is 0 or 1, and the area under the ROC curve is demanded too; otherwise the
      label is a number.
    """

    name: str
    label: str
    features: tuple[str, ...] = FLIGHT_COLUMNS
    loss: str = "BinaryCrossEntropy"
    loss_key: str = "binary_crossentropy"
    binary: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of a span, the label last."""
        return (*self.features, self.label)


ARRIVAL = Task("arrival", "delayed")  # arrives more than 15 minutes late
CANCELLATION = Task("cancellation", "cancelled")  # does not leave at all
MINUTES = Task(  # minutes of delay at arrival, clipped: one broken flight is no weather
    "minutes",
    "minutes_late",
    loss="MeanAbsoluteError",
    loss_key="mean_absolute_error",
    binary=False,
)
RAIN = Task("rain", "rain_soon", HOUR_COLUMNS)  # at the airport within the next three hours

TASKS = (ARRIVAL, CANCELLATION, MINUTES, RAIN)
