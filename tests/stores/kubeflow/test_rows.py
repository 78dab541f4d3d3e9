"""What the objects of Kubeflow Pipelines' API say: schema titles, ids."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tfx_graphlets.stores.kubeflow import rows as kfp_rows
from tfx_graphlets.stores.kubeflow.objects import Objects, name_of, output_titles
from tfx_graphlets.stores.kubeflow.rows import rows_of, stable_ids


def compiled_by_tfx(name: str) -> dict[str, object]:
    """A pipeline job that TFX's compiler is expected to write, from TFX's own test data."""
    found = importlib.util.find_spec("tfx")
    if found is None or found.origin is None:
        pytest.skip("tfx is not installed")
    folder = Path(found.origin).parent / "orchestration" / "kubeflow" / "v2" / "testdata"
    content: dict[str, object] = json.loads((folder / name).read_text(encoding="utf-8"))
    return content


def spec_with(artifact_type: dict[str, str]) -> dict[str, object]:
    """A spec of one task ``t`` with one output ``o``."""
    outputs = {"artifacts": {"o": {"artifactType": artifact_type}}}
    return {
        "root": {"dag": {"tasks": {"t": {"componentRef": {"name": "comp-t"}}}}},
        "components": {"comp-t": {"outputDefinitions": outputs}},
    }


def test_titles_of_what_tfx_compiles() -> None:
    """In a spec that TFX's compiler writes, every output of every task has its title."""
    spec = compiled_by_tfx("expected_full_taxi_pipeline_job.json")["pipelineSpec"]
    titles = output_titles(spec)
    assert name_of(spec) == "full-taxi-pipeline"
    assert titles["CsvExampleGen", "examples"] == "tfx.Examples"
    assert titles["Transform", "transform_graph"] == "tfx.TransformGraph"
    assert titles["Pusher", "pushed_model"] == "tfx.PushedModel"
    assert len(titles) == 20


@pytest.mark.parametrize(
    ("artifact_type", "title"),
    [
        ({"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}, "system.Model"),
        ({"instanceSchema": "title: tfx.Model\ntype: object\n"}, "tfx.Model"),
        ({"instanceSchema": "type: object\ntitle: 'a.B'\nproperties:\n"}, "a.B"),
        ({"instanceSchema": '{"title": "a.B", "type": "object"}'}, "a.B"),
        ({"instanceSchema": "system.Dataset"}, "system.Dataset"),
        ({"instanceSchema": '{\r\n  "title": "a.B" , \r\n  "type": object'}, "a.B"),
        ({"instanceSchema": "type: object"}, None),
        ({"instanceSchema": "\n" * 2_000_000}, None),
        ({"instanceSchema": f"title: a{' ' * 2_000_000}b"}, None),
        ({"instanceSchema": '["a"]'}, None),
        ({}, None),
    ],
)
def test_the_title_of_an_output(artifact_type: dict[str, str], title: str | None) -> None:
    """It stands as such, or within a schema in YAML or JSON."""
    assert output_titles(spec_with(artifact_type)).get(("t", "o")) == title


def test_specs_that_say_nothing() -> None:
    """Whatever is missing or of another kind, there are no titles and no name."""
    for spec in ({}, {"root": None}, {"pipeline_spec": {}}, {"components": [], "pipelineInfo": 3}):
        assert output_titles(spec) == {}
        assert name_of(spec) == ""


def test_tasks_of_sub_pipelines_have_titles() -> None:
    """Components may be pipelines themselves."""
    spec = spec_with({"schemaTitle": "tfx.Model"})
    inner = {"dag": spec["root"]["dag"]}  # type: ignore[index]
    spec["components"]["comp-inner"] = inner  # type: ignore[index]
    spec["root"] = {"dag": {"tasks": {"i": {"componentRef": {"name": "comp-inner"}}}}}
    assert output_titles({"pipeline_spec": spec}) == {("t", "o"): "tfx.Model"}


def test_ids_do_not_depend_on_what_else_is_read() -> None:
    """They order by the second of creation; kinds of objects have different ones."""
    objects = [(f"uuid-{number}", 1_700_000_000_000 + 700 * number) for number in range(2_000)]
    ids = stable_ids("task", objects)
    assert len(set(ids.values())) == len(ids)
    assert list(ids) == [identifier for identifier, _ in objects]
    assert stable_ids("task", objects[1_000:1_003]).items() <= ids.items()
    assert not set(ids.values()) & set(stable_ids("artifact", objects).values())
    assert all(0 < number < 2**63 for number in ids.values())
    seconds = [ms // 1_000 for _, ms in objects]
    assert [number >> 31 for number in ids.values()] == seconds


def test_ids_that_would_be_the_same_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the UUIDs, whatever the order of reading."""
    monkeypatch.setattr(
        kfp_rows, "_digest", lambda _, text: bytes(3) + bytes([2 * len(text)]) + bytes(28)
    )
    forward = stable_ids("task", [("a", 0), ("b", 0), ("c", 1_000)])
    backward = stable_ids("task", [("c", 1_000), ("b", 0), ("a", 0)])
    assert forward == backward
    assert len(set(forward.values())) == 3
    assert forward["a"] == stable_ids("task", [("a", 0)])["a"]


def test_the_same_link_twice_is_one_event() -> None:
    """A task's own list and the list of links may both name it."""
    objects = Objects(runs={"r": {}}, pipeline_of_run={"r": "p"})
    artifact = {"artifact_id": "a", "type": "Model", "uri": "s3://x"}
    outputs = {"artifacts": [{"artifact_key": "model", "artifacts": [artifact]}]}
    objects.add_task("r", {"task_id": "t", "name": "Trainer", "outputs": outputs})
    link = {"task_id": "t", "artifact_id": "a", "key": "model", "type": "OUTPUT"}
    objects.add_artifact_task(link)
    objects.add_artifact_task({**link, "type": "UNSPECIFIED"})
    raw = rows_of(objects)
    assert len(raw["Event"]["execution"]) == 1
    assert raw["Artifact"]["uri"] == ["s3://x"]
    assert raw["Execution"]["state"].tolist() == [0]
