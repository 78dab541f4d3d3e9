"""Do the nearest tests notice a change of the code? `make mutants`.

python -m tests.mutants [MODULE ...] [--sample N] [--seed S] [--line L]

Every mutant is a module with one change. Those that no test notices are printed as
rows of the table in docs/development.md; the exit code is 1 if one is not there.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.import_graph import PACKAGE, ROOT
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.running import run
from tests.mutants.targets import TARGETS, nearest_tests

# Loaded once, here: every mutant's process begins with them.
LOADED = ("numpy", "pyarrow", "ydf")
EXPLAINED = ROOT / "docs" / "development.md"


def row(module: str, mutant: Mutant) -> str:
    """The beginning of a survivor's row in the table of the document."""
    cells = (mutant.before.replace("|", "\\|"), mutant.after.replace("|", "\\|"))
    return f"| {module} | `{cells[0]}` | `{cells[1]}` |"


def survivors(module: str, sample: int, seed: int, line: int | None) -> tuple[int, list[Mutant]]:
    """How many mutants were tried, and those that every test passed."""
    path = ROOT.joinpath(*f"{PACKAGE}.{module}".split("."))
    path = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    mutants = mutants_of(path.read_text(encoding="utf-8"), sample=sample, seed=seed)
    if line is not None:
        mutants = [mutant for mutant in mutants if mutant.line == line]
    tests = nearest_tests(module)
    plain = run(f"{PACKAGE}.{module}", None, tests, 600.0)
    if not plain.passed:
        raise SystemExit(f"{module}: the tests fail without any mutant:\n{plain.output}")
    say(f"{module}: {len(mutants)} mutants; the tests take {plain.seconds:.1f} s")
    alive = []
    for number, mutant in enumerate(mutants, 1):
        outcome = run(f"{PACKAGE}.{module}", mutant.source, tests, 10 + 5 * plain.seconds)
        if outcome.passed:
            alive.append(mutant)
            say(f"  {number}/{len(mutants)} survives, {path.name}:{mutant.line}")
    return len(mutants), alive


def say(text: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TARGETS))
    parser.add_argument("--sample", type=int, default=0, help="mutants a module; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--line", type=int, help="mutants of this line alone")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.modules) - set(TARGETS))
    if unknown:
        parser.error(f"no tests are named for {', '.join(unknown)}; add them to targets.py")
    for name in LOADED:
        if importlib.util.find_spec(name):
            importlib.import_module(name)
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.is_file() else ""
    began, tried, left, unexplained = time.monotonic(), 0, 0, 0
    for module in options.modules or TARGETS:
        count, alive = survivors(module, options.sample, options.seed, options.line)
        tried, left = tried + count, left + len(alive)
        for mutant in alive:
            text = row(module, mutant)
            known = text in explained
            unexplained += not known
            print(text if known else f"{text} not explained |")
        print(f"{module}: {count - len(alive)} of {count} mutants were noticed", flush=True)
    share = (tried - left) / tried if tried else 1.0
    print(f"{tried - left} of {tried} ({share:.1%}); {unexplained} of {left} not explained")
    say(f"{time.monotonic() - began:.0f} s")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.path[:] = [str(ROOT), *(path for path in sys.path if Path(path) != Path(__file__).parent)]
    sys.exit(main())
