"""The user's module: preprocessing for Transform, training for Trainer.

It lies alone in its folder because TFX packs every Python file beside it into the wheel whose hash
the store records. The schedule's code changes rewrite the assignments of the settings block.
"""

import os

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

# --- settings: rewritten by code changes (schedule.CodeRevision) ---
REVISION = 0
LABEL = "delayed"
LEARNING_RATE = 0.01
STEPS_FACTOR = 1.0
BATCH_SIZE = 256
REGULARIZATION = 1e-3
USE_HOUR = False
USE_WEATHER = True
LABEL_SIGN = 1
SCALE_AT_TRAINING = 1.0
FAIL_WITH = ""
# --- end of settings ---

WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
HOURS_OF_WEATHER = LABEL == "rain_soon"  # an example is an hour at an airport, not a flight
REGRESSION = LABEL == "minutes_late"
SCALE = 30.0  # minutes: what a regression predicts in units of
STRINGS = ("origin",) if HOURS_OF_WEATHER else ("carrier", "dest", "origin")
VOCABULARY_SIZES = {"carrier": 32, "dest": 128, "origin": 8, "weekday": 8, "hour": 24}
if HOURS_OF_WEATHER:
    VOCABULARY_SIZES = {"origin": 8, "weekday": 8, "hour": 24}
FLIGHT_NUMBERS = () if HOURS_OF_WEATHER else ("distance",)
NUMBERS = len(FLIGHT_NUMBERS) + len(WEATHER)
WITHOUT_WEATHER = [1.0] * len(FLIGHT_NUMBERS) + [0.0] * len(WEATHER)
SEED = 20131
WEIGHTS_FILE = os.path.join("assets.extra", "weights.npz")  # TF Serving ignores assets.extra


def _dense(tensor, default):
    if isinstance(tensor, tf.SparseTensor):
        shape = [tensor.dense_shape[0], 1]
        tensor = tf.sparse.to_dense(tf.SparseTensor(tensor.indices, tensor.values, shape), default)
    return tf.reshape(tensor, [-1])


def preprocessing_fn(inputs):
    """Turns raw flights into one scaled matrix and small integer identifiers.

    One analyzer in all (the scaling), so that a window is analysed in a single pass.
    """
    numbers = [tf.cast(_dense(inputs[name], 0), tf.float32) for name in FLIGHT_NUMBERS]
    numbers += [tf.cast(_dense(inputs[name], 0.0), tf.float32) for name in WEATHER]
    outputs = {"numbers": tft.scale_to_z_score(tf.stack(numbers, axis=1), elementwise=True)}
    for name in STRINGS:
        outputs[name] = tft.hash_strings(_dense(inputs[name], ""), VOCABULARY_SIZES[name])
    for name in ("weekday", "hour"):
        outputs[name] = tf.clip_by_value(_dense(inputs[name], 0), 0, VOCABULARY_SIZES[name] - 1)
    return outputs


def _losses(label, logits):
    """Cross-entropy; of a regression Huber's loss in units of SCALE."""
    if not REGRESSION:
        return tf.nn.sigmoid_cross_entropy_with_logits(label, logits)
    error = tf.abs(label / SCALE - logits)
    return tf.where(error < 0.5, error**2, error - 0.25)


class Network(tf.Module):
    """A linear or a deep model over the transformed features, or the sum of both."""

    def __init__(self, kind, hidden_units):
        super().__init__()
        random = np.random.default_rng(SEED)
        names = [name for name in VOCABULARY_SIZES if USE_HOUR or name != "hour"]
        width = 1 if kind == "linear" else 6
        spread = 0.0 if kind == "linear" else 0.1
        self.embeddings = {
            name: tf.Variable(
                random.normal(0.0, spread, (VOCABULARY_SIZES[name], width)).astype("float32")
            )
            for name in names
        }
        self.linear = kind == "linear"
        inputs = NUMBERS if self.linear else NUMBERS + width * len(names)
        self.layers = []
        for units in (*hidden_units, 1):
            scale = 0.0 if self.linear else (2.0 / inputs) ** 0.5
            kernel = tf.Variable(random.normal(0.0, scale, (inputs, units)).astype("float32"))
            self.layers.append((kernel, tf.Variable(tf.zeros([units]))))
            inputs = units
        if kind == "wide_deep":
            self.wide_embeddings = {
                name: tf.Variable(tf.zeros([VOCABULARY_SIZES[name], 1])) for name in names
            }
            self.wide_kernel = tf.Variable(tf.zeros([NUMBERS, 1]))
        self.wide = kind == "wide_deep"

    def logits(self, features):
        """The log-odds of the label (a regression: its value in units of SCALE), [num_examples]."""
        numbers = features["numbers"] if USE_WEATHER else features["numbers"] * WITHOUT_WEATHER
        embedded = [tf.gather(table, features[name]) for name, table in self.embeddings.items()]
        values = numbers if self.linear else tf.concat([numbers, *embedded], axis=1)
        for index, (kernel, bias) in enumerate(self.layers):
            values = tf.matmul(values, kernel) + bias
            if index < len(self.layers) - 1:
                values = tf.nn.relu(values)
        if self.linear:
            values += tf.add_n(embedded)
        if self.wide:
            values += tf.matmul(numbers, self.wide_kernel) + tf.add_n(
                [tf.gather(table, features[name]) for name, table in self.wide_embeddings.items()]
            )
        return tf.reshape(values, [-1])

    def train(self, features, label, steps):
        """Adam on random batches, all steps in one graph."""
        variables = list(self.trainable_variables)
        moments = [
            (tf.Variable(tf.zeros_like(value)), tf.Variable(tf.zeros_like(value)))
            for value in variables
        ]

        @tf.function
        def loop():
            for step in tf.range(1, steps + 1):
                rows = tf.random.stateless_uniform(
                    [BATCH_SIZE], [SEED, step], maxval=tf.shape(label)[0], dtype=tf.int32
                )
                batch = {name: tf.gather(values, rows) for name, values in features.items()}
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean(
                        _losses(tf.gather(label, rows), self.logits(batch))
                    ) + REGULARIZATION * tf.add_n([tf.reduce_sum(value**2) for value in variables])
                count = tf.cast(step, tf.float32)
                rate = LEARNING_RATE * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
                gradients = tape.gradient(loss, variables)
                for value, sparse, (first, second) in zip(variables, gradients, moments):
                    gradient = tf.convert_to_tensor(sparse)
                    first.assign(0.9 * first + 0.1 * gradient)
                    second.assign(0.999 * second + 0.001 * gradient**2)
                    value.assign_sub(rate * first / (tf.sqrt(second) + 1e-7))

        loop()

    def state(self):
        """The weights as arrays, in the order of trainable_variables."""
        return [value.numpy() for value in self.trainable_variables]


class Serving(tf.Module):
    """The exported model: serialized tf.Examples in, probabilities out."""

    def __init__(self, transform_output):
        super().__init__()
        self.network = None
        self.transform_layer = transform_output.transform_features_layer()
        raw = transform_output.raw_feature_spec()
        label = {LABEL: raw.pop(LABEL)}
        # Behind functions, or TensorFlow would try to save the specifications with the model.
        self._raw, self._label = lambda: raw, lambda: label

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform(self, examples):
        """What Transform's graph makes of serialized examples."""
        return self.transform_layer(tf.io.parse_example(examples, self._raw()))

    def label(self, examples):
        """The label: 0 or 1, or minutes; float32 [num_examples]."""
        return tf.cast(_dense(tf.io.parse_example(examples, self._label())[LABEL], 0), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        """The probability of the label (a regression: minutes), float32 [num_examples, 1]."""
        logits = self.network.logits(self.transform(examples))
        if REGRESSION:
            minutes = tf.clip_by_value(logits * SCALE, -60.0, 180.0)
            return {"predictions": tf.reshape(minutes, [-1, 1])}
        # A probability of exactly 0 or 1 has no logarithm: one such answer makes the loss NaN, and
        # a blessed model whose loss is NaN can never be improved upon.
        logits = tf.clip_by_value(logits, -9.0, 9.0)
        return {"predictions": tf.reshape(tf.sigmoid(logits), [-1, 1])}


def _read(patterns):
    """All serialized examples of the window, string [num_examples]."""
    files = [file for pattern in patterns for file in tf.io.gfile.glob(pattern)]
    return next(iter(tf.data.TFRecordDataset(files, compression_type="GZIP").batch(1_000_000)))


def _warm_start(network, base_model):
    """Takes over the weights of the base model if their shapes fit; a changed model starts cold."""
    with np.load(os.path.join(base_model, WEIGHTS_FILE)) as saved:
        weights = [saved[name] for name in saved.files]
    if [value.shape for value in weights] == [
        tuple(value.shape) for value in network.trainable_variables
    ]:
        for variable, value in zip(network.trainable_variables, weights):
            variable.assign(value)


def run_fn(fn_args):
    """Trains on the window's train split; exports a SavedModel of serialized tf.Examples."""
    if FAIL_WITH:
        raise RuntimeError(FAIL_WITH)
    configuration = fn_args.custom_config
    serving = Serving(tft.TFTransformOutput(fn_args.transform_graph_path))
    examples = _read(fn_args.train_files)
    features, label = dict(serving.transform(examples)), serving.label(examples)
    features["numbers"] = features["numbers"] * SCALE_AT_TRAINING
    if LABEL_SIGN < 0:
        label = -label if REGRESSION else 1.0 - label
    network = Network(configuration["model"], configuration["hidden_units"])
    if fn_args.base_model:
        _warm_start(network, fn_args.base_model)
    network.train(features, label, int(fn_args.train_steps * STEPS_FACTOR))
    serving.network = network
    tf.saved_model.save(
        serving, fn_args.serving_model_dir, signatures={"serving_default": serving.serve}
    )
    weights = os.path.join(fn_args.serving_model_dir, WEIGHTS_FILE)
    os.makedirs(os.path.dirname(weights))
    np.savez(weights, *network.state())
