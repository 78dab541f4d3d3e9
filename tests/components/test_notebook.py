"""A real notebook: a gate run by InteractiveContext in a kernel, and what its cells show."""

from __future__ import annotations

import pytest

pytest.importorskip("tfx")
pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

import nbclient
import nbformat

from tests.components import waste_models
from tests.import_graph import ROOT

pytestmark = pytest.mark.tfx

CELLS = (
    """
from tfx.orchestration.experimental.interactive.interactive_context import InteractiveContext

from tests.components import light_nodes
from tfx_graphlets import GraphletGen, WasteGate, open_store, segment
from tfx_graphlets.report.report import Report
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of

context = InteractiveContext(pipeline_name="nb", pipeline_root={root!r})
examples = light_nodes.LightExampleGen(span=1)
transform = light_nodes.Transform(examples=examples.outputs["examples"])
generator = GraphletGen(
    examples=examples.outputs["examples"], transform_graph=transform.outputs["transform_graph"],
    store={root!r} + "/metadata.sqlite",
)
gate = WasteGate(graphlets=generator.outputs["graphlets"], model_directory={model!r})
trainer = light_nodes.Trainer(
    examples=examples.outputs["examples"], transform_graph=transform.outputs["transform_graph"]
)
for node in (examples, transform, trainer, generator, gate):
    context.run(node, enable_cache=False)
""",
    'context.show(generator.outputs["graphlets"])',
    'context.show(gate.outputs["decision"])',
    """
with open_store({root!r} + "/metadata.sqlite") as store:
    trace = store.read_trace()
segment(trace)
""",
    'Report(view_of([ReportSource.of("nb", trace)], now_ms=1, replay=False))',
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The HTML that each cell shows, after the first."""
    folder = tmp_path_factory.mktemp("notebook")
    names = {"root": str(folder), "model": waste_models.saved(folder / "model")}
    cells = [nbformat.v4.new_code_cell(source=cell.format(**names)) for cell in CELLS]
    book = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        book, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    return [
        "".join(
            str(output["data"].get("text/html", ""))
            for output in cell["outputs"]
            if "data" in output
        )
        for cell in book.cells[1:]
    ]


def test_graphlet_gens_artifact_shows_the_current_graphlet(shown: list[str]) -> None:
    """Its features, or why there is none; TFX's own listing alone would show a URI."""
    assert "tfx_graphlets.Graphlets" in shown[0]
    assert "input_data.bytes" in shown[0]
    assert "nan" not in shown[0]


def test_the_gates_artifact_shows_decision_and_reason(shown: list[str]) -> None:
    """Whether it proceeds stands first, the reason second."""
    assert "tfx_graphlets.GateDecision" in shown[1]
    assert shown[1].index("proceed") < shown[1].index("reason") < shown[1].index("stage")


def test_graphlets_and_report_show_themselves(shown: list[str]) -> None:
    """As the last value of a cell, without a call."""
    assert "1 graphlets" in shown[2]
    assert "unpushed" in shown[2]
    assert "Where the compute goes" in shown[3]
    assert "What wastes most" in shown[3]


def test_nothing_shown_holds_a_script(shown: list[str]) -> None:
    """Plain tables, which a notebook that is not trusted shows too."""
    assert all(html and "<script" not in html for html in shown)
