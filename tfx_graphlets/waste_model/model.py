"""WasteModel: predicts P(push) at one stage, explains itself, lives in a directory.

The directory holds ``manifest.json`` and the forest's files below ``forest/``.
Nothing in it is executable: there is no pickle. The manifest states the
checksum of every file; a model's fingerprint is the SHA-256 of manifest and
files, so that two models with one fingerprint decide alike.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError, ModelFormatError
from tfx_graphlets.features.table import Feature, FeatureTable
from tfx_graphlets.files import is_replaceable, replaced_directory
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.account import SeenScore, ThresholdSample
from tfx_graphlets.policy.decision import Contribution, Judgement, SimilarGraphlet
from tfx_graphlets.policy.freshness import Ledger, ThresholdChoice
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import explanation
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.explanation import compared, most_similar, nearest
from tfx_graphlets.waste_model.learner import Forest, LearnerSettings, library_versions
from tfx_graphlets.waste_model.manifest import (
    KIND,
    Manifest,
    TrainingRecord,
    checksums,
    stated_checksums,
)
from tfx_graphlets.waste_model.prior import with_prior

MANIFEST_FILE: Final = "manifest.json"
FOREST_DIRECTORY: Final = "forest"
# What is told of one row unless something else is asked for.
_MOST_CONTRIBUTIONS: Final = 5
_MOST_SIMILAR: Final = 3


@dataclasses.dataclass(frozen=True, eq=False)
class WasteModel:
    """A trained model of one stage.

    Attributes:
      forest: the random forest.
      manifest: what it was trained on, with which settings and libraries, its
        features and its calibration scores.
    """

    forest: Forest
    manifest: Manifest

    def __str__(self) -> str:
        training = self.manifest.training
        return (
            f"Waste model for stage {self.stage} from {training.pushed + training.unpushed} "
            f"graphlets of {training.pipelines} pipelines ({training.pushed} pushed), "
            f"{len(self.features)} features; {self.threshold}"
        )

    @property
    def stage(self) -> Stage:
        """The stage whose features it takes in."""
        return self.manifest.stage

    @property
    def declared(self) -> Declared:
        """The roles and pushers that it was trained with."""
        return self.manifest.declared

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features it takes in, in order."""
        return self.forest.features

    @property
    def threshold(self) -> ThresholdChoice:
        """The threshold for the freshness that it was trained for."""
        return self.threshold_for(self.manifest.freshness)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of manifest and forest files, hexadecimal."""
        return self.manifest.fingerprint(checksums(self.forest.files))

    def threshold_for(
        self,
        freshness: float,
        *,
        ledger: Ledger | None = None,
        seen: Sequence[SeenScore] = (),
    ) -> ThresholdChoice:
        """The threshold for another freshness, from the same calibration scores.

        Args:
          freshness: share of pushes to keep, 0..1.
          ledger: the account of a gate's life so far (``choose_threshold``).
          seen: scores that a gate has given; none counts twice that the model was trained on.

        Raises:
          InvalidArgumentError: ``freshness`` is out of range, or not the ledger's.
        """
        kept, lost = self.manifest.pushed_scores, self.manifest.unpushed_scores
        sample = ThresholdSample([*kept, *lost], [True] * len(kept) + [False] * len(lost))
        sample.add(seen, trained_ms=self.manifest.training.last_ms)
        return sample.choose(freshness, ledger)

    def predict(self, table: FeatureTable) -> FloatArray:
        """Probability of a push as thresholds hold it (``with_prior``), float64 [n], 0..1, by row.

        A missing value needs no filling in: the forest was trained with them.

        Raises:
          InvalidArgumentError: the table is of another stage, or lacks a
            feature of the model.
        """
        self._check_stage(table)
        return with_prior(self.forest.predict(table), table)

    def _check_stage(self, table: FeatureTable) -> None:
        if table.stage is not self.stage:
            raise InvalidArgumentError(
                "table",
                str(table.stage),
                f"its stage must be that of the model, {self.stage}; describe the graphlets for it",
            )

    def explain(
        self, table: FeatureTable, row: int = 0, top: int = _MOST_CONTRIBUTIONS
    ) -> tuple[Contribution, ...]:
        """What moved the probability of one row most.

        The effect of a contribution is the row's probability minus what it is
        with all features that mean much the same (``Feature.topic``)
        set to their usual values: the medians of the training data, or the most
        common categories. It tells what the model looked at, not what causes a
        push, and effects do not add up to the whole. Told by that feature of
        the topic which moved it most, or nearly so and says it more plainly.

        Args:
          table: features.
          row: the row's number.
          top: most contributions to return.

        Returns:
          At most ``top`` contributions, the largest first, none of effect 0.
        """
        usual = self.manifest.usual_values
        return explanation.contributions(self.predict, self.features, usual, table, row, top)

    def similar(
        self,
        table: FeatureTable,
        row: int,
        past: Dataset,
        top: int = _MOST_SIMILAR,
        *,
        runs: Sequence[str] = (),
        moment_ms: int | None = None,
    ) -> tuple[SimilarGraphlet, ...]:
        """The past graphlets most similar to one row, and what became of them.

        Similarity is the forest's proximity, the share of its trees in which
        both end in the same leaf (Breiman, Machine Learning 2001): like in what
        matters to the outcome, as far as the model has learnt it. Compared are
        the latest 100 that are pushed or unpushed.

        Args:
          table: features.
          row: the row's number; its own graphlet is not compared with itself.
          past: where to look, of the same stage.
          top: most graphlets to return.
          runs: name of the run of each past graphlet, [len(past)]; by default
            from the sources of ``past``, "" where it has none.
          moment_ms: leaves out graphlets whose outcome was not known by then,
            milliseconds since the epoch; None: all are known.

        Returns:
          At most ``top``, the most similar first, of equally similar ones the
          latest first; empty where there are none.

        Raises:
          InvalidArgumentError: a table is of another stage or lacks features of
            the model, or ``runs`` has another length than ``past``.
        """
        return most_similar(self.forest.proximity, table, row, past, top, runs, moment_ms)

    def judge(
        self,
        table: FeatureTable,
        row: int,
        past: Dataset,
        *,
        runs: Sequence[str] = (),
        moment_ms: int | None = None,
    ) -> Judgement:
        """What a gate asks about one row: ``predict``, ``explain`` and ``similar`` in one.

        The same values at a third of the cost. Arguments and exceptions are
        those of ``similar``.
        """
        self._check_stage(table)
        self.forest.check(table)
        rows = compared(table, row, past, runs, moment_ms)
        usual = self.manifest.usual_values
        variants = explanation.Variants.of(self.features, usual, table, row)
        scores, proximity = self.forest.judge(variants.table, past.table.take(rows))
        # The prior may look at a feature that the forest does not take in.
        own = with_prior(scores[:1], table.take(np.array([row], np.int64)))
        return Judgement(
            float(own[0]),
            variants.contributions(with_prior(scores, variants.table), _MOST_CONTRIBUTIONS),
            nearest(proximity, past, rows, _MOST_SIMILAR, runs),
        )

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the model; the directory appears whole or not at all.

        Args:
          directory: does not exist, is empty, or holds a waste model, which is
            replaced.

        Raises:
          InvalidArgumentError: it exists and holds something else.
          OSError: it cannot be written.
        """
        target = check_replaceable(directory)
        with replaced_directory(target) as draft:
            (draft / FOREST_DIRECTORY).mkdir()
            for name, content in self.forest.files.items():
                (draft / FOREST_DIRECTORY / name).write_bytes(content)
            document = self.manifest.to_dict(checksums(self.forest.files))
            text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
            (draft / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def check_replaceable(directory: str | os.PathLike[str]) -> Path:
    """The directory, if a waste model may be written there.

    Raises:
      InvalidArgumentError: it exists, is not empty, and holds no waste model:
        nothing of this project ever removes what it did not write.
    """
    target = Path(directory)
    if target.exists() and not is_replaceable(target, MANIFEST_FILE, KIND):
        raise InvalidArgumentError(
            "directory", str(target), "holds something that is no waste model; name another"
        )
    return target


def load_waste_model(
    directory: str | os.PathLike[str],
    *,
    stage: Stage | None = None,
    known_features: Mapping[str, Feature] | None = None,
) -> WasteModel:
    """Reads a model that ``WasteModel.save`` wrote; see ``train_waste_model``.

    >>> load_waste_model("nowhere")
    Traceback (most recent call last):
    tfx_graphlets.errors.ModelFormatError: nowhere: no waste model: there is no manifest.json;
    make one with `tfx-graphlets train`

    Args:
      directory: the model's directory.
      stage: the stage that it must be for; None: any.
      known_features: features that this release can compute, by name; those of
        the registry by default.

    Returns:
      The model.

    Raises:
      ModelFormatError: the directory is no waste model, is incomplete or
        damaged, is of a format that this release does not know, asks for a
        feature that it cannot compute, or is for another stage.
      MissingDependencyError: ydf is not installed.
    """
    place = Path(directory)
    document = _read_manifest(place)
    manifest = Manifest.from_dict(document, str(place))
    if stage is not None and manifest.stage is not stage:
        raise ModelFormatError(
            str(place),
            f"this waste model is for stage {manifest.stage}, and one for stage {stage} is "
            f"asked for; train one with --stage {stage}",
        )
    features = _known(manifest, _registered() if known_features is None else known_features, place)
    files = {}
    for name, expected in stated_checksums(document, str(place)).items():
        try:
            files[name] = (place / FOREST_DIRECTORY / name).read_bytes()
        except OSError as error:
            raise ModelFormatError(
                str(place), f"{FOREST_DIRECTORY}/{name} is missing; save the model anew"
            ) from error
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise ModelFormatError(
                str(place), f"{FOREST_DIRECTORY}/{name} is not the file that the manifest names"
            )
    if document.get("fingerprint") != manifest.fingerprint(checksums(files)):
        raise ModelFormatError(
            str(place), f"{MANIFEST_FILE} was changed after it was written; train the model anew"
        )
    try:
        forest = Forest(features, files)
    except InvalidArgumentError as error:
        raise ModelFormatError(str(place), f"the forest cannot be loaded: {error}") from error
    return WasteModel(forest, manifest)


def new_model(
    forest: Forest,
    table: FeatureTable,
    *,
    training: TrainingRecord,
    settings: LearnerSettings,
    seed: int,
    freshness: float,
    pushed_scores: FloatArray,
    unpushed_scores: FloatArray,
    declared: Declared,
) -> WasteModel:
    """The model of a forest that was grown on ``table``; see Manifest's fields."""
    manifest = Manifest(
        stage=table.stage,
        features=tuple((feature.name, feature.kind) for feature in table.features),
        usual_values={
            feature.name: explanation.usual_value(table, feature) for feature in table.features
        },
        training=training,
        settings=settings,
        seed=seed,
        freshness=freshness,
        pushed_scores=tuple(np.sort(pushed_scores).tolist()),
        unpushed_scores=tuple(np.sort(unpushed_scores).tolist()),
        libraries=library_versions(),
        declared=declared,
    )
    return WasteModel(forest, manifest)


def _read_manifest(place: Path) -> dict[str, object]:
    try:
        document = json.loads((place / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFormatError(
            str(place),
            f"no waste model: there is no {MANIFEST_FILE}; make one with `tfx-graphlets train`",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(str(place), f"{MANIFEST_FILE} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ModelFormatError(str(place), f"{MANIFEST_FILE} holds no JSON object")
    return document


def _registered() -> Mapping[str, Feature]:
    from tfx_graphlets.features import all_features

    return {feature.name: feature for feature in all_features(Stage.VALIDATION)}


def _known(
    manifest: Manifest, registered: Mapping[str, Feature], place: Path
) -> tuple[Feature, ...]:
    unknown = [
        name
        for name, kind in manifest.features
        if name not in registered or registered[name].kind is not kind
    ]
    if unknown:
        raise ModelFormatError(
            str(place),
            f"it takes in features that this release does not know ({', '.join(unknown[:5])}); "
            "use the release that trained it, or train it anew",
        )
    return tuple(registered[name] for name, _ in manifest.features)
