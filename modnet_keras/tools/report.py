"""The command `report`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from modnet_keras.tools.options import Runs
from modnet_keras.tools.values import file_ending_in

Page = Annotated[Path, file_ending_in((".html",), "the page; replaced if it is there", "FILE.html")]


def report(runs: Runs = Path("runs"), to: Page = Path("report.html")) -> None:
    """Write one HTML page of everything that a runs folder holds.

    The page shows the hierarchy, a table of all runs, and for each task the training curves, what
    `forget` measured, sample pictures and the worst mistakes. It needs nothing beside it and no
    network. Pictures are taken from the runs' data folders as long as they are there.

    Examples
    --------
    modnet report
    modnet report --runs=runs --to=report.html
    """
    with Console(stderr=True).status("Gathering runs, figures and pictures"):
        from modnet_keras.reports.report import write_report

        page = write_report(runs, to)
    print(page)
