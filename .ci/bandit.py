"""Holds bandit's findings to the table of docs/development.md: a new one fails, or one gone.

python .ci/bandit.py
"""

from __future__ import annotations

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "development.md"
ROW = re.compile(r"^\| `(tfx_graphlets/\S+\.py)` \| (B\d+) \| (\d+) \|", re.MULTILINE)


def found() -> dict[tuple[str, str], int]:
    """Number of findings in the package by file and code."""
    command = [sys.executable, "-m", "bandit", "-q", "-r", "tfx_graphlets", "-f", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: there are findings
        sys.exit(f"bandit.py: bandit failed: {done.stderr.strip()[-500:]}")
    document = json.loads(done.stdout)
    if document["errors"]:
        sys.exit(f"bandit.py: bandit could not read all: {document['errors']}")
    return dict(
        collections.Counter((one["filename"], one["test_id"]) for one in document["results"])
    )


def justified(text: str) -> dict[tuple[str, str], int]:
    """Number of findings that the table justifies, by file and code."""
    return {(file, code): int(number) for file, code, number in ROW.findall(text)}


def main() -> int:
    """Prints what differs."""
    known, now = justified(TABLE.read_text(encoding="utf-8")), found()
    for key in sorted({*known, *now}):
        if known.get(key, 0) != now.get(key, 0):
            sys.stdout.write(
                f"{key[0]}: bandit finds {key[1]} {now.get(key, 0)} times, and docs/development.md "
                f"justifies {known.get(key, 0)}: mend it, or say why it is none\n"
            )
    return int(known != now)


if __name__ == "__main__":
    sys.exit(main())
