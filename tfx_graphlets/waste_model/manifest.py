"""Manifest: what a waste model's directory says of itself, as checked JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, Union, cast

from tfx_graphlets.errors import ModelFormatError
from tfx_graphlets.features.table import FeatureKind
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.freshness import choose_threshold
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.learner import LearnerSettings, settings_of

KIND: Final = "tfx_graphlets.waste_model"
FORMAT_VERSION: Final = 1
_KEYS: Final = frozenset(
    (
        *("kind", "format_version", "stage", "features", "usual_values", "training", "learner"),
        *("seed", "freshness", "threshold", "calibration", "libraries", "files", "fingerprint"),
    )
)
# Where the user has declared nothing it is not written.
_DECLARED: Final = "declared"


@dataclasses.dataclass(frozen=True)
class TrainingRecord:
    """What a model was trained on.

    Attributes:
      first_ms, last_ms: decision moments of the first and last graphlet.
      pushed, unpushed: numbers of graphlets.
      pipelines: number of pipelines.
      corpus_fingerprint: ``Dataset.fingerprint`` of the labelled graphlets.
      rows: short digests of the graphlets, ascending, by which an evaluation
        tells which of its own the model has seen; empty above 10,000.
    """

    first_ms: int
    last_ms: int
    pushed: int
    unpushed: int
    pipelines: int
    corpus_fingerprint: str
    rows: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything about a model apart from its trees.

    Attributes:
      stage: the stage of its features.
      features: name and kind of each feature, in order.
      usual_values: of each feature in training: median or most common
        category, None where it was always missing.
      training: what it was trained on.
      settings: how the trees were grown; their type says which kind.
      seed: of training.
      freshness: share of pushes that its threshold is to keep.
      pushed_scores, unpushed_scores: out-of-sample probabilities of pushed and
        unpushed graphlets, ascending; thresholds are chosen from them.
      libraries: versions that it was trained with.
      declared: the roles and pushers that its graphlets were cut with; a gate that uses it
        must be given the same.
    """

    stage: Stage
    features: tuple[tuple[str, FeatureKind], ...]
    usual_values: Mapping[str, Union[float, str, None]]
    training: TrainingRecord
    settings: LearnerSettings
    seed: int
    freshness: float
    pushed_scores: tuple[float, ...]
    unpushed_scores: tuple[float, ...]
    libraries: Mapping[str, str]
    declared: Declared = dataclasses.field(default_factory=Declared)

    def to_dict(self, files: Mapping[str, str]) -> dict[str, object]:
        """The JSON document.

        Args:
          files: SHA-256 of every file of the forest, by name.
        """
        return {**self._content(files), "fingerprint": self.fingerprint(files)}

    def fingerprint(self, files: Mapping[str, str]) -> str:
        """SHA-256 over the manifest and the checksums of the forest's files."""
        text = json.dumps(self._content(files), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _content(self, files: Mapping[str, str]) -> dict[str, object]:
        scores = [*self.pushed_scores, *self.unpushed_scores]
        labels = [True] * len(self.pushed_scores) + [False] * len(self.unpushed_scores)
        choice = choose_threshold(scores, labels, self.freshness)
        return {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "stage": str(self.stage),
            "features": [{"name": name, "kind": kind.value} for name, kind in self.features],
            "usual_values": dict(self.usual_values),
            "training": {**dataclasses.asdict(self.training), "rows": list(self.training.rows)},
            "learner": {"name": self.settings.learner, **dataclasses.asdict(self.settings)},
            "seed": self.seed,
            "freshness": self.freshness,
            # For readers of the file; loading computes it again from the scores.
            "threshold": {
                "threshold": choice.threshold,
                "pushes": choice.pushes,
                "pushes_needed": choice.pushes_needed,
                "expected_skips": choice.expected_skips if scores else None,
            },
            "calibration": {
                "pushed_scores": list(self.pushed_scores),
                "unpushed_scores": list(self.unpushed_scores),
            },
            "libraries": dict(self.libraries),
            "files": dict(files),
            **({_DECLARED: self.declared.to_dict()} if self.declared else {}),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object], directory: str) -> Manifest:
        """The manifest of a JSON document.

        Args:
          document: what ``to_dict`` made.
          directory: of the model; named in errors.

        Raises:
          ModelFormatError: it is not of this format.
        """
        _check_format(document, directory)
        try:
            return _checked(_parse(document))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFormatError(
                directory, f"the manifest is damaged ({error}); train the model anew"
            ) from error


def _checked(manifest: Manifest) -> Manifest:
    """The manifest, if its scores are probabilities, ascending: thresholds follow from them."""
    for name in ("pushed_scores", "unpushed_scores"):
        scores = getattr(manifest, name)
        if not all(0 <= score <= 1 for score in scores):  # NaN is not, either
            raise ValueError(f"{name} must be within 0 and 1")
        if list(scores) != sorted(scores):
            raise ValueError(f"{name} must ascend")
    if not 0 < manifest.freshness <= 1:
        raise ValueError(f"freshness={manifest.freshness!r} must be above 0 and at most 1")
    return manifest


def short_digests(digests: Sequence[bytes]) -> list[str]:
    """The digests of ``Dataset.row_digests`` as ``TrainingRecord.rows`` has them."""
    return [digest.hex()[:12] for digest in digests]


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of every file, hexadecimal, by name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


def stated_checksums(document: Mapping[str, object], directory: str) -> dict[str, str]:
    """What the manifest states of the forest's files: SHA-256 by name.

    Raises:
      ModelFormatError: it is no such table, or a name leaves the directory.
    """
    files = document["files"]
    if not isinstance(files, dict) or not files:
        raise ModelFormatError(directory, "the manifest is damaged (files); train the model anew")
    for name, checksum in files.items():
        if "/" in name or "\\" in name or name.startswith(".") or not isinstance(checksum, str):
            raise ModelFormatError(directory, f"the manifest names a file {name!r} outside of it")
    return files


def _check_format(document: Mapping[str, object], directory: str) -> None:
    if document.get("kind") != KIND:
        raise ModelFormatError(directory, "the manifest is not that of a waste model")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFormatError(
            directory,
            f"format_version={version!r}: this release reads version {FORMAT_VERSION}; use the "
            "release that wrote the model, or train it anew",
        )
    if set(document) - {_DECLARED} != _KEYS:
        odd = ", ".join(sorted((set(document) - {_DECLARED}) ^ _KEYS))
        raise ModelFormatError(directory, f"the manifest has or lacks what it should not: {odd}")


def _parse(document: Mapping[str, object]) -> Manifest:
    # Wrong types surface as KeyError, TypeError or ValueError below.
    features = cast("list[dict[str, str]]", document["features"])
    learner = dict(cast("dict[str, int | float]", document["learner"]))
    learner_name = str(learner.pop("name"))
    scores = cast("dict[str, list[float]]", document["calibration"])
    training = dict(cast("dict[str, int]", document["training"]))
    rows = tuple(cast("list[str]", training.pop("rows")))
    declared = dict(cast("dict[str, dict[str, str]]", document.get(_DECLARED, {})))
    manifest = Manifest(
        stage=Stage(document["stage"]),
        features=tuple((f["name"], FeatureKind(f["kind"])) for f in features),
        usual_values=dict(cast("dict[str, float | str | None]", document["usual_values"])),
        training=TrainingRecord(**training, rows=rows),  # type: ignore[arg-type]
        settings=settings_of(learner_name, learner),
        seed=int(cast("int", document["seed"])),
        freshness=float(cast("float", document["freshness"])),
        pushed_scores=tuple(float(score) for score in scores["pushed_scores"]),
        unpushed_scores=tuple(float(score) for score in scores["unpushed_scores"]),
        libraries=dict(cast("dict[str, str]", document["libraries"])),
        declared=Declared.from_dict(declared.get("role_of_type"), declared.get("pushers")),
    )
    if not all(isinstance(row, str) for row in rows):
        raise ValueError("training.rows: not all are texts")
    if set(manifest.usual_values) != {name for name, _ in manifest.features}:
        raise ValueError("usual_values: not one per feature")
    return manifest
