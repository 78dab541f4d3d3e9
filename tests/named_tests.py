"""Tests that a table names by their node ids: which of them are not there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection

from tests.import_graph import ROOT


def without_function(nodes: Collection[str]) -> list[str]:
    """Those whose file holds no test of that name; nothing is imported."""
    defined = {}
    for file in {node.partition("::")[0] for node in nodes}:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined[file] = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    return [
        node
        for node in sorted(nodes)
        if node.partition("::")[2].partition("[")[0] not in defined[node.partition("::")[0]]
    ]


def uncollected(nodes: Collection[str]) -> list[str]:
    """Those that pytest does not collect, with their parameters where they name them."""
    files = sorted({node.partition("::")[0] for node in nodes})
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    collected = {line.strip() for line in done.stdout.splitlines()}
    # Where the corpus of stores is not at hand its tests have no parameters.
    collected |= {line.partition("[")[0] for line in collected}
    return [node for node in sorted(nodes) if node not in collected]
