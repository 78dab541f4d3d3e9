"""The release's version; imports nothing, so that every layer may name it."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
