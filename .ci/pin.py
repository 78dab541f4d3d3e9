"""Resolves the `dev` extra of setup.py for each Python and writes constraints.txt.

Needs `uv` (on the PATH, or where `make env` put it) and the network. Versions that
constraints.txt already pins are kept as long as they fit; `--upgrade` forgets them.

    python .ci/pin.py [--upgrade]
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
# The Pythons of each TFX, and the C library that its wheels are resolved for: those of
# TFX 1.21 ask for a newer one than the machine that resolves them may have.
PAIRS = {
    "1.16": (("3.9", "3.10"), "x86_64-manylinux_2_28"),
    "1.21": (("3.11", "3.12", "3.13"), "x86_64-manylinux_2_39"),
}
MARKERS = {"1.16": 'python_version < "3.11"', "1.21": 'python_version >= "3.11"'}
HEADER = """\
# What is tested together: every package of the environment, with its version, for TFX 1.16 on
# Python 3.9 and 3.10, and for TFX 1.21 on Python 3.11, 3.12 and 3.13. Written by
# `python .ci/pin.py`, which asks uv to resolve the `dev` extra of setup.py once for each Python;
# a pin without a marker holds on all.
# The list is complete, so `make env` installs it with `--no-deps`. To hold an installation of
# your own to it:
#     pip install -c constraints.txt "tfx-graphlets[tfx]"
"""


def holds(marker: str, python: str) -> bool:
    """Whether a marker of constraints.txt, or none, lets a pin stand for a Python."""
    if not marker:
        return True
    found = re.fullmatch(r'python_version (==|<|>=) "3\.(\d+)"', marker)
    if found is None:
        raise ValueError(
            f"constraints.txt: marker {marker!r} is none that pin.py writes; "
            'name Pythons as in python_version == "3.10"'
        )
    minor, named = int(python.partition(".")[2]), int(found[2])
    return {"==": minor == named, "<": minor < named, ">=": minor >= named}[found[1]]


def pins_for(text: str, python: str) -> list[str]:
    """The pins of a constraints text that hold on one Python, markers removed."""
    pins = []
    for line in text.splitlines():
        pin, _, marker = (part.strip() for part in line.partition(";"))
        if "==" in pin and not pin.startswith("#") and holds(marker, python):
            pins.append(pin)
    return pins


def uv() -> str:
    """The uv on the PATH, or the one that `make env` fetched."""
    found = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".cache" / "uv" / "bin"))
    if found is None:
        sys.exit("pin.py: uv is not installed; `pip install uv`, then try again")
    return found


def resolve(python: str, platform: str, kept: list[str], folder: pathlib.Path) -> list[str]:
    """The pins that uv resolves for one Python, those in `kept` preferred."""
    output = folder / f"{python}.txt"
    output.write_text("\n".join(kept) + "\n", encoding="utf-8")  # uv prefers what stands there
    command = [uv(), "pip", "compile", "setup.py", "--extra", "dev", "--no-header", "--no-annotate"]
    options = ["--python-version", python, "--python-platform", platform, "--quiet"]
    subprocess.run(
        [*command, *options, "--output-file", str(output)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return pins_for(output.read_text(encoding="utf-8"), python)


def merge(resolved: dict[str, list[str]]) -> str:
    """One text of all pins, in order of name, with markers where the Pythons differ."""
    lines = []
    pins_anywhere = {pin for pins in resolved.values() for pin in pins}
    for pin in sorted(pins_anywhere, key=lambda pin: pin.split("==")):
        on = {python for python, pins in resolved.items() if pin in pins}
        if len(on) == len(resolved):
            lines.append(pin)
            continue
        for tfx, (pythons, _) in PAIRS.items():
            if on.issuperset(pythons):
                lines.append(f"{pin} ; {MARKERS[tfx]}")
            else:
                lines += [f'{pin} ; python_version == "{one}"' for one in pythons if one in on]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes constraints.txt anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="forget the versions pinned now")
    arguments = parser.parse_args()
    old = "" if arguments.upgrade or not CONSTRAINTS.exists() else CONSTRAINTS.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        resolved = {
            python: resolve(python, platform, pins_for(old, python), folder)
            for pythons, platform in PAIRS.values()
            for python in pythons
        }
    partial = CONSTRAINTS.with_suffix(".partial")
    partial.write_text(HEADER + merge(resolved), encoding="utf-8")
    partial.replace(CONSTRAINTS)


if __name__ == "__main__":
    main()
