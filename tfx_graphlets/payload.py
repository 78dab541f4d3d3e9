"""Payloads: the files that an artifact's URI points to, where they still exist.

A store keeps only the place of statistics, anomalies, schemas and metrics. The
readers in ``provenance`` implement ``Payloads``; the decoders here turn the
bytes into plain values. A payload that is gone is missing, never an error.
"""

from __future__ import annotations

from typing import Protocol


class Payloads(Protocol):
    """Reads files below artifact URIs."""

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``, relative to it, sorted.

        Returns: for example ``("Split-train/FeatureStats.pb",)``; empty where
          the place does not exist or cannot be read.
        """
        ...

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of the file ``name`` below ``uri``; None where there is none."""
        ...


class NoPayloads:
    """Payloads of a store whose files are not at hand: every one is missing."""

    def files(self, uri: str) -> tuple[str, ...]:
        """Always empty."""
        del uri
        return ()

    def read(self, uri: str, name: str) -> bytes | None:
        """Always None."""
        del uri, name
        return None
