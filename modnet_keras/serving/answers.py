"""From logits to answers, in TensorFlow operations: probability, label, and the way down a tree."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from modnet_keras.data.whole_vectors import in_whole_vectors
from modnet_keras.serving.tree import Tree

JOINT = " > "


def answer(tree: Tree, logits: tf.Tensor, valid: tf.Tensor) -> dict[str, tf.Tensor]:
    """What a tree answers.

    Parameters
    ----------
    tree : Tree
    logits : float32 [n, tasks]
    valid : bool [n]
        What is not valid, or has a logit that is no finite number, has probability 0 and no label.

    Returns
    -------
    dict of tensors
        Of a single run `probability` float32 [n], `label` string [n] and `valid`. Of a tree
        `probability` float32 [n, tasks], of each task by itself; `tasks` string [n, tasks], their
        names, in every row as TensorFlow Serving wants it; `path` string [n], the tasks that said
        yes from the root down, a child asked where its parent said yes and the more probable of
        siblings followed; `path_probability` float32 [n], the product of the probabilities on the
        path, the root's where it said no; `label`, the last task on the path, or not-ROOT; `valid`.
    """
    valid = valid & tf.reduce_all(tf.math.is_finite(logits), axis=1)
    logits = tf.where(valid[:, None], logits, 0.0)
    probabilities = tf.where(valid[:, None], in_whole_vectors(tf.sigmoid, logits), 0.0)
    if tree.is_single:
        answers = {"probability": probabilities[:, 0], "label": _label(tree, logits[:, 0] > 0)}
    else:
        answers = _walk(tree, logits, probabilities)
    answers["label"] = tf.where(valid, answers["label"], "")
    return answers | {"valid": valid}


def _label(tree, said_yes):
    return tf.where(said_yes, tree.name, f"not-{tree.name}")


def _walk(tree, logits, probabilities):
    """The way down from the root, for all rows at once: every task after its parent."""
    entered = _entered(tree, logits)
    path = tf.where(entered[tree.name], tree.name, "")
    label = _label(tree, entered[tree.name])
    product = probabilities[:, 0]
    for place, name in enumerate(tree.tasks[1:], start=1):
        path = tf.where(entered[name], path + JOINT + name, path)
        label = tf.where(entered[name], name, label)
        product = tf.where(entered[name], product * probabilities[:, place], product)
    return {
        "probability": probabilities,
        "tasks": tf.tile([list(tree.tasks)], [tf.shape(logits)[0], 1]),
        "path": path,
        "path_probability": product,
        "label": label,
    }


def _entered(tree, logits):
    """For each task, bool [n]: whether it is on the path."""
    entered = {tree.name: logits[:, 0] > 0}
    for parent in tree.tasks:
        places = [place for place, above in enumerate(tree.parents) if above == parent]
        if places:
            of_children = tf.gather(logits, places, axis=1)
            first = tf.argmax(of_children, axis=1)
            for number, place in enumerate(places):
                chosen = (first == number) & (of_children[:, number] > 0)
                entered[tree.tasks[place]] = entered[parent] & chosen
    return entered


def rows_of(answers: Mapping[str, tf.Tensor]) -> list[dict[str, Any]]:
    """The same as a list of dicts, one a row, of Python's own values."""
    columns = {key: tensor.numpy().tolist() for key, tensor in answers.items()}
    return [
        {key: _text(value) for key, value in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


def _text(value):
    if isinstance(value, list):
        return [_text(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value
