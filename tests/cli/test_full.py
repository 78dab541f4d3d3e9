"""Real limits: a full disk, `ulimit -f`, another user's folder, a full standard output.

One line says so, what was there before is whole, and nothing is left lying about.
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("ydf")
pytest.importorskip("jinja2")

from tests.cli.test_killed import CASES, SUFFIX, is_whole, places, tree
from tests.import_graph import ROOT
from tests.limits import fill, needs_root, small_disk
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli import command, main
from tfx_graphlets.testing import TraceBuilder

__all__ = ["places"]  # a fixture
SOME = ("append", "train")
NAMES = (
    *SOME,
    *(pytest.param(name, marks=pytest.mark.long) for name in ("archive", "features", "report")),
)
NOBODY = pwd.getpwnam("nobody")


# Nobody may not read this interpreter's files: what a command imports is imported before.
AS_NOBODY = (
    "-c",
    f"""
import encodings.cp1252, encodings.unicode_escape, os, pyarrow.compute, pydoc, sys
from tests.cli.killing import import_what_commands_import
from tfx_graphlets.cli import main
import_what_commands_import()
os.setgroups([])
os.setgid({NOBODY.pw_gid})
os.setuid({NOBODY.pw_uid})
code = main(sys.argv[1:])
sys.stdout.flush()
os._exit(code)
""",
)


def run(
    words: list[str], program: Sequence[str] = ("-m", "tfx_graphlets"), **more: object
) -> subprocess.CompletedProcess[str]:
    """A command as a process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.update(more.pop("environment", {}))  # type: ignore[call-overload]
    return subprocess.run(
        [sys.executable, "-W", "ignore", *program, *words],
        cwd=ROOT, env=environment, text=True, check=False, timeout=300,
        **{"capture_output": True, **more},
    )  # type: ignore[call-overload,no-any-return] # fmt: skip


def begun(name: str, places: dict[str, Path], folder: Path) -> tuple[list[str], Path]:
    """The words of a command, and its target, where the commands before it have written."""
    target = folder / f"it{SUFFIX.get(name, '')}"
    *before, words = CASES[name].commands(places, target)
    for one in before:
        assert run(one).returncode == 0
    return words, target


def check_refused(
    done: subprocess.CompletedProcess[str], said: str, target: Path, old: dict[str, bytes]
) -> None:
    """One line, the old is whole, and nothing else is beside it or in it."""
    assert done.returncode == 1, (done.returncode, done.stderr[-2000:])
    [line] = done.stderr.splitlines()
    assert line.startswith("tfx-graphlets: ")
    assert said in line
    now = tree(target) if target.exists() else {}
    assert is_whole(now, old)
    assert set(now) == set(old)
    assert {path.name for path in target.parent.iterdir()} <= {target.name, "filler"}


@needs_root
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk(name: str, places: dict[str, Path]) -> None:
    """With room again the same command ends well."""
    with small_disk() as folder:
        words, target = begun(name, places, folder)
        old = tree(target) if target.exists() else {}
        filler = fill(folder)
        check_refused(run(words), "No space left", target, old)
        filler.unlink()
        assert run(words).returncode == 0
        assert not is_whole(tree(target), old) or not old


@needs_root
def test_a_full_disk_for_temporary_files(places: dict[str, Path], tmp_path: Path) -> None:
    """YDF ends its process where it cannot write: the room is looked at before."""
    with small_disk() as folder:
        words, target = begun("train", places, tmp_path)
        old = tree(target)
        filler = fill(folder)
        os.truncate(filler, filler.stat().st_size - 65_536)  # Python finds it good enough
        check_refused(run(words, environment={"TMPDIR": str(folder)}), "No space left", target, old)
        assert [path.name for path in folder.iterdir()] == ["filler"]


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_of_the_size_of_files(name: str, places: dict[str, Path], tmp_path: Path) -> None:
    """`ulimit -f`."""
    words, target = begun(name, places, tmp_path)
    old = tree(target) if target.exists() else {}
    limit = 400 if name in ("archive", "append") else 4096

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    check_refused(run(words, preexec_fn=limited), "too large", target, old)


@needs_root
@pytest.mark.parametrize("name", NAMES)
def test_no_rights(name: str, places: dict[str, Path]) -> None:
    """Another user's folder."""
    with tempfile.TemporaryDirectory() as place:
        stores = {key: Path(place) / key / path.name for key, path in places.items()}
        for key, path in places.items():
            if key == "FLAT":
                stores[key].parent.mkdir()
                shutil.copy(path, stores[key])
            else:
                shutil.copytree(path.parent, stores[key].parent)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        folder = Path(place) / "out"
        folder.mkdir()
        words, target = begun(name, stores, folder)
        old = tree(target) if target.exists() else {}
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        check_refused(run(words, program=AS_NOBODY), "Permission denied", target, old)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shown", ["table", "json"])
def test_a_full_standard_output(
    name: str, shown: str, places: dict[str, Path], tmp_path: Path
) -> None:
    """One line on standard error; what was to be written is written."""
    words, target = begun(name, places, tmp_path)
    old = tree(target) if target.exists() else {}
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = run([*words, "--format", shown], capture_output=False, stdout=full,
                   stderr=subprocess.PIPE)  # fmt: skip
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == "tfx-graphlets: standard output cannot be written: No space left on device"
    assert tree(target) != old
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


FULL_OUTPUT = "tfx-graphlets: standard output cannot be written: No space left on device\n"
CLOSED_OUTPUT = "tfx-graphlets: standard output cannot be written: Bad file descriptor\n"
PROCESS = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["segment", "--help"]])
def test_help_into_a_full_standard_output(words: list[str]) -> None:
    """One line, as of any other words."""
    program = [sys.executable, "-W", "ignore", "-m", "tfx_graphlets", *words]
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = subprocess.run(
            program, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=PROCESS
        )
    assert done.returncode == 1
    assert done.stderr == FULL_OUTPUT


@pytest.mark.parametrize("shown", ["table", "json"])
@pytest.mark.parametrize(
    ("closed", "said"),
    [
        (">&-", CLOSED_OUTPUT),
        ("2>&-", ""),
    ],
)
def test_a_closed_stream(closed: str, said: str, shown: str, tmp_path: Path) -> None:
    """One line where there is somewhere to write it, and the exit code all the same."""
    store = tmp_path / "store.sqlite"
    build = TraceBuilder()
    build.execution("Trainer", run="r")
    write_store(store, build.raw())
    program = f"{sys.executable} -W ignore -m tfx_graphlets segment"
    for place, code in ((store, 1 if said else 0), (tmp_path / "none", 1)):
        line = f"{program} {place} --format {shown} {closed}"
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=PROCESS,
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr
        if place == store:
            assert done.stderr == said


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    """A folder may be called anything: tables and archives are written and read there."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    build = TraceBuilder()
    build.execution("Trainer", run="r")
    store = str(write_store(folder / "store.sqlite", build.raw()))
    kept = str(folder / "kept")
    for words in (
        ["features", store, "--stage", "pre", "--output", str(folder / "table.parquet")],
        ["archive", store, "--output", kept],
        ["segment", kept],
        ["archive", store, "--output", kept],
    ):
        assert main(words) == 0


@pytest.mark.parametrize(
    "error", [MemoryError(), ImportError("libarrow.so: failed to map segment from shared object")]
)
def test_too_little_memory(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, whether Python or the loader of libraries finds none (`ulimit -v`)."""

    def starved(_: object) -> None:
        raise error

    monkeypatch.setitem(command.COMMANDS, "segment", starved)  # type: ignore[arg-type]
    assert main(["segment", "store.sqlite"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tfx-graphlets: there is not enough memory ({type(error).__name__}")
