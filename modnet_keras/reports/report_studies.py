"""What the report says of forgetting: the files beside a task's runs, and a sentence on each."""

from pathlib import Path
from typing import Any

from modnet_keras.errors import WorkError
from modnet_keras.files import read_json, read_table
from modnet_keras.reports.report_runs import plain_text
from modnet_keras.studies.tables import (
    ALL_STAGES,
    ATTRIBUTION,
    DETAILS,
    KIND_NAMES,
    MEASURES,
    REPAIR,
    SPLIT_NAMES,
)
from modnet_keras.training.run import Run
from modnet_keras.training.strategies import STRATEGIES

_CONTROLS = [name for name, strategy in STRATEGIES.items() if not strategy.takes_over]
_NUMBERS = ("n", "accuracy", "cost", "accuracy_before", "given_back", "ci_low", "ci_high")


def read_studies(folder: str | Path) -> dict[str, Any]:
    """What was measured of a task beside its runs.

    Parameters
    ----------
    folder : Path
        `<runs>/<task>`.

    Returns
    -------
    dict
        `forgetting`, `attribution` and `repair`, each as its reader gives it or None where there is
        no file; and `problems`, a sentence for each file that cannot be used, and one where runs
        are no longer what was measured.
    """
    readers = {
        "forgetting": (DETAILS, _read_forgetting),
        "attribution": (ATTRIBUTION, _read_attribution),
        "repair": (REPAIR, _read_repair),
    }
    studies: dict[str, Any] = {"problems": []}
    for key, (name, read) in readers.items():
        file = Path(folder) / name
        try:
            studies[key] = read(file) if file.is_file() else None
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            studies[key] = None
            studies["problems"].append(
                f"'{file}' cannot be used ({type(error).__name__}: {error}); measure it anew with "
                "forget."
            )
    if studies["forgetting"]:
        studies["problems"] += _outdated(studies["forgetting"]["hashes"], Path(folder).parent)
    return studies


def _outdated(measured, runs):
    """A sentence if runs were trained anew, or taken away, since they were measured."""
    changed = [name for name in measured if _hashes_now(runs / name) != measured[name]]
    if changed:
        yield (
            f"Since forgetting was measured, {plain_text(', '.join(changed))} changed: what is "
            "shown is of weights that are no longer there; measure it anew with forget."
        )


def _hashes_now(folder):
    try:
        return Run(folder).hashes["after"]
    except WorkError:
        return None


def signed(value: float) -> str:
    """A signed share with three decimals and a true minus.

    >>> signed(0.0421), signed(-0.5), signed(-0.0001)
    ('+0.042', '−0.500', '0.000')
    """
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def _read_forgetting(file):
    """The parent task, rows of before and after, and the sentence."""
    details = read_json(file)
    baselines = {(row["run"], row["split"]): row for row in details["baselines"]}
    rows = [
        _forgetting_row(row, baselines[row["parent_run"], row["split"]]) for row in details["runs"]
    ]
    if not rows:
        raise ValueError("no runs in it")
    rows.sort(key=lambda row: list(SPLIT_NAMES).index(row["split"]))
    parent = plain_text(str(details["parent_task"]))
    return {
        "parent": parent,
        "rows": rows,
        "sentence": _forgetting_sentence(rows, parent),
        "hashes": dict(details["hashes"]),
    }


def _forgetting_row(row, baseline):
    return {
        **{key: plain_text(str(row[key])) for key in ("run", "strategy", "parent_run", "split")},
        "n": int(row["n"]),
        **{f"{measure}_before": _value(baseline[measure]) for measure in MEASURES},
        **{measure: _value(row[measure]) for measure in MEASURES},
        "forgetting": {end: float(row["forgetting"][end]) for end in ("value", "low", "high")},
        **{key: int(row[key]) for key in ("lost", "gained")},
        "p_holm": float(row["p_holm"]),
        "identical": bool(row["identical"]),
    }


def _value(interval):
    """The value of an interval, or None where there was no image to count."""
    return None if interval is None else float(interval["value"])


def _forgetting_sentence(rows, parent):
    parts = [
        f"Forgetting is the accuracy of {parent} before minus after, with its own head on the "
        "child's network and on its own pictures"
    ]
    shown = [row for row in rows if row["split"] == "val"]
    if shown:
        parts.append(_greatest_forgetting(_without_controls(shown)))
    same = _names(row["run"] for row in rows if row["identical"])
    if same:
        parts.append(f"to the last bit the parent's own network: {same}")
    controls = _names(row["run"] for row in rows if row["strategy"] in _CONTROLS)
    if controls:
        parts.append(f"took nothing over and cannot remember: {controls}")
    return f"{'; '.join(parts)}."


def _greatest_forgetting(rows):
    worst = max(rows, key=lambda row: row["forgetting"]["value"])
    if worst["forgetting"]["value"] <= 0:
        return "on validation no run lost any"
    return (
        f"on validation {worst['run']} lost most, {_with_interval(worst['forgetting'])}: "
        f"of {worst['n']:,} pictures {worst['lost']:,} were right before and are wrong now, "
        f"{worst['gained']:,} the other way round"
    )


def _without_controls(rows):
    """The rows of runs that had something to forget, or all where there are none."""
    return [row for row in rows if row["strategy"] not in _CONTROLS] or rows


def _names(names):
    return ", ".join(dict.fromkeys(names))


def _with_interval(interval):
    value, low, high = (signed(interval[end]).lstrip("+") for end in ("value", "low", "high"))
    return f"{value} (95 % interval {low} to {high})"


def _read_attribution(file):
    """For each run and split a grid of costs, stages down and kinds across; and the sentence."""
    rows = _read_rows(file, ("run", "strategy", "split", "stage", "kind", "accuracy", "cost"))
    grids: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        grid = grids.setdefault((row["run"], row["split"]), {})
        grid.setdefault(row["stage"], {})[row["kind"]] = row["cost"]
    kinds = {row["kind"]: KIND_NAMES[row["kind"]] for row in rows}
    stages = [row for row in rows if row["stage"] != ALL_STAGES] or rows
    dearest = max(_without_controls(stages), key=lambda row: row["cost"])
    sentence = (
        "Each figure is the accuracy that the parent loses when only that kind of weights, in that "
        "stage, is taken from the child and all else is its own"
    )
    if dearest["cost"] > 0:
        sentence += (
            f"; the dearest is {kinds[dearest['kind']]} in {dearest['stage']} of "
            f"{dearest['run']}, {signed(dearest['cost']).lstrip('+')}"
        )
    return {
        "kinds": kinds,
        "grids": [
            {"run": run, "split": split, "stages": grid} for (run, split), grid in grids.items()
        ],
        "greatest": max(row["cost"] for row in rows),
        "sentence": f"{sentence}.",
    }


def _read_repair(file):
    """The rows as they are, and the sentence."""
    columns = ("run", "strategy", "repair", "split", "n", "accuracy_before", "accuracy")
    rows = _read_rows(file, (*columns, "given_back", "ci_low", "ci_high"))
    best = max(_without_controls(rows), key=lambda row: row["given_back"])
    interval = {"value": best["given_back"], "low": best["ci_low"], "high": best["ci_high"]}
    sentence = (
        "What brings accuracy back to the parent without training the child anew, and how much; "
        f"the most comes back in {best['run']} by {best['repair']}, {_with_interval(interval)}."
    )
    return {"rows": rows, "sentence": sentence}


def _read_rows(file, columns):
    rows = [
        {key: float(row[key]) if key in _NUMBERS else plain_text(row[key]) for key in columns}
        for row in read_table(file)
    ]
    if not rows:
        raise ValueError("no rows in it")
    unknown = {row["split"] for row in rows} - SPLIT_NAMES.keys()
    if unknown:
        raise ValueError(f"split {unknown.pop()!r}")
    return rows
