"""Growth: a child network out of its parent's; and the tap, which asks it the parent's question."""

import keras

from modnet_keras.models.resnet import build_model, level_of
from modnet_keras.tasks import Task


def grow(
    parent: keras.Model, task: Task | int, *, seed: int = 0, precision: str | None = None
) -> keras.Model:
    """Build the network of a child task: the parent's stem and stages, one new stage, a new head.

    Parameters
    ----------
    parent : keras.Model
        The parent's network, as built by `build_model` or by `grow`.
    task : Task or int
        The child, or its level: the parent's plus one.
    seed : int
        Fixes the initial weights of the new stage and head.
    precision : {"float32", "bfloat16"}, optional
        The parent's where absent.

    Returns
    -------
    keras.Model
        The child: nothing of it is shared with the parent, nothing is frozen. Not compiled.

    Raises
    ------
    ValueError
        If the levels do not follow on each other, or if a weight of the parent's stem and stages is
        missing from the child, unexpected in it or of another shape: all are listed.

    Examples
    --------
    >>> parent = build_model(1, image_size=32)
    >>> [part.name for part in grow(parent, 2).layers]
    ['images', 'stem', 'stage_1', 'stage_2', 'stage_3', 'head']
    """
    level = task if isinstance(task, int) else task.level
    if level != level_of(parent) + 1:
        raise ValueError(
            f"a child's level is its parent's plus one, here {level_of(parent) + 1}. "
            f"Received: {level}"
        )
    child = build_model(
        task,
        parent.input_shape[1],
        block=_block_of(parent),
        seed=seed,
        precision=precision or _precision_of(parent),
    )
    copy_backbone(parent, child)
    return child


def copy_backbone(parent: keras.Model, child: keras.Model) -> None:
    """Set the child's stem and the stages that the parent has to the parent's weights, strictly."""
    shared = {part.name for part in parent.layers} - {"head"}
    given = {v.path: v for name in shared for v in parent.get_layer(name).weights}
    taken = {v.path: v for part in child.layers if part.name in shared for v in part.weights}
    missing = sorted(taken.keys() - given.keys())
    unexpected = sorted(given.keys() - taken.keys())
    reshaped = [
        f"{path} {tuple(given[path].shape)} -> {tuple(taken[path].shape)}"
        for path in sorted(given.keys() & taken.keys())
        if given[path].shape != taken[path].shape
    ]
    if missing or unexpected or reshaped:
        raise ValueError(
            "the parent's weights do not fit the child. "
            f"Missing: {missing}; unexpected: {unexpected}; of another shape: {reshaped}."
        )
    for path, variable in taken.items():
        variable.assign(given[path])


def tap(child: keras.Model, parent: keras.Model) -> keras.Model:
    """Attach the parent's head to the child, after the stage that is the parent's last.

    The layers are those of the child and the head that of the parent, not copies: the tap answers
    the parent's question with the child's weights as they are when it is called. (ModNet's
    forgetting test.)

    Parameters
    ----------
    child, parent : keras.Model
        The child must have every stage of the parent, at the parent's picture size.

    Returns
    -------
    keras.Model
        From normalised pictures, float32 [b, size, size, 3], to the parent's logits, [b, 1].

    Examples
    --------
    >>> import numpy as np
    >>> parent = build_model(1, image_size=32)
    >>> child = grow(parent, 2)
    >>> pictures = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    >>> bool(np.array_equal(tap(child, parent)(pictures), parent(pictures)))
    True
    """
    if level_of(child) < level_of(parent):
        raise ValueError(
            f"the tap needs every stage of the parent: level {level_of(parent)} or deeper. "
            f"Received: a child of level {level_of(child)}"
        )
    if child.input_shape != parent.input_shape:
        raise ValueError(
            f"child and parent must see pictures of one size, here {parent.input_shape[1:]}. "
            f"Received: {child.input_shape[1:]}"
        )
    images = keras.Input(parent.input_shape[1:], name="images")
    outputs = images
    for part in parent.layers[1:-1]:
        outputs = child.get_layer(part.name)(outputs)
    logits = parent.get_layer("head")(outputs)
    return keras.Model(images, logits, name=f"{parent.name}_by_{child.name}")


def _block_of(model):
    has_third = any("block_1_conv_3" in layer.name for layer in model.get_layer("stage_1").layers)
    return "bottleneck" if has_third else "basic"


def _precision_of(model):
    policy = model.get_layer("stem").get_layer("stem_conv").dtype_policy.name
    return "bfloat16" if policy == "mixed_bfloat16" else "float32"
