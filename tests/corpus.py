"""Finds the stores that other people's pipelines wrote, where they are at hand.

They lie outside the repository; what needs them is skipped without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of stores is not here")


def public_stores() -> list[Path]:
    """The stores of public repositories, by name; none without the corpus."""
    return sorted((CORPUS / "public").glob("*.sqlite"))


def real_runs() -> list[Path]:
    """The stores of recorded continuous training, by name."""
    return sorted((CORPUS / "real_runs").glob("*/metadata.sqlite"))


def catalog() -> dict[str, dict[str, Any]]:
    """What is known of each public store, by file name."""
    file = CORPUS / "public" / "catalog.json"
    if not file.is_file():
        return {}
    return {entry["file"]: entry for entry in json.loads(file.read_text(encoding="utf-8"))}


CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def case_store(name: str) -> Path:
    """The store of a situation that people build; skips the test where it is not at hand."""
    path = CASES / name / "store.sqlite"
    if not path.is_file():
        pytest.skip(f"the case {name} is not here")
    return path
