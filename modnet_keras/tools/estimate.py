"""The command `estimate`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from modnet_keras.errors import WorkError
from modnet_keras.studies.tables import ENGINES
from modnet_keras.tools import options as option
from modnet_keras.tools.estimate_progress import EstimateProgress
from modnet_keras.tools.output import show_table, write_rows
from modnet_keras.tools.values import boolean, choice, fraction, list_of, text, whole_number
from modnet_keras.training.strategies import STRATEGIES

INTERVALS = ("accuracy", "forgetting")

Compared = Annotated[
    tuple | None,
    list_of(
        choice(
            "what is compared; scratch,finetune,frozen where absent, scratch for a root task",
            list(STRATEGIES),
        )
    ),
]
Folds = Annotated[
    int | None, whole_number("parts, each held out once; 5 where --val_fraction is absent too", 2)
]
Repeats = Annotated[
    int | None, whole_number("how often all is split anew; 1 for folds, 5 for fractions", 1)
]
Fractions = Annotated[
    tuple | None, list_of(fraction("instead of folds: shares of each class held out at random"))
]
Jobs = Annotated[int, whole_number("folds side by side on this machine, which share its cores", 1)]
Engine = Annotated[
    str, choice("local: processes on this machine; ray: a Ray cluster", list(ENGINES))
]
RayAddress = Annotated[
    str | None,
    text("of the cluster that this machine is a node of; one of its own if absent", "HOST:PORT"),
]
Ship = Annotated[bool, boolean("send pictures and runs by Ray, for nodes that see neither folder")]
Resume = Annotated[bool, boolean("go on with the estimate, and do only what it lacks")]
Overwrite = Annotated[bool, boolean("replace the estimate if it is there")]


def estimate(
    task: option.Task,
    strategies: Compared = None,
    folds: Folds = None,
    repeats: Repeats = None,
    val_fraction: Fractions = None,
    data: option.Data | None = None,
    runs: option.Runs = Path("runs"),
    seed: option.Seed | None = None,
    image_size: option.ImageSize = None,
    batch_size: option.BatchSize = None,
    epochs: option.Epochs = None,
    learning_rate: option.LearningRate = None,
    recipe: option.Recipe = None,
    augment: option.Augment = None,
    augment_val: option.AugmentVal = None,
    precision: option.Precision = None,
    jobs: Jobs = 1,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    ship: Ship = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    to: option.TableFile = None,
) -> None:
    """Train a task by several strategies on many splits: figures with error bars.

    The pictures are split into --folds parts, class by class, and each part is held out once; or
    with --val_fraction a share of each class is held out at random, --repeats times. A split holds
    for the task and all above it, so that no parent is trained on what its child is tested on;
    parents are trained once a split and shared by the strategies. Splits at one fraction differ in
    their seed. --resume keeps what was asked for before, and adds strategies, repeats or fractions.

    Shown are mean, standard deviation and 95 % interval of each strategy, and whether two can be
    told apart. The intervals and tests know that the splits share their pictures (Nadeau and
    Bengio), and the tests that they are many (Holm). In RUNS/TASK/: estimate.csv, estimate.json and
    estimate.png; each fold's runs and its log are in estimate/FOLD/, a runs folder for other
    commands.

    Examples
    --------
    modnet estimate --task=canines --strategies=scratch,finetune,frozen --folds=5
    modnet estimate --task=canines --resume
    modnet estimate --task=canines --repeats=5 --val_fraction=0.1,0.2,0.3
    modnet estimate --task=canines --folds=10 --engine=ray --ray_address=10.0.0.1:6379
    modnet forget --task=canines --runs=runs/canines/estimate/fold-1
    """
    # Passed on whole: the command has the names that Python has (a test holds both together).
    call = dict(locals())
    del call["to"]
    with EstimateProgress() as progress:
        from modnet_keras.api import estimate as estimate_task
        from modnet_keras.data.sources import refuse_inside

        def announce(data_folder, folds, runs):
            if to:
                refuse_inside(data_folder, to, "to")
            progress.plan(folds, runs)

        result = estimate_task(**call, on_plan=announce, on_event=progress.tell)
    _show(result)
    if to:
        write_rows(to, _written(result))
        print(f"Written to {to}")
    print(result.folder)
    if result.failed:
        failed = ", ".join(dict.fromkeys(failure["fold"] for failure in result.failed))
        raise WorkError(
            f"not all went well in {failed}, and the figures are of the rest alone; --resume tries "
            "again, once the folder of a run that is damaged is removed."
        )


def _show(result):
    for rows in _by_fraction(result.strategies):
        show_table(_title(result, rows), _shown(rows, INTERVALS, with_interval=True))
        others = dict.fromkeys(row["measure"] for row in rows if row["measure"] not in INTERVALS)
        show_table("Mean ± standard deviation", _shown(rows, others))
    _say(result.pairs)


def _by_fraction(rows):
    fractions = dict.fromkeys(row["val_fraction"] for row in rows)
    return [[row for row in rows if row["val_fraction"] == fraction] for fraction in fractions]


def _title(result, rows):
    splits = max(row["splits"] for row in rows)
    return (
        f"{result.rows[0]['task']}, {splits} splits, {rows[0]['val_fraction']:.3g} of the pictures "
        "for validation"
    )


def _shown(rows, measures, with_interval=False):
    shown = []
    for strategy in dict.fromkeys(row["strategy"] for row in rows):
        of_strategy = {row["measure"]: row for row in rows if row["strategy"] == strategy}
        cells = {"strategy": strategy}
        for measure in measures:
            if measure in of_strategy:
                cells[measure] = _spread(of_strategy[measure])
            if measure in of_strategy and with_interval:
                cells[f"95 % of {measure}"] = _ends(of_strategy[measure])
        shown.append(cells)
    return shown


def _spread(row):
    deviation = "" if row["deviation"] is None else f" ± {row['deviation']:.3f}"
    return f"{row['mean']:.3f}{deviation}"


def _ends(row):
    return "-" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _say(pairs):
    console = Console(highlight=False, markup=False, soft_wrap=True)
    several = len({pair["val_fraction"] for pair in pairs}) > 1
    for pair in pairs:
        at = f"At {pair['val_fraction']:.3g}: " if several else ""
        console.print(f"{at}{pair['statement']}")


def _written(result):
    """What is printed, a row a strategy and measure, then a row a pair and measure."""
    about = ("val_fraction", "measure", "strategy")
    nothing = {"p_value": None, "p_holm": None, "told_apart": None, "statement": None}
    alone = [
        {key: row[key] for key in about}
        | {"other": None}
        | {key: row[key] for key in ("splits", "mean", "deviation", "low", "high")}
        | nothing
        for row in result.strategies
    ]
    return alone + [
        {key: row[key] for key in (*about, "other", "splits")}
        | {"mean": row["difference"], "deviation": None}
        | {key: row[key] for key in ("low", "high", *nothing)}
        for row in result.pairs
    ]
