"""Train what `docs/results.md` is about, measure it, and write that page, its figures and tables.

    python tools/results.py --data=FOLDER --runs=FOLDER [--docs=docs]

The data are Tiny ImageNet's 31 classes, unpacked. For each of three seeds, which no tuning used:
`animals`, then `canines` by every strategy and `felines` by two. Then an estimate of `canines` over
five folds. What is trained or measured already is not done again, and what was interrupted goes on,
so the same command is given until it is done. It takes about two hours and three quarters on two
idle cores.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

# Before TensorFlow, which reads once what this sets.
import modnet_keras  # noqa: F401

# isort: split
import fire
import keras
import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from modnet_keras import estimate, load_run, measure_forgetting, train
from modnet_keras.reports.forgetting_plots import MODNET_FIGURE_4, draw_attribution
from modnet_keras.reports.plots import save_figure
from modnet_keras.studies.statistics import corrected_t_test, holm
from modnet_keras.studies.tables import (
    ALL_STAGES,
    ATTRIBUTION,
    DETAILS,
    ESTIMATE,
    ESTIMATE_DETAILS,
    ESTIMATE_FIGURE,
    FORGETTING,
    KIND_NAMES,
    MEASURES,
    REPAIR,
)
from modnet_keras.training.strategies import STRATEGIES

SEEDS = (11, 12, 13)
EPOCHS = 12
CHILDREN = {"canines": tuple(STRATEGIES), "felines": ("frozen", "finetune")}
ESTIMATED = ("frozen", "finetune", "scratch", "scratch-long")
ESTIMATE_SEED = 21
PAGE = Path(__file__).with_name("results_page.md")


def train_missing(data, runs):
    """Train every run of every seed that is not there, below `<runs>/seed-<seed>`."""
    trainings = [("animals", "scratch")]
    trainings += [(task, strategy) for task in CHILDREN for strategy in CHILDREN[task]]
    for seed in SEEDS:
        for task, strategy in trainings:
            train(
                task,
                strategy=strategy,
                data=data,
                seed=seed,
                epochs=EPOCHS,
                runs=runs / f"seed-{seed}",
                resume=True,
            )
            keras.utils.clear_session()


def measure_missing(runs):
    """Measure forgetting, with repairs, wherever a run is younger than the measures."""
    for seed in SEEDS:
        for task in CHILDREN:
            folder = runs / f"seed-{seed}" / task
            finished = [file.stat().st_mtime for file in folder.glob("*/metrics.json")]
            measured = folder / DETAILS
            if not measured.exists() or measured.stat().st_mtime < max(finished):
                print(f"Measuring {folder}", flush=True)
                measure_forgetting(task, runs=folder.parent, repair=True)
                keras.utils.clear_session()


def estimate_missing(data, runs):
    """Estimate `canines` by what says whether the hierarchy helps, over five folds."""
    result = estimate(
        "canines",
        strategies=ESTIMATED,
        folds=5,
        data=data,
        runs=runs,
        seed=ESTIMATE_SEED,
        epochs=EPOCHS,
        resume=True,
        on_event=lambda fold, event: print(fold, event, flush=True),
    )
    if result.failed:
        raise SystemExit(f"the estimate is not whole: {result.failed}")


def read_trainings(runs):
    """A row a run: seed, task, strategy, measures of validation, seconds."""
    rows = []
    for seed in SEEDS:
        for file in sorted((runs / f"seed-{seed}").glob("*/*/metrics.json")):
            run = load_run(file.parent)
            seconds = [row["seconds"] for row in run.history]
            row = {key: run.metrics["val"][key] for key in (*MEASURES, "auc", "n")}
            row |= {"seed": seed, "task": run.config["task"], "strategy": run.config["strategy"]}
            row |= {"n_train": run.metrics["train"]["n"], "epochs": len(seconds)}
            row |= {"seconds": sum(seconds), "fastest": min(seconds)}
            rows.append(row)
    return pd.DataFrame(rows)


def read_tables(runs, task, name):
    """One of a task's tables of all seeds; where nothing was forgotten there is no repair."""
    files = {seed: runs / f"seed-{seed}" / task / name for seed in SEEDS}
    return pd.concat(
        [pd.read_csv(file).assign(seed=seed) for seed, file in files.items() if file.is_file()]
    )


def compare_with_scratch(trainings):
    """Each strategy's accuracy less that of `scratch`, and whether three seeds tell them apart."""
    canines = trainings[trainings["task"] == "canines"]
    accuracy = canines.pivot(index="seed", columns="strategy", values="accuracy")
    n_test, n_train = int(canines["n"].iloc[0]), int(canines["n_train"].iloc[0])
    others = [strategy for strategy in CHILDREN["canines"] if strategy != "scratch"]
    tests = [
        corrected_t_test(accuracy[strategy] - accuracy["scratch"], n_test, n_train)
        for strategy in others
    ]
    return [
        [
            f"`{strategy}`",
            f"{difference.value:+.3f}",
            f"{difference.low:+.3f} to {difference.high:+.3f}",
            f"{p_holm:.2f}",
            "told apart" if p_holm < 0.05 else "not told apart",
        ]
        for strategy, (difference, _), p_holm in zip(
            others, tests, holm([p_value for _, p_value in tests]), strict=True
        )
    ]


def training_rows(trainings):
    """Mean and deviation over the seeds of each task and strategy."""
    rows = []
    for task in ("animals", *CHILDREN):
        for strategy in CHILDREN.get(task, ("scratch",)):
            found = trainings[(trainings["task"] == task) & (trainings["strategy"] == strategy)]
            rows.append(
                [f"`{task}`", f"`{strategy}`", str(found["epochs"].iloc[0])]
                + [_spread(found[measure]) for measure in (*MEASURES, "auc")]
                + [f"{found['fastest'].min():.1f}"]
            )
    return rows


def forgetting_rows(table, trainings, task):
    """The parent before, and under each strategy: validation images of the parent."""
    validation = table[table["split"] == "val"]
    before = trainings[trainings["task"] == "animals"]
    n_test, n_train = int(before["n"].iloc[0]), int(before["n_train"].iloc[0])
    modnet = _modnet_cells("baseline") if task == "canines" else []
    rows = [["before", *(_spread(before[m]) for m in MEASURES), "", "", *modnet]]
    for strategy in CHILDREN[task]:
        found = validation[validation["strategy"] == strategy]
        cells = [_spread(found[measure]) for measure in (*MEASURES, "forgetting")]
        mean, _ = corrected_t_test(found["forgetting"], n_test, n_train)
        modnet = _modnet_cells(strategy) if task == "canines" else []
        rows.append([f"`{strategy}`", *cells, f"{mean.low:.3f} to {mean.high:.3f}", *modnet])
    return rows


def attribution_rows(table):
    """What each kind costs in all stages at once, and for `frozen-weights` stage by stage."""
    rows = []
    for strategy in CHILDREN["canines"]:
        for stage in table["stage"].unique():
            found = table[(table["strategy"] == strategy) & (table["stage"] == stage)]
            if stage == ALL_STAGES or strategy == "frozen-weights":
                costs = [_spread(found.loc[found["kind"] == kind, "cost"]) for kind in KIND_NAMES]
                rows.append([f"`{strategy}`", stage, *costs])
    return rows


def repair_rows(table):
    """What each repair gives back, as far as it was tried at every seed."""
    rows = []
    for strategy in CHILDREN["canines"]:
        for way in ("parent-statistics", "re-estimated-statistics", "re-fitted-head"):
            found = table[(table["strategy"] == strategy) & (table["repair"] == way)]
            if len(found) == len(SEEDS):
                rows.append(
                    [f"`{strategy}`", way]
                    + [_spread(found[c]) for c in ("accuracy_before", "accuracy", "given_back")]
                )
    return rows


def answer(trainings, forgetting, attribution):
    """The figures in the page's answer to ModNet's question: means and deviations of the seeds."""
    validation = forgetting[forgetting["split"] == "val"].set_index("strategy")
    swaps = attribution.set_index(["strategy", "stage", "kind"])["cost"].sort_index()
    drifted = swaps["frozen-weights", ALL_STAGES]
    return {
        "before": _spread(trainings.loc[trainings["task"] == "animals", "accuracy"]),
        "drifted": _spread(validation.loc["frozen-weights", "accuracy"]),
        "sensitivity": _spread(validation.loc["frozen-weights", "sensitivity"]),
        "specificity": _spread(validation.loc["frozen-weights", "specificity"]),
        "statistics": _spread(drifted["statistics"]),
        "others": _spread(pd.concat([drifted["scale_shift"], drifted["convolutions"]])),
        "frozen": _spread(validation.loc["frozen", "forgetting"]),
        "layerwise": _less_forgotten(validation, trainings, "layerwise", "finetune"),
    }


def _less_forgotten(validation, trainings, strategy, other):
    """Forgetting by one strategy less that by another, paired by seed, with its interval."""
    forgetting = validation.reset_index().pivot(
        index="seed", columns="strategy", values="forgetting"
    )
    animals = trainings[trainings["task"] == "animals"].iloc[0]
    mean, p_value = corrected_t_test(
        forgetting[strategy] - forgetting[other], animals["n"], animals["n_train"]
    )
    return f"{mean.value:+.3f} (95 %: {mean.low:+.3f} to {mean.high:+.3f}, p = {p_value:.2f})"


def estimate_rows(details):
    """Mean, deviation and interval of each strategy over the folds."""
    found = {(row["strategy"], row["measure"]): row for row in details["strategies"]}
    rows = []
    for strategy in ESTIMATED:
        cells = [f"`{strategy}`"]
        for measure in (*MEASURES, "auc", "forgetting"):
            row = found[strategy, measure]
            cells.append(f"{row['mean']:.3f} ± {row['deviation']:.3f}")
            if measure == "accuracy":
                cells.append(f"{row['low']:.3f} to {row['high']:.3f}")
        rows.append(cells)
    return rows


def pair_rows(details):
    """The difference in accuracy of every two strategies, and whether it is told from nothing."""
    return [
        [
            f"`{pair['strategy']}` less `{pair['other']}`",
            f"{pair['difference']:+.3f}",
            f"{pair['low']:+.3f} to {pair['high']:+.3f}",
            f"{pair['p_holm']:.3f}",
            "told apart" if pair["told_apart"] else "not told apart",
        ]
        for pair in details["pairs"]
        if pair["measure"] == "accuracy"
    ]


def differences(details):
    """The differences in accuracy that the page's answer names: value, interval, p."""
    return {
        f"{pair['strategy']}_{pair['other']}".replace("-", "_"): (
            f"{pair['difference']:+.3f} (95 %: {pair['low']:+.3f} to {pair['high']:+.3f}, "
            f"p = {pair['p_holm']:.3f})"
        )
        for pair in details["pairs"]
        if pair["measure"] == "accuracy"
    }


def draw_forgetting_of_seeds(table, trainings, file):
    """Every seed's point and ModNet's, for accuracy, sensitivity and specificity."""
    before = trainings[trainings["task"] == "animals"].assign(strategy="before")
    shown = pd.concat([before, table[table["split"] == "val"]])
    order = ["before", *CHILDREN["canines"]]
    with matplotlib.rc_context(), sns.axes_style("whitegrid"):
        figure = Figure(figsize=(11, 4), layout="constrained")
        for axes, measure in zip(figure.subplots(1, 3, sharey=True), MEASURES, strict=True):
            sns.stripplot(
                shown, x=measure, y="strategy", order=order, ax=axes, size=7, jitter=False,
                alpha=0.7, label="a seed, Tiny ImageNet",
            )  # fmt: skip
            published = {
                order.index(name.replace("baseline", "before")): values[MEASURES.index(measure)]
                for name, values in MODNET_FIGURE_4.items()
            }
            axes.scatter(
                published.values(), published.keys(), marker="D", s=45, facecolor="none",
                edgecolor="0.2", zorder=3, label="ModNet's Figure 4 (ImageNet)",
            )  # fmt: skip
            axes.set(title=measure, xlabel="share", ylabel="", xlim=(0, 1.02))
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        for axes in figure.axes:
            axes.legend().remove()
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=2)
        figure.suptitle("animals before and after learning canines, validation images")
    save_figure(figure, file)


def draw_attribution_of_seeds(table, file):
    """The package's own figure, of the mean over the seeds."""
    keys = ["run", "strategy", "split", "stage", "kind"]
    means = table.groupby(keys, sort=False)[["accuracy", "cost"]].mean().reset_index()
    with TemporaryDirectory() as folder:
        task_folder = Path(folder) / "canines"
        task_folder.mkdir()
        means.to_csv(task_folder / ATTRIBUTION, index=False)
        draw_attribution(task_folder)
        file.write_bytes((task_folder / "attribution.png").read_bytes())


def write_page(runs, docs):
    """Fill the page's tables in, draw its figures, and write every figure behind them."""
    trainings = read_trainings(runs)
    forgetting = {task: read_tables(runs, task, FORGETTING) for task in CHILDREN}
    attribution = read_tables(runs, "canines", ATTRIBUTION)
    repairs = read_tables(runs, "canines", REPAIR)
    tables = {
        "trainings": _table(
            ["task", "strategy", "epochs", *MEASURES, "AUC", "fastest epoch, s"],
            training_rows(trainings),
        ),
        "comparison": _table(
            ["strategy", "less `scratch`", "95 % interval", "p (Holm)", ""],
            compare_with_scratch(trainings),
        ),
        "forgetting": _table(
            ["animals", *MEASURES, "forgetting", "95 %", "ModNet: acc.", "sens.", "spec."],
            forgetting_rows(forgetting["canines"], trainings, "canines"),
        ),
        "felines": _table(
            ["animals", *MEASURES, "forgetting", "95 %"],
            forgetting_rows(forgetting["felines"], trainings, "felines"),
        ),
        "attribution": _table(
            ["strategy", "stage", *KIND_NAMES.values()], attribution_rows(attribution)
        ),
        "repairs": _table(
            ["strategy", "repair", "accuracy before", "after", "given back"],
            repair_rows(repairs),
        ),
    }
    details = json.loads((runs / "canines" / ESTIMATE_DETAILS).read_text())
    tables |= {
        "estimate": _table(
            ["strategy", "accuracy", "95 %", *MEASURES[1:], "AUC", "forgetting of `animals`"],
            estimate_rows(details),
        ),
        "pairs": _table(
            ["accuracy", "difference", "95 % interval", "p (Holm)", ""],
            pair_rows(details),
        ),
    }
    folder = docs / "results"
    folder.mkdir(parents=True, exist_ok=True)
    figures = answer(trainings, forgetting["canines"], attribution) | differences(details)
    (docs / "results.md").write_text(PAGE.read_text().format_map(tables | figures))
    for name in (ESTIMATE, ESTIMATE_FIGURE):
        shutil.copy(runs / "canines" / name, folder / name)
    draw_forgetting_of_seeds(forgetting["canines"], trainings, folder / "forgetting.png")
    draw_attribution_of_seeds(attribution, folder / "attribution.png")
    trainings.to_csv(folder / "trainings.csv", index=False)
    for name in (FORGETTING, ATTRIBUTION, REPAIR):
        rows = [read_tables(runs, task, name).assign(task=task) for task in CHILDREN]
        pd.concat(rows).to_csv(folder / name, index=False)


def _spread(values):
    return f"{values.mean():.3f} ± {values.std():.3f}"


def _modnet_cells(strategy):
    return [f"{value:g}" for value in MODNET_FIGURE_4.get(strategy, ())] or [""] * 3


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main(data, runs, docs="docs"):
    """Train, measure and write what is not there yet."""
    data, runs = Path(data), Path(runs)
    train_missing(data, runs)
    measure_missing(runs)
    estimate_missing(data, runs)
    write_page(runs, Path(docs))


if __name__ == "__main__":
    fire.Fire(main)
