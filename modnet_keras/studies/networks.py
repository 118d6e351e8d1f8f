"""Many networks on one pass over the pictures."""

import numpy as np


def predict_all(networks, dataset, on_batch=None):
    """Outputs of many networks on the same pictures, which are read and decoded once.

    A network is a chain of parts, as `model.layers[1:]` of `build_model` and `tap`. Where chains
    begin with the same parts, these are computed once; parts that are equal but not the same object
    are each computed for themselves. Operations run one by one as they are written: nothing is
    folded, fused or compiled, so that equal weights give equal bits.

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
    tree = {}
    for name, parts in networks.items():
        branch = tree
        for part in parts:
            branch = branch.setdefault(part, {})
        branch.setdefault(None, []).append(name)
    outputs = {name: [] for name in networks}
    for pictures, _ in dataset:
        for names, values in _outputs(tree, pictures):
            for name in names:
                outputs[name].append(values.numpy())
        if on_batch:
            on_batch(len(pictures))
    return {name: np.concatenate(batches) for name, batches in outputs.items()}


def _outputs(tree, values):
    """Depth first, so that only one chain's intermediate values are kept at a time."""
    for part, branch in tree.items():
        if part is None:
            yield branch, values
        else:
            yield from _outputs(branch, part(values, training=False))
