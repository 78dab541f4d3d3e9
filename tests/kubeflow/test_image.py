"""The Dockerfile, as far as it can be held to the repository without an engine."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from unittest import mock

import pytest

from tests.import_graph import ROOT

DOCKERFILE = ROOT / "pipelines" / "kubeflow" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def setup_arguments() -> dict[str, object]:
    """What setup.py passes to setuptools."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return dict(setup.call_args.kwargs)


def test_everything_that_is_copied_exists() -> None:
    """The sources of each COPY are files of the repository."""
    copied = [
        source for word, rest in instructions() if word == "COPY" for source in rest.split()[:-1]
    ]
    assert {"constraints.txt", "setup.py", "tfx_graphlets"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_setup_needs_nothing_that_is_not_copied() -> None:
    """setup.py runs on the copied files alone."""
    copied = {
        source for word, rest in instructions() if word == "COPY" for source in rest.split()[:-1]
    }
    read = re.findall(r'HERE / "([^"]+)"', (ROOT / "setup.py").read_text())
    assert {name.partition("/")[0] for name in read} <= copied


def test_versions_are_the_pinned_ones() -> None:
    """Each version that is named stands in constraints.txt, and Python is a supported one."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    named = [
        word
        for name, rest in instructions()
        if name == "RUN"
        for word in shlex.split(rest)
        if "==" in word
    ]
    assert len(named) == 4
    assert [pin for pin in named if not any(line.split(" ;")[0] == pin for line in pins)] == []
    [base] = [rest for name, rest in instructions() if name == "FROM"]
    assert base.startswith("python:3.10-")


def test_extras_that_are_installed_exist() -> None:
    """`.[...]` names extras of setup.py."""
    text = " ".join(rest for name, rest in instructions() if name == "RUN")
    [extras] = re.findall(r"\.\[([^\]]+)\]", text)
    assert set(extras.split(",")) <= set(setup_arguments()["extras_require"])  # type: ignore[call-overload]


@pytest.mark.tfx
def test_the_checks_of_the_build_pass_here() -> None:
    """The image's own tests import the type that gated containers import, and what upkeep runs."""
    checks = re.findall(r'python -c "([^"]+)"', DOCKERFILE.read_text())
    assert len(checks) == 2
    for check in checks:
        subprocess.run([sys.executable, "-W", "ignore", "-c", check], cwd=ROOT, check=True)


def test_the_upkeep_pipeline_is_in_the_image() -> None:
    """Its containers import `pipelines.upkeep`: the package is copied to where Python looks."""
    found = instructions()
    [work] = [rest for word, rest in found if word == "WORKDIR"][:1]
    assert ("COPY", "pipelines ./pipelines") in found
    assert ("ENV", f"PYTHONPATH={work}") in found
