"""Intervals over pipelines, and who may import the study."""

from __future__ import annotations

import numpy as np

from tests.import_graph import PACKAGE, imports_of, module_name, python_files, unit_of
from tests.study.histories import several
from tfx_graphlets.study import measures
from tfx_graphlets.study.harness import Scored
from tfx_graphlets.waste_model import metrics


def test_a_counted_draw_is_the_statistic_of_the_drawn_rows() -> None:
    """AUC and balanced accuracy of a draw equal those of its pipelines' rows, repeated."""
    draw = np.random.default_rng(0)
    group, score = draw.integers(0, 5, 200), draw.random(200).round(2)
    pushed, predicted = draw.random(200) < score, score > 0.4
    weights = measures._draws(group, seed=0)[:20]
    auc = measures._drawn_auc(pushed, score, group, weights)
    accuracy = measures._drawn_accuracy(pushed, predicted, group, weights)
    for at, times in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(200), times[group])
        assert np.isclose(auc[at], metrics.area_under_curve(pushed[rows], score[rows]))
        assert np.isclose(accuracy[at], metrics.balanced_accuracy(pushed[rows], predicted[rows]))


def test_one_pipeline_has_no_interval() -> None:
    """Drawn over and over it would seem certain; the interval is missing instead."""
    dataset = several(pipelines=1)
    score = np.linspace(0, 1, len(dataset))
    found = measures.measure(dataset, Scored(score, score, score), np.arange(len(dataset)))
    assert np.isnan(found.auc_interval).all()
    assert found.auc == found.auc_within


def test_log_loss_of_a_certain_error_is_finite() -> None:
    """A probability of 0 for what was pushed costs no more than that of 0.005."""
    loss = measures.log_loss(np.array([True]), np.array([0.0]))
    assert loss == -np.log(0.005)


def test_only_the_command_line_imports_the_study() -> None:
    """Nothing else depends on the study, nor on its libraries but rehearsals, whose scouts do."""
    users = {
        unit_of(module_name(path))
        for path in python_files(PACKAGE)
        for target in imports_of(path)
        if unit_of(target.module) == f"{PACKAGE}.study"
        or target.module.partition(".")[0] in {"sklearn", "matplotlib"}
    }
    assert users <= {f"{PACKAGE}.{unit}" for unit in ("study", "cli", "report", "rehearsal")}
