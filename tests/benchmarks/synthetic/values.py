"""The property values and URIs that TFX 1.16 writes: per run, pipeline and piece of code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Final

import numpy as np

from tests.benchmarks.synthetic.arrays import Texts
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import Pipelines, stream
from tests.benchmarks.synthetic.runs import Runs
from tfx_graphlets.trace.trace import IntArray

SPLIT_NAMES: Final = '["train", "eval"]'
SAMPLE_RATES: Final = "mlmd-struct::CioKCV9fdmFsdWVfXxIdGht7ImV2YWwiOiAxLjAsICJ0cmFpbiI6IDEuMH0="
# Of an ExampleValidator: both splits are free of anomalies; both have some.
ANOMALIES: Final[Texts] = np.array(
    [
        "mlmd-struct::ChIKBXRyYWluEgkRAAAAAAAA8D8KEQoEZXZhbBIJEQAAAAAAAPA/",
        "mlmd-struct::ChIKBXRyYWluEgkRAAAAAAAAAAAKEQoEZXZhbBIJEQAAAAAAAAAA",
    ],
    object,
)


def text(value: object) -> str:
    """JSON as TFX writes messages in properties."""
    return json.dumps(value, indent=2, sort_keys=True)


# Ends of the text before and after the number of the span, which TFX fills in.
INPUT_CONFIG: Final = text(
    {"splits": [{"name": "all", "pattern": "span-{SPAN}/version-0/*.csv"}]}
).split("{SPAN}")
OUTPUT_CONFIG: Final = text(
    {
        "split_config": {
            "splits": [{"hash_buckets": 2, "name": "train"}, {"hash_buckets": 1, "name": "eval"}]
        }
    }
)
SPLITS_CONFIG: Final = text({"analyze": ["train"], "transform": ["train", "eval"]})
EVAL_ARGS: Final = text({"num_steps": 100})
TUNER_ARGS: Final = text({"num_steps": 200, "splits": ["train"]})
SERVING_SPEC: Final = text({"kubernetes": {}, "tensorflow_serving": {"tags": ["latest"]}})
VALIDATION_SPEC: Final = text({"max_loading_time_seconds": 60, "num_tries": 3})
REQUEST_SPEC: Final = text({"num_examples": 3, "split_name": "eval", "tensorflow_serving": {}})
DATA_SPEC: Final = text({"example_splits": ["eval"]})
MODEL_SPEC: Final = text({"model_signature_name": ["serving_default"]})


def _eval_config(lower_bound: float, change: float) -> str:
    metric = {
        "class_name": "AUC",
        "threshold": {
            "change_threshold": {"absolute": change, "direction": "HIGHER_IS_BETTER"},
            "value_threshold": {"lower_bound": lower_bound},
        },
    }
    return text(
        {
            "metrics_specs": [{"metrics": [{"class_name": "ExampleCount"}, metric]}],
            "model_specs": [{"label_key": "label", "signature_name": "serving_default"}],
            "slicing_specs": [{}],
        }
    )


def texts(values: Iterable[str]) -> Texts:
    """Texts as an array of Python objects, shape [n]."""
    return np.array(list(values), object)


@dataclasses.dataclass(frozen=True, eq=False)
class Values:
    """Texts and numbers by pipeline [P], by run [R] and by piece of code.

    Attributes:
      name: object [P], the pipeline's name.
      root: object [P], where its artifacts are.
      custom_config, train_args, eval_config: object [P], properties of Trainer and Evaluator.
      code: object [codes], content hash of each piece of code: the Trainer's by their number, then
        Transform's own.
      first_transform_code: where those begin.
      total_bytes: int64 [R], size of the span that the run takes in.
      checksum: int64 [R], of that span's files.
    """

    name: Texts
    root: Texts
    custom_config: Texts
    train_args: Texts
    eval_config: Texts
    code: Texts
    first_transform_code: int
    total_bytes: IntArray
    checksum: IntArray


def draw_values(
    parameters: StoreParameters, pipelines: Pipelines, runs: Runs, run_start_ms: IntArray
) -> Values:
    """The values of a store."""
    draw = stream(parameters, 4)
    count = len(pipelines)
    digits = max(len(str(count - 1)), 4)
    name = texts(f"pipeline-{number:0{digits}d}" for number in range(count))
    layers = draw.integers(1, 5, count)
    rate = draw.choice([0.001, 0.003, 0.01, 0.03], count)
    steps = draw.integers(5, 200, count) * 100
    bound = draw.choice([0.5, 0.6, 0.7, 0.8], count)
    change = draw.choice([-0.001, 0.0, 0.0005], count)
    of_transform, of_trainer = (int(number) + 1 for number in runs.code.max(axis=0))
    hashes = draw.bytes(32 * (of_trainer + of_transform)).hex()
    # A span that is read again has the same files.
    number = np.arange(len(runs))
    new_span = runs.first | (np.diff(runs.span, prepend=0) != 0)
    same = np.maximum.accumulate(np.where(new_span, number, 0))
    typical = draw.lognormal(17.0, 1.5, count)
    total_bytes = typical[runs.pipeline] * draw.lognormal(0.0, 0.1, len(runs))
    return Values(
        name=name,
        root=texts(f"gs://ml-pipelines/{of}" for of in name),
        custom_config=texts(
            json.dumps({"hidden_layers": int(a), "learning_rate": float(b)})
            for a, b in zip(layers, rate)
        ),
        train_args=texts(text({"num_steps": int(of)}) for of in steps),
        eval_config=texts(_eval_config(float(a), float(b)) for a, b in zip(bound, change)),
        code=texts(hashes[at : at + 64] for at in range(0, len(hashes), 64)),
        first_transform_code=of_trainer,
        total_bytes=total_bytes.astype(np.int64)[same],
        checksum=(run_start_ms // 1000)[same],
    )
