"""Copies of a network's parts for inference: under another name, and with batch norm folded in."""

import keras
import numpy as np


def copy_for_inference(
    part: keras.Model,
    inputs: keras.KerasTensor,
    name: str,
    *,
    precision: str | None = None,
    fold: bool = False,
) -> keras.KerasTensor:
    """Copy a stem, stage or head and call the copy on `inputs`.

    Parameters
    ----------
    part : keras.Model
        A part of a network of `build_model`.
    inputs : KerasTensor
        What the copy is called on.
    name : str
        The copy's: parts of several networks are told apart by it in one model.
    precision : {"float32"}, optional
        Every layer computes so; as in the part where absent.
    fold : bool
        Work each batch normalization into the convolution before it, as its inference mode computes
        it: a kernel scaled by gamma / sqrt(variance + epsilon), and a bias. The sums are taken in
        another order, so the results differ in the last bits.

    Returns
    -------
    KerasTensor
        What the copy makes of `inputs`.

    Source: Jacob et al., 2018, arXiv:1712.05877, section 3.2.
    """

    def copy_of(layer):
        config = layer.get_config()
        if precision is not None:
            config["dtype"] = precision
        if fold and isinstance(layer, keras.layers.BatchNormalization):
            return keras.layers.Identity(name=layer.name, dtype=config["dtype"])
        if fold and isinstance(layer, keras.layers.Conv2D):
            config["use_bias"] = True
        return type(layer).from_config(config)

    entry = keras.Input(inputs.shape[1:], dtype=inputs.dtype, name=f"{name}_input")
    copy = keras.models.clone_model(part, input_tensors=entry, clone_function=copy_of)
    _set_weights(part, copy, fold)
    return keras.Model(entry, copy.outputs[0], name=name)(inputs)


def _set_weights(part, copy, fold):
    normalizations = _normalizations_by_convolution(part) if fold else {}
    for layer in part.layers:
        if layer.name in normalizations:
            weights = _folded(layer, normalizations[layer.name])
            copy.get_layer(layer.name).set_weights(weights)
        elif layer.weights and layer not in normalizations.values():
            copy.get_layer(layer.name).set_weights(layer.get_weights())


def _normalizations_by_convolution(part):
    return {
        layer.input._keras_history.operation.name: layer
        for layer in part.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def _folded(convolution, normalization):
    """Kernel and bias, worked out in float64."""
    kernel, gamma, beta, mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(weight), "float64")
        for weight in (
            convolution.kernel,
            normalization.gamma,
            normalization.beta,
            normalization.moving_mean,
            normalization.moving_variance,
        )
    )
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return [kernel * scale, beta - mean * scale]
