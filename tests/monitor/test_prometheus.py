"""The monitor's metrics, read by Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.import_graph import ROOT
from tests.monitor.gated import LivePipeline
from tests.monitor.test_monitor import HEALTHY, report_on
from tests.stores.mlmd_files import write_store
from tfx_graphlets.cli import main
from tfx_graphlets.monitor.prometheus import PREFIX, exposition

parser = pytest.importorskip("prometheus_client.parser")
GATE = {"pipeline": "taxi", "stage": "pre", "gate": "WasteGate", "node": ""}


def read(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name; a family without HELP or TYPE, or a name that came twice, is an error."""
    families = list(parser.text_string_to_metric_families(text))
    assert len({one.name for one in families}) == len(families)
    assert all(one.documentation and one.type != "unknown" for one in families)
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def test_every_figure_is_there() -> None:
    """Decisions, skips, explored, faults, misses, waste removed and time of a gate."""
    pipeline = LivePipeline().runs(HEALTHY, seconds=0.25)
    pipeline.run("P", failed_open=1, fault="timeout", seconds=60.0)
    report = report_on(pipeline.build)
    [one] = report.pipelines
    samples = read(exposition(report, now_ms=5_000))
    assert one.freshness is not None
    for name, value in {
        "decisions_total": 37, "skips_total": 6, "explored_total": 6, "failed_open_total": 1,
        "pushes_total": 19, "missed_pushes": one.freshness.missed,
        "waste_removed_ratio": one.savings.waste_removed, "freshness_target_ratio": 0.9,
        "decision_seconds_sum": 36 * 0.25 + 60, "decision_seconds_count": 37,
    }.items():  # fmt: skip
        assert samples[f"{PREFIX}{name}"] == [(GATE, pytest.approx(value))], name
    assert samples[f"{PREFIX}faults_total"] == [({**GATE, "fault": "timeout"}, 1)]
    assert samples[f"{PREFIX}monitored_timestamp_seconds"] == [({}, 5.0)]


def test_names_of_others_break_no_line() -> None:
    """Quotes, backslashes, line breaks and half characters in a pipeline's name."""
    name = 'a"b\\c\nd\ud800{e="f"}' + "x" * 1_000
    report = report_on(LivePipeline(pipeline=name).runs("PUP").build)
    [(labels, value)] = read(exposition(report, now_ms=0))[f"{PREFIX}decisions_total"]
    assert value == 3
    assert labels["pipeline"].startswith('a"b\\c\\nd\\ud800{e="f"}x')
    assert len(labels["pipeline"]) < 250


def test_the_alert_rules_name_metrics_that_there_are() -> None:
    """What docs/operations.md shows can fire."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rules = text.partition("```yaml\n")[2].partition("```")[0]
    used = {word for word in rules.replace("(", " ").replace("[", " ").split() if PREFIX in word}
    names = {word.partition("{")[0].rstrip(")") for word in used if word.startswith(PREFIX)}
    known = {
        line.split()[2]
        for line in exposition(report_on(LivePipeline().build), now_ms=0).splitlines()
        if line.startswith("# TYPE")
    }
    assert len(names) >= 4
    assert {name.removesuffix("_sum").removesuffix("_count") for name in names} <= known


def test_the_command_line_prints_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output holds them and nothing else."""
    build = LivePipeline().runs(HEALTHY).build
    store = write_store(tmp_path / "store.sqlite", build.raw())
    main(["monitor", str(store), "--format", "prometheus"])
    assert read(capsys.readouterr().out)[f"{PREFIX}decisions_total"] == [(GATE, 36)]
