"""Many networks on one pass over the pictures."""

import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from modnet_keras.training.prediction import inference_graph

Name = TypeVar("Name", bound=Hashable)

FEW_BATCHES = 2
"""In so many, operations that run one by one lose less time than it takes to trace them."""

# As long as the parts live: a pass over the training split traces nothing that validation did.
_graphs: weakref.WeakKeyDictionary[keras.Model, Any] = weakref.WeakKeyDictionary()


def predict_all(
    networks: Mapping[Name, Sequence[keras.Model]],
    dataset: tf.data.Dataset,
    on_batch: Callable[[int], object] | None = None,
) -> dict[Name, np.ndarray]:
    """Outputs of many networks on the same pictures, which are read and decoded once.

    A network is a chain of parts, as `model.layers[1:]` of `build_model` and `tap`. Where chains
    begin with the same parts, these are computed once; parts that are equal but not the same object
    are each computed for themselves. For more than a few batches each part is traced, apart from
    the others and with its weights as they are, so that equal weights give equal bits.

    Parameters
    ----------
    networks : dict of str to sequence of keras.Model
        By any name.
    dataset : tf.data.Dataset
        Of (pictures, labels).
    on_batch : callable, optional
        Called with the number of pictures of each batch that is done.

    Returns
    -------
    dict of str to array [n, ...]
        Each network's outputs, in the dataset's order.
    """
    traced = dataset.cardinality() > FEW_BATCHES
    tree: dict[Any, Any] = {}
    for name, parts in networks.items():
        branch = tree
        for part in parts:
            branch = branch.setdefault(part, {})
        branch.setdefault(None, []).append(name)
    outputs: dict[Name, list[np.ndarray]] = {name: [] for name in networks}
    for pictures, _ in dataset:
        for names, values in _outputs(tree, pictures, traced):
            for name in names:
                outputs[name].append(values.numpy())
        if on_batch:
            on_batch(len(pictures))
    return {name: np.concatenate(batches) for name, batches in outputs.items()}


def _outputs(tree, values, traced):
    """Depth first, so that only one chain's intermediate values are kept at a time."""
    for part, branch in tree.items():
        if part is None:
            yield branch, values
        else:
            given = _graph_of(part)(values) if traced else part(values, training=False)
            yield from _outputs(branch, given, traced)


def _graph_of(part):
    """A part in inference mode as one function of batches of any size."""
    if part not in _graphs:
        # The concrete function knows the part's variables but does not hold the part itself.
        _graphs[part] = inference_graph(part).get_concrete_function()
    return _graphs[part]
