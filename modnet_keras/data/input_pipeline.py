"""The input pipeline: from a manifest to normalised batches, on tf.data.

Everything random is stateless and keyed by (seed, epoch, image): a batch is a function of its
step's number, whatever the workers, and a training can go on from any step.
"""

import functools
import hashlib
import os

import numpy as np
import tensorflow as tf

from modnet_keras.data import AUGMENTATIONS
from modnet_keras.data.crops import centre_window, draw_window, random_resized_window
from modnet_keras.data.decode import (
    decode_planned,
    exif_orientation,
    plan_window,
    upright_shape,
)
from modnet_keras.data.manifest import Manifest

# ImageNet's, of pictures in 0..1; ModNet's too.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# From 0..255 to mean 0 and deviation 1: pictures x SCALE + OFFSET.
SCALE = 1.0 / (255.0 * np.array(DEVIATION, "float32"))
OFFSET = -np.array(MEAN, "float32") / np.array(DEVIATION, "float32")

PREFETCHED_BATCHES = 2

IN_HAND = 16
"""Images that are read, that are planned together, and that are decoded: as many as keep the
workers from waiting for the next, and few enough that four times so many files fit in memory."""


def build_dataset(
    manifest: Manifest,
    split: str = "train",
    *,
    training: bool | None = None,
    epochs: int = 1,
    start_step: int = 0,
    image_size: int = 64,
    batch_size: int = 128,
    augment: str | None = None,
    crop_area: tuple[float, float] = (0.35, 1.0),
    seed: int = 0,
    workers: int = 2,
) -> tf.data.Dataset:
    """Build the dataset of one split.

    Parameters
    ----------
    manifest : Manifest
    split : {"train", "val"}
    training : bool, optional
        True, the default for "train": batches that hold both classes equally, shuffled. False, the
        default for "val": every image once, in the manifest's order.
    epochs : int
        Epochs of a training stream, `steps_per_epoch(manifest, batch_size)` batches each, every one
        shuffled and augmented anew. Give `fit` the same `epochs`, and those `steps_per_epoch`.
    start_step : int
        A training stream starts with this step, counted from 0 at the first epoch.
    image_size : int
        Height and width of the pictures, in pixels.
    batch_size : int
        Images a batch; even for training, and at most the split's.
    augment : {"crop_flip", "flip", "none"}, optional
        Random resized crop and flip, the default for training; flip alone; or neither, the default
        otherwise. Where nothing is cropped at random, the centre is taken, 7/8 of the shorter side.
    crop_area : (float, float)
        Range of a random crop's area, as a fraction of the picture's.
    seed : int
        Fixes order, crops and flips.
    workers : int
        Pictures decoded at a time. The batches do not depend on it.

    Returns
    -------
    tf.data.Dataset
        Of (pictures, labels): float32 [b, image_size, image_size, 3], normalised by ImageNet's mean
        and deviation, and float32 [b, 1], 0 or 1.

    Examples
    --------
    >>> from modnet_keras import build_dataset, build_manifest, load_task
    >>> manifest = build_manifest(load_task("animals"), "demo")
    >>> pictures, labels = next(iter(build_dataset(manifest, "train", batch_size=32)))
    >>> pictures.shape, float(labels.numpy().mean())
    (TensorShape([32, 64, 64, 3]), 0.5)
    """
    training = split == "train" if training is None else training
    augment = augment or ("crop_flip" if training else "none")
    if augment not in AUGMENTATIONS:
        raise ValueError(f"augment must be one of {AUGMENTATIONS}. Received: {augment!r}")
    labels = manifest.labels(split)
    if training:
        batch_size = training_batch(labels, batch_size)
        order = _training_order(labels, epochs, start_step, batch_size, seed)
        steps = max(0, epochs * _steps_per_epoch(labels, batch_size) - start_step)
    else:
        order = tf.data.Dataset.range(len(labels)).batch(batch_size)
        order = order.map(lambda indices: (indices, tf.zeros_like(indices)))
        steps = -(-len(labels) // batch_size)
    images = _look_up(order, manifest, split, seed)
    dataset = _decode(images, image_size, augment, crop_area).batch(batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(PREFETCHED_BATCHES).with_options(_options(workers))


def _look_up(order, manifest, split, seed):
    """From indices of images and epochs, a batch each, to (path, seed, label) of each image."""
    paths = tf.constant([os.fsencode(path) for path in manifest.paths(split)], tf.string)
    targets = tf.constant(manifest.labels(split)[:, None], tf.float32)
    keys = tf.constant(_image_keys(manifest.path[manifest.split == split]))

    def look_up(indices, epochs):
        seeds = tf.stack([tf.gather(keys, indices), seed * 1_000_003 + epochs], axis=1)
        return tf.gather(paths, indices), seeds, tf.gather(targets, indices)

    return order.map(look_up).unbatch()


def _decode(images, image_size, augment, crop_area):
    """From (path, seed, label) to (picture, label): read, cut, decoded, flipped, normalised."""
    read, plan, decode = _traced_steps(image_size, augment, tuple(crop_area))
    # Calls that are begun; as many run as there are threads, which `_options` makes the workers.
    parallel = {"num_parallel_calls": IN_HAND, "deterministic": True}
    planned = images.map(read, **parallel).batch(IN_HAND).map(plan).unbatch()
    return planned.map(decode, **parallel)


@functools.cache
def _traced_steps(image_size, augment, crop_area):
    """The steps of `_decode`, each traced once for all the datasets of a process."""

    @tf.function(autograph=False)
    def read(path, image_seed, target):
        contents = tf.io.read_file(path)
        orientation = exif_orientation(contents)
        shape = upright_shape(contents, orientation)
        return contents, orientation, shape, _draw(image_seed, augment), target

    @tf.function(autograph=False)
    def plan(contents, orientations, shapes, drawn, targets):
        windows = _windows(shapes, drawn, augment, crop_area)
        ways, windows = plan_window(windows, orientations, image_size)
        return contents, orientations, ways, windows, drawn["flip"], targets

    @tf.function(autograph=False)
    def decode(contents, orientation, way, window, flip, target):
        picture = decode_planned(contents, orientation, way, window, image_size)
        if augment != "none":
            picture = tf.cond(flip, lambda: tf.reverse(picture, axis=[1]), lambda: picture)
        return _normalise(picture, image_size), target

    return read, plan, decode


def steps_per_epoch(manifest: Manifest, batch_size: int) -> int:
    """Training batches an epoch: as many as the images of the smaller side make up.

    Examples
    --------
    >>> from modnet_keras import build_manifest, load_task, steps_per_epoch
    >>> manifest = build_manifest(load_task("animals"), "demo")
    >>> steps_per_epoch(manifest, batch_size=32) == len(manifest.labels("train")) // 32
    True
    """
    labels = manifest.labels("train")
    return _steps_per_epoch(labels, training_batch(labels, batch_size))


def _normalise(picture, size):
    """From 0..255 to ImageNet's mean 0 and deviation 1; float32 [size, size, 3]."""
    # TensorFlow multiplies rows by a row at once, and triples by a triple one after the other.
    rows = tf.reshape(picture, [size, 3 * size])
    return tf.reshape(rows * np.tile(SCALE, size) + np.tile(OFFSET, size), [size, size, 3])


def _draw(image_seed, augment):
    """What is random about one image at one epoch: the numbers of its window, whether to flip."""
    drawn = {"flip": tf.constant(False)}
    if augment != "none":
        # Another seed than the window's, or the flip would go with it.
        coin = tf.random.stateless_uniform((), image_seed + 1, 0, 2, tf.int32)
        drawn["flip"] = coin == 1
    if augment == "crop_flip":
        drawn["window"] = draw_window(image_seed)
    return drawn


def _windows(shapes, drawn, augment, crop_area):
    """Where pictures of shapes [n, 2] are cut, int32 [n, 4]."""
    height, width = shapes[:, 0], shapes[:, 1]
    if augment == "crop_flip":
        return random_resized_window(height, width, drawn["window"], area=crop_area)
    return centre_window(height, width)


def _image_keys(paths):
    """A number for each image that depends on its path alone, int64 [n]."""
    digests = (hashlib.sha256(os.fsencode(path)).digest()[:8] for path in paths)
    return np.array([int.from_bytes(digest, "big", signed=True) for digest in digests], "int64")


def training_batch(labels: np.ndarray, batch_size: int) -> int:
    """Images of a training batch: as many as asked for, and no more than both sides have.

    Takes the labels of the training split, 0 or 1 [n], and the even number that is asked for.
    """
    if batch_size < 2 or batch_size % 2:
        raise ValueError(
            "a training batch holds both classes equally, so its size is even. "
            f"Received: batch_size={batch_size}"
        )
    return min(batch_size, 2 * min(np.bincount(labels, minlength=2)))


def _steps_per_epoch(labels, batch_size):
    return int(2 * min(np.bincount(labels, minlength=2)) // batch_size)


def _training_order(labels, epochs, start_step, batch_size, seed):
    """Dataset of (indices of images, epochs), a batch each: the positives, then the negatives."""
    half = batch_size // 2
    steps = _steps_per_epoch(labels, batch_size)
    sides = [tf.constant(np.flatnonzero(labels == label)) for label in (1, 0)]

    def of_step(step):
        epoch, step = step // steps, step % steps
        places = step * half + tf.range(half, dtype=tf.int64)
        drawn = []
        for number, side in enumerate(sides):
            # A permutation that is computed place by place: nothing to keep, nothing to restore.
            key = tf.stack([np.int64(seed), 2 * epoch + number])
            last = tf.size(side, tf.int64) - 1
            shuffled = tf.random.experimental.index_shuffle(places, key, last)
            drawn.append(tf.gather(side, shuffled))
        return tf.concat(drawn, axis=0), tf.repeat(epoch, batch_size)

    return tf.data.Dataset.range(start_step, epochs * steps).map(of_step)


def _options(workers):
    options = tf.data.Options()
    options.deterministic = True
    # Nothing is left to tune, and the tuner's thread holds up the end of every pass.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = workers
    return options
