"""What is fixed about a training besides its strategy: two recipes, and their schedules."""

from dataclasses import dataclass

from modnet_keras.errors import unknown_name


@dataclass(frozen=True)
class Recipe:
    """Default settings of a training; `train`'s options override the first four.

    Attributes
    ----------
    epochs, batch_size, image_size : int
        Passes over the training images; images a step; height and width in pixels.
    learning_rate : float
        The highest rate of the schedule, for a strategy's multiplier 1.
    schedule : {"warmup-cosine", "step"}
        Linear warm-up over `warmup_epochs`, then a half cosine to 0; or x 0.1 every 30 epochs.
    weight_decay : float
        Keras's: decoupled, so that a step also takes rate x weight_decay x weight off each weight.
    crop_area : (float, float)
        Range of a training crop's area, as a fraction of the picture's.
    """

    epochs: int
    batch_size: int
    image_size: int
    learning_rate: float
    schedule: str
    warmup_epochs: int
    momentum: float
    nesterov: bool
    weight_decay: float
    label_smoothing: float
    crop_area: tuple[float, float]


RECIPES = {
    "modern": Recipe(
        epochs=20,
        batch_size=64,
        image_size=64,
        learning_rate=0.1,
        schedule="warmup-cosine",
        warmup_epochs=2,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-3,
        label_smoothing=0.1,
        crop_area=(0.35, 1.0),
    ),
    # ModNet's. Its decay of 1e-4 was added to the gradient and so went through the momentum of 0.9,
    # which lets it act 1 / (1 - 0.9) times over; decoupled, the same pull is 1e-3.
    "original": Recipe(
        epochs=72,
        batch_size=256,
        image_size=224,
        learning_rate=0.1,
        schedule="step",
        warmup_epochs=0,
        momentum=0.9,
        nesterov=False,
        weight_decay=1e-3,
        label_smoothing=0.0,
        crop_area=(0.08, 1.0),
    ),
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; CallError with the nearest right one if there is none."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
