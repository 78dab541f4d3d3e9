"""Random forests and gradient boosted trees: the only file that imports ydf.

A forest is a value: the files that ydf wrote for it, made bit-identical for
identical training (ydf stamps each model with the time and a random id, and
writes its dictionaries in no fixed order). Missing numbers are NaN and missing
categories the empty string: conditions may ask whether a value is missing, and
other conditions see the mean of the known ones in its place.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError, MissingDependencyError
from tfx_graphlets.features.table import Feature, FeatureKind, FeatureTable
from tfx_graphlets.files import scratch_directory
from tfx_graphlets.trace.trace import BoolArray, FloatArray

if TYPE_CHECKING:
    from types import ModuleType

    import ydf

RANDOM_FOREST: Final = "random_forest"  # the paper's
GRADIENT_TREES: Final = "gradient_trees"

_LABEL = "__label__"  # no feature's name: those hold a dot
_PUSHED, _UNPUSHED = "pushed", "unpushed"
# A category seen once teaches what an unseen one means, not what it means itself.
_MIN_CATEGORY_COUNT = 2
# Missing wherever no rehearsal is wired: then trees are grown as if the group did not exist.
_REHEARSAL = "rehearsal."
# Known in half of the graphlets or fewer, they say which pipelines have a schedule, and no more.
_CLOCK = ("history.hour_of_day", "history.day_of_week")
_FIRST_GATES = 4  # of so many rehearsed graphlets one is learnt as a first gate saw it
_MOST_THREADS = 4  # a random forest's trees do not depend on it


def _check_whole(settings: object, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < 1:
            raise InvalidArgumentError(name, getattr(settings, name), "must be 1 or more")


def _check_shares(settings: object, *names: str) -> None:
    for name in names:
        if not 0 < getattr(settings, name) <= 1:
            raise InvalidArgumentError(
                name, getattr(settings, name), "must be above 0 and at most 1"
            )


@dataclasses.dataclass(frozen=True)
class LearnerSettings:
    """How a random forest is grown; the defaults are for 50 to 1,000 graphlets.

    Attributes:
      trees: number of trees.
      max_depth: depth of each, the root counted.
      min_examples: least number of graphlets in a leaf.
      candidate_share: share of the features that are tried at each split.
    """

    learner: ClassVar[str] = RANDOM_FOREST

    trees: int = 300
    max_depth: int = 8
    min_examples: int = 3
    candidate_share: float = 0.3

    def __post_init__(self) -> None:
        _check_whole(self, "trees", "max_depth", "min_examples")
        _check_shares(self, "candidate_share")


@dataclasses.dataclass(frozen=True)
class GradientTreesSettings(LearnerSettings):
    """How gradient boosted trees are grown; the defaults are for 50 to 1,000 graphlets.

    Few graphlets want small steps of shallow trees: there is no validation set
    to stop early by, since it would cost a tenth of the labels.

    Attributes:
      shrinkage: share of each tree's answer that is taken.
      subsample: share of the graphlets that each tree sees.
    """

    learner: ClassVar[str] = GRADIENT_TREES

    trees: int = 100
    max_depth: int = 4
    min_examples: int = 5
    shrinkage: float = 0.05
    subsample: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_shares(self, "shrinkage", "subsample")


DEFAULT_SETTINGS: Final = LearnerSettings()
SETTINGS_OF_LEARNER: Final[Mapping[str, type[LearnerSettings]]] = {
    RANDOM_FOREST: LearnerSettings,
    GRADIENT_TREES: GradientTreesSettings,
}


class Forest:
    """Trained trees: a random forest, or gradient boosted ones.

    Attributes:
      features: what it takes in, in order.
      files: content of its files by name, as ydf stores them.
    """

    def __init__(self, features: tuple[Feature, ...], files: Mapping[str, bytes]) -> None:
        """Loads a forest from the files of ``Forest.files``.

        Raises:
          MissingDependencyError: ydf is not installed.
          InvalidArgumentError: ydf cannot read the files.
        """
        self._set(features, _load(files), dict(files))

    def _set(
        self,
        features: tuple[Feature, ...],
        model: ydf.DecisionForestModel,
        files: dict[str, bytes] | None,
    ) -> None:
        self.features = features
        self._model = model
        self._files: dict[str, bytes] | None = files
        classes = list(self._model.label_classes())
        if sorted(classes) != [_PUSHED, _UNPUSHED]:
            raise InvalidArgumentError("files", classes, "not a forest over pushed and unpushed")
        self._second_is_pushed = classes[1] == _PUSHED

    @classmethod
    def of_model(cls, features: tuple[Feature, ...], model: ydf.DecisionForestModel) -> Forest:
        """The forest that ydf has just grown; its files are written when asked for."""
        forest = cls.__new__(cls)
        forest._set(features, model, None)  # noqa: SLF001  # its own
        return forest

    @property
    def files(self) -> dict[str, bytes]:
        """Content of its files by name."""
        files = self._files
        if files is None:  # most forests of a replay or a study are never saved
            files = self._files = _files(self._model)
        return files

    def predict(self, table: FeatureTable) -> FloatArray:
        """Probability of a push, float64 [n], 0..1.

        Raises:
          InvalidArgumentError: the table lacks a feature of the forest.
        """
        self.check(table)
        if not len(table):
            return np.zeros(0)
        second = np.asarray(self._model.predict(_columns(table, self.features)), np.float64)
        return np.asarray(second if self._second_is_pushed else 1.0 - second)

    def check(self, table: FeatureTable) -> None:
        """Checks that a table has all features of the forest.

        Raises:
          InvalidArgumentError: it lacks one.
        """
        missing = [f.name for f in self.features if f.name not in table.columns]
        if missing:
            raise InvalidArgumentError(
                "table", missing, "these features of the model are not in it; train it anew"
            )

    def proximity(self, table: FeatureTable, other: FeatureTable) -> FloatArray:
        """Share of the trees in which two rows end in the same leaf, float64 [n, m], 0..1.

        Source: Breiman, "Random Forests", Machine Learning 2001; Breiman and
        Cutler's manual, "Proximities".

        Args:
          table: features [n].
          other: features [m].
        """
        leaves = self._model.predict_leaves(self._with_label(table, other))
        mine, others = leaves[: len(table), None, :], leaves[None, len(table) :, :]
        return np.asarray((mine == others).mean(axis=2), np.float64)

    def judge(self, table: FeatureTable, other: FeatureTable) -> tuple[FloatArray, FloatArray]:
        """``predict(table)``, and the proximity of its first row to each of ``other``'s.

        In one call: most of what ydf takes for a few rows is taken for each call.

        Args:
          table: features [n], n > 0.
          other: features [m].

        Returns: float64 [n] and float64 [m], each 0..1.
        """
        columns = self._with_label(table, other)
        rows = _ydf().create_vertical_dataset(columns, data_spec=self._model.data_spec())
        second = np.asarray(self._model.predict(rows), np.float64)[: len(table)]
        leaves = self._model.predict_leaves(rows)
        proximity = (leaves[len(table) :] == leaves[0]).mean(axis=1)
        return (
            np.asarray(second if self._second_is_pushed else 1.0 - second),
            np.asarray(proximity, np.float64),
        )

    def _with_label(self, table: FeatureTable, other: FeatureTable) -> dict[str, object]:
        columns = _columns(table, self.features)
        for name, column in _columns(other, self.features).items():
            columns[name] = np.concatenate([columns[name], column])
        # ydf asks for a label, which plays no part.
        columns[_LABEL] = np.full(len(table) + len(other), _PUSHED, object)
        return columns


def train_forest(
    table: FeatureTable, pushed: BoolArray, settings: LearnerSettings, seed: int
) -> Forest:
    """Grows trees; the same arguments give the same files.

    Args:
      table: features [n].
      pushed: labels, bool [n]; both must occur.
      settings: how they are grown; their type says which kind.
      seed: of the choice of graphlets of each tree and of features at each split.

    Raises:
      InvalidArgumentError: only one label occurs.
      MissingDependencyError: ydf is not installed.
    """
    if len(np.unique(pushed)) < 2:
        raise InvalidArgumentError("pushed", len(pushed), "both labels must occur")
    ydf = _ydf()
    features = tuple(feature for feature in table.features if _is_known(table, feature))
    table = _with_first_gates(table)
    columns = _columns(table, features)
    columns[_LABEL] = np.where(pushed, _PUSHED, _UNPUSHED)
    common = {
        "label": _LABEL,
        "features": [_ydf_feature(ydf, feature) for feature in features],
        "num_trees": settings.trees,
        "max_depth": settings.max_depth,
        "min_examples": settings.min_examples,
        "num_candidate_attributes_ratio": settings.candidate_share,
        "num_candidate_attributes": None,
        "allow_na_conditions": True,
        "random_seed": seed,
    }
    if isinstance(settings, GradientTreesSettings):
        learner = ydf.GradientBoostedTreesLearner(
            **common,
            shrinkage=settings.shrinkage,
            subsample=settings.subsample,
            validation_ratio=0.0,
            early_stopping="NONE",
            num_threads=1,  # unlike a forest, the trees depend on it; and one is the fastest
        )
    else:
        learner = ydf.RandomForestLearner(
            **common,
            winner_take_all=False,
            compute_oob_performances=False,
            num_threads=min(os.cpu_count() or 1, _MOST_THREADS),
        )
    try:
        model = learner.train(columns, verbose=0)
    except ValueError as error:  # what YDF makes of SIGINT
        if "interrupted by user" in str(error):
            raise KeyboardInterrupt from error
        raise
    model.set_metadata(dataclasses.replace(model.metadata(), owner="", created_date=1, uid=1))
    return Forest.of_model(features, model)


def settings_of(learner: str, values: Mapping[str, int | float]) -> LearnerSettings:
    """Settings by the name of their learner, as a manifest holds them.

    Raises:
      InvalidArgumentError: no such learner, or a value is out of range.
      TypeError: a value's name is unknown.
    """
    if learner not in SETTINGS_OF_LEARNER:
        raise InvalidArgumentError(
            "learner", learner, f"must be one of {', '.join(SETTINGS_OF_LEARNER)}"
        )
    return SETTINGS_OF_LEARNER[learner](**values)  # type: ignore[arg-type]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that a forest depends on."""
    return {"ydf": str(_ydf().__version__), "numpy": np.__version__}


def _ydf() -> ModuleType:
    try:
        import ydf
    except ImportError as error:
        raise MissingDependencyError("ydf", "ydf", "a waste model") from error
    module: ModuleType = ydf
    return module


def _ydf_feature(ydf: ModuleType, feature: Feature) -> ydf.Feature:
    if feature.kind is FeatureKind.NUMBER:
        return ydf.Feature(feature.name, ydf.Semantic.NUMERICAL)
    return ydf.Feature(
        feature.name,
        ydf.Semantic.CATEGORICAL,
        max_vocab_count=-1,
        min_vocab_frequency=_MIN_CATEGORY_COUNT,
    )


def _with_first_gates(table: FeatureTable) -> FeatureTable:
    """The table, some of the rehearsed graphlets as a first gate sees them all: not rehearsed.

    Not as copies: with these trees grow alike, and foretell less.
    """
    names = [f.name for f in table.features if f.name.startswith(_REHEARSAL)]
    known = np.zeros(len(table), bool)
    for name in names:
        known |= np.isfinite(table.numbers(name))
    blank = np.flatnonzero(known)[::_FIRST_GATES]
    columns = dict(table.columns)
    for name in names if len(blank) else ():
        columns[name] = margin = table.numbers(name).copy()
        margin[blank] = np.nan
    return dataclasses.replace(table, columns=columns)


def _is_known(table: FeatureTable, feature: Feature) -> bool:
    """False for a column that no gate of these pipelines could fill, or that few could (_CLOCK)."""
    if feature.name in _CLOCK:
        return bool(np.isfinite(table.numbers(feature.name)).sum() * 2 > len(table))
    return not feature.name.startswith(_REHEARSAL) or bool(
        np.isfinite(table.numbers(feature.name)).any()
    )


def _columns(table: FeatureTable, features: tuple[Feature, ...]) -> dict[str, object]:
    columns: dict[str, object] = {}
    for feature in features:
        if feature.kind is FeatureKind.NUMBER:
            columns[feature.name] = table.numbers(feature.name).astype(np.float32)
        else:
            values = table.columns[feature.name]
            columns[feature.name] = np.array([value or "" for value in values], object)
    return columns


def _files(model: ydf.RandomForestModel) -> dict[str, bytes]:
    """The model's files, dictionaries in sorted order."""
    from yggdrasil_decision_forests.dataset import data_spec_pb2
    from yggdrasil_decision_forests.model import abstract_model_pb2

    data_spec, header = data_spec_pb2.DataSpecification, abstract_model_pb2.AbstractModel
    messages = {"data_spec.pb": data_spec, "header.pb": header}
    with scratch_directory(room_mb=64) as directory:
        try:
            model.save(str(directory / "forest"))
        except RuntimeError as error:  # of YDF's C++: a limit of the size of files, a quota
            raise OSError(f"the forest cannot be written below {directory}: {error}") from error
        files = {one.name: one.read_bytes() for one in sorted((directory / "forest").iterdir())}
    for name, message in messages.items():
        files[name] = message.FromString(files[name]).SerializeToString(deterministic=True)
    return files


def _load(files: Mapping[str, bytes]) -> ydf.RandomForestModel:
    ydf = _ydf()
    with scratch_directory() as directory:
        for name, content in files.items():
            (directory / name).write_bytes(content)
        level = ydf.verbose(0)  # from 0.16 on it prints where it loads from, on standard output
        try:
            return ydf.load_model(str(directory))
        except Exception as error:  # ydf raises whatever its C++ side reports
            raise InvalidArgumentError(
                "files", sorted(files), f"ydf cannot load this forest: {error}"
            ) from error
        finally:
            ydf.verbose(level)
