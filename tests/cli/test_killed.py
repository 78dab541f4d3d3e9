"""kill -9 at every step of what writes: the old is whole, the next call ends, nothing is left."""

from __future__ import annotations

import dataclasses
import itertools
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("ydf")
pytest.importorskip("matplotlib")

from tests.benchmarks.synthetic import StoreParameters
from tests.benchmarks.synthetic import write_store as write_synthetic
from tests.cli.killing import Runner, running
from tests.stores.archive.test_writing import history
from tests.stores.mlmd_files import write_store

Tree = dict[str, bytes]
KILLED = -9


@dataclasses.dataclass(frozen=True)
class Case:
    """A command that writes over what commands before it wrote.

    Attributes:
      before: commands; none where there is nothing yet.
      words: the command that is killed.
      steps: the least that it has.
    """

    before: tuple[str, ...]
    words: str
    steps: int

    def commands(self, places: dict[str, Path], output: Path) -> list[list[str]]:
        """The words of all commands, the last is the one to kill."""
        lines = (*self.before, self.words)
        return [[str(places.get(word, word)) for word in line.split()] + ["--output", str(output)]
                for line in lines]  # fmt: skip


CASES = {
    "archive": Case((), "archive FIVE", 60),
    "append": Case(("archive THREE",), "archive FIVE", 60),
    "replace": Case(("archive THREE",), "archive FIVE --replace", 60),
    "merge": Case(("archive THREE", "archive FIVE"), "archive FIVE --compact", 8),
    "train": Case(("train FLAT --stage pre --freshness 0.5",),
                  "train FLAT --stage pre --freshness 0.6", 20),
    "features": Case(("features FLAT --stage input",), "features FLAT --stage pre", 6),
    "report": Case(("report FLAT --no-replay",), "report FLAT --no-replay --price 2/h", 6),
    "study": Case(("study FLAT --stage input",), "study FLAT --stage pre", 12),
}  # fmt: skip
# They write as others of the cases do, or by what is tried at every step elsewhere.
LONG = {"archive", "replace", "report", "study"}
SUFFIX = {"features": ".parquet", "report": ".html"}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores: one as it was after three runs and after five, and one to learn from."""
    folder = tmp_path_factory.mktemp("stores")
    found = {"FLAT": folder / "flat.sqlite"}
    write_synthetic(found["FLAT"], StoreParameters(models=48, seed=1))
    for name, runs in (("THREE", 3), ("FIVE", 5)):
        found[name] = folder / name / "metadata.sqlite"
        for number in range(1, runs + 1):
            schema = folder / name / "schema" / str(number) / "schema.pbtxt"
            schema.parent.mkdir(parents=True)
            schema.write_text(f"schema {number // 2}", encoding="utf-8")
        write_store(found[name], history(runs).raw())
    return found


def tree(place: Path) -> Tree:
    """Every file at or below a place, and every folder that is empty."""
    if place.is_file():
        return {"": place.read_bytes()}
    return {
        path.relative_to(place).as_posix(): path.read_bytes() if path.is_file() else b"/"
        for path in place.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def is_whole(now: Tree, known: Tree) -> bool:
    """Whether all of what is known is there; more may be below an archive meanwhile."""
    manifest = known.get("manifest.json")
    if manifest is None or b'"tables"' not in manifest:
        return now == known
    return {name: now.get(name) for name in known} == known


@dataclasses.dataclass
class Tried:
    """A case with what it starts from and what it comes to."""

    run: Runner
    folder: Path
    target: Path
    words: list[str]
    old: Tree
    new: Tree

    def restore(self, saved: Path) -> None:
        """As it was before the command."""
        for path in self.target.parent.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if saved.is_dir():
            shutil.copytree(saved, self.target)
        elif saved.exists():
            shutil.copyfile(saved, self.target)

    def check_whole(self) -> None:
        """What is there is the old or the new, nothing between."""
        now = tree(self.target)
        assert is_whole(now, self.new) or (not self.old and not now) or is_whole(now, self.old), (
            sorted(now)
        )

    def check_next(self) -> None:
        """The next call ends well, with the same bytes, and leaves nothing else."""
        assert self.run(*self.words) == 0, self.folder.with_suffix(".log").read_text()[-2000:]
        assert tree(self.target) == self.new
        assert [path.name for path in self.target.parent.iterdir()] == [self.target.name]
        assert list((self.folder / "tmp").iterdir()) == []


def begun(
    name: str, places: dict[str, Path], run: Runner, folder: Path, *, here: bool
) -> tuple[Tried, Path]:
    """The case, and what was there before, saved; ``here`` as for ``Runner``."""
    target = folder / "out" / f"it{SUFFIX.get(name, '')}"
    target.parent.mkdir()
    *before, words = CASES[name].commands(places, target)
    for one in before:
        assert run(*one, here=here) == 0, folder.with_suffix(".log").read_text()[-2000:]
    saved, old = folder / "saved", tree(target)
    if target.is_dir():
        shutil.copytree(target, saved)
    elif target.exists():
        shutil.copyfile(target, saved)
    assert run(*words, here=here) == 0, folder.with_suffix(".log").read_text()[-2000:]
    return Tried(run, folder, target, words, old, tree(target)), saved


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    """Runs commands."""
    with running(tmp_path / "work") as runner:
        yield runner


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.long if one in LONG else ()) for one in sorted(CASES)],
)
def test_killed_at_any_step(
    name: str, places: dict[str, Path], run: Runner, tmp_path: Path
) -> None:
    """Before every file that is made, half written, synchronised, renamed or removed."""
    tried, saved = begun(name, places, run, tmp_path / "work", here=True)
    assert tried.old != tried.new
    for step in itertools.count(1):
        tried.restore(saved)
        code = tried.run(*tried.words, step=step)
        assert code in (0, KILLED)
        tried.check_whole()
        if code == 0:
            break
        tried.check_next()
    assert step > CASES[name].steps


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(CASES) - {"study", "merge", "replace"}))
def test_killed_at_random_moments(
    name: str, places: dict[str, Path], run: Runner, tmp_path: Path
) -> None:
    """Forty kills of each command, whatever it does just then; reading and computing, too."""
    tried, saved = begun(name, places, run, tmp_path / "work", here=False)
    start = time.monotonic()
    tried.restore(saved)
    tried.check_next()
    usual = time.monotonic() - start
    moments, killed = random.Random(name), 0
    for _ in range(400):  # a run that ends before its moment is none of the kills
        if tried.run(*tried.words, seconds=moments.uniform(0, usual)) != KILLED:
            tried.check_whole()
            tried.restore(saved)
            continue
        tried.check_whole()
        killed += 1
        if killed % 5 == 0:
            tried.check_next()
            tried.restore(saved)
        if killed == 40:
            break
    assert killed == 40
