"""The readable view of a backtest: a table of the gate, the baselines and the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfx_graphlets.backtest.figures import Figures
    from tfx_graphlets.backtest.result import BacktestResult

_HEADER = (
    f"{'':18}  skipped  missed  freshness  waste removed  of removable  saved s  later: runs, hours"
)


def backtest_text(result: BacktestResult) -> str:
    """Some lines: figures, intervals, the promise, the best baseline, notes."""
    lines = [
        f"Stage {result.stage}, freshness {result.policy.freshness:g}: {result.graphlets} "
        f"graphlets, {result.pushed} pushed, {result.unpushed} unpushed"
        + (f"; {result.history} of other pipelines known" if result.history else ""),
        _HEADER,
        *(_row(figures) for figures in (result.gate, *result.baselines)),
    ]
    if len(result.pipelines) > 1:
        lines += ["by pipeline:", *(_row(figures) for figures in result.pipelines)]
    if len(result.nodes) > max(len(result.pipelines), 1):
        lines += ["by node:", *(_row(one.figures) for one in result.nodes)]
    lines += [*_intervals(result.gate), _promise(result.promise)]
    if result.explored:
        lines.append(f"{result.explored} runs were explored instead of skipped")
    if result.against_best is not None:
        name, difference = result.against_best
        lines.append(
            f"against {name}: {difference.waste_removed:+.3f} of all waste"
            + _span(difference.waste_removed_interval)
        )
    if result.by_trainer_price:
        prices = (
            f"{one.waste_removed:.3f} of {one.waste_removable:.3f} at {one.weight:g}"
            for one in result.by_trainer_price
        )
        lines.append(f"waste removed by the price of a Trainer: {', '.join(prices)}")
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _row(figures: Figures) -> str:
    delay = figures.push_delay
    later = ""
    if figures.pushes_missed and delay.never < figures.pushes_missed:
        later = f"{delay.median_runs:g}, {delay.median_hours:.1f}"
    never = f" ({delay.never} never)" if delay.never else ""
    return (
        f"{figures.name[:18]:18}  {figures.skipped:7}  {figures.pushes_missed:6}  "
        f"{figures.freshness:9.3f}  {figures.waste_removed:13.3f}  {figures.of_removable:12.3f}  "
        f"{figures.cost_saved_ms / 1000:7.1f}  {later}{never}"
    ).rstrip()


def _intervals(gate: Figures) -> Sequence[str]:
    if gate.intervals is None:
        return ()
    removed, share = gate.intervals.waste_removed, gate.intervals.of_removable
    line = f"95 %: freshness{_span(gate.freshness_interval)}, waste removed{_span(removed)}"
    return (f"{line}, of removable{_span(share)}",)


def _span(interval: tuple[float, float] | None) -> str:
    return " (no interval)" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def _promise(promise: Mapping[str, float | int | bool | None]) -> str:
    if not promise["pushes"]:
        return "promise: there was no push to keep"
    verdict = "agrees with" if promise["consistent"] else "is below"
    return (
        f"promised {promise['promised']:g}, achieved {promise['achieved']:.3f}: {verdict} the "
        f"promise (p = {promise['p_value']:.2f})"
    )
