"""Resolves the `dev` extra of setup.py for each Python and writes constraints.txt.

Needs `uv` on the PATH and the network. Versions that constraints.txt already
pins are kept as long as they fit; `--upgrade` forgets them.

    python .ci/pin.py [--upgrade]
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.9", "3.10")
HEADER = """\
# What is tested together: every package of the environment, with its version, for Python
# 3.10 and 3.9. Written by `python .ci/pin.py`, which asks uv to resolve the `dev` extra of
# setup.py once for each Python; a pin without a marker holds on both.
# The list is complete, so `make env` installs it with `pip install --no-deps -r`: pip's
# own resolver takes very long over TFX. To hold an installation of your own to it:
#     pip install -c constraints.txt "tfx-graphlets[tfx]"
"""


def pins_for(text: str, python: str) -> list[str]:
    """The pins of a constraints text that hold on one Python, markers removed."""
    pins = []
    for line in text.splitlines():
        pin, _, marker = (part.strip() for part in line.partition(";"))
        on = re.fullmatch(r'python_version == "(.+)"', marker)
        if "==" in pin and not pin.startswith("#") and (not marker or (on and on[1] == python)):
            pins.append(pin)
    return pins


def resolve(python: str, kept: list[str], folder: pathlib.Path) -> list[str]:
    """The pins that uv resolves for one Python, those in `kept` preferred."""
    output = folder / f"{python}.txt"
    output.write_text("\n".join(kept) + "\n", encoding="utf-8")  # uv prefers what stands there
    subprocess.run(
        ["uv", "pip", "compile", "setup.py", "--extra", "dev", "--python-version", python,
         "--no-header", "--no-annotate", "--quiet", "--output-file", str(output)],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return pins_for(output.read_text(encoding="utf-8"), python)


def merge(resolved: dict[str, list[str]]) -> str:
    """One text of all pins, in order of name, with markers where the Pythons differ."""
    lines = []
    pins_anywhere = {pin for pins in resolved.values() for pin in pins}
    for pin in sorted(pins_anywhere, key=lambda pin: pin.split("==")):
        on = [python for python, pins in resolved.items() if pin in pins]
        if len(on) == len(resolved):
            lines.append(pin)
        else:
            lines.extend(f'{pin} ; python_version == "{python}"' for python in on)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes constraints.txt anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="forget the versions pinned now")
    arguments = parser.parse_args()
    old = "" if arguments.upgrade or not CONSTRAINTS.exists() else CONSTRAINTS.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        resolved = {python: resolve(python, pins_for(old, python), folder) for python in PYTHONS}
    partial = CONSTRAINTS.with_suffix(".partial")
    partial.write_text(HEADER + merge(resolved), encoding="utf-8")
    partial.replace(CONSTRAINTS)


if __name__ == "__main__":
    main()
