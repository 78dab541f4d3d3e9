"""The study's plots, as PNG files; matplotlib is imported here alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfx_graphlets.errors import MissingDependencyError
from tfx_graphlets.study.measures import Interval
from tfx_graphlets.study.run import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by people with any colour vision; marks and
# dashes tell the same apart without colour.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#808080"
_WAY_LABELS: Final = {
    "left_out": "other pipelines",
    "own": "own earlier graphlets",
    "joined": "both",
}
_LEARNER_LABELS: Final = {
    "random_forest": "random forest",
    "gradient_trees": "gradient trees",
    "logistic": "logistic",
}
_DOTS_PER_INCH = 130


def write_plots(study: Study, directory: Path) -> tuple[str, ...]:
    """Writes one PNG per part that has something to show.

    Args:
      study: what was found.
      directory: where to; it exists.

    Returns:
      Names of the files.

    Raises:
      MissingDependencyError: matplotlib is not installed.
    """
    draws: Mapping[str, tuple[Callable[[Study], Figure], bool]] = {
        "staged.png": (_staged, bool(study.staged)),
        "learners.png": (_learners, bool(study.comparison)),
        "reliability.png": (_reliability, bool(study.reliability)),
        "ablation.png": (_ablation, bool(study.ablation)),
        "learning_curve.png": (_learning_curve, bool(study.learning_curve)),
    }
    names = []
    for name, (draw, has_content) in draws.items():
        if has_content:
            figure = draw(study)
            figure.savefig(directory / name, dpi=_DOTS_PER_INCH, metadata={"Software": None})
            names.append(name)
    return tuple(names)


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels, row by row; it belongs to no window and no global state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("matplotlib", "study", "a plot") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(visible=True, color="#E5E5E5", linewidth=0.7)
        panel.set_axisbelow(True)
    return figure, panels


def _staged(study: Study) -> Figure:
    figure, (panel,) = _panels(1, 1, 7.2, 4.8)
    for number, one in enumerate(study.staged):
        color = COLORS[number % len(COLORS)]
        points = sorted(one.curve, key=lambda point: (point.freshness, -point.waste_removed))
        panel.step(
            [point.freshness for point in points],
            [point.waste_removed for point in points],
            where="pre",
            color=color,
            linewidth=1.8,
            label=f"{one.stage} (AUC {one.measures.auc:.2f})",
        )
        if math.isfinite(one.waste_removable):
            panel.axhline(one.waste_removable, color=color, linewidth=1.2, linestyle="--")
    panel.plot([], [], color=_GREY, linewidth=1.2, linestyle="--", label="oracle at the stage")
    panel.set_xlim(1.005, 0.5)
    panel.set_ylim(0, 1.03)
    panel.set_xlabel("freshness: share of pushes kept (all of them at the left)")
    panel.set_ylabel("waste removed, share of all wasted compute")
    panel.set_title("Staged models: waste removed against freshness", loc="left")
    panel.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure


def _learners(study: Study) -> Figure:
    stages = list(dict.fromkeys(one.stage for one in study.comparison))
    ways = list(dict.fromkeys(one.way for one in study.comparison))
    learners = list(dict.fromkeys(one.learner for one in study.comparison))
    figure, panels = _panels(1, len(stages), _width(stages), 4.0)
    for panel, stage in zip(panels, stages):
        for number, learner in enumerate(learners):
            ours = {
                o.way: o.measures
                for o in study.comparison
                if (o.stage, o.learner) == (stage, learner)
            }
            at = [ways.index(way) + (number - (len(learners) - 1) / 2) * 0.2 for way in ours]
            panel.errorbar(
                at,
                [m.auc for m in ours.values()],
                yerr=_bars([(m.auc, m.auc_interval) for m in ours.values()]),
                fmt=MARKS[number],
                color=COLORS[number],
                markersize=6,
                linewidth=1.2,
                label=_LEARNER_LABELS.get(learner, learner),
            )
        panel.axhline(0.5, color=_GREY, linewidth=1, linestyle=":")
        panel.set_xticks(range(len(ways)), [_WAY_LABELS[way].replace(" ", "\n") for way in ways])
        panel.tick_params(axis="x", labelsize=8)
        panel.set_xlim(-0.5, len(ways) - 0.5)
        panel.set_title(f"stage {stage}", loc="left", fontsize=10)
        panel.grid(visible=False, axis="x")
    _same_range(panels, "y")
    panels[0].set_ylabel("AUC, 95 % interval over pipelines")
    figure.suptitle("Learners, by what they learnt from", x=0.01, ha="left")
    _legend_below(figure, panels[-1])
    return figure


def _reliability(study: Study) -> Figure:
    learner = study.settings.learners[0]
    ours = [one for one in study.reliability if one.learner == learner]
    way = ours[0].way
    stages = list(dict.fromkeys(one.stage for one in ours))
    figure, panels = _panels(1, len(stages), _width(stages), 4.2)
    for panel, stage in zip(panels, stages):
        panel.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=":")
        for one in ours:
            if (one.stage, one.way) != (stage, way):
                continue
            number = int(one.calibrated)
            panel.plot(
                [b.mean_probability for b in one.bins],
                [b.push_rate for b in one.bins],
                marker=MARKS[number],
                color=COLORS[number],
                linewidth=1.4,
                markersize=5,
                linestyle="-" if one.calibrated else "--",
                label="after Platt scaling" if one.calibrated else "score as it is",
            )
        errors = [o.expected_calibration_error for o in ours if (o.stage, o.way) == (stage, way)]
        panel.set_title(
            f"stage {stage}\nerror {errors[0]:.2f} before, {errors[-1]:.2f} after",
            loc="left",
            fontsize=10,
        )
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1)
        panel.set_aspect("equal")
        panel.set_xlabel("predicted probability of a push")
    panels[0].set_ylabel("share that was pushed")
    figure.suptitle(
        f"Reliability of the {_LEARNER_LABELS.get(learner, learner)}, learnt from "
        f"{_WAY_LABELS[way]}",
        x=0.01,
        ha="left",
    )
    _legend_below(figure, panels[-1])
    return figure


def _ablation(study: Study) -> Figure:
    stages = list(dict.fromkeys(one.stage for one in study.ablation))
    ways = list(dict.fromkeys(one.way for one in study.ablation))
    groups = list(dict.fromkeys(g.group for one in study.ablation for g in one.groups))
    height = 1.9 + 0.34 * (len(groups) + 1) * len(ways)
    figure, panels = _panels(len(ways), len(stages), _width(stages), height)
    by_place = {(one.way, one.stage): one for one in study.ablation}
    for number, panel in enumerate(panels):
        way, stage = ways[number // len(stages)], stages[number % len(stages)]
        one = by_place.get((way, stage))
        panel.set_yticks(range(len(groups)), groups if number % len(stages) == 0 else [])
        panel.set_ylim(len(groups) - 0.5, -0.5)
        panel.set_title(f"stage {stage}, {_WAY_LABELS[way]}", loc="left", fontsize=9)
        if one is None:
            continue
        panel.axvline(one.everything.auc, color=COLORS[6], linewidth=1.3, label="all features")
        panel.axvline(0.5, color=_GREY, linewidth=1, linestyle=":")
        for at, (label, shift) in enumerate((("without the group", -0.13), ("alone", 0.13))):
            measures = [(groups.index(g.group), g.alone if at else g.without) for g in one.groups]
            known = [(place, m) for place, m in measures if m is not None]
            panel.plot(
                [m.auc for _, m in known],
                [place + shift for place, _ in known],
                MARKS[at],
                color=COLORS[at],
                markersize=6,
                linestyle="none",
                label=label,
            )
        if number // len(stages) == len(ways) - 1:
            panel.set_xlabel("AUC")
    _same_range(panels, "x")
    figure.suptitle("Groups of features: AUC without each, and with it alone", x=0.01, ha="left")
    _legend_below(figure, panels[len(stages) - 1])
    return figure


def _learning_curve(study: Study) -> Figure:
    figure, panels = _panels(2, 2, 8.6, 5.6)
    from matplotlib.ticker import MaxNLocator

    stages = list(dict.fromkeys(one.stage for one in study.learning_curve))
    for column, of in enumerate(("pipelines", "graphlets")):
        for number, stage in enumerate(stages):
            ours = [o for o in study.learning_curve if (o.stage, o.of) == (stage, of)]
            for row, name in enumerate(("auc", "waste_removed")):
                values = [getattr(one, name) for one in ours]
                spread = [getattr(one, f"{name}_spread") for one in ours]
                panels[2 * row + column].errorbar(
                    [one.size for one in ours],
                    values,
                    yerr=[value if math.isfinite(value) else 0 for value in spread],
                    marker=MARKS[number],
                    color=COLORS[number],
                    linewidth=1.4,
                    markersize=5,
                    label=f"stage {stage}",
                )
        panels[2 + column].set_xlabel(f"number of {of} learnt from")
        for panel in (panels[column], panels[2 + column]):
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    for row, label in enumerate(("AUC", "waste removed at freshness 0.95")):
        panels[2 * row].set_ylabel(label)
        _same_range(panels[2 * row : 2 * row + 2], "y")
    figure.suptitle(
        "What more data bring (bars: standard deviation over random choices)",
        x=0.01,
        ha="left",
    )
    _legend_below(figure, panels[1])
    return figure


def _width(stages: Sequence[str]) -> float:
    """Inches for a panel per stage, and never too few for the title."""
    return max(1.4 + 2.6 * len(stages), 6.0)


def _bars(values: Sequence[tuple[float, Interval]]) -> list[list[float]]:
    """Lengths of error bars below and above, 0 where there is no interval."""
    low = [max(v - i[0], 0.0) if math.isfinite(i[0]) else 0.0 for v, i in values]
    high = [max(i[1] - v, 0.0) if math.isfinite(i[1]) else 0.0 for v, i in values]
    return [low, high]


def _same_range(panels: Sequence[Axes], axis: str) -> None:
    ranges = [getattr(panel, f"get_{axis}lim")() for panel in panels]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    for panel in panels:
        getattr(panel, f"set_{axis}lim")(low, high)


def _legend_below(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, frameon=False, loc="outside lower center", ncols=len(labels), fontsize=9
    )
