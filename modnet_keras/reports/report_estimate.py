"""What the report says of an estimate: figures, a table, and a sentence on every two strategies."""

import contextlib
from pathlib import Path
from typing import Any

from modnet_keras.errors import WorkError
from modnet_keras.files import read_json
from modnet_keras.reports.estimate_plots import SHOWN, read_estimate
from modnet_keras.reports.report_figures import draw_estimate_panel
from modnet_keras.reports.report_runs import EstimatedTask, plain_text
from modnet_keras.studies.tables import ESTIMATE_DETAILS
from modnet_keras.tasks import Task

_NUMBERS = ("mean", "deviation", "low", "high")


def read_estimated_tasks(runs: str | Path) -> list[EstimatedTask]:
    """Every task of a runs folder that has an estimate."""
    found = []
    for file in sorted(Path(runs).glob(f"*/{ESTIMATE_DETAILS}")):
        entry = EstimatedTask(plain_text(file.parent.name))
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            details = read_json(file)
            entry.task, entry.data = Task.from_dict(details), str(details["options"]["data"])
        found.append(entry)
    return found


def read_estimate_section(folder: Path, prefix: str) -> dict[str, Any] | None:
    """What the page shows of a task's estimate, or None where there is none.

    Parameters
    ----------
    folder : Path
        `<runs>/<task>`.
    prefix : str
        Begins every id in the figures.

    Returns
    -------
    dict or None
        `fractions`, each with `title`, `figures`, `rows` and `statements`; `failed`, a sentence
        each; and `problem`, a sentence in place of all else where the files cannot be used.
    """
    if not (folder / ESTIMATE_DETAILS).is_file():
        return None
    try:
        rows, means, details = read_estimate(folder)
        fractions = [
            _fraction(rows, means, details, fraction, f"{prefix}-{number}")
            for number, fraction in enumerate(dict.fromkeys(rows["val_fraction"]))
        ]
        failed = [
            f"{plain_text(str(entry['fold']))}"
            f"{' ' + plain_text(entry['strategy']) if entry['strategy'] else ''} failed: "
            f"{plain_text(str(entry['reason']))}"
            for entry in details["failed"]
        ]
    except WorkError as error:
        return {"problem": plain_text(str(error)), "fractions": [], "failed": []}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        problem = f"'{folder / ESTIMATE_DETAILS}' cannot be used ({type(error).__name__}: {error})"
        problem += "; make it anew with estimate --resume."
        return {"problem": plain_text(problem), "fractions": [], "failed": []}
    return {"problem": None, "fractions": fractions, "failed": failed}


def _fraction(rows, means, details, fraction, prefix):
    entries = [row for row in details["strategies"] if row["val_fraction"] == fraction]
    pairs = [pair for pair in details["pairs"] if pair["val_fraction"] == fraction]
    splits = max(int(row["splits"]) for row in entries)
    return {
        "title": f"{splits} splits, {fraction:.3g} of the pictures for validation",
        "figures": [
            draw_estimate_panel(rows, means, measure, fraction, f"{prefix}-{measure}")
            for measure in SHOWN
            if rows[measure].notna().any()
        ],
        "rows": [
            {key: plain_text(row[key]) for key in ("strategy", "measure")}
            | {"splits": int(row["splits"])}
            | {key: row[key] if row[key] is None else float(row[key]) for key in _NUMBERS}
            for row in entries
        ],
        "statements": [plain_text(pair["statement"]) for pair in pairs],
    }
