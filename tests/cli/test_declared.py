"""Roles and pushers that the user gives: in the model, at the gate, in every command that reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("ydf")

from tests.stores.kubeflow.retelling import as_system_rows
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli import command, main
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import RowBuilder

HOUR_MS = 3_600_000
RUNS = 24
AT_PRE = ("--stage", "pre", "--freshness", "0.5")
ROLES = ("--role", "fit=trainer", "--role", "release=pusher")


def own_classes(runs: int = RUNS) -> RowBuilder:
    """Components of one's own: trained on a Dataset, released by another pipeline every other time.

    A release leaves a text and no PushedModel; ``mirror`` copies every model.
    """
    build = TraceBuilder()
    for number in range(runs):
        build.clock_ms = (number + 1) * HOUR_MS
        run = {"run": f"t{number}", "pipeline": "train"}
        table, model = build.artifact("Dataset"), build.artifact("Model", odd=number % 2)
        build.execution("steps.Load", outputs={"table": [table]}, node="train.load", **run)
        build.execution(
            "steps.fit", inputs={"table": [table]}, outputs={"model": [model]}, node="train.fit",
            **run,
        )  # fmt: skip
        for kind in ("mirror", "release") if number % 2 else ("mirror",):
            build.execution(
                f"steps.{kind}", inputs={"model": [model]},
                outputs={"where": [build.artifact("String")]}, run=f"{kind}-{number}",
                pipeline="deploy", node=f"deploy.{kind}",
            )  # fmt: skip
    return build.raw()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store, an hour after its last run."""
    monkeypatch.setattr(command, "_now_ms", lambda: (RUNS + 1) * HOUR_MS)
    return str(write_store(tmp_path / "store.sqlite", own_classes()))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def trained(capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path, *words: str) -> str:
    """Directory of a model of the training pipeline."""
    place = str(tmp_path / "model")
    code, _, err = run(
        capsys, "train", store, *AT_PRE, "--pipeline", "train", "--output", place, *words
    )
    assert (code, err) == (0, "")
    return place


def asked(capsys: pytest.CaptureFixture[str], store: str, model: str, *words: str):  # type: ignore[no-untyped-def]
    """Exit code, document and standard error of ``gate``."""
    code, out, err = run(capsys, "gate", store, "--model", model, "--pipeline", "train", *words)
    return code, json.loads(out or "{}"), err


@pytest.mark.parametrize("kept_by", ["tfx", "kubeflow"])
def test_the_model_keeps_the_roles_and_the_gate_takes_them(
    kept_by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Classes of one's own, deployments included, in TFX's and in Kubeflow Pipelines' schema."""
    monkeypatch.setattr(command, "_now_ms", lambda: (RUNS + 1) * HOUR_MS)
    raw = own_classes()
    store = str(
        write_store(tmp_path / "s.sqlite", as_system_rows(raw) if kept_by == "kubeflow" else raw)
    )
    model = trained(capsys, store, tmp_path, *ROLES)
    manifest = json.loads(Path(model, "manifest.json").read_text())
    assert manifest["declared"] == {
        "role_of_type": {"fit": "trainer", "release": "pusher"}, "pushers": None,
    }  # fmt: skip
    assert manifest["training"]["pushed"] == RUNS // 2
    for words in ((), ROLES, ROLES[2:] + ROLES[:2]):
        code, document, err = asked(capsys, store, model, *words, "--threshold", "0.0")
        assert (code, err) == (0, "")
        assert "labelled" not in document["reason"]  # no cold start
        assert document["probability"] is not None
    code, out, _ = run(capsys, "evaluate", model, store, "--pipeline", "train", "--format", "json")
    assert (code, json.loads(out)["pushed"]) == (0, RUNS // 2)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--role", "fit=trainer"), "roles: fit=trainer, pushers: all"),
        ((*ROLES, "--pusher", "mirror"), "roles: fit=trainer, release=pusher, pushers: mirror"),
    ],
)
@pytest.mark.parametrize("asking", ["gate", "evaluate"])
def test_other_roles_or_pushers_than_the_models_are_refused(
    asking: str, words: tuple[str, ...], named: str, store: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The message names both, and what to do."""
    model = trained(capsys, store, tmp_path, *ROLES)
    start = ("gate", store, "--model", model) if asking == "gate" else ("evaluate", model, store)
    code, _, err = run(capsys, *start, "--pipeline", "train", *words)
    assert code == 1
    assert "trained with roles: fit=trainer, release=pusher, pushers: all" in err
    assert f"cut with {named}" in err
    assert "give both the same" in err


def test_the_pushers_that_count_are_kept_too(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``mirror`` copies every model and proves nothing: ``release`` is named by its node."""
    both = (*ROLES, "--role", "mirror=pusher")
    place = str(tmp_path / "all_pushed")
    code, _, err = run(capsys, "train", store, *AT_PRE, "--output", place, *both)
    assert code == 1
    assert f"{RUNS} pushed and 0 unpushed" in err
    model = trained(capsys, store, tmp_path, *both, "--pusher", "release")
    manifest = json.loads(Path(model, "manifest.json").read_text())
    assert manifest["declared"]["pushers"] == ["release"]
    assert manifest["training"]["pushed"] == RUNS // 2
    _, document, _ = asked(capsys, store, model, "--threshold", "0.0")
    assert document["probability"] is not None


def test_one_of_several_stores_may_lack_a_class(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that none of them knows is a slip of the pen; in a model's it is told."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]})
    other = str(write_store(tmp_path / "other.sqlite", build.raw()))
    place = str(tmp_path / "model")
    words = ("train", store, other, *AT_PRE, "--output", place, *ROLES)
    assert run(capsys, *words)[0] == 0
    code, _, err = run(capsys, *words, "--role", "nobody=tuner")
    assert (code, "'nobody'" in err) == (1, True)
    assert run(capsys, "evaluate", place, store, other)[2] == ""
    err = run(capsys, "evaluate", place, other)[2]
    note = "tfx-graphlets: note: the waste model was trained with fit, release, which no store"
    assert err.startswith(note)


@pytest.mark.parametrize(
    "words",
    [
        ("segment", "STORE"),
        ("features", "STORE", "--stage", "pre", "--output", "TARGET.csv"),
        ("features", "STORE", "--stage", "pre", "--output", "TARGET.csv", "--pipeline", "train"),
        ("train", "STORE", *AT_PRE, "--output", "TARGET"),
        ("evaluate", "MODEL", "STORE"),
        ("backtest", "STORE", *AT_PRE),
        ("study", "STORE", "--stage", "pre", "--output", "TARGET"),
        ("monitor", "STORE"),
        ("monitor", "STORE", "--pipeline", "train"),
        ("report", "STORE", "--no-replay"),
    ],
    ids=lambda words: "-".join(words[::4]),
)
def test_a_store_without_a_trainer_says_what_would_make_one(
    words: tuple[str, ...], store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that reads names the classes that put out Models, and the option."""
    from tests.components import waste_models

    model = waste_models.saved(tmp_path / "plain")
    places = {"STORE": store, "MODEL": model}
    target = str(tmp_path / "target")
    run_words = [places.get(word, word.replace("TARGET", target)) for word in words]
    _, _, err = run(capsys, *run_words)
    assert "Models are put out by steps.fit" in err
    assert "--role fit=trainer" in err


def test_a_gate_without_a_trainer_says_so_in_its_reason(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lets the run through, as at every cold start, and this one would never end."""
    from tests.components import waste_models

    model = waste_models.saved(tmp_path / "plain")
    code, document, _ = asked(capsys, store, model)
    assert code == 0
    assert "--role fit=trainer" in document["reason"]
