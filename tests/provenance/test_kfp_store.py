"""Kubeflow Pipelines' own API, read through a server that speaks its protocol."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import real_runs
from tests.provenance.kfp_retelling import rows_of
from tests.provenance.kfp_server import Behaviour, Installation, installation_of, serving
from tests.provenance.readers import by_sql
from tfx_graphlets.assembly import RawTables, assemble
from tfx_graphlets.errors import (
    EmptyStoreError,
    InvalidArgumentError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    TraceNotFoundError,
)
from tfx_graphlets.features import describe
from tfx_graphlets.graphlet import Graphlets
from tfx_graphlets.provenance.archive import write_archive
from tfx_graphlets.provenance.archive_store import ArchiveStore
from tfx_graphlets.provenance.kfp_address import Address, parse_address
from tfx_graphlets.provenance.kfp_store import KfpStore
from tfx_graphlets.provenance.selection import Columns
from tfx_graphlets.provenance.store import Store, open_store
from tfx_graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace import first_difference
from tfx_graphlets.vocabulary import ExecutionState, Stage

SECRET = "kubeflow-token-1234"  # noqa: S105 - looked for in what is shown


def history(num_runs: int = 4) -> RawTables:
    """Runs of two pipelines: trained, cached, failed, validated, pushed."""
    build = TraceBuilder(clock_ms=1_700_000_000_000)
    for number in range(num_runs):
        for pipeline in ("penguin", "taxi"):
            one_run(build, pipeline, number)
            build.clock_ms += 60_000
    return build.raw()


def one_run(build: TraceBuilder, pipeline: str, number: int) -> None:
    """One run, from data to what became of the model."""
    where = {"run": f"{pipeline}-{number}", "pipeline": pipeline}
    data = build.artifact("Examples", span=number, split_names='["train"]', uri="s3://b/examples")
    model, blessing = build.artifact("Model"), build.artifact("ModelBlessing", blessed=number % 2)
    pushed = build.artifact("PushedModel", pushed=number % 2)
    cached = {"state": ExecutionState.CACHED} if number == 3 else {}
    schema = build.artifact("Schema")
    build.execution("Importer", outputs={"result": [schema]}, node=f"{pipeline}.schema", **where)
    build.execution(
        "tfx.CsvExampleGen", outputs={"examples": [data]}, node=f"{pipeline}.CsvExampleGen",
        input_base="data", **where, **cached,
    )  # fmt: skip
    state = ExecutionState.FAILED if number == 2 else ExecutionState.COMPLETE
    build.execution(
        "tfx.Trainer", inputs={"examples": [data], "schema": [schema]},
        outputs={"model": [] if number == 2 else [model]}, node=f"{pipeline}.Trainer.wide",
        state=state, module_path=f"m@{number}", train_args='{"num_steps": 5}', rate=0.5, **where,
    )  # fmt: skip
    if number == 2:
        return
    build.execution(
        "tfx.Evaluator", inputs={"model": [model], "baseline_model": []},
        outputs={"blessing": [blessing]}, node=f"{pipeline}.Evaluator", **where,
    )  # fmt: skip
    build.execution(
        "tfx.Pusher", inputs={"model": [model], "model_blessing": [blessing]},
        outputs={"pushed_model": [pushed]}, node=f"{pipeline}.pusher-2", **where,
    )  # fmt: skip


class Naps:
    """A sleep that does not sleep; remembers how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def opened(
    uri: str, *, token: str = "", timeout: float = 20.0, naps: Naps | None = None
) -> KfpStore:
    """The store of a URI, which waits for nothing."""
    address = parse_address(uri, {"TFX_GRAPHLETS_KFP_TOKEN": token})
    return KfpStore(address, sleep=naps or Naps(), timeout_seconds=timeout)


def outline(graphlets: Graphlets) -> list[dict[str, object]]:
    """The graphlets by what they are, without ids, which the API has others of."""
    trace = graphlets.trace
    executions = dict(zip(trace.executions.id.tolist(), range(len(trace.executions))))
    result = []
    for graphlet in graphlets:
        content = graphlet.to_dict()
        members = [executions[number] for number in graphlet.executions]
        kinds = dict(zip(trace.artifacts.id.tolist(), trace.artifacts.type.tolist()))
        content["executions"] = sorted(
            (int(trace.executions.create_ms[row]), int(graphlets.role[row])) for row in members
        )
        content["artifacts"] = sorted(
            trace.artifact_base_types[kinds[number]] for number in graphlet.artifacts
        )
        content["warm_start"] = len(graphlet.warm_start)
        del content["trainer"], content["run"]
        result.append(content)
    return sorted(result, key=lambda one: (one["start_ms"], one["pipeline"]))


WAYS = {
    "as released": Behaviour(),
    "links and artifacts in lists": Behaviour(embed=False),
    "tasks in one list": Behaviour(tasks="flat"),
    "tasks in run details": Behaviour(tasks="details"),
    "version 2, below a path": Behaviour(version="v2", prefix="/pipeline"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("titles", ["metadata", "spec", "version"])
def test_the_same_history_gives_the_same_graphlets(way: str, titles: str) -> None:
    """What TFX recorded, and what Kubeflow's API shows of the same runs, is cut the same."""
    raw = history()
    behaviour = dataclasses.replace(WAYS[way], calls=[], tokens=[], answers=[])
    with serving(installation_of(raw, titles=titles), behaviour) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    kubeflow, tfx = segment(trace), segment(assemble(raw))
    assert outline(kubeflow) == outline(tfx)
    assert {str(one.outcome) for one in kubeflow} == {"pushed", "unpushed", "failed"}
    assert trace.events.dropped == 0


@pytest.mark.parametrize("path", real_runs()[:2], ids=lambda path: path.parent.name)
def test_recorded_runs_through_the_api(path: Path) -> None:
    """A recorded store, shown by the API, gives the same graphlets and the same features."""
    with by_sql(path) as store:
        tfx = segment(store.read_trace())
    with serving(installation_of(rows_of(tfx.trace))) as (uri, _), opened(uri) as store:
        kubeflow = segment(store.read_trace())
    assert outline(kubeflow) == outline(tfx)
    order = [np.lexsort((one.trace.executions.create_ms[one.trainer],)) for one in (tfx, kubeflow)]
    for stage in Stage:
        left, right = describe(tfx, stage), describe(kubeflow, stage)
        for feature in left.features:
            np.testing.assert_array_equal(
                np.asarray(left.columns[feature.name])[order[0]],
                np.asarray(right.columns[feature.name])[order[1]],
                f"{stage}: {feature.name}",
            )


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    """A server with the runs of ``history``."""
    with serving(installation_of(history())) as found:
        yield found


def test_open_store_reads_it(
    server: tuple[str, Behaviour], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheme ``kfp+http`` opens it, with the token of the environment."""
    monkeypatch.setenv("TFX_GRAPHLETS_KFP_TOKEN", SECRET)
    uri, behaviour = server
    with open_store(uri) as store:
        assert store.name == uri
        assert len(store.read_trace().executions) == 36
    assert set(behaviour.tokens) == {f"Bearer {SECRET}"}


def test_only_gets_are_sent_and_pages_are_followed(server: tuple[str, Behaviour]) -> None:
    """More runs and tasks than a page holds are read; each page once."""
    build = TraceBuilder(clock_ms=1_700_000_000_000)
    for number in range(401):
        build.execution("Trainer", run=f"run-{number % 250}", duration_ms=1, node="n.Trainer")
    for _ in range(203):
        build.execution("Trainer", run="run-7", duration_ms=1)
    with serving(installation_of(build.raw())) as (uri, behaviour), opened(uri) as store:
        assert len(store.read_trace().executions) == 604
    calls = [call.partition("?")[0].rpartition("/")[2] for call in behaviour.calls]
    assert calls.count("runs") == 1 + 2
    assert calls.count("tasks") == 250 + 1
    assert len(set(behaviour.calls)) == len(behaviour.calls)


def test_a_pipeline_is_read_alone(server: tuple[str, Behaviour]) -> None:
    """Only the runs of named pipelines are asked for tasks; ids are those of the whole."""
    uri, behaviour = server
    with opened(uri) as store:
        whole = store.read_trace()
        behaviour.calls.clear()
        part = store.read_trace(pipeline="taxi", properties=["span"])
        assert sum("/tasks" in call for call in behaviour.calls) == 4
        both = store.read_trace(pipelines=["taxi", "penguin"])
        with pytest.raises(TraceNotFoundError, match="'penguin', 'taxi'"):
            store.read_trace(pipeline="zebra")
        assert store.pipelines() == {"penguin": 18, "taxi": 18}
    assert len(part.executions) == 18
    assert part.artifacts.properties.names == ("span",)
    assert part.executions.properties.names == ()
    assert set(part.executions.id) < set(whole.executions.id)
    assert set(part.artifacts.id) < set(whole.artifacts.id)
    assert set(part.contexts.id) < set(whole.contexts.id)
    assert first_difference(both, whole) is None


def test_columns_are_left_out(server: tuple[str, Behaviour]) -> None:
    """What is not wanted is empty in the trace, and what is cut of it the same."""
    with opened(server[0]) as store:
        whole, part = store.read_trace(), store.read_trace(columns=Columns.FOR_FEATURES)
    assert not any(part.artifacts.uri)
    assert any(whole.artifacts.uri)
    assert [one.to_dict() for one in segment(part)] == [one.to_dict() for one in segment(whole)]


def test_ids_stay_when_runs_come_and_go() -> None:
    """Reading again, after new runs and without deleted ones, gives every object its old id."""
    traces = []
    for num_runs, first in ((2, 0), (4, 0), (4, 3)):
        held = installation_of(history(num_runs))
        held.runs = held.runs[first:]
        with serving(held) as (uri, _), opened(uri) as store:
            traces.append(store.read_trace())
    early, late, rest = traces
    for table in ("executions", "artifacts", "contexts"):
        ids = [set(getattr(one, table).id.tolist()) for one in (early, late, rest)]
        assert ids[0] < ids[1], table
        assert ids[2] < ids[1], table
    # Ids order by time of creation.
    assert (np.diff(late.executions.create_ms // 1_000) >= 0).all()


def test_an_archive_of_it_is_the_same(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    """What was read over the network and what the archive of it holds are one trace."""
    with opened(server[0]) as store:
        trace = store.read_trace()
        write_archive(trace, store.payloads, tmp_path / "archive", created_ms=0, scrub=False)
    with ArchiveStore(tmp_path / "archive") as archive:
        assert first_difference(archive.read_trace(), trace) is None


def test_times_states_and_kinds_of_tasks() -> None:
    """Boxes and skipped tasks are left out; what a user stopped failed; times are read exactly."""
    held = installation_of(history(1))
    run = held.runs[0]["run_id"]
    for number, (kind, state) in enumerate([
        ("CONDITION", "SUCCEEDED"), ("LOOP", "RUNNING"), ("RUNTIME", "SKIPPED"),
        ("RUNTIME", "CANCELED"), ("RUNTIME", "RUNNING"),
    ]):  # fmt: skip
        held.tasks[run].append({
            "task_id": f"more-{number}", "run_id": run, "name": f"More.{state}", "type": kind,
            "state": state, "create_time": "2024-01-02T03:04:05.678912345Z",
            "end_time": "1970-01-01T00:00:00Z",
            "state_history": [{"state": "RUNNING", "update_time": "2024-01-02T05:04:06+01:00"}],
            "inputs": {"parameters": [{"parameter_key": "a"}, {"parameter_key": "b", "value": 2}]},
        })  # fmt: skip
    with serving(held) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    more = [
        row
        for row, code in enumerate(trace.executions.type)
        if trace.executions.type_names[code].endswith(".More")
    ]
    assert sorted(trace.executions.state[more].tolist()) == [
        ExecutionState.RUNNING, ExecutionState.FAILED
    ]  # fmt: skip
    assert set(trace.executions.create_ms[more].tolist()) == {1_704_164_645_678}
    assert set(trace.executions.update_ms[more].tolist()) == {1_704_168_246_000}
    numbers = trace.executions.properties.numbers("b", len(trace.executions))
    assert numbers[more].tolist() == [2.0, 2.0]


def test_artifacts_of_native_types() -> None:
    """Without a schema title anywhere, the API's own type is that of ML Metadata."""
    held = installation_of(history(1), titles="none")
    for run in held.runs:
        run["pipeline_spec"]["components"] = {}
    kinds = ("Metric", "ClassificationMetric", "HTML", "Model")
    for artifact, kind in zip(held.artifacts.values(), kinds):
        artifact["type"] = kind
    with serving(held) as (uri, _), opened(uri) as store:
        names = set(store.read_trace().artifacts.type_names)
    assert names > {
        "system.Metrics", "system.ClassificationMetrics", "system.HTML", "system.Model"
    }  # fmt: skip


def test_artifacts_that_are_gone_are_counted() -> None:
    """A link to an artifact that the server no longer has is an event that is dropped."""
    held = installation_of(history(1))
    gone = next(iter(held.artifacts))
    del held.artifacts[gone]
    behaviour = Behaviour(embed=False)
    with serving(held, behaviour) as (uri, _), opened(uri) as store:
        trace = store.read_trace()
    links = [one for one in held.artifact_tasks if one["artifact_id"] == gone]
    assert trace.events.dropped == len(links) > 0


@pytest.mark.parametrize("missing", ["embed", "lists"])
def test_a_server_that_keeps_artifacts_elsewhere_says_where(missing: str) -> None:
    """Before the task API the history is in ML Metadata; the error names it."""
    behaviour = dataclasses.replace(Behaviour(tasks="details"), **{missing: False})
    with (
        serving(installation_of(history()), behaviour) as (uri, _),
        opened(uri) as store,
        pytest.raises(StoreError, match="grpc://host:8080"),
    ):
        store.read_trace()


def test_a_server_without_runs_is_empty() -> None:
    """A sound server on which nothing ever ran has no trace."""
    with serving(Installation()) as (uri, _), opened(uri) as store:
        assert store.pipelines() == {}
        with pytest.raises(EmptyStoreError, match="holds no execution"):
            store.read_trace()


def test_a_run_that_is_deleted_meanwhile_is_left_out() -> None:
    """Listed, and gone when its tasks are asked for: the others are read."""
    held = installation_of(history())
    del held.tasks[held.runs[0]["run_id"]]
    with serving(held) as (uri, _), opened(uri) as store:
        assert len(store.read_trace().executions) == 36 - 5


def test_a_pipeline_that_was_deleted_keeps_its_id_as_name() -> None:
    """Its runs stay together under the id; one that is still there has its name."""
    held = installation_of(history(), titles="version")
    gone = next(number for number, one in held.pipelines.items() if one["display_name"] == "taxi")
    del held.pipelines[gone]
    held.versions = {}
    with serving(held) as (uri, _), opened(uri) as store:
        assert set(store.pipelines()) == {"penguin", gone}


def test_namespaces_and_experiments_are_asked_for() -> None:
    """They stand in the query of the URI, and in the store's name."""
    held = installation_of(history())
    experiment = held.runs[1]["experiment_id"]
    with serving(held, Behaviour(namespace="team a")) as (uri, _):
        with pytest.raises(StoreError, match=r"HTTP 400: Namespace cannot be empty.*\?namespace="):
            opened(uri)
        with opened(f"{uri}?namespace=team+a") as store:
            assert len(store.read_trace().executions) == 36
        with opened(f"{uri}?namespace=team%20a&experiment={experiment}") as store:
            assert store.name == f"{uri}?namespace=team+a&experiment={experiment}"
            assert list(store.pipelines()) == ["taxi"]


# -- what goes wrong -----------------------------------------------------------------


def failure(status: int, said: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An answer with a google.rpc.Status."""
    return status, headers, json.dumps({"code": 13, "message": said}).encode()


def test_passing_failures_are_tried_again(server: tuple[str, Behaviour]) -> None:
    """5xx, 429 and broken answers are asked for again, waiting longer each time."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [failure(503), failure(500), (0, {}, b'{"runs"')]
    assert len(store.read_trace().executions) == 36
    assert naps.seconds == [0.5, 1.0, 2.0]
    naps.seconds.clear()
    retry = {"Retry-After": "7"}
    behaviour.answers = [(429, retry, b""), (503, {"Retry-After": "9999"}, b"")]
    assert len(store.read_trace().executions) == 36
    assert naps.seconds == [7.0, 20.0]


def test_lasting_failures_end(server: tuple[str, Behaviour]) -> None:
    """After four attempts the error says what the server said."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [failure(502, "the database\nis away")] * 4
    behaviour.calls.clear()
    with pytest.raises(StoreError, match=r"fails .HTTP 502: the database is away.; try again"):
        store.read_trace()
    assert (len(behaviour.calls), naps.seconds) == (4, [0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (failure(401, "no user"), StoreError, "HTTP 401: no user.*TFX_GRAPHLETS_KFP_TOKEN"),
        (failure(403), StoreError, "HTTP 403.*another namespace"),
        ((302, {"Location": "http://127.0.0.1:9/login"}, b""), StoreError, "login page"),
        ((200, {}, b"<html>login</html>"), NotAMetadataStoreError, "no JSON object"),
        ((200, {}, b"[1]"), NotAMetadataStoreError, "no JSON object"),
        ((200, {}, b'{"runs": {"a": 1}}'), StoreError, "no list of objects"),
        (
            (200, {}, b'{"runs": [{"run_id": "a", "created_at": "soon"}]}'), StoreError,
            "'soon'.*RFC 3339",
        ),
    ],
)  # fmt: skip
def test_refusals_are_not_tried_again(
    server: tuple[str, Behaviour], answer: tuple[int, dict[str, str], bytes],
    kind: type[StoreError], match: str,
) -> None:  # fmt: skip
    """Each says what is wrong and what to do; nothing is followed, nothing is waited for."""
    uri, behaviour = server
    naps = Naps()
    store = opened(uri, naps=naps)
    behaviour.answers = [answer]
    with pytest.raises(kind, match=match) as caught:
        store.read_trace()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{uri}: ")
    assert naps.seconds == []


def test_a_server_that_repeats_itself_is_left() -> None:
    """A page token that comes again ends the reading."""
    with (
        serving(installation_of(history()), Behaviour(same_page=True)) as (uri, _),
        opened(uri) as store,
        pytest.raises(StoreError, match="same page of /runs twice"),
    ):
        store.read_trace()


def test_no_such_api() -> None:
    """A web server that is something else is told from one that is not there."""
    with (
        serving(Installation(), Behaviour(prefix="/elsewhere")) as (uri, behaviour),
        pytest.raises(NotAMetadataStoreError, match="gateway: /pipeline"),
    ):
        opened(uri.removesuffix("/elsewhere"))
    assert len(behaviour.calls) == 2
    naps = Naps()
    with pytest.raises(StoreNotFoundError, match=r"does not answer .ConnectionRefusedError"):
        opened("kfp+http://127.0.0.1:9", naps=naps)
    assert naps.seconds == [0.5, 1.0, 2.0]


def test_a_silent_server_is_not_waited_for(server: tuple[str, Behaviour]) -> None:
    """A time-out ends every attempt."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreNotFoundError, match=r"has not answered for 0.05 s"):
            opened(f"kfp+http://127.0.0.1:{port}", timeout=0.05)


def test_a_closed_store_says_so(server: tuple[str, Behaviour]) -> None:
    """Reading after close is an error of this library, with what to do."""
    store: Store = opened(server[0])
    store.close()
    with pytest.raises(StoreError, match="open it again"):
        store.read_trace()


def test_kubeflows_own_client_reads_the_same_server() -> None:
    """The server of these tests speaks what ``kfp_server_api`` understands."""
    api = pytest.importorskip("kfp_server_api")
    held = installation_of(history())
    with serving(held, Behaviour(tasks="details")) as (uri, _):
        configuration = api.Configuration(host=uri.removeprefix("kfp+"))
        with api.ApiClient(configuration) as client:
            runs = api.RunServiceApi(client)
            first = runs.list_runs(page_size=3)
            rest = runs.list_runs(page_size=200, page_token=first.next_page_token)
            run = runs.get_run(first.runs[0].run_id)
    found = [one.run_id for one in (*first.runs, *rest.runs)]
    assert found == [one["run_id"] for one in held.runs]
    assert run.pipeline_spec["pipelineInfo"]["name"] == "penguin"
    details = {one.display_name: one for one in run.run_details.task_details}
    assert details["CsvExampleGen"].outputs["examples"].artifact_ids == [
        held.tasks[run.run_id][2]["outputs"]["artifacts"][0]["artifacts"][0]["artifact_id"]
    ]
    created = details["CsvExampleGen"].create_time
    assert created.timestamp() * 1_000 == history().execution_create_ms[1]


def test_certificates_are_checked(tmp_path: Path) -> None:
    """A server whose certificate nobody vouches for is not read; SSL_CERT_FILE can vouch."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key),
            "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(installation_of(history()), tls=context) as (uri, _):
        assert uri.startswith("kfp+https://localhost:")
        with pytest.raises(StoreError, match=r"certificate is not trusted.*SSL_CERT_FILE"):
            opened(uri)
        program = f"from tfx_graphlets import open_store\nopen_store({uri!r}).read_trace()"
        environment = {**os.environ, "SSL_CERT_FILE": str(certificate)}
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)


# -- secrets and addresses -----------------------------------------------------------


def test_the_token_is_shown_nowhere(
    server: tuple[str, Behaviour], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in a log, nor in an error or what caused it, also if the server says it."""
    uri, behaviour = server
    caplog.set_level(logging.DEBUG)
    store = opened(uri, token=SECRET)
    behaviour.answers = [failure(500, f"cannot handle {SECRET}")] * 4
    with pytest.raises(StoreError) as caught:
        store.read_trace()
    behaviour.answers = [failure(401, f"unknown: Bearer {SECRET}")]
    with pytest.raises(StoreError) as refused:
        store.read_trace()
    shown = [repr(error.value) + repr(error.value.__cause__) for error in (caught, refused)]
    assert SECRET not in "".join([*shown, caplog.text, store.name, repr(store._address)])
    assert "cannot handle ***" in shown[0]
    assert behaviour.tokens[-1] == f"Bearer {SECRET}"


def test_a_token_in_a_file_is_read_anew(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    """The token of a pod is renewed while a program runs."""
    uri, behaviour = server
    file = tmp_path / "token"
    file.write_text("first\n")
    address = parse_address(uri, {"KF_PIPELINES_SA_TOKEN_PATH": str(file)})
    with KfpStore(address, sleep=Naps()) as store:
        file.write_text("second\n")
        store.read_trace()
        assert {behaviour.tokens[0], behaviour.tokens[-1]} == {"Bearer first", "Bearer second"}
        file.unlink()
        with pytest.raises(InvalidArgumentError, match="TFX_GRAPHLETS_KFP_TOKEN_FILE"):
            store.read_trace()


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "zeichen-ü"])
def test_a_token_is_one_word(token: str) -> None:
    """Anything else would end up in the headers of a call; the error does not show it."""
    with pytest.raises(InvalidArgumentError, match="one word") as caught:
        opened("kfp+http://127.0.0.1:9", token=token)
    assert token not in str(caught.value)


def test_a_uri_is_taken_apart() -> None:
    """Scheme, path and query are kept; the URI of IPv6 hosts has brackets."""
    environment = {
        "TFX_GRAPHLETS_KFP_TOKEN_FILE": "/run/t", "KF_PIPELINES_SA_TOKEN_PATH": "/run/other"
    }  # fmt: skip
    assert parse_address("kfp+https://Kube.example/pipeline/?namespace=a", environment) == Address(
        "https://kube.example/pipeline",
        namespace="a",
        token_file="/run/t",  # noqa: S106
    )
    assert parse_address("kfp+http://[::1]:8888", {}).base == "http://[::1]:8888"


@pytest.mark.parametrize(
    "uri",
    [
        "kfp+http://", "kfp+http://host:port", "kfp+http://me:secret@host",
        "kfp+http://host?token=secret", "kfp+http://host?namespace=a&namespace=secret",
        "kfp+http://host?secret", "kfp+http://host#secret", "kfp+http://[::1",
    ],
)  # fmt: skip
def test_a_misspelt_uri_shows_no_secret(uri: str) -> None:
    """Credentials do not belong into it, and are not repeated."""
    with pytest.raises(InvalidArgumentError) as caught:
        open_store(uri)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"
