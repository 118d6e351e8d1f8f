"""Our sides.

Each function sets up and returns `work`: called once it gives a number of images, which is then
divided by its time, or, where the docstring says so, the figure itself.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.pictures import list_pictures
from modnet_keras import (
    build_dataset,
    build_manifest,
    build_model,
    compile_model,
    grow,
    load_task,
    steps_per_epoch,
    tap,
    train,
)
from modnet_keras.data.manifest import Manifest
from modnet_keras.models import copy_for_inference
from modnet_keras.studies.networks import predict_all
from modnet_keras.training.devices import configure_devices


def train_step(level, size, batch, steps, precision, strategy="scratch"):
    """Steps of `fit` on one batch that stays in memory."""
    configure_devices()
    model = build_model(level, size, precision=precision)
    if strategy != "scratch":
        model = grow(build_model(level - 1, size, precision=precision), level)
    compile_model(model, strategy, steps_per_epoch=1000, epochs=100)
    stream = _kept_batch(size, batch)

    def work():
        model.fit(stream, steps_per_epoch=steps, shuffle=False, verbose=0)
        return steps * batch

    return work


def inference(level, size, batch, precision):
    """Logits of one batch by the network as it is exported: batch norm folded."""
    configure_devices()
    model = build_model(level, size, precision=precision)
    images = outputs = keras.Input((size, size, 3))
    for part in model.layers[1:]:
        outputs = copy_for_inference(part, outputs, part.name, fold=True)
    folded = keras.Model(images, outputs)
    answer = tf.function(lambda batch: folded(batch, training=False))
    shown, _ = _batch(size, batch)

    def work():
        answer(shown).numpy()
        return batch

    return work


def forget(size, pictures, batch, precision):
    """The parent's head on the taps of four children, of pictures that are decoded already."""
    configure_devices()
    parent = build_model(1, size, precision=precision)
    taps = {str(seed): tap(_trained_child(parent, seed), parent) for seed in range(4)}
    shown, labels = _batch(size, pictures)
    stream = tf.data.Dataset.from_tensor_slices((shown, labels)).batch(batch)
    stream = _untuned(stream)

    def work():
        predict_all({name: tapped.layers[1:] for name, tapped in taps.items()}, stream)
        return pictures

    return work


def inputs(folder, size, batch, batches, area):
    """Batches of the training pipeline."""
    configure_devices()
    stream = _training_stream(folder, size, batch, area)
    drawn = iter(stream)

    def work():
        for _ in range(batches):
            next(drawn)[0].numpy()
        return batch * batches

    return work


def whole_epoch(folder, size, batch, precision, apart):
    """Seconds of an epoch of training; `apart`, of its input and of its steps, the longer."""
    configure_devices()
    manifest = build_manifest(load_task("canines"), folder)
    steps = steps_per_epoch(manifest, batch)
    model = compile_model(build_model(1, size, precision=precision), "scratch", epochs=1000)
    stream = build_dataset(manifest, "train", epochs=1000, image_size=size, batch_size=batch)
    kept = _kept_batch(size, batch)

    def fit(batches, steps=steps):
        model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)

    def read(batches):
        for shown, _ in batches.take(steps):
            shown.numpy()

    fit(kept, 2)
    if apart:
        return lambda: max(_seconds(lambda: fit(kept)), _seconds(lambda: read(stream)))
    return lambda: _seconds(lambda: fit(stream))


def training_memory(folder, size, batch, steps, precision):
    """Peak memory in MiB of a process that trains on files."""
    configure_devices()
    model = compile_model(build_model(1, size, precision=precision), "scratch", epochs=1000)
    stream = _training_stream(folder, size, batch, (0.35, 1.0))

    def work():
        model.fit(stream, steps_per_epoch=steps, shuffle=False, verbose=0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    return work


def first_batch(folder, repeats, times=1):
    """Seconds of index, manifest and first batch, nothing remembered, by `times`."""

    def once():
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            manifest = build_manifest(load_task("animals"), folder)
            next(iter(build_dataset(manifest, "train", image_size=64, batch_size=64)))

    once()
    return lambda: times * sum(_seconds(once) for _ in range(repeats)) / repeats


def whole_job(folder, target, scratch):
    """Seconds from the call on until `canines` reaches an accuracy; None if it never does.

    What the user types: `train --task=canines`, which trains `animals` first.
    """
    started = time.perf_counter()
    reached = []

    def look(plan, row):
        seconds = time.perf_counter() - started
        print(f"ours: {plan.task.name} {row['epoch']} {row['val_accuracy']:.4f} {seconds:.0f} s")
        if plan.task.name == "canines" and row["val_accuracy"] >= target:
            reached.append(seconds)

    def work():
        with tempfile.TemporaryDirectory(dir=scratch) as runs:
            train("canines", data=folder, image_size=64, runs=runs, on_epoch=look)
        return reached[0] if reached else None

    return work


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _batch(size, batch):
    generator = np.random.default_rng(0)
    shown = generator.normal(size=(batch, size, size, 3)).astype("float32")
    return shown, (np.arange(batch)[:, None] % 2).astype("float32")


def _kept_batch(size, batch):
    """One batch in memory, for ever."""
    return _untuned(tf.data.Dataset.from_tensors(_batch(size, batch)).repeat())


def _untuned(dataset):
    """As the product's pipeline is: the tuner's thread would hold up the end of every pass."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _trained_child(parent, seed):
    """A child whose every part differs from its parent's, as after `finetune`."""
    child = grow(parent, 2, seed=seed)
    for weight in child.trainable_variables:
        weight.assign(weight * (1.01 + 0.01 * seed))
    return child


def _training_stream(folder, size, batch, area):
    return build_dataset(
        _plain_manifest(folder),
        "train",
        epochs=10**6,
        image_size=size,
        batch_size=batch,
        crop_area=tuple(area),
    )


def _plain_manifest(folder):
    """All pictures of a folder as training pictures, every other one of the class.

    For the input pipeline alone, which does not care what a picture shows.
    """
    paths = list_pictures(folder)
    return Manifest(
        root=Path(folder),
        path=np.array(paths, dtype=object),
        image_class=np.array([path.rsplit("/", 1)[0] for path in paths], dtype=object),
        label=np.arange(len(paths)) % 2,
        split=np.array(["train"] * len(paths), dtype=object),
        available=None,
        unreadable={},
        unmatched=(),
        fingerprint="",
    )
