"""The whole study: every part at every stage, from one seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final, Optional

from tfx_graphlets.errors import InvalidArgumentError, NotEnoughHistoryError
from tfx_graphlets.study.comparison import Ablation, Compared, ablation, compare_learners
from tfx_graphlets.study.harness import JOINED, LEFT_OUT, MIN_OF_EACH, MIN_ROWS, OWN, Harness
from tfx_graphlets.study.learners import LEARNERS, Learner, versions
from tfx_graphlets.study.limits import (
    LearningPoint,
    ShuffledLabels,
    learning_curve,
    shuffled_labels,
)
from tfx_graphlets.study.reliability import Reliability, reliability
from tfx_graphlets.study.staged import StagedModel, staged_model
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import plain

KIND: Final = "tfx_graphlets.study"
FORMAT_VERSION: Final = 1

# Parts done, parts in all, and what comes next.
Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """How much is computed.

    Attributes:
      seed: of all randomness.
      learners: names of the learners that are compared; the first is used in
        all other parts.
      trees: of a random forest, where learners and stages are compared.
      trees_of_many: of a random forest in the parts that train hundreds:
        ablation, learning curve, shuffled labels.
      repeats: random choices per size of the learning curve.
      permutations: of shuffled labels.
    """

    seed: int = 0
    learners: tuple[str, ...] = LEARNERS
    trees: int = 100
    trees_of_many: int = 40
    repeats: int = 2
    permutations: int = 4

    def __post_init__(self) -> None:
        for name in ("trees", "trees_of_many", "repeats", "permutations"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(name, getattr(self, name), "must be 1 or more")
        if self.seed < 0:
            raise InvalidArgumentError("seed", self.seed, "must be 0 or more")
        if not self.learners:
            raise InvalidArgumentError("learners", self.learners, "name at least one")


DEFAULT_STUDY: Final = StudySettings()


@dataclasses.dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
      settings: how much was computed.
      stages: the stages, in the order of time.
      graphlets, pushed, unpushed, pipelines: what was learnt from and judged.
      staged: one model per stage.
      comparison: learners and ways to learn.
      ablation: groups of features.
      reliability: probabilities before and after calibration.
      learning_curve: what more data bring.
      shuffled_labels: the harness on labels that mean nothing.
      libraries: versions that the figures depend on.
      notes: what to keep in mind when reading the figures.
    """

    settings: StudySettings
    stages: tuple[str, ...]
    graphlets: int
    pushed: int
    unpushed: int
    pipelines: int
    staged: tuple[StagedModel, ...]
    comparison: tuple[Compared, ...]
    ablation: tuple[Ablation, ...]
    reliability: tuple[Reliability, ...]
    learning_curve: tuple[LearningPoint, ...]
    shuffled_labels: tuple[ShuffledLabels, ...]
    libraries: Mapping[str, str]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values; NaN as None."""
        document = plain(dataclasses.asdict(self))
        return {"kind": KIND, "format_version": FORMAT_VERSION, **document}


def run_study(
    datasets: Mapping[Stage, Dataset],
    settings: StudySettings = DEFAULT_STUDY,
    progress: Optional[Progress] = None,
) -> Study:
    """Runs every part at every stage.

    Args:
      datasets: by stage, the same graphlets of one or more pipelines.
      settings: how much is computed.
      progress: is told before each part, and once when all are done.

    Returns:
      The study; the same arguments give the same.

    Raises:
      InvalidArgumentError: there is no dataset, or one is of another stage.
      NotEnoughHistoryError: too few graphlets are labelled to learn from any.
      MissingDependencyError: a learner's library is not installed.
    """
    _check(datasets)
    stages = [stage for stage in Stage if stage in datasets]
    harnesses = {stage: Harness(datasets[stage], settings.seed) for stage in stages}
    learners = tuple(Learner(name, settings.trees) for name in settings.learners)
    light = Learner(settings.learners[0], settings.trees_of_many)
    one_pipeline = harnesses[stages[0]].folds < 2
    # With one pipeline nothing can be left out: what it can learn from itself is shown.
    way = OWN if one_pipeline else LEFT_OUT
    seed = settings.seed
    staged: list[StagedModel | None] = []
    compared: list[Compared] = []
    ablations: list[Ablation | None] = []
    reliabilities: list[Reliability] = []
    points: list[LearningPoint] = []
    shuffles: list[ShuffledLabels | None] = []

    def compare(one: Harness) -> None:
        compared.extend(compare_learners(one, learners, seed))

    def stage_model(one: Harness) -> None:
        staged.append(staged_model(one, learners[0], way, seed))

    def calibrate(one: Harness) -> None:
        for learner in learners:
            for how in (way,) if one_pipeline else (LEFT_OUT, JOINED):
                reliabilities.extend(reliability(one, learner, how, seed))

    def ablate(one: Harness) -> None:
        ablations.extend(ablation(one, light, how, seed) for how in (LEFT_OUT, OWN))

    def learn(one: Harness) -> None:
        points.extend(learning_curve(one, light, settings.repeats, seed))

    def shuffle(one: Harness) -> None:
        shuffles.extend(
            shuffled_labels(one, light, settings.permutations, how, seed) for how in (LEFT_OUT, OWN)
        )

    parts = {
        "learners": compare,
        "staged models": stage_model,
        "calibration": calibrate,
        "ablation": ablate,
        "learning curve": learn,
        "shuffled labels": shuffle,
    }
    work = [(name, part, stage) for name, part in parts.items() for stage in stages]
    for done, (name, part, stage) in enumerate(work):
        if progress is not None:
            progress(done, len(work), f"{name}, stage {stage}")
        part(harnesses[stage])
    if progress is not None:
        progress(len(work), len(work), "done")
    first = harnesses[stages[0]].dataset
    return Study(
        settings=settings,
        stages=tuple(str(stage) for stage in stages),
        graphlets=len(first),
        pushed=int(first.pushed.sum()),
        unpushed=int(first.unpushed.sum()),
        pipelines=len(set(first.group.tolist())),
        staged=tuple(one for one in staged if one is not None),
        comparison=tuple(compared),
        ablation=tuple(one for one in ablations if one is not None),
        reliability=tuple(reliabilities),
        learning_curve=tuple(points),
        shuffled_labels=tuple(one for one in shuffles if one is not None),
        libraries=versions(settings.learners),
        notes=_notes(harnesses[stages[0]], settings),
    )


def _check(datasets: Mapping[Stage, Dataset]) -> None:
    if not datasets:
        raise InvalidArgumentError("datasets", {}, "give the dataset of at least one stage")
    for stage, dataset in datasets.items():
        if dataset.stage is not stage:
            raise InvalidArgumentError(
                "datasets", str(stage), f"the dataset's features are of stage {dataset.stage}"
            )
        pushed, unpushed = int(dataset.pushed.sum()), int(dataset.unpushed.sum())
        if pushed + unpushed < 2 * MIN_ROWS or min(pushed, unpushed) < 2 * MIN_OF_EACH:
            raise NotEnoughHistoryError(
                f"{pushed} pushed and {unpushed} unpushed graphlets are not enough for a study: "
                f"at least {2 * MIN_ROWS} in all and {2 * MIN_OF_EACH} of each are needed; give "
                "more stores, or wait for more runs",
                pushed,
                unpushed,
            )


def _notes(harness: Harness, settings: StudySettings) -> tuple[str, ...]:
    pipelines = len(set(harness.dataset.group.tolist()))
    notes = [
        "Every cut and every calibration is chosen on out-of-sample scores of the training side.",
        (
            "Curves of freshness against waste read each threshold off afterwards; what a gate "
            "achieves, which has to choose before, is the backtest's to say."
        ),
        (
            "Waste removed at one freshness hangs on the few pushes of the lowest scores: another "
            "seed or number of trees moves it by several points."
        ),
        "Features of a graphlet's past are those of a history in which every run ran.",
    ]
    if pipelines == 1:
        notes.append("There is one pipeline: nothing can be said about strangers to it.")
    elif pipelines > harness.folds:
        notes.append(
            f"{pipelines} pipelines are left out in {harness.folds} folds, several at a time."
        )
    if pipelines < 10:
        notes.append(
            f"Intervals rest on draws of {pipelines} pipelines: they are rough, and tend to be "
            "too narrow."
        )
    if settings.trees_of_many != settings.trees:
        notes.append(
            f"Ablation, learning curve and shuffled labels grow {settings.trees_of_many} trees, "
            f"the other parts {settings.trees}: compare figures within a part."
        )
    return tuple(notes)
