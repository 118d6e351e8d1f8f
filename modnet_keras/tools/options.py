"""The options that several commands share, each with its kind of value and its meaning."""

from pathlib import Path
from typing import Annotated

from modnet_keras.data import AUGMENTATIONS
from modnet_keras.errors import CallError
from modnet_keras.tools.values import (
    Value,
    boolean,
    choice,
    existing_path,
    file_ending_in,
    folder_name,
    fraction,
    list_of,
    path,
    positive_number,
    text,
    whole_number,
)
from modnet_keras.training.options import DEVICES, PRECISIONS
from modnet_keras.training.recipes import RECIPES
from modnet_keras.training.strategies import STRATEGIES


def _even_number(meaning: str) -> Value:
    number = whole_number(meaning, minimum=2)

    def read(given: str) -> int:
        value = number.read(given)
        if value % 2:
            raise CallError(f"{given!r} is odd; half of a batch is of each class.")
        return value

    return Value(number.metavar, meaning, read)


Task = Annotated[Path, path("a task's name, or the path of its YAML file", "TASK")]
Strategy = Annotated[
    str | None,
    choice(
        "how the parent's stages are carried over; frozen where absent, scratch for a root task",
        {name: strategy.summary for name, strategy in STRATEGIES.items()},
    ),
]
Strategies = Annotated[
    tuple | None, list_of(choice("only runs by these strategies", list(STRATEGIES)))
]
Data = Annotated[
    Path, path("demo, tiny-imagenet, or a folder of pictures", "demo|tiny-imagenet|FOLDER")
]
Runs = Annotated[Path, path("the folder that runs are kept in", "FOLDER")]
RunFolder = Annotated[Path, existing_path("a run's folder, as runs/canines/frozen", "RUN")]
TreeRoot = Annotated[
    str | None,
    text("in place of --run: a task, with all below it that have runs", "TASK"),
]
Pick = Annotated[
    tuple | None,
    list_of(text("in a tree, the run of a task that has several, as canines/finetune", "TASK/RUN")),
]
ParentRun = Annotated[
    Path | None,
    existing_path("the parent's run; where absent, its only one or that of the same strategy"),
]
RunName = Annotated[str | None, folder_name("the run's name; the strategy's where absent")]
Seed = Annotated[
    int,
    whole_number("fixes split, order, crops and weights; 0 where absent", 0, 2**31 - 1),
]
ValFraction = Annotated[
    float | None,
    fraction("share of each class for validation; 0.2 where absent and the folder has no val/"),
]
ImageSize = Annotated[
    int | None, whole_number("height and width in pixels; the recipe's where absent", 32, 1024)
]
BatchSize = Annotated[int | None, _even_number("images a step; the recipe's where absent")]
Epochs = Annotated[
    int | None, whole_number("passes over the images; the recipe's where absent", 1, 100_000)
]
LearningRate = Annotated[
    float | None, positive_number("the schedule's highest rate; the recipe's where absent", "RATE")
]
Recipe = Annotated[
    str | None,
    choice("modern (the default): warm-up and cosine; original: ModNet's own", list(RECIPES)),
]
Augment = Annotated[
    str | None, choice("how training pictures vary; crop_flip where absent", AUGMENTATIONS)
]
AugmentVal = Annotated[
    bool | None, boolean("vary validation pictures too, which was ModNet's protocol")
]
Precision = Annotated[
    str | None,
    choice("auto (the default) takes bfloat16 where it is computed natively", PRECISIONS),
]
Devices = Annotated[
    str | None,
    choice("all deals every batch out to all GPUs; one where absent", DEVICES),
]
WatchParent = Annotated[
    bool | None,
    boolean("log every epoch the parent's accuracy under the child's weights, on a sample"),
]
Repair = Annotated[bool, boolean("try what brings the parent back without training the child anew")]
SnapshotSeconds = Annotated[
    float,
    positive_number("time between two snapshots, which --resume goes on from", "SECONDS"),
]
Resume = Annotated[bool, boolean("go on with an interrupted run from its last snapshot")]
Overwrite = Annotated[bool, boolean("replace the named task's run if it is there")]
TableFile = Annotated[
    Path | None,
    file_ending_in((".json", ".jsonl", ".csv"), "also write what is printed to this file"),
]
