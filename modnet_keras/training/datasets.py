"""What a run's settings make of its manifest: the datasets of its training and its evaluation."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from modnet_keras.data.decode_check import find_undecodable
from modnet_keras.data.input_pipeline import build_dataset
from modnet_keras.data.manifest import SPLITS, Manifest
from modnet_keras.errors import WorkError
from modnet_keras.training.recipes import get_recipe

EVALUATION_BATCH = 256


def training_dataset(
    manifest: Manifest, config: Mapping[str, Any], start_step: int
) -> tf.data.Dataset:
    """The batches of a run's training, from a step on that is counted from its first."""
    dataset = build_dataset(
        manifest,
        "train",
        epochs=config["epochs"],
        start_step=start_step,
        image_size=config["image_size"],
        batch_size=config["batch_size"],
        augment=config["augment"],
        crop_area=get_recipe(config["recipe"]).crop_area,
        seed=config["seed"],
    )
    options = tf.data.Options()
    # One process feeds all devices. To look for files to share out among several took TensorFlow
    # four seconds each time that Keras opened the stream for two devices.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


def evaluation_dataset(
    manifest: Manifest, split: str, config: Mapping[str, Any]
) -> tf.data.Dataset:
    """A split's pictures as a run of these settings evaluates them: all, once, in order."""
    augmented = config["augment_val"] and split == "val"
    return build_dataset(
        manifest,
        split,
        training=False,
        image_size=config["image_size"],
        batch_size=EVALUATION_BATCH,
        augment=config["augment"] if augmented else "none",
        crop_area=get_recipe(config["recipe"]).crop_area,
        seed=config["seed"],
    )


@contextlib.contextmanager
def undecodable_named(manifest: Manifest) -> Iterator[None]:
    """Name the picture that passed the quick check and that TensorFlow cannot decode."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        found = find_undecodable([path for split in SPLITS for path in manifest.paths(split)])
        if not found:
            raise
        raise WorkError(
            f"picture '{found[0]}' passed the quick check but cannot be decoded, one of "
            f"{len(found)}; 'modnet data --check=full' has them left out: call it and start anew."
        ) from error
