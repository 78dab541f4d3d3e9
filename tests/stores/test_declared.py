"""Roles and pushers that an archive declares: every reader of it goes by them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.stores.mlmd_files import write_store
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate.request import Request
from tfx_graphlets.gate.snapshot import collect
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.stores.archive.archive import update_archive
from tfx_graphlets.stores.archive.format import Manifest
from tfx_graphlets.stores.store import declared_by, open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Role, Stage

HOUR_MS = 3_600_000
DECLARED = ("--role", "Fit=trainer", "--pusher", "canary")


def store_of(folder: Path, runs: int = 4) -> str:
    """Trainings that only their user knows for such, each deployed twice; one counts."""
    build = TraceBuilder()
    for number in range(runs):
        build.clock_ms = (number + 1) * HOUR_MS
        table = build.artifact("Table")
        build.execution("Query", outputs={"table": [table]}, run=f"r{number}", pipeline="p")
        model = build.artifact("Model")
        build.execution(
            "Fit", inputs={"table": [table]}, outputs={"model": [model]}, run=f"r{number}",
            pipeline="p", node="p.fit",
        )  # fmt: skip
        for node, is_pushed in (("canary", number % 2), ("live", 1)):
            pushed = build.artifact("PushedModel", pushed=is_pushed)
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                run=f"r{number}", pipeline="p", node=f"p.{node}",
            )  # fmt: skip
    path = folder / "store.sqlite"
    path.unlink(missing_ok=True)
    return str(write_store(path, build.raw()))


@pytest.fixture
def archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """An archive that declares the Trainer and the pusher that counts."""
    place = str(tmp_path / "archive")
    assert run(capsys, "archive", store_of(tmp_path), "--output", place, *DECLARED)[0] == 0
    return place


def outcomes(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The outcomes that ``segment`` prints."""
    code, out, _ = run(capsys, "segment", *words, "--format", "json")
    assert code == 0
    return [one["outcome"] for one in json.loads(out)]


def test_segment_goes_by_what_is_declared(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an option the archive gives what the store gives with both."""
    store = str(tmp_path / "store.sqlite")
    wanted = ["unpushed", "pushed", "unpushed", "pushed"]
    assert outcomes(capsys, store) == []
    assert outcomes(capsys, store, *DECLARED) == wanted
    assert outcomes(capsys, archive) == wanted
    assert outcomes(capsys, archive, *DECLARED) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--role", "Fit=pusher"), "declares Fit=trainer; leave it out, or declare it anew"),
        (("--pusher", "live"), "declares canary; leave it out, or declare it anew"),
    ],
)
def test_what_contradicts_is_refused(
    archive: str, words: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what the archive declares and the way out; also where one archives on."""
    store = str(Path(archive).with_name("store.sqlite"))
    for command in (("segment", archive), ("archive", store, "--output", archive)):
        code, _, problem = run(capsys, *command, *words)
        assert code == 1
        assert message in problem


def test_features_and_report_go_by_it_too(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tables and reports of the archive are those of the store with both options."""
    tables = []
    for words in ((str(tmp_path / "store.sqlite"), *DECLARED), (archive,)):
        place = tmp_path / "table.csv"
        code, out, _ = run(
            capsys, "features", *words, "--stage", "input", "--output", str(place), "--format",
            "json",
        )  # fmt: skip
        assert (code, json.loads(out)["graphlets"]) == (0, 4)
        tables.append(place.read_text(encoding="utf-8"))
    assert tables[0] == tables[1]
    code, out, _ = run(capsys, "report", archive, "--format", "json", "--no-replay")
    assert code == 0
    told = json.loads(out)["first"]["outcomes"]
    assert (told["pushed"], told["unpushed"]) == (2, 2)


def test_a_gate_goes_by_it_too(archive: str) -> None:
    """The history of the declared Trainer is described, and its pushes are the canary's."""
    request, other = Request(Stage.INPUT, "p", "", {}), {"Fit": Role.PUSHER}
    with open_store(archive) as store:
        history = collect(store, request, 9 * HOUR_MS)
        assert history.past is not None
        assert history.past.pushed.tolist() == [False, True, False, True]
        assert history.past.declared == Declared({"Fit": Role.TRAINER}, ("canary",))
        with pytest.raises(InvalidArgumentError, match="declares Fit=trainer"):
            collect(store, dataclasses.replace(request, role_of_type=other), 9 * HOUR_MS)


def test_what_is_declared_stays_when_the_archive_goes_on(tmp_path: Path, archive: str) -> None:
    """A write without options keeps it, one with more roles adds them; both are in the manifest."""
    with open_store(store_of(tmp_path, 5)) as store:
        update = update_archive(store, store.payloads, archive, created_ms=2)
        assert update.new_executions == 4
        more = Declared({"Query": Role.EXAMPLE_GEN})
        update = update_archive(store, store.payloads, archive, created_ms=2, declared=more)
        assert update.written
    kinds = {"Fit": Role.TRAINER, "Query": Role.EXAMPLE_GEN}
    assert Manifest.read(Path(archive), "archive").declared == Declared(kinds, ("canary",))


def test_an_archive_of_an_archive_declares_the_same(
    archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy needs to be told nothing."""
    place = str(tmp_path / "copy")
    assert run(capsys, "archive", archive, "--output", place)[0] == 0
    assert outcomes(capsys, place) == outcomes(capsys, archive)


@pytest.mark.parametrize("words", [("--role", "Fitt=trainer"), ("--pusher", "cannary")])
def test_a_slip_of_the_pen_is_told(
    words: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that the store does not hold makes no archive."""
    place = tmp_path / "archive"
    code, _, problem = run(capsys, "archive", store_of(tmp_path), "--output", str(place), *words)
    assert (code, place.exists()) == (1, False)
    assert words[1].partition("=")[0] in problem


def test_other_stores_declare_nothing(tmp_path: Path) -> None:
    """What the user gives is all there is."""
    with open_store(store_of(tmp_path)) as store:
        for given in (Declared(), Declared({"Fit": Role.TRAINER}, ("canary", "live"))):
            assert declared_by(store, given) == given
