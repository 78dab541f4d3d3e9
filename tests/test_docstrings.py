"""The examples in the documentation strings are executed."""

from __future__ import annotations

import doctest
import importlib
import inspect

import pytest

import tfx_graphlets
from tests.import_graph import PACKAGE, ROOT, module_name, python_files

NEEDS_TFX = (f"{PACKAGE}.components", f"{PACKAGE}.beam", "pipelines")
NEEDS = {f"{PACKAGE}.waste_model.training": "ydf", f"{PACKAGE}.components.kubeflow": "kfp"}
MODULES = [
    pytest.param(
        module_name(path), marks=[pytest.mark.tfx] * module_name(path).startswith(NEEDS_TFX)
    )
    for path in python_files(PACKAGE, "pipelines", "tests")
    if ">>> " in path.read_text(encoding="utf-8") and path != ROOT / "tests" / "test_docstrings.py"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str) -> None:
    """Each example in the module's documentation strings gives what is written below it."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.tfx
def test_every_public_name_has_an_example() -> None:
    """Each name of the package's table of contents shows how it is used, or what it raises."""
    without = [
        name
        for name in tfx_graphlets.__all__
        if name != "__version__"
        and ">>> " not in (inspect.getdoc(getattr(tfx_graphlets, name)) or "")
    ]
    assert without == []
