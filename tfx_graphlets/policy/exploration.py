"""Exploration: the draw that decides which predicted skips run anyway.

The same seed and names give the same number in every process, so that a
decision can be retraced; other names give another, independent of it.

>>> draw = exploration_draw(0, "my-pipeline", "run-17", "pre")
>>> 0 <= draw < 1, draw == exploration_draw(0, "my-pipeline", "run-17", "pre")
(True, True)
"""

from __future__ import annotations

import hashlib
import json

_BITS = 53  # as many as a float64 holds exactly


def run_draw(seed: int, pipeline: str, run: str, stage: str, *, moment_ms: int) -> float:
    """The draw of a run before a gate, the same for all Trainer nodes of the run.

    Args:
      seed: see ``exploration_draw``.
      pipeline, run: their names; a run without a name (it has not begun, or
        the runner does not tell) is drawn by the moment.
      stage: where the gate stands.
      moment_ms: of the decision, milliseconds since the epoch.
    """
    return exploration_draw(seed, pipeline, run or str(moment_ms), stage)


def exploration_draw(seed: int, *names: str) -> float:
    """A number drawn uniformly for these names.

    Args:
      seed: another one gives other draws for all names.
      names: what the draw is for: pipeline, run, stage. Their borders count:
        ("ab", "c") and ("a", "bc") are drawn apart.

    Returns:
      A number in [0, 1): the first 53 bits of the SHA-256 of seed and names.
    """
    text = json.dumps([seed, *names], ensure_ascii=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return float(int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / float(1 << _BITS)
