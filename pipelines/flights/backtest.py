"""What a gate removes of the recorded history, as Markdown tables.

`python -m pipelines.flights.backtest [--stage input pre] [--freshness 0.95 0.99]` replays a gate
over each variant; three are held out together, the others are known from the start. One line a
stage and target: without a rehearsal, with one in every run (`all`), with one where it pays
(`auto`); under it the same by push rate. `--hold-out task` learns from other tasks alone, `--judge
STORE...` replays stores of other people with all variants known, `--without code holds pair scout
rehearsal` leaves features out, `--pipelines N` knows N others alone, `--min-labelled N` lets the
first N labelled runs through, `--variants` adds a table by variant, and `--causes` what a gate
could remove that knew the cause of every run but not its outcome.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from pipelines.flights import history
from pipelines.flights.replays import ABLATIONS, REHEARSAL_SECONDS, Job, Results, run
from tfx_graphlets import GatePolicy, Stage
from tfx_graphlets.backtest.figures import Figures
from tfx_graphlets.backtest.result import BacktestResult
from tfx_graphlets.rehearsal import Mode, worth_of
from tfx_graphlets.waste_model import Dataset
from tfx_graphlets.waste_model.metrics import WasteMeter, promise_kept, wilson_interval

DRAWS = 2000
PUSH_RATE_BANDS = (0.0, 0.1, 0.3, 0.6, 0.9, 1.01)
DEAR = "-dear"  # in the names of the variants with a dear Trainer
WITHOUT, ALL, AUTO = "no", "all", "auto"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
      stage, freshness: of the gate.
      rehearsal: WITHOUT, ALL or AUTO.
      results: by variant.
      rehearsals: how many runs of each variant are rehearsed.
    """

    stage: Stage
    freshness: float
    rehearsal: str
    results: Results
    rehearsals: Mapping[str, int]

    def of(self, names: Sequence[str]) -> Line:
        """The line of some variants."""
        return dataclasses.replace(self, results={name: self.results[name] for name in names})


def lines_of(
    stage: Stage,
    targets: Sequence[float],
    found: Mapping[bool, Mapping[float, Results]],
    behind: Mapping[str, Sequence[float]],
) -> Iterator[Line]:
    """The lines of a stage, from its replays without (False) and with (True) rehearsals."""
    for target in targets:
        none = found[False][target]
        yield Line(stage, target, WITHOUT, none, dict.fromkeys(none, 0))
        if True not in found:
            continue
        every = found[True][target]
        yield Line(stage, target, ALL, every, {name: len(behind[name]) for name in every})
        pays = {name: rehearsal_pays(every[name], behind[name]) for name in every}
        yield Line(
            stage,
            target,
            AUTO,
            {name: (every if pays[name] else none)[name] for name in every},
            {name: len(behind[name]) * pays[name] for name in every},
        )


def rehearsal_pays(result: BacktestResult, behind_s: Sequence[float]) -> bool:
    """Whether a Rehearsal of mode ``auto`` takes place in the usual run of a variant."""
    worth = worth_of(
        Mode.AUTO,
        probability=result.pushed / (result.pushed + result.unpushed),
        behind_s=behind_s,
        scout_s=(REHEARSAL_SECONDS,),
    )
    return worth.mode is not Mode.OFF


def table(lines: Sequence[Line]) -> str:
    """One row a line.

    Missed are pushes; removed, net (less what rehearsals cost) and oracle are shares of all
    wasted compute. Brackets are 95 % intervals: Wilson's for the freshness, for the waste a
    bootstrap over variants. Waits are runs until the next push that was kept, of those that
    came, over all pushes. The baseline is the one that removes most and keeps the target.
    """
    columns = "stage, target|rehearsed|skipped|missed|freshness|removed|net|of removable|wait"
    rows = [f"|{columns}|best baseline|oracle|", "|---" * 11 + "|"]
    for line in lines:
        gate = _gate(line)
        rows.append(
            f"| `{line.stage}`, {line.freshness:g} | {line.rehearsal} | {gate.skipped} "
            f"| {gate.missed} of {gate.pushed} | {gate.told_freshness} | {gate.told_removed} "
            f"| {gate.removed - _rehearsals_share(line):.1%} | {gate.removed / gate.oracle:.0%} "
            f"| {_wait(line)} | {_best_baseline(line)} | {gate.oracle:.1%} |"
        )
    return "\n".join(rows)


def bands(lines: Sequence[Line]) -> str:
    """By push rate: missed of pushes, * where that breaks the promise (p < 0.05), and removed.

    The rate is the share of pushes in the pushed and unpushed graphlets of a variant. Dear are
    those with a dear Trainer; of them also what is removed net of the removable.
    """
    edges = list(zip(PUSH_RATE_BANDS, PUSH_RATE_BANDS[1:]))
    heads = [f"{low:.0%} to {min(high, 1):.0%}" for low, high in edges]
    rows = [
        f"| stage, target | rehearsed | {' | '.join(heads)} | dear | dear, net of removable |",
        "|---" * (len(edges) + 4) + "|",
    ]
    for line in lines:
        rates = {n: one.pushed / (one.pushed + one.unpushed) for n, one in line.results.items()}
        groups = [[n for n, rate in rates.items() if low <= rate < high] for low, high in edges]
        dear = [name for name in line.results if DEAR in name]
        cells = [_cell(line.of(group)) for group in (*groups, dear)]
        net = "" if not dear else f"{_net_of_removable(line.of(dear)):.0%}"
        rows.append(
            f"| `{line.stage}`, {line.freshness:g} | {line.rehearsal} | {' | '.join(cells)} "
            f"| {net} |"
        )
    return "\n".join(rows)


def chart(lines: Sequence[Line]) -> str:
    """What each line removes, and below it what it removes net, as a chart of Mermaid."""
    names = ", ".join(f'"{one.stage} {one.freshness:g} {one.rehearsal}"' for one in lines)
    removed = [100 * _gate(one).removed for one in lines]
    net = [100 * (_gate(one).removed - _rehearsals_share(one)) for one in lines]
    bars = [", ".join(f"{max(value, 0):.1f}" for value in values) for values in (removed, net)]
    return (
        "```mermaid\nxychart-beta\n"
        '    title "Removed, % of all waste; line: net of rehearsals"\n'
        f'    x-axis [{names}]\n    y-axis "%" 0 --> 60\n'
        f"    bar [{bars[0]}]\n    line [{bars[1]}]\n```"
    )


def by_variant(line: Line) -> str:
    """One row a variant."""
    rows = [
        "| variant | pushed | unpushed | skipped | explored | missed | removed | removable |",
        "|---" * 8 + "|",
    ]
    for name, one in line.results.items():
        gate = one.gate
        rows.append(
            f"| {name} | {one.pushed} | {one.unpushed} | {gate.skipped} | {one.explored} "
            f"| {gate.pushes_missed} | {gate.waste_removed:.0%} | {one.waste_removable:.0%} |"
        )
    return "\n".join(rows)


@dataclasses.dataclass(frozen=True)
class _Sum:
    """Figures of one method over some variants; shares of their waste."""

    skipped: int
    missed: int
    pushed: int
    removed: float
    interval: tuple[float, float]
    oracle: float

    @property
    def told_freshness(self) -> str:
        low, high = wilson_interval(self.pushed - self.missed, self.pushed)
        return f"{1 - self.missed / self.pushed:.3f} [{low:.2f}, {high:.2f}]"

    @property
    def told_removed(self) -> str:
        return f"{self.removed:.1%} [{self.interval[0]:.0%}, {self.interval[1]:.0%}]"


def _gate(line: Line) -> _Sum:
    """The gate over all variants of a line."""
    return _summed([(one.gate, one) for one in line.results.values()])


def _summed(found: Sequence[tuple[Figures, BacktestResult]]) -> _Sum:
    waste = np.array([one.waste_ms for _, one in found])
    removed = np.array([figures.waste_removed for figures, _ in found]) * waste
    removable = np.array([one.waste_removable for _, one in found]) * waste
    drawn = np.random.default_rng(0).integers(0, len(found), (DRAWS, len(found)))
    low, high = np.percentile(removed[drawn].sum(1) / waste[drawn].sum(1), (2.5, 97.5))
    return _Sum(
        skipped=sum(figures.skipped for figures, _ in found),
        missed=sum(figures.pushes_missed for figures, _ in found),
        pushed=sum(one.pushed for _, one in found),
        removed=float(removed.sum() / waste.sum()),
        interval=(float(low), float(high)),
        oracle=float(removable.sum() / waste.sum()),
    )


def _rehearsals_share(line: Line) -> float:
    """What rehearsals cost, as a share of all waste."""
    waste_ms = sum(one.waste_ms for one in line.results.values())
    return 1000 * REHEARSAL_SECONDS * sum(line.rehearsals[n] for n in line.results) / waste_ms


def _net_of_removable(line: Line) -> float:
    gate = _gate(line)
    return (gate.removed - _rehearsals_share(line)) / gate.oracle


def _cell(line: Line) -> str:
    if not line.results:
        return ""
    gate = _gate(line)
    kept = promise_kept(line.freshness, gate.pushed - gate.missed, gate.pushed)
    broken = "" if kept["consistent"] else "*"
    return f"{gate.missed} of {gate.pushed}{broken}, {gate.removed:.0%}"


def _wait(line: Line) -> str:
    delays = [one.gate.push_delay for one in line.results.values()]
    pushed = sum(one.pushed for one in line.results.values())
    never = sum(delay.never for delay in delays)
    runs = sum(float(np.nansum(delay.runs)) for delay in delays)
    return f"{runs / pushed:.2f} runs" + (f", {never} never" if never else "")


def _best_baseline(line: Line) -> str:
    found: dict[str, list[tuple[Figures, BacktestResult]]] = defaultdict(list)
    for one in line.results.values():
        for figures in one.baselines:
            if figures.kind != "oracle":
                found[figures.name].append((figures, one))
    sums = [(name, _summed(ones)) for name, ones in found.items() if len(ones) == len(line.results)]
    kept = [
        (one.removed, name) for name, one in sums if one.missed <= (1 - line.freshness) * one.pushed
    ]
    removed, name = max(kept)
    return f"{name} {removed:.1%}"


def prices(line: Line, factors: Sequence[float] = (1, 5, 20, 100)) -> str:
    """What is removed net of rehearsals, were what stands behind the gate so many times as dear.

    Nothing was run at another price than 1.
    """
    removed, cost = _gate(line).removed, _rehearsals_share(line)
    net = [f"{removed - cost / factor:.1%} at {factor:g} times" for factor in factors]
    return f"`{line.stage}`, {line.freshness:g}, {line.rehearsal}: net {', '.join(net)} the cost"


def known_causes(parts: dict[str, Dataset], freshness: float) -> str:
    """What could be removed if the cause of each run were known, but not its outcome.

    Runs of one cause (or several at once) are skipped all or none, causes of the lowest push rate
    first, as long as the freshness is kept; with the push rates of these very runs, so that it is
    an upper bound for whatever tells causes apart and no more.
    """
    whole = Dataset.concatenate(list(parts.values()))
    causes = _causes(whole)
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, cause in enumerate(causes):
        rows[cause].append(row)
    pushes = {cause: int(whole.pushed[at].sum()) for cause, at in rows.items()}
    order = sorted(rows, key=lambda cause: (pushes[cause] / len(rows[cause]), cause))
    allowed = (1 - freshness) * float(whole.pushed.sum()) + 1e-9
    skipped, missed = np.zeros(len(whole), bool), 0
    for cause in order:
        if missed + pushes[cause] > allowed:
            break
        missed += pushes[cause]
        skipped[rows[cause]] = True
    meter = WasteMeter(whole.sources, whole.stage)
    removed = meter.removed(whole.skips_by_store(skipped))
    plain = np.array([cause == ("new_data",) for cause in causes])
    only_plain = meter.removed(whole.skips_by_store(plain & whole.unpushed))
    return (
        f"A gate that knew the cause of every run: {removed:.1%} of all waste at freshness "
        f"{1 - missed / int(whole.pushed.sum()):.3f}. Plain new data alone (of which "
        f"{whole.pushed[plain].mean():.0%} is pushed) makes {only_plain:.1%}."
    )


def _causes(dataset: Dataset) -> list[tuple[str, ...]]:
    of_run = {archive.parent.name: history.causes_by_run(archive) for archive in history.archives()}
    runs = {
        store: {graphlet.trainer: graphlet.run or "" for graphlet in graphlets}
        for store, graphlets in dataset.sources.items()
    }
    return [
        tuple(sorted(of_run[store].get(runs[store][int(trainer)], ())))
        for store, trainer in zip(dataset.store, dataset.table.trainer.tolist())
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.backtest", description=__doc__)
    add = parser.add_argument
    add("--freshness", type=float, nargs="+", default=[0.95, 0.99])
    add("--stage", nargs="+", type=Stage, default=[Stage.INPUT, Stage.PRE])
    add("--hold-out", choices=("one", "three", "task"), default="three", help="what together")
    add("--no-rehearsal", action="store_true", help="only the lines without one")
    add("--uncensored", action="store_true")
    add("--judge", nargs="+", default=[], metavar="STORE", help="stores to replay; no rehearsal")
    add("--without", nargs="+", choices=sorted(ABLATIONS), default=[])
    add("--pipelines", type=int, help="how many others are known; all by default")
    add("--min-labelled", type=int, default=GatePolicy.min_labelled, metavar="N")
    add("--variants", action="store_true", help="a table by variant below each line")
    add("--causes", action="store_true", help="what knowing every cause would remove")
    add("--processes", type=int, default=2)
    return parser


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """What is replayed; the longer first."""
    both = (False,) if options.no_rehearsal or options.judge else (False, True)
    return [
        Job(
            stage, rehearsed, tuple(options.freshness), options.hold_out, not options.uncensored,
            tuple(options.without), options.pipelines, tuple(options.judge),
            options.min_labelled,
        )
        for rehearsed in both[::-1]
        for stage in options.stage
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    jobs = jobs_of(options)
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        done = dict(zip(((job.stage, job.rehearsed) for job in jobs), pool.map(run, jobs)))
    lines = [
        line
        for stage in options.stage
        for line in lines_of(
            stage,
            options.freshness,
            {one.rehearsed: done[stage, one.rehearsed][0] for one in jobs},
            done[stage, False][1],
        )
    ]
    parts = [table(lines), chart(lines), bands(lines), "\n".join(prices(line) for line in lines)]
    if options.variants:
        parts += [
            f"{line.stage} {line.freshness:g} {line.rehearsal}\n\n{by_variant(line)}"
            for line in lines
        ]
    if options.causes:
        for stage in options.stage:
            parts += [known_causes(history.datasets(stage), options.freshness[0])]
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
