"""What `make env` does on machines of many kinds, played with stand-ins and without a network."""

from __future__ import annotations

import dataclasses
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.import_graph import ROOT

TOOLS = (
    "awk", "cat", "chmod", "cksum", "cp", "cut", "dirname", "grep", "ln", "make", "mkdir", "mv",
    "readlink", "rm", "sed", "sh", "sort", "uname",
)  # fmt: skip

# A Python as far as the scripts can tell: it knows its version, makes an
# environment that holds a copy of itself, and has a pip. It logs each call.
PYTHON = """#!{sh}
echo "${{0##*/}} $*" >>"{log}"
case "$1 ${{2:-}}" in
  *'raise SystemExit'*) [ {usable} = yes ] && echo "$0" || exit 1 ;;
  '-c '*'print("%d.%d"'*) echo {minor} ;;
  '-m venv') mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  '-m pip') case "$*" in
    *--target*) {fetch} ;;
    *'-r .cache/pins-'*) [ ! -e "{broken}" ] || exit 1 ;;
  esac ;;
esac
"""
UV = """#!{sh}
echo "uv $*" >>"{log}"
case "$*" in
  'python install 3.10') [ {downloads} = yes ] && : >"{got}" ;;
  'python find'*3.10) [ -e "{got}" ] && echo "{python}" ;;
  --version | 'pip install '*) [ {installs} = yes ] ;;
  *) exit 2 ;;
esac
"""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A made-up machine: a PATH with nothing but the tools and what a test puts there."""

    folder: Path

    @property
    def log(self) -> Path:
        """Calls of the stand-ins, a line each."""
        return self.folder / "log"

    @property
    def broken_network(self) -> Path:
        """While this file exists, installing packages fails."""
        return self.folder / "broken"

    def put_python(
        self, where: str, *, usable: bool = True, fetch: str = "exit 1", minor: str = "3.9"
    ) -> Path:
        """Puts a Python at a path below the machine's folder; an unusable one always fails."""
        path = self.folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        text = PYTHON.format(
            sh=shutil.which("sh"), log=self.log, usable="yes" if usable else "no",
            broken=self.broken_network, fetch=fetch, minor=minor,
        )  # fmt: skip
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def put_uv(self, where: str = "bin/uv", *, downloads: bool, installs: bool = False) -> Path:
        """Puts a uv that knows no Python until it is asked to install one."""
        path = self.folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        python = self.put_python("uv_pythons/bin/python3.10")
        text = UV.format(
            sh=shutil.which("sh"), log=self.log, downloads="yes" if downloads else "no",
            got=self.folder / "got", python=python, installs="yes" if installs else "no",
        )  # fmt: skip
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    def put_c_library(self, version: str) -> None:
        """Says which glibc the machine has, and that its libstdc++ is the newest."""
        library = self.folder / "libstdc++.so.6"
        library.write_text("GLIBCXX_3.4.32", encoding="utf-8")
        for name, line in {
            "getconf": f"glibc {version}",
            "ldconfig": f"\tlibstdc++.so.6 (libc6,x86-64) => {library}",
        }.items():
            tool = self.folder / "bin" / name
            tool.write_text(f'#!{shutil.which("sh")}\necho "{line}"\n', encoding="utf-8")
            tool.chmod(0o755)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the checkout with the machine's PATH, home, and no other variable."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{self.folder / 'more'}",
            "HOME": str(self.folder / "home"),
            **variables,
        }
        return subprocess.run(
            command, cwd=self.folder / "checkout", env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def find(self, **variables: str) -> str:
        """What the finder prints; it has to succeed."""
        process = self.run("sh", ".ci/find_python.sh", **variables)
        assert process.returncode == 0, process.stderr
        assert process.stdout.strip() in process.stderr, "says which one it took"
        return process.stdout.strip()

    def calls(self) -> list[str]:
        """What was called since the last time."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a checkout and no Python."""
    for folder in ("bin", "more", "home", "checkout"):
        (tmp_path / folder).mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"the test needs {tool}"
        (tmp_path / "bin" / tool).symlink_to(found)
    shutil.copytree(ROOT / ".ci", tmp_path / "checkout" / ".ci")
    for name in ("Makefile", "constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, tmp_path / "checkout" / name)
    return Machine(tmp_path)


def test_a_python_on_the_path_comes_before_those_of_pyenv(machine: Machine) -> None:
    """A python3.10 that runs is taken from the PATH, though pyenv has one too."""
    machine.put_python("home/.pyenv/versions/3.10.13/bin/python")
    expected = machine.put_python("more/python3.10")
    assert machine.find() == str(expected)


def test_a_shim_that_fails_is_passed_over(machine: Machine) -> None:
    """A python3.10 that does not run, like a shim, does not hide one further on."""
    machine.put_python("bin/python3.10", usable=False)
    expected = machine.put_python("more/python3.10")
    assert machine.find() == str(expected)


def test_python_3_10_is_preferred_to_3_9(machine: Machine) -> None:
    """Python 3.9 is taken only when no 3.10 is on the PATH."""
    older = machine.put_python("bin/python3.9")
    assert machine.find() == str(older)
    newer = machine.put_python("more/python3.10")
    assert machine.find() == str(newer)


def test_the_default_python_is_taken_if_tfx_supports_it(machine: Machine) -> None:
    """A python3 of a supported version is enough."""
    expected = machine.put_python("bin/python3")
    assert machine.find() == str(expected)


def test_the_highest_patch_of_pyenv_is_taken(machine: Machine) -> None:
    """Of pyenv's 3.10 versions the highest that runs is taken, 13 being higher than 9."""
    machine.put_python("bin/python3.10", usable=False)
    machine.put_python("home/.pyenv/versions/3.10.14/bin/python", usable=False)
    expected = machine.put_python("home/.pyenv/versions/3.10.13/bin/python")
    machine.put_python("home/.pyenv/versions/3.10.9/bin/python")
    machine.put_python("home/.pyenv/versions/3.9.18/bin/python")
    assert machine.find() == str(expected)


def test_pyenv_root_says_where_pyenv_is(machine: Machine) -> None:
    """PYENV_ROOT, or else what `pyenv root` prints, is where the versions lie."""
    expected = machine.put_python("elsewhere/versions/3.9.18/bin/python")
    root = machine.folder / "elsewhere"
    assert machine.find(PYENV_ROOT=str(root)) == str(expected)
    pyenv = machine.folder / "bin" / "pyenv"
    pyenv.write_text(f'#!{shutil.which("sh")}\necho "{root}"\n', encoding="utf-8")
    pyenv.chmod(0o755)
    assert machine.find() == str(expected)


@pytest.mark.parametrize("where", ["bin/uv", "home/.local/bin/uv"])
def test_uv_downloads_a_python_if_there_is_none(machine: Machine, where: str) -> None:
    """Without any suitable Python uv is asked for one that it has, and then to download one."""
    machine.put_uv(where, downloads=True)
    expected = machine.folder / "uv_pythons" / "bin" / "python3.10"
    assert machine.find() == str(expected)
    assert "uv python install 3.10" in machine.calls()
    assert machine.find() == str(expected)
    assert "uv python install 3.10" not in machine.calls()


def test_uv_itself_is_fetched_with_pip(machine: Machine) -> None:
    """Where uv is missing too, any python3 with pip fetches it into .cache, once."""
    uv = machine.put_uv("store/uv", downloads=True)
    target = machine.folder / "checkout" / ".cache" / "uv" / "bin"
    machine.put_python(
        "bin/python3", usable=False, fetch=f'mkdir -p "{target}" && cp "{uv}" "{target}"'
    )
    expected = machine.folder / "uv_pythons" / "bin" / "python3.10"
    assert machine.find() == str(expected)
    assert any("pip install" in call for call in machine.calls())
    assert machine.find() == str(expected)
    assert not any("pip install" in call for call in machine.calls())


@pytest.mark.parametrize("uv", [None, False], ids=["no uv", "uv without a network"])
def test_no_python_at_all_is_one_clear_sentence(machine: Machine, uv: bool | None) -> None:
    """With nothing to be found or fetched the last line says what is missing and what to do."""
    machine.put_python("bin/python3.10", usable=False)
    if uv is not None:
        machine.put_uv(downloads=uv)
    process = machine.run("sh", ".ci/find_python.sh")
    assert process.returncode == 1
    assert process.stdout == ""
    last = process.stderr.splitlines()[-1]
    assert last.startswith("find_python: no Python 3.10 or 3.9 runs on the PATH or under ")
    assert "install Python 3.10" in last
    assert "uv" in last


def test_a_named_python_is_taken_or_refused(machine: Machine) -> None:
    """PYTHON=... comes before everything; if it does not do, nothing else is tried."""
    machine.put_python("bin/python3.10")
    named = machine.put_python("named/python")
    assert machine.find(PYTHON=str(named)) == str(named)
    refused = machine.run("sh", ".ci/find_python.sh", PYTHON="no-such-python")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "PYTHON=no-such-python is not a Python 3.10 or 3.9" in refused.stderr


def test_a_second_make_has_nothing_to_do(machine: Machine) -> None:
    """The environment is made once; it is brought up to date when the pins change."""
    machine.put_python("bin/python3.10")
    first = machine.run("make", "env")
    assert first.returncode == 0, first.stderr
    assert "python3.10 -m venv --clear .venv-1.16" in machine.calls()
    assert machine.run("make", "env").returncode == 0
    assert machine.calls() == []
    with (machine.folder / "checkout" / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("another==1.0\n")
    assert machine.run("make", "env").returncode == 0
    calls = machine.calls()
    assert any(call.endswith("-r .cache/pins-1.16.txt") for call in calls)
    assert not any("-m venv" in call for call in calls)


def test_the_pins_are_those_of_the_python_that_was_found(machine: Machine) -> None:
    """What is installed is what constraints.txt pins for that Python, each package once."""
    machine.put_python("bin/python3.9")
    assert machine.run("make", "env").returncode == 0
    pins = (machine.folder / "checkout" / ".cache" / "pins-1.16.txt").read_text(encoding="utf-8")
    names = [line.split("==")[0] for line in pins.splitlines()]
    assert len(names) == len(set(names)) > 200
    assert {"tfx", "numpy", "pytest"} <= set(names)
    both = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pytest_pins = [line for line in both if line.startswith("pytest==")]
    older = next(line for line in pytest_pins if line.endswith('"3.9"'))
    assert older.partition(" ;")[0] in pins.splitlines()
    assert ";" not in pins


def test_an_interrupted_installation_is_made_anew(machine: Machine) -> None:
    """After a failure there is no stamp, and the next call starts over."""
    machine.put_python("bin/python3.10")
    machine.broken_network.touch()
    assert machine.run("make", "env").returncode != 0
    machine.calls()
    half = machine.folder / "checkout" / ".venv-1.16" / "half"
    half.touch()
    machine.broken_network.unlink()
    again = machine.run("make", "env")
    assert again.returncode == 0, again.stderr
    assert not half.exists()
    assert "python3.10 -m venv --clear .venv-1.16" in machine.calls()
    assert machine.run("make", "env").returncode == 0
    assert machine.calls() == []


def test_uv_installs_where_it_is_there(machine: Machine) -> None:
    """Of the packages uv installs all at once; pip goes on where uv cannot."""
    machine.put_python("bin/python3.10")
    machine.put_uv(downloads=False, installs=True)
    assert machine.run("make", "env").returncode == 0
    calls = machine.calls()
    assert any(call.startswith("uv pip install") and "pins-1.16.txt" in call for call in calls)
    assert not any(call.endswith("-r .cache/pins-1.16.txt") for call in calls if "-m pip" in call)


def test_the_newest_tfx_that_the_machine_can_run_is_taken(machine: Machine) -> None:
    """TFX 1.21 where the C library is new enough, else 1.16; what it took and why is said."""
    machine.put_python("bin/python3.10", minor="3.10")
    machine.put_python("bin/python3.12", minor="3.12")
    machine.put_c_library("2.37")
    older = machine.run("make", "env")
    assert older.returncode == 0, older.stderr
    assert "env: TFX 1.16: glibc is 2.37 here, and TFX 1.21 needs 2.38" in older.stderr
    assert (machine.folder / "checkout" / ".venv").readlink() == Path(".venv-1.16")
    (machine.folder / "checkout" / ".venv").unlink()
    machine.put_c_library("2.41")
    newer = machine.run("make", "env")
    assert newer.returncode == 0, newer.stderr
    assert "env: TFX 1.21: glibc 2.41 and " in newer.stderr
    assert "are new enough" in newer.stderr
    assert (machine.folder / "checkout" / ".venv").readlink() == Path(".venv-1.21")
    assert any(call.startswith("python3.12 -m venv") for call in machine.calls())


def test_both_environments_stand_side_by_side(machine: Machine) -> None:
    """TFX=... chooses, other commands follow the last `make env`, and neither is made twice."""
    machine.put_python("bin/python3.9")
    machine.put_python("bin/python3.11", minor="3.11")
    machine.put_c_library("2.39")
    link = machine.folder / "checkout" / ".venv"
    for tfx in ("1.16", "1.21", "1.16"):
        assert machine.run("make", "env", f"TFX={tfx}").returncode == 0
        assert link.readlink() == Path(f".venv-{tfx}")
    assert len([call for call in machine.calls() if "-m venv" in call]) == 2
    assert "\n.venv/bin/python -W" in "\n" + machine.run("make", "-n", "demo").stdout
    assert ".venv-1.21/bin/python -m pytest" in machine.run("make", "-n", "test", "TFX=1.21").stdout
    assert link.readlink() == Path(".venv-1.16")


def test_a_python_of_the_users_decides_the_tfx(machine: Machine) -> None:
    """PYTHON=... of 3.11 or later means TFX 1.21, whatever else is there."""
    machine.put_python("bin/python3.10")
    machine.put_c_library("2.41")
    named = machine.put_python("named/python", minor="3.13")
    made = machine.run("make", "env", f"PYTHON={named}")
    assert made.returncode == 0, made.stderr
    assert "is Python 3.13, and TFX 1.16 ends with 3.10" in made.stderr
    pins = (machine.folder / "checkout" / ".cache" / "pins-1.21.txt").read_text(encoding="utf-8")
    assert "tfx==1.21.0" in pins.splitlines()
    assert ";" not in pins


def test_an_unknown_tfx_is_refused(machine: Machine) -> None:
    """The message shows the value and those there are."""
    refused = machine.run("make", "env", "TFX=1.20")
    assert refused.returncode != 0
    assert "TFX=1.20 is not supported: say TFX=1.16 or TFX=1.21" in refused.stderr


def test_where_no_newer_c_library_can_be_had_one_sentence_says_so(machine: Machine) -> None:
    """Asked for TFX 1.21 on an old C library, without apt: why not, and what to do instead."""
    machine.put_python("bin/python3.12", minor="3.12")
    machine.put_c_library("2.36")
    refused = machine.run("make", "env", "TFX=1.21")
    assert refused.returncode != 0
    [line] = [one for one in refused.stderr.splitlines() if one.startswith("newer_python: ")]
    assert "or use TFX=1.16." in line
    assert not (machine.folder / "checkout" / ".venv-1.21").exists()


def test_the_one_environment_of_earlier_releases_is_kept(machine: Machine) -> None:
    """A folder .venv becomes .venv-1.16, and .venv points to it."""
    checkout = machine.folder / "checkout"
    machine.put_python("bin/python3.10")
    machine.put_python("checkout/.venv/bin/python")
    (checkout / ".venv" / "kept").touch()
    assert machine.run("make", "env").returncode == 0
    assert (checkout / ".venv-1.16" / "kept").exists()
    assert (checkout / ".venv").readlink() == Path(".venv-1.16")
    assert not any("-m venv" in call for call in machine.calls())


def test_an_environment_of_another_kind_is_replaced(machine: Machine) -> None:
    """A .venv whose Python does not run is made anew."""
    machine.put_python("bin/python3.10")
    (machine.folder / "checkout" / ".venv" / "bin").mkdir(parents=True)
    assert machine.run("make", "env").returncode == 0
    assert "python3.10 -m venv --clear .venv-1.16" in machine.calls()


def test_continuous_integration_runs_make_test(machine: Machine) -> None:
    """.ci/run calls `make test` and `make test_long` on TFX 1.16, and a set of tests on 1.21."""
    commands = [
        line.strip()
        for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    wanted = ["make test TFX=1.16", "make test_long TFX=1.16", "make test_rooms TFX=1.21"]
    # Lines of their own: what fails there ends the script.
    assert "set -eu" in commands
    assert [line for line in commands if line.startswith("make ")] == wanted
    plan = machine.run("make", "-n", "test").stdout
    steps = ["ruff check", "ruff format --check", "-m mypy", '--dist loadfile -m "not long"\n']
    assert [plan.index(step) for step in steps] == sorted(plan.index(step) for step in steps)
    assert "--dist loadfile -m long\n" in machine.run("make", "-n", "test_long").stdout


def test_the_set_for_the_other_tfx_has_a_test_of_every_room() -> None:
    """Whoever adds a room adds tests of it to the set that runs on every TFX."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    [named] = re.findall(r"^ROOMS := (.+)$", text, re.MULTILINE)
    paths = [ROOT / name.partition("::")[0] for name in named.split()]
    assert [str(path) for path in paths if not path.exists()] == []
    covered = {path.relative_to(ROOT / "tests").parts[0] for path in paths}
    rooms = {path.parent.name for path in (ROOT / "tfx_graphlets").glob("*/__init__.py")}
    assert rooms - covered == set()


def test_the_constraints_pin_the_same_tfx_on_the_pythons_of_each() -> None:
    """Every package is pinned at most once for each Python, TFX's family alike on those of one."""
    pins = {minor: pins_of(minor) for minor in ("3.9", "3.10", "3.11", "3.12", "3.13")}
    family = ("tfx", "ml-metadata", "apache-beam", "tensorflow", "ydf", "numpy", "pyarrow", "kfp")
    for pythons, tfx in {("3.9", "3.10"): "1.16.0", ("3.11", "3.12", "3.13"): "1.21.0"}.items():
        assert {pins[minor]["tfx"] for minor in pythons} == {tfx}
        for name in family:
            assert len({pins[minor][name] for minor in pythons}) == 1, name


def pins_of(minor: str) -> dict[str, str]:
    """What constraints.txt pins for one Python, name to version."""
    pin = runpy.run_path(str(ROOT / ".ci" / "pin.py"))
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = [line.split("==") for line in pin["pins_for"](text, minor)]
    assert len({name for name, _ in found}) == len(found)
    return dict(found)
