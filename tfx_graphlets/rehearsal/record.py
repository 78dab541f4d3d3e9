"""What a Rehearsal artifact says, by the names of its custom properties, and what it lets expect.

The pairs of a pipeline's past are of a rehearsed margin and the real one of the same run.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

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


MOST_PAIRS: Final = 12
LEAST_PAIRS: Final = 2
# What is known of a pipeline before its first pairs counts as so many of them.
_PRIOR_PAIRS: Final = 2.0


@dataclasses.dataclass(frozen=True)
class Expected:
    """The real margin that a rehearsed one lets expect.

    Attributes:
      margin: unit of the metric.
      deviation: of the real margin around it, unit of the metric, positive.
    """

    margin: float
    deviation: float

    @property
    def chance(self) -> float:
        """Probability 0..1 that the real margin is not negative, were it normal."""
        return 0.5 * (1.0 + math.erf(self.margin / self.deviation / math.sqrt(2.0)))


def expected_margin(rehearsed: float, pairs: Sequence[tuple[float, float]]) -> Expected | None:
    """The real margin to expect after a rehearsed one.

    The rehearsed margin and the median of how far real margins lay from their
    rehearsed ones, drawn towards 0 while there are few. The deviation is that
    of these distances, with two further ones as large as the real margins
    themselves vary.

    >>> expected_margin(0.01, [(0.0, 0.01), (0.02, 0.03), (0.01, 0.02)]).margin > 0.01
    True

    Args:
      rehearsed: margin of the rehearsal, unit of the metric.
      pairs: rehearsed and real margins of earlier runs that ran, oldest first;
        pairs with NaN are left out, of the rest the latest MOST_PAIRS count.

    Returns: None where the margin is NaN or fewer than LEAST_PAIRS pairs are known.
    """
    known = [pair for pair in pairs if not (math.isnan(pair[0]) or math.isnan(pair[1]))]
    known = known[-MOST_PAIRS:]
    if math.isnan(rehearsed) or len(known) < LEAST_PAIRS:
        return None
    real = np.array([pair[1] for pair in known], np.float64)
    residual = real - np.array([pair[0] for pair in known], np.float64)
    count = len(known)
    shift = float(np.median(residual)) * count / (count + _PRIOR_PAIRS)
    spread = float(np.var(real)) or float(np.mean(real**2)) or 1e-12
    # One run that broke must not make all others uncertain: residuals are cut at three spreads.
    distance = np.minimum((residual - shift) ** 2, 9.0 * max(spread, float(np.median(residual**2))))
    variance = (float(distance.sum()) + _PRIOR_PAIRS * spread) / (count + _PRIOR_PAIRS)
    return Expected(rehearsed + shift, math.sqrt(variance))
