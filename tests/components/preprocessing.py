"""A preprocessing_fn that looks at all of the data three times."""

import tensorflow_transform as tft


def preprocessing_fn(inputs):
    """Standardized, in buckets, and as a number in a vocabulary."""
    return {
        "standard": tft.scale_to_z_score(inputs["number"]),
        "bucket": tft.bucketize(inputs["number"], 3),
        "token": tft.compute_and_apply_vocabulary(inputs["word"]),
    }
