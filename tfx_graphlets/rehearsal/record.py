"""What a Rehearsal artifact says, by the names of its custom properties."""

from __future__ import annotations

import enum
from typing import Final

ARTIFACT_TYPE: Final = "Rehearsal"  # last dotted part of the artifact type's name
REHEARSED: Final = "rehearsed"  # int: 1, or 0 where nothing was measured
MODE: Final = "mode"  # off, scout or full: what was done
REASON: Final = "reason"  # a sentence
LEFT_OUT: Final = "left_out"  # sentences; absent where nothing was left out
STAGE: Final = "stage"  # input or pre
RUN: Final = "run"  # name of the run; absent where the runner does not tell
TRAINER: Final = "trainer"  # node id that it stands for; absent where for all of the run
METRIC: Final = "metric"  # name of the metric that the values are of
SECONDS: Final = "seconds"  # float: what it took

# Margins, float, unit of their metric; see ``rehearse.Rehearsed``; absent where not measured.
VALUE_MARGINS: Final = ("scout_value_margin", "probe_value_margin")
CHANGE_MARGINS: Final = ("scout_change_margin", "pair_change_margin", "probe_change_margin")
SERVING_MARGIN: Final = "serving_value_margin"
MARGINS: Final = (SERVING_MARGIN, *VALUE_MARGINS, *CHANGE_MARGINS)


class Mode(enum.Enum):
    """What is tried.

    OFF: nothing. SCOUT: the serving model by inference, and scouts. FULL: the
    user's own code with a share of its steps besides. AUTO: of these what pays.
    """

    OFF = "off"
    SCOUT = "scout"
    FULL = "full"
    AUTO = "auto"
