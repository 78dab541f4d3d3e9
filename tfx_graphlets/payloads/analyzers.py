"""Analyzers of a preprocessing_fn, as Transform's analyzer cache and its graph's assets tell them.

TFX's Transform puts out an ``updated_analyzer_cache`` unless its author turns that off: a
folder for each span with a ``MANIFEST``, a pickle of a mapping whose keys name what was worked
out over all of the data: ``__v1__3.10_VocabularyAccumulate[tokens#vocabulary]-...``. The keys
are read as words of the pickle, which is never loaded: loading one runs what its author likes.

Source: tensorflow_transform, ``beam/analyzer_cache.py`` and ``analyzer_nodes.py``.
"""

from __future__ import annotations

import pickletools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from tfx_graphlets.payloads.bounds import MAX_FEATURES, MAX_NAME, left_out
from tfx_graphlets.payloads.statistics import Payloads

MAX_MANIFEST: Final = 2**20  # bytes; a key takes about a hundred
_MANIFEST: Final = "MANIFEST"
_ASSETS: Final = "transform_fn/assets/"
_KEY: Final = re.compile(r"__v\d+__(?:\d+\.\d+_)?(\w+)\[([^\]]*)\]-")
_NUMBER: Final = re.compile(r"_\d+$")  # of the second in one scope


def analyzers(payloads: Payloads, uri: str) -> Mapping[str, int] | None:
    """Number of analyzers by kind, of a TransformCache artifact.

    The kind is the innermost scope that tensorflow_transform gives: ``vocabulary``,
    ``mean_and_var``, ``quantiles``, ``min_and_max``.

    Args:
      payloads: where the files are.
      uri: the artifact's URI.

    Returns:
      What every span's manifest names (older spans may also name what an earlier
      preprocessing_fn asked for), by kind, sorted; None where none can be read.
    """
    shared: set[str] | None = None
    for name in payloads.files(uri):
        if name.rpartition("/")[2] != _MANIFEST:
            continue
        content = payloads.read(uri, name)
        if content is None:
            continue
        try:
            found = _keys(content)
        except ValueError as error:
            left_out(name, uri, error)
            continue
        shared = found if shared is None else shared & found
    if shared is None:
        return None
    return dict(sorted(Counter(map(_kind, shared)).items()))


def vocabularies(payloads: Payloads, uri: str) -> int | None:
    """Number of vocabularies (assets) of a TransformGraph; None where its files are gone."""
    names = payloads.files(uri)
    return sum(name.startswith(_ASSETS) for name in names) if names else None


def _keys(manifest: bytes) -> set[str]:
    """The keys that a manifest names.

    Raises:
      ValueError: it is no pickle, is too large, or names too many.
    """
    if len(manifest) > MAX_MANIFEST:
        raise ValueError(f"a manifest of more than {MAX_MANIFEST:,} bytes")
    keys = set()
    for _, argument, _ in pickletools.genops(manifest):
        text = argument.decode("latin-1") if isinstance(argument, bytes) else argument
        if isinstance(text, str) and _KEY.match(text):
            keys.add(text)
    if len(keys) > MAX_FEATURES:
        raise ValueError(f"more than {MAX_FEATURES:,} analyzers")
    return keys


def _kind(key: str) -> str:
    found = _KEY.match(key)
    operation, scope = found.groups() if found else ("", "")
    return (_NUMBER.sub("", scope.rpartition("#")[2]) or operation)[:MAX_NAME]
