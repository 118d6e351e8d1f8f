"""Why a parent was forgotten: its loss, weight by weight kind and stage by stage."""

import keras
import numpy as np

from modnet_keras.models import KINDS, copy_part, weights_of
from modnet_keras.studies.tables import ALL_STAGES


def swapped_networks(
    parent: keras.Model, tapped: keras.Model
) -> dict[tuple[str, str], tuple[keras.Model, ...]]:
    """The parent with the child's weights of one kind in one stage, for each kind and stage.

    Parameters
    ----------
    parent : keras.Model
    tapped : keras.Model
        The parent's head on the child: `tap(child, parent)`.

    Returns
    -------
    dict of (str, str) to tuple of keras.Model
        By stage and kind. The stage `all` has that kind swapped in the stem and every stage. A part
        whose weights of the kind are the parent's to the bit is the parent's part itself.
    """
    parts = parent.layers[1:]
    networks = {}
    for kind in KINDS:
        swapped = [
            _swapped(part, tapped.get_layer(part.name), kind) if part.name != "head" else part
            for part in parts
        ]
        for place, part in enumerate(parts[:-1]):
            networks[part.name, kind] = (*parts[:place], swapped[place], *parts[place + 1 :])
        networks[ALL_STAGES, kind] = tuple(swapped)
    return networks


def differing_kinds(parent: keras.Model, tapped: keras.Model) -> list[str]:
    """The kinds of weights in which a tapped child differs from its parent at all."""
    return [
        kind
        for kind in KINDS
        if not all(
            _is_same(part, tapped.get_layer(part.name), kind) for part in parent.layers[1:-1]
        )
    ]


def _swapped(part, other, kind):
    if _is_same(part, other, kind):
        return part
    copy = copy_part(part)
    for variable, value in zip(weights_of(copy, kind), weights_of(other, kind), strict=True):
        variable.assign(value)
    return copy


def _is_same(part, other, kind):
    pairs = zip(weights_of(part, kind), weights_of(other, kind), strict=True)
    return all(np.array_equal(one.numpy(), another.numpy()) for one, another in pairs)
