"""How commands show their results: tables on the terminal, and the same rows in a file."""

import contextlib
import csv
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from modnet_keras.files import whole_file

_WIDTH_OF_FILES = 120
# More columns than any table has, to see what it would take unfolded.
_WIDEST = 1000


def show_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the same keys as a table, numbers to the right and fractions to 4 places."""
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    for key in rows[0]:
        numbers = all(isinstance(row[key], int | float | None) for row in rows)
        table.add_column(key, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_shown, row.values()))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # In a file or a pipe there is no edge to break figures at.
        console.width = _WIDTH_OF_FILES
    unfolded = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    if unfolded > console.width:
        # Columns close together and no margin, before names are folded.
        table.padding, table.show_edge = 0, False
    console.print(table)


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same keys to a .json (a list), .jsonl (a row a line) or .csv file."""
    with row_file(file) as write:
        for row in rows:
            write(row)


@contextlib.contextmanager
def row_file(file: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give a function that writes one more row to such a file, which is there whole at the end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    writers = {".json": _json_rows, ".jsonl": _json_lines, ".csv": _csv_rows}
    with (
        whole_file(file) as unfinished,
        # A picture's name may hold bytes that are no text.
        unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline="") as text,
        writers[file.suffix](text) as write,
    ):
        yield write


@contextlib.contextmanager
def _json_rows(text):
    separator = "[\n"

    def write(row):
        nonlocal separator
        text.write(separator + textwrap.indent(json.dumps(row, indent=2), "  "))
        separator = ",\n"

    yield write
    text.write("[]\n" if separator == "[\n" else "\n]\n")


@contextlib.contextmanager
def _json_lines(text):
    yield lambda row: text.write(json.dumps(row) + "\n")


@contextlib.contextmanager
def _csv_rows(text):
    writer = None

    def write(row):
        nonlocal writer
        if writer is None:
            writer = csv.DictWriter(text, row.keys(), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)

    yield write


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
