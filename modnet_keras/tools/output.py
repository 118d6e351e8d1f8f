"""How commands show their results: tables on the terminal, and the same rows in a file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from modnet_keras.files import write_table, write_whole

_WIDTH_OF_FILES = 120


def show_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the same keys as a table, numbers to the right and fractions to 4 places."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for key in rows[0]:
        numbers = all(isinstance(row[key], int | float | None) for row in rows)
        table.add_column(key, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # In a file or a pipe there is no edge to break figures at.
        console.width = _WIDTH_OF_FILES
    console.print(table)


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same keys to a .json (a list), .jsonl (a row a line) or .csv file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".json":
        write_whole(file, json.dumps(list(rows), indent=2) + "\n")
    elif file.suffix == ".jsonl":
        write_whole(file, "".join(json.dumps(row) + "\n" for row in rows))
    else:
        write_table(file, rows)


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
