"""The user's module as commits change it."""

from __future__ import annotations

import ast

import pytest

pytest.importorskip("tfx")

from pipelines.flights import live, schedule, variants


def _settings(source: str) -> dict[str, object]:
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, (ast.Constant, ast.UnaryOp))
    }


@pytest.mark.tfx
@pytest.mark.parametrize("name", sorted(variants.VARIANTS))
def test_every_commit_changes_the_module(name: str) -> None:
    """Each revision of a schedule has a source of its own, with exactly its settings set."""
    revisions = {run.revision for run in schedule.plan(variants.get_variant(name), 200)}
    sources = {live.module_source(revision) for revision in revisions}
    assert len(sources) == len(revisions)
    base = _settings(live.module_source(schedule.FIRST_REVISION))
    for revision in revisions:
        expected = {**base, **dict(revision.settings), "REVISION": revision.number}
        assert _settings(live.module_source(revision)) == expected


@pytest.mark.tfx
def test_a_setting_that_the_module_has_not_is_refused() -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match="'DROPOUT'"):
        live.module_source(schedule.FIRST_REVISION.changed(1, DROPOUT=0.5))
