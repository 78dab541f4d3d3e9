"""The study as Markdown: a table per part, in the order in which they are read.

``write_study`` makes a directory of it: study.json, study.md and the plots, whole or not at all.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.files import is_replaceable, replaced_directory
from tfx_graphlets.study.comparison import Ablation
from tfx_graphlets.study.measures import Measures
from tfx_graphlets.study.plots import write_plots
from tfx_graphlets.study.run import KIND, Study

WAY_NAMES = {
    "left_out": "other pipelines (leave one out)",
    "own": "own earlier graphlets",
    "joined": "other pipelines and own earlier graphlets",
}


def markdown(study: Study) -> str:
    """The document, headings from the first level, a newline at its end."""
    parts = [_head(study), _staged(study), _learners(study), _reliability(study)]
    parts += [_ablation(one) for one in study.ablation]
    parts += [_learning_curve(study), _shuffled(study), _notes(study)]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(study: Study) -> str:
    """A few lines for people: the staged models and the harness's check."""
    lines = [
        (
            f"{study.graphlets} labelled graphlets of {study.pipelines} pipelines "
            f"({study.pushed} pushed, {study.unpushed} unpushed)"
        )
    ]
    lines += [
        f"stage {one.stage}: AUC {one.measures.auc:.3f}, balanced accuracy "
        f"{one.measures.balanced_accuracy:.3f}, feature cost {one.relative_feature_cost:.0%}, "
        f"waste removed at freshness 0.95 (seen afterwards) {one.removed_at_95:.0%} of "
        f"{one.waste_removable:.0%} removable"
        for one in study.staged
    ]
    lines += [
        f"labels shuffled, stage {one.stage}, {one.way}: balanced accuracy "
        f"{one.balanced_accuracy:.3f}, standard deviation {number(one.balanced_accuracy_spread)}"
        for one in study.shuffled_labels
    ]
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table of cells by column; the first column to the left, the others to the right.

    >>> print(table([{"stage": "input", "AUC": "0.81"}]))
    | stage | AUC |
    | --- | ---: |
    | input | 0.81 |
    """
    ruler = ["---", *["---:"] * (len(rows[0]) - 1)]
    cells = [list(rows[0]), ruler, *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def number(value: float) -> str:
    """Three decimals; ``-`` where there is none."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def percent(value: float) -> str:
    """Whole percent; ``-`` where there is none."""
    return f"{value:.0%}" if math.isfinite(value) else "-"


def with_interval(value: float, interval: tuple[float, float]) -> str:
    """``0.800 (0.700 to 0.900)``."""
    if not math.isfinite(interval[0]):
        return number(value)
    return f"{number(value)} ({number(interval[0])} to {number(interval[1])})"


def _head(study: Study) -> str:
    return (
        "# Study of the waste model\n\n"
        f"{study.graphlets} labelled graphlets of {study.pipelines} pipelines: {study.pushed} "
        f"pushed, {study.unpushed} unpushed. Seed {study.settings.seed}. Behind AUC and balanced "
        "accuracy stands the 95 % bootstrap interval over pipelines."
    )


def _staged(study: Study) -> str:
    if not study.staged:
        return ""
    rows = [
        {
            "stage": one.stage,
            "features": str(one.features),
            **_main(one.measures),
            "feature cost": percent(one.relative_feature_cost),
            "removable": percent(one.waste_removable),
            "removed at 0.95": percent(one.removed_at_95),
            "removed at 0.99": percent(one.removed_at_99),
        }
        for one in study.staged
    ]
    how = " and ".join(dict.fromkeys(WAY_NAMES[one.way] for one in study.staged))
    return (
        f"## Staged models\n\nLearnt from {how}. Feature cost: share of a graphlet's compute that "
        "is spent when the gate decides. Removable: waste that an oracle at the stage removes, a "
        "share of all waste; removed: by the scores, at the highest threshold that keeps 0.95 or "
        f"0.99 of the pushes, seen afterwards. Plot: staged.png.\n\n{table(rows)}"
    )


def _learners(study: Study) -> str:
    if not study.comparison:
        return ""
    rows = []
    for one in study.comparison:
        measures, first = one.measures, one.learner == study.settings.learners[0]
        main = _main(measures)
        rows.append(
            {
                "stage, learner": f"{one.stage}, {one.learner}",
                "learnt from": one.way,
                "AUC": main["AUC"],
                "AUC within pipelines": number(measures.auc_within),
                "balanced accuracy": main["balanced accuracy"],
                "Brier": number(measures.brier),
                "log loss": number(measures.log_loss),
                "log loss after Platt": number(measures.log_loss_calibrated),
                "AUC gain": "" if first else with_interval(one.auc_gain, one.auc_gain_interval),
            }
        )
    ways = "; ".join(f"`{way}`: {name}" for way, name in WAY_NAMES.items())
    return (
        f"## Learners\n\nLearnt from {ways}. All on the same "
        f"{study.comparison[0].measures.graphlets} graphlets of each stage. AUC gain: over "
        f"{study.settings.learners[0]} in the same way. Plot: learners.png.\n\n{table(rows)}"
    )


def _reliability(study: Study) -> str:
    if not study.reliability:
        return ""
    rows = [
        {
            "stage, learner": f"{raw.stage}, {raw.learner}",
            "learnt from": raw.way,
            "error before": number(raw.expected_calibration_error),
            "error after Platt": number(after.expected_calibration_error),
            "if perfect": number(after.error_if_perfect),
        }
        for raw, after in zip(study.reliability[::2], study.reliability[1::2])
    ]
    return (
        "## Calibration\n\nExpected calibration error over bins of equally many graphlets. If "
        "perfect: the error that probabilities which are exactly right would show on average in "
        f"so small a sample. Plot: reliability.png.\n\n{table(rows)}"
    )


def _ablation(one: Ablation) -> str:
    total = sum(group.features for group in one.groups)
    rows = [
        {
            "left out": "nothing",
            "features": str(total),
            **_main(one.everything),
            **dict.fromkeys(("AUC lost", "AUC alone", "balanced accuracy alone"), ""),
        }
    ]
    rows += [
        {
            "left out": group.group,
            "features": str(group.features),
            **_main(group.without),
            "AUC lost": with_interval(group.auc_loss, group.auc_loss_interval),
            "AUC alone": number(group.alone.auc),
            "balanced accuracy alone": number(group.alone.balanced_accuracy),
        }
        for group in one.groups
    ]
    return (
        f"## Groups of features at stage {one.stage}, learnt from {WAY_NAMES[one.way]}\n\n"
        "AUC lost: by leaving the group out. Alone: with this group and nothing else. "
        f"Plot: ablation.png.\n\n{table(rows)}"
    )


def _learning_curve(study: Study) -> str:
    if not study.learning_curve:
        return ""
    rows = [
        {
            "stage, learnt from": f"{one.stage}, {one.of}",
            "size": str(one.size),
            "AUC": number(one.auc),
            "spread of AUC": number(one.auc_spread),
            "removed at 0.95": number(one.waste_removed),
            "spread of removed": number(one.waste_removed_spread),
        }
        for one in study.learning_curve
    ]
    return (
        "## What more data bring\n\nEach pipeline is scored by what was learnt from a random "
        f"choice of the others; {study.settings.repeats} choices a size. Plot: "
        f"learning_curve.png.\n\n{table(rows)}"
    )


def _shuffled(study: Study) -> str:
    if not study.shuffled_labels:
        return ""
    rows = [
        {
            "stage": one.stage,
            "learnt from": one.way,
            "balanced accuracy": number(one.balanced_accuracy),
            "its deviation": number(one.balanced_accuracy_spread),
            "AUC": number(one.auc),
            "deviation of AUC": number(one.auc_spread),
        }
        for one in study.shuffled_labels
    ]
    return (
        f"## Shuffled labels\n\nThe same harness, labels permuted within each pipeline "
        f"{study.settings.permutations} times: 0.5 is guessing; within a pipeline a little less, "
        "since labels that came early are missing later. Means over pipelines, and the "
        f"standard deviation over permutations.\n\n{table(rows)}"
    )


def _notes(study: Study) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in study.libraries.items())
    lines = [f"- {note}" for note in (*study.notes, f"Libraries: {versions}.")]
    return "## Notes\n\n" + "\n".join(lines)


def _main(measures: Measures | None) -> dict[str, str]:
    if measures is None:
        return {"AUC": "-", "balanced accuracy": "-"}
    accuracy = with_interval(measures.balanced_accuracy, measures.balanced_accuracy_interval)
    return {
        "AUC": with_interval(measures.auc, measures.auc_interval),
        "balanced accuracy": accuracy,
    }


JSON_FILE: Final = "study.json"
MARKDOWN_FILE: Final = "study.md"


def check_target(directory: str | os.PathLike[str]) -> Path:
    """The directory, if a study may be written there.

    Raises:
      InvalidArgumentError: it exists, is not empty, and holds no study.
    """
    target = Path(directory)
    if target.exists() and not is_replaceable(target, JSON_FILE, KIND):
        raise InvalidArgumentError(
            "output", str(target), "holds something that is no study; name another directory"
        )
    return target


def write_study(study: Study, directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Writes a study.

    Args:
      study: what was found.
      directory: does not exist, is empty, or holds a study, which is replaced.

    Returns:
      Names of the files.

    Raises:
      InvalidArgumentError: the directory holds something else.
      MissingDependencyError: matplotlib is not installed.
      OSError: it cannot be written.
    """
    target = check_target(directory)
    with replaced_directory(target) as draft:
        text = json.dumps(study.to_dict(), indent=1, allow_nan=False)
        (draft / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        (draft / MARKDOWN_FILE).write_text(markdown(study), encoding="utf-8")
        plots = write_plots(study, draft)
    return (JSON_FILE, MARKDOWN_FILE, *plots)
