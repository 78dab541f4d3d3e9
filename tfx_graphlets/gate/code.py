"""Hashes of the code that a node will run, taken before anything runs.

TFX packs a module file into a wheel and names it by a hash of the Python files in
the file's folder (``module_path``); that hash is taken over. A file that is not
packed is hashed in the same way. Code that is named by an import path (``run_fn``
and the like, as TFX's taxi template does) leaves no hash in the store: then the
sources of the package that the module lies in are hashed here, and GraphletGen
records the hash. What is imported is never run.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from tfx_graphlets.features.user_code import code_hash, joined_hash
from tfx_graphlets.vocabulary import PropertyName

# Execution properties of Transform, Tuner and Trainer that hold the import path of a function.
FUNCTIONS: Final = (
    PropertyName.RUN_FN,
    "trainer_fn",
    "tuner_fn",
    "preprocessing_fn",
    "stats_options_updater_fn",
)
# A package of more than this is hashed by the folder of the module alone.
_MOST_FILES: Final = 2_000
_MOST_BYTES: Final = 50_000_000


def hash_of_properties(properties: Mapping[str, object]) -> str:
    """Hash of the code that a node's execution properties name.

    Args:
      properties: by key; what is no text (a RuntimeParameter) is passed over.

    Returns:
      The hash in hexadecimal digits; "" where no code is named, or it is not
      within reach of this process.
    """
    text = {key: value for key, value in properties.items() if isinstance(value, str) and value}
    packed = code_hash(text.get(PropertyName.MODULE_PATH, ""))
    if packed:
        return packed
    if PropertyName.MODULE_FILE in text:
        return hash_of_place(text[PropertyName.MODULE_FILE])
    return joined_hash(
        found for key in FUNCTIONS if key in text and (found := hash_of_place(text[key]))
    )


def hash_of_place(place: str) -> str:
    """Hash of the code at a place: a module file, or the import path of a function.

    Args:
      place: ``folder/module.py``, or ``package.module.function``.

    Returns: as ``hash_of_properties``.
    """
    if place.endswith(".py"):
        file = Path(place)
        return _hash_of_files(file.parent, file.parent.glob("*.py")) if file.is_file() else ""
    module = place.rpartition(".")[0]
    found = _sources(module) if module else None
    if found is None:
        return ""
    return hashlib.sha256(f"{place} {_hash_of_files(*found)}".encode()).hexdigest()


def _sources(module: str) -> tuple[Path, list[Path]] | None:
    """Folder and source files of the package that a module lies in; None if it is not found.

    Of a module in no package, itself. No ``__init__`` is run: names are looked up one by one.
    """
    search: list[str] | None = None
    top: Path | None = None
    origin: str | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, sys.path if search is None else search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or ())
        origin = spec.origin
        if top is None and search:
            top = Path(search[0])
    if origin is None and not search:
        return None
    file = Path(origin or search[0])  # type: ignore[index]
    if top is None:
        return file.parent, [file]
    files = sorted(top.rglob("*.py"))
    if len(files) > _MOST_FILES or sum(one.stat().st_size for one in files) > _MOST_BYTES:
        top = file.parent if file.suffix else file
        files = sorted(top.glob("*.py"))
    return top, files


def _hash_of_files(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 of names and contents, as TFX makes it of the files that it packs into a wheel."""
    content = hashlib.sha256()
    for name, file in sorted((file.relative_to(folder).as_posix(), file) for file in files):
        for part in (os.fsencode(name), file.read_bytes()):
            content.update(struct.pack(">Q", len(part)))
            content.update(part)
    return content.hexdigest()
