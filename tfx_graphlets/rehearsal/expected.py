"""What a pipeline's past pairs of margins let expect of a rehearsed one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

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
