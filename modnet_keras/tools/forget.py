"""The command `forget`."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from modnet_keras.studies.tables import ALL_STAGES, KIND_NAMES, MEASURES, SPLIT_NAMES
from modnet_keras.tools import options as option
from modnet_keras.tools.output import show_table, write_rows


def forget(
    task: option.Task,
    strategies: option.Strategies = None,
    runs: option.Runs = Path("runs"),
    data: option.Data | None = None,
    repair: option.Repair = False,
    to: option.TableFile = None,
) -> None:
    """Measure what every run of a task has forgotten of its parent's task, and why.

    The parent's head is put on the child's stages and asked the parent's question, on the parent's
    own validation and training pictures apart; --data says where these are now, if they were moved.
    Beside the runs, in RUNS/TASK/: forgetting.csv and .png; forgetting_attribution.csv and
    attribution.png, what each kind of the child's weights costs the parent, stage by stage; and
    with --repair forgetting_repair.csv, what each repair gives back without training the child
    anew. Each call writes these files anew, about the runs that it measured.

    Forgetting is the parent's accuracy before less that after; "lost" are the pictures that were
    right before and are wrong after, "gained" those the other way round, "p (Holm)" is McNemar's
    test of them, corrected for the number of runs. What the kinds of weights cost is measured for
    each alone, put into the parent, so that the costs need not add up to the whole. Intervals
    (95 %) and tests hold for these trained models, not for their strategies.

    Examples
    --------
    modnet forget --task=canines
    modnet forget --task=canines --strategies=frozen,finetune --repair
    modnet forget --task=canines --to=forgetting.json
    """
    from modnet_keras.api import measure_forgetting
    from modnet_keras.data.sources import refuse_inside

    def refuse_data_folders(families):
        for family in families:
            if to:
                refuse_inside(family.manifest.root, to, "to")

    with _progress() as bar:
        row = bar.add_task("Preparing", total=None)
        result = measure_forgetting(
            task,
            runs=runs,
            strategies=strategies,
            data=data,
            repair=repair,
            on_families=refuse_data_folders,
            on_progress=lambda done, images: bar.update(
                row, description="Pictures", completed=done, total=images
            ),
        )
    for run in result.unfinished:
        print(f"Left out, for its training has not ended: {run.folder}")
    for split, name in SPLIT_NAMES.items():
        show_table(f"Parent's task, {name} pictures", _shown_rows(result, split))
    for row in result.runs:
        if row["split"] == "val":
            print(_reason(result, row))
    if result.repairs:
        show_table("Repairs, validation pictures", _shown_repairs(result))
    elif repair:
        print("Nothing to repair: no run forgot anything on validation.")
    if to:
        write_rows(to, _written_rows(result))
        print(f"Written to {to}")
    print(result.folder)


def _progress():
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _shown_rows(result, split):
    nothing = {"forgetting": None, "95 %": "", "lost": None, "gained": None, "p (Holm)": ""}
    baselines = [
        {"run": f"before: {row['run']}", **_measures(row), **nothing}
        for row in result.baselines
        if row["split"] == split
    ]
    return baselines + [
        {
            "run": row["run"],
            **_measures(row),
            "forgetting": row["forgetting"].value,
            "95 %": _ends(*row["forgetting"][1:]),
            "lost": row["lost"],
            "gained": row["gained"],
            "p (Holm)": "< 0.0001" if row["p_holm"] < 0.0001 else f"{row['p_holm']:.4f}",
        }
        for row in result.runs
        if row["split"] == split
    ]


def _shown_repairs(result):
    shown = ("run", "repair", "accuracy_before", "accuracy", "given_back")
    return [
        {key.replace("_", " "): row[key] for key in shown}
        | {"95 %": _ends(row["ci_low"], row["ci_high"])}
        for row in result.repairs
    ]


def _written_rows(result):
    tested = ("lost", "gained", "p_value", "p_holm")
    return [
        row | {key: details[key] for key in tested} | {"identical": _identical(details)}
        for row, details in zip(result.rows, result.runs, strict=True)
    ]


def _measures(row):
    return {measure: row[measure] and row[measure].value for measure in MEASURES}


def _ends(low, high):
    return f"{low:.3f} to {high:.3f}"


def _identical(row):
    """What of a run its hashes show to be the parent's to the bit."""
    if row["identical"]:
        return "all"
    whole, weights = row["identical_parts"], row["identical_weights"]
    others = [part for part in weights if part not in whole]
    shown = [", ".join(whole)] if whole else []
    return "; ".join(shown + ([f"weights of {', '.join(others)}"] if others else [])) or "nothing"


def _reason(result, row):
    """One sentence: what a run has of its parent, and what each kind of the others cost alone."""
    run = row["run"]
    if row["identical"]:
        return f"{run}: identical to the parent; its logits are the parent's to the bit."
    costs = {
        swap["kind"]: swap["cost"]
        for swap in result.attribution
        if swap["run"] == run and swap["stage"] == ALL_STAGES
    }
    kinds = result.kinds[run]
    shown = ", ".join(f"{KIND_NAMES[kind]} {costs[kind]:.4f}" for kind in kinds)
    return (
        f"{run}: forgot {row['forgetting'].value:.4f}; what its weights cost, each kind alone put "
        f"into the parent (they need not add up): {shown}; identical to the parent: "
        f"{_identical(row)}."
    )
