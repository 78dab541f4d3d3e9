"""The component Rehearsal: a cheap try between a first gate and a second one.

``tfx_graphlets.Rehearsal`` is the artifact type, which Kubeflow imports by that path.
"""

from __future__ import annotations

from tfx_graphlets.components.rehearsal.component import Rehearsal

__all__ = ["Rehearsal"]
