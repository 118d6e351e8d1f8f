"""What a network's weights are, part by part, and whether two networks have the same ones."""

import hashlib

import keras

KINDS = {
    "statistics": ("moving_mean", "moving_variance"),
    "scale_shift": ("gamma", "beta"),
    "convolutions": ("kernel",),
}
"""The kinds of weights of a stem or stage, and their names: the last step of a weight's path."""


def weights_of(part: keras.Model, kind: str) -> list[keras.Variable]:
    """The variables of one kind, a key of `KINDS`, in a part of a model: a list."""
    return [variable for variable in part.variables if variable.name in KINDS[kind]]


def copy_part(part: keras.Model) -> keras.Model:
    """A copy of a part of a model, with the same bits in weights of its own."""
    copy = keras.models.clone_model(part)
    copy.set_weights(part.get_weights())
    return copy


def hash_parts(model: keras.Model) -> dict[str, dict[str, str]]:
    """A SHA-256 of each part's weights and of its batch-norm statistics.

    Equal hashes mean the same bits in weights of the same names, shapes and types. The head has
    weights alone.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    dict of str to dict
        By part: `{"weights": ..., "statistics": ...}`, hexadecimal.

    Examples
    --------
    >>> from modnet_keras import build_model, grow
    >>> parent = build_model(1, image_size=32)
    >>> parent_hashes, child_hashes = hash_parts(parent), hash_parts(grow(parent, 2))
    >>> [part for part in parent_hashes if child_hashes[part] == parent_hashes[part]]
    ['stem', 'stage_1', 'stage_2']
    """
    hashes = {}
    for part in model.layers[1:]:
        statistics = weights_of(part, "statistics")
        weights = [v for v in part.variables if v.name not in KINDS["statistics"]]
        hashes[part.name] = {"weights": _hash(weights)}
        if statistics:
            hashes[part.name]["statistics"] = _hash(statistics)
    return hashes


def _hash(variables):
    digest = hashlib.sha256()
    for variable in variables:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{variable.path} {value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
