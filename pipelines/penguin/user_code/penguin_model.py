"""The user's module: a softmax over four measurements, trained by gradient descent."""

import tensorflow as tf

LABEL = "species"
FEATURES = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")
# About the mean and the deviation of each, so that one step length fits all.
CENTER = (43.9, 17.2, 200.9, 4202.0)
SCALE = (5.5, 2.0, 14.1, 802.0)
SPECIES = 3
BATCH_SIZE = 64


class Penguins(tf.Module):
    """Serialized tf.Examples in, the probability of each species out."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.zeros([len(FEATURES), SPECIES]))
        self.bias = tf.Variable(tf.zeros([SPECIES]))

    def logits(self, numbers):
        """Log-odds, float32 [num_examples, 3], of measurements [num_examples, 4]."""
        return (numbers - CENTER) / SCALE @ self.kernel + self.bias

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        """Probabilities, float32 [num_examples, 3]."""
        return {"predictions": tf.nn.softmax(self.logits(_measurements(examples)))}


def _measurements(examples):
    spec = {name: tf.io.FixedLenFeature([1], tf.float32) for name in FEATURES}
    parsed = tf.io.parse_example(examples, spec)
    return tf.concat([parsed[name] for name in FEATURES], axis=1)


def _labels(examples):
    spec = {LABEL: tf.io.FixedLenFeature([1], tf.int64)}
    return tf.reshape(tf.io.parse_example(examples, spec)[LABEL], [-1])


def run_fn(fn_args):
    """Trains on the split train; exports a SavedModel."""
    files = [file for pattern in fn_args.train_files for file in tf.io.gfile.glob(pattern)]
    examples = next(iter(tf.data.TFRecordDataset(files, compression_type="GZIP").batch(1_000_000)))
    numbers, labels = _measurements(examples), _labels(examples)
    model = Penguins()
    for step in range(fn_args.train_steps):
        rows = tf.random.stateless_uniform(
            [BATCH_SIZE], [0, step], maxval=tf.shape(labels)[0], dtype=tf.int32
        )
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.gather(labels, rows), model.logits(tf.gather(numbers, rows))
                )
            )
        for variable, slope in zip(
            (model.kernel, model.bias), tape.gradient(loss, (model.kernel, model.bias))
        ):
            variable.assign_sub(0.5 * slope)
    tf.saved_model.save(
        model, fn_args.serving_model_dir, signatures={"serving_default": model.serve}
    )
