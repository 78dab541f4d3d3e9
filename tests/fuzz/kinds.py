"""The kinds of input, each with what makes it: of stores, archives, models, payloads and URIs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.fuzz import inputs, sealed, uris

KINDS: Final[Mapping[str, Callable[[random.Random, Path], inputs.Trials]]] = {
    "store": inputs.store,
    "schema": inputs.schema,
    "archive": inputs.archive,
    "sealed_archive": sealed.archive,
    "model": inputs.waste_model,
    "sealed_model": sealed.waste_model,
    "changed": sealed.changed,
    "payload": inputs.payload,
    "message": inputs.message,
    "uri": uris.uri,
    "place": uris.place,
}
