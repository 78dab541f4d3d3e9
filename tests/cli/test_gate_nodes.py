"""The command ``gate`` decides about the Trainer nodes of the pipeline that is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ydf")

from tests.corpus import case_store
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli import main
from tfx_graphlets.testing import TraceBuilder

HOUR_MS = 3_600_000


def decided(
    capsys: pytest.CaptureFixture[str], store: str, model: str, pipeline: str, *words: str
) -> tuple[int, dict[str, Any]]:
    """Exit code and document of ``gate``, with what a clock says left out."""
    code = main(
        ["gate", store, "--model", model, "--pipeline", pipeline, "--exploration", "0",
         "--threshold", "0.5", *words]
    )  # fmt: skip
    return code, json.loads(capsys.readouterr().out)


def trained(capsys: pytest.CaptureFixture[str], store: str, folder: Path) -> str:
    """Directory of a model of all that a store holds."""
    model = str(folder / "model")
    words = ["train", store, "--stage", "pre", "--freshness", "0.9", "--output", model]
    assert main(words) == 0
    capsys.readouterr()
    return model


def test_case_c14_nodes_that_differ_behind_a_dot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``Trainer.left`` of ``com.acme.ranking`` is pushed in every run: the launch goes on."""
    store, pipeline = str(case_store("c14_dots")), "com.acme.ranking"
    model = trained(capsys, store, tmp_path)
    code, document = decided(capsys, store, model, pipeline)
    assert code == 0
    assert {one["node"]: one["decision"] for one in document["nodes"]} == {
        "Trainer.left": "run", "Trainer.right": "skip",
    }  # fmt: skip
    assert decided(capsys, store, model, pipeline, "--node", "Trainer.right")[0] == 3
    assert decided(capsys, store, model, pipeline, "--node", f"{pipeline}.Trainer.left")[0] == 0


def crossed_names() -> TraceBuilder:
    """Two pipelines whose node contexts have one name: ``a`` with ``b.fit``, ``a.b`` with ``fit``.

    MLMD keeps one context of a name. What ``a`` trains is pushed, what ``a.b`` trains but once.
    """
    build = TraceBuilder()
    for number in range(20):
        for pipeline, good in (("a", 1), ("a.b", 0)):
            build.clock_ms += HOUR_MS
            run = {"run": f"{pipeline}-{number}", "pipeline": pipeline}
            data = build.artifact("Examples", span=2 * number + good)
            build.execution("CsvExampleGen", outputs={"examples": [data]}, **run)
            model = build.artifact("Model")
            build.execution(
                "Trainer", inputs={"examples": [data]}, outputs={"model": [model]},
                node="a.b.fit", **run,
            )  # fmt: skip
            pushed = build.artifact("PushedModel", pushed=int(good or not number))
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                node=f"{pipeline}.Pusher", **run,
            )  # fmt: skip
    return build


def test_pipelines_whose_nodes_share_a_name_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its own history, by the node's id and by the name of its context."""
    store = str(write_store(tmp_path / "store.sqlite", crossed_names().raw()))
    model = trained(capsys, store, tmp_path)
    for pipeline, node, code in (("a", "b.fit", 0), ("a.b", "fit", 3)):
        for words in ((), ("--node", node), ("--node", "a.b.fit")):
            found, document = decided(capsys, store, model, pipeline, *words)
            assert (found, [one["node"] for one in document["nodes"]]) == (code, [node])
