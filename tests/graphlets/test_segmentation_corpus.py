"""Both implementations on real stores, from the file to the graphlets.

The reader and ``segment`` on the one side, the reference with its own SQL on
the other.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.agreement import assert_same
from tests.corpus import public_stores, real_runs
from tests.reference import Reference, segment_sqlite
from tests.reference_rows import read_sqlite
from tfx_graphlets.errors import EmptyStoreError
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Outcome, Stage

STORES = [*public_stores(), *real_runs()]
pytestmark = pytest.mark.skipif(not STORES, reason="the corpus is not beside this checkout")


def read(path: Path) -> Graphlets:
    """The graphlets of a store; none of a store without executions."""
    with open_store(path) as store:
        return segment(store.read_trace())


def name_of(path: Path) -> str:
    """A store's name in the output of the tests."""
    return path.stem if path.stem != "metadata" else path.parent.name


@pytest.mark.parametrize("path", STORES, ids=name_of)
def test_both_implementations_agree_on_a_real_store(path: Path) -> None:
    """The same graphlets, roles, costs, waste and savings from both."""
    reference = Reference(read_sqlite(path))
    if not reference.rows.executions:
        with pytest.raises(EmptyStoreError):
            read(path)
        return
    graphlets = read(path)
    assert_same(graphlets, reference)
    ids = graphlets.trace.executions.id
    assert set(ids[outcome.wasted_executions(graphlets)].tolist()) == reference.wasted
    unpushed = graphlets.outcome == Outcome.UNPUSHED
    for stage in Stage:
        for chosen in (unpushed, np.arange(len(graphlets)) % 2 == 0):
            saved = outcome.saved_executions(graphlets, chosen, stage)
            skipped = set(graphlets.trainer_id[chosen].tolist())
            assert set(ids[saved].tolist()) == reference.saved(skipped, stage.value)


@pytest.mark.parametrize("path", public_stores(), ids=name_of)
def test_the_reference_agrees_with_the_catalog(path: Path) -> None:
    """It counts as many Trainers, and no more pushes than there are pushed models.

    One model can be pushed twice.
    """
    catalog = {entry["file"]: entry for entry in json.loads(catalog_of(path).read_text())}
    entry = catalog[path.name]
    graphlets = segment_sqlite(path)
    cached = [
        execution
        for execution, role in Reference(read_sqlite(path)).role.items()
        if role == "TRAINER" and execution not in {g["trainer"] for g in graphlets}
    ]
    assert len(graphlets) + len(cached) == entry["n_trainer"]
    pushed = sum(graphlet["outcome"] == "pushed" for graphlet in graphlets)
    assert pushed <= entry["n_pushed_1"]
    assert (pushed == 0) == (entry["n_pushed_1"] == 0)


def catalog_of(path: Path) -> Path:
    """The catalog beside a public store."""
    return path.with_name("catalog.json")
