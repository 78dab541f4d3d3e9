"""The user's module: preprocessing for Transform, training for Trainer.

It lies alone in its folder because TFX packs every Python file beside it into the wheel whose hash the
store records. The assignments of the settings block are what the schedule's code changes rewrite.
"""

import os

import numpy
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras

# --- settings: rewritten by code changes (schedule.CodeRevision) ---
REVISION = 0
LEARNING_RATE = 0.02
EPOCHS = 8
BATCH_SIZE = 128
REGULARIZATION = 1e-4
USE_HOUR = False
USE_WEATHER = True
LABEL_SIGN = 1
SCALE_AT_TRAINING = 1.0
FAIL_WITH = ""
# --- end of settings ---

LABEL = "delayed"
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
VOCABULARY_SIZES = {"carrier": 32, "dest": 128, "origin": 8, "weekday": 8, "hour": 24}
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
    numbers = [tf.cast(_dense(inputs["distance"], 0), tf.float32)]
    numbers += [tf.cast(_dense(inputs[name], 0.0), tf.float32) for name in WEATHER]
    outputs = {"numbers": tft.scale_to_z_score(tf.stack(numbers, axis=1), elementwise=True)}
    for name in ("carrier", "dest", "origin"):
        outputs[name] = tft.hash_strings(_dense(inputs[name], ""), VOCABULARY_SIZES[name])
    for name in ("weekday", "hour"):
        outputs[name] = tf.clip_by_value(_dense(inputs[name], 0), 0, VOCABULARY_SIZES[name] - 1)
    return outputs


def _build_model(kind, hidden_units):
    regularizer = tf_keras.regularizers.L2(REGULARIZATION)
    numbers = tf_keras.Input(shape=(1 + len(WEATHER),), name="numbers")
    kept = numbers if USE_WEATHER else numbers[:, :1]
    names = [name for name in VOCABULARY_SIZES if USE_HOUR or name != "hour"]
    identifiers = {name: tf_keras.Input(shape=(), dtype=tf.int64, name=name) for name in VOCABULARY_SIZES}
    width = 1 if kind == "linear" else 6
    embedded = [
        tf_keras.layers.Embedding(
            VOCABULARY_SIZES[name],
            width,
            embeddings_initializer="zeros" if kind == "linear" else "uniform",
            embeddings_regularizer=regularizer,
        )(identifiers[name])
        for name in names
    ]
    if kind == "linear":
        logit = tf_keras.layers.Add()([tf_keras.layers.Dense(1, kernel_regularizer=regularizer)(kept), *embedded])
    else:
        hidden = tf_keras.layers.Concatenate()([kept, *embedded])
        for units in hidden_units:
            hidden = tf_keras.layers.Dense(units, activation="relu", kernel_regularizer=regularizer)(hidden)
        logit = tf_keras.layers.Dense(1)(hidden)
    return tf_keras.Model({"numbers": numbers, **identifiers}, tf_keras.layers.Activation("sigmoid")(logit))


def _files(patterns):
    return [file for pattern in patterns for file in tf.io.gfile.glob(pattern)]


def _load(patterns, transform_output, transform_layer):
    """The whole window in memory: transformed features and the label, float32 [num_examples]."""
    specification = transform_output.raw_feature_spec()
    dataset = tf.data.TFRecordDataset(_files(patterns), compression_type="GZIP").batch(1_000_000)
    raw = tf.io.parse_example(next(iter(dataset)), specification)
    label = numpy.asarray(_dense(raw.pop(LABEL), 0), numpy.float32)
    return {name: value.numpy() for name, value in transform_layer(raw).items()}, label


def _export(model, transform_output, transform_layer, folder):
    specification = transform_output.raw_feature_spec()
    del specification[LABEL]

    class Serving(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = model
            self.transform_layer = transform_layer

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples):
            raw = tf.io.parse_example(examples, specification)
            return {"predictions": self.model(self.transform_layer(raw))}

    serving = Serving()
    tf.saved_model.save(serving, folder, signatures={"serving_default": serving.serve})
    weights = os.path.join(folder, WEIGHTS_FILE)
    os.makedirs(os.path.dirname(weights))
    numpy.savez(weights, *model.get_weights())


def _warm_start(model, base_model):
    """Takes over the weights of the base model if their shapes fit; a changed model starts cold."""
    with numpy.load(os.path.join(base_model, WEIGHTS_FILE)) as saved:
        weights = [saved[name] for name in saved.files]
    if [value.shape for value in weights] == [value.shape for value in model.get_weights()]:
        model.set_weights(weights)


def run_fn(fn_args):
    """Trains on the window's train split and exports a SavedModel that takes serialized tf.Examples."""
    if FAIL_WITH:
        raise RuntimeError(FAIL_WITH)
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(SEED)
    configuration = fn_args.custom_config
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    transform_layer = transform_output.transform_features_layer()
    features, label = _load(fn_args.train_files, transform_output, transform_layer)
    features["numbers"] = features["numbers"] * SCALE_AT_TRAINING
    if LABEL_SIGN < 0:
        label = 1.0 - label
    model = _build_model(configuration["model"], configuration["hidden_units"])
    if fn_args.base_model:
        _warm_start(model, fn_args.base_model)
    model.compile(optimizer=tf_keras.optimizers.Adam(LEARNING_RATE), loss="binary_crossentropy")
    steps = fn_args.train_steps
    epochs = max(1, min(EPOCHS, steps * BATCH_SIZE // max(len(label), 1)))
    model.fit(features, label, batch_size=BATCH_SIZE, epochs=epochs, shuffle=True, verbose=0)
    _export(model, transform_output, transform_layer, fn_args.serving_model_dir)
