"""The Dockerfile, as far as it can be held to the repository without an engine."""

from __future__ import annotations

import re
import runpy
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
    """Whatever is installed is held to constraints.txt, which pins what is named."""
    pins = (ROOT / "constraints.txt").read_text()
    installs = [
        step.split()[2:]
        for name, rest in instructions()
        if name == "RUN"
        for step in rest.split("&&")
        if step.split()[:2] == ["pip", "install"]
    ]
    assert len(installs) == 2
    held = ["--no-cache-dir", "-c", "constraints.txt"]
    assert [words[:3] for words in installs] == [held, held]
    assert [name for name in installs[0][3:] if f"\n{name}==" not in pins] == []


def test_there_is_an_image_for_each_tfx() -> None:
    """A stage for each, the newest unless told, on a Python and a Debian that TFX runs on."""
    found = instructions()
    stages = dict(
        reversed(rest.split(" AS "))  # type: ignore[arg-type]
        for word, rest in found
        if word == "FROM" and " AS " in rest
    )
    assert stages == {
        "tfx-1.16": "python:3.10-slim-bookworm",
        "tfx-1.21": "python:3.12-slim-trixie",
    }
    assert ("ARG", "TFX=1.21") in found
    assert [rest for word, rest in found if word == "FROM"][-1] == "tfx-${TFX}"


def test_extras_that_are_installed_exist() -> None:
    """`.[...]` names extras of setup.py."""
    text = " ".join(rest for name, rest in instructions() if name == "RUN")
    [extras] = re.findall(r"\.\[([^\]]+)\]", text)
    assert set(extras.split(",")) <= set(setup_arguments()["extras_require"])  # type: ignore[call-overload]


@pytest.mark.tfx
@pytest.mark.long
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
