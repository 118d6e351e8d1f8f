"""The report: one HTML page of everything that a runs folder holds, made from its files alone."""

import math
from datetime import datetime
from pathlib import Path

from modnet_keras.data.sources import refuse_inside_any
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import write_whole
from modnet_keras.reports.plots import PANELS
from modnet_keras.reports.report_estimate import read_estimate_section, read_estimated_tasks
from modnet_keras.reports.report_figures import draw_curve_panel, draw_forgetting_panel, run_colours
from modnet_keras.reports.report_runs import grow_tree, in_order, read_runs
from modnet_keras.reports.report_studies import read_studies, signed
from modnet_keras.reports.thumbnails import run_pictures
from modnet_keras.studies.tables import SPLIT_NAMES
from modnet_keras.templates import template_environment
from modnet_keras.version import installed_version


def write_report(runs: str | Path = "runs", to: str | Path = "report.html") -> Path:
    """Write one page of everything that a runs folder holds.

    The page needs nothing beside it: figures, pictures and styles are inside. It shows the
    hierarchy, a table of all runs, and for each task the training curves, what was measured of
    forgetting, and pictures with predictions. Runs that are damaged or not finished are listed
    with the reason.

    Parameters
    ----------
    runs : path
        The runs folder.
    to : path
        The HTML file; replaced if it is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CallError
        If the folder is not there or holds no run and no estimate, or the file would lie in a data
        folder.

    Examples
    --------
    >>> page = write_report("runs", "report.html")
    >>> page.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    runs, to = Path(runs), Path(to)
    if not runs.is_dir():
        raise CallError(
            f"runs folder '{runs}' is not there; name the folder that runs are kept in."
        )
    entries, estimated = read_runs(runs), read_estimated_tasks(runs)
    if not entries and not estimated:
        raise CallError(f"'{runs}' holds no run; train one, as by modnet train --task=canines.")
    data = {entry.config["data"] for entry in entries if entry.config}
    data |= {entry.data for entry in estimated if entry.data}
    refuse_inside_any(data, to, "to")
    tree = grow_tree(entries, estimated)
    sections = [
        _section(task, runs, number)
        for number, task in enumerate(in_order(tree))
        if task.runs or task.is_estimated
    ]
    page = _environment().get_template("report.html.j2")
    text = page.render(
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        version=installed_version() or "not installed",
        folder=str(runs.resolve()),
        tree=tree,
        entries=[entry for task in in_order(tree) for entry in task.runs],
        sections=sections,
        splits=SPLIT_NAMES,
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    # A path may hold bytes that are no text.
    write_whole(to, text.encode("utf-8", "replace"))
    return to


def _section(task, runs, number):
    """What the page shows of one task."""
    prefix = f"task-{number}"
    histories = {entry.name: entry.history for entry in task.runs if entry.history}
    colours = run_colours([*histories])
    # Of a name that is no text only a run knows the bytes.
    folder = task.runs[0].run.folder.parent if task.runs else runs / task.name
    studies = read_studies(folder)
    forgetting = studies["forgetting"]
    return {
        "task": task,
        "id": prefix,
        "colours": colours,
        "curves": [
            draw_curve_panel(histories, measure, colours, f"{prefix}-{measure}")
            for measure in PANELS
            if histories
        ],
        "studies": studies,
        "forgetting_figure": forgetting
        and draw_forgetting_panel(forgetting["rows"], forgetting["parent"], f"{prefix}-forgetting"),
        "estimate": read_estimate_section(folder, f"{prefix}-estimate"),
        "pictures": [
            {"run": entry} | _pictures(entry) for entry in task.runs if entry.state == "finished"
        ],
    }


def _pictures(entry):
    try:
        return run_pictures(entry.run.folder, entry.config["data"], entry.task_name)
    except WorkError as error:
        return {"note": str(error), "samples": [], "mistakes": [], "n": None, "wrong": None}


def _environment():
    environment = template_environment("reports", autoescape=True)
    environment.filters |= {
        "share": _share,
        "signed": signed,
        "count": _count,
        "p_value": _p_value,
        "tint": _tint,
    }
    return environment


def _share(value):
    """A share with three decimals, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _count(value):
    """A whole number with its thousands apart, or a dash where there is none."""
    return "–" if value is None else f"{value:,.0f}"


def _p_value(value):
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _tint(cost, greatest):
    """How deeply the field of a cost is coloured, from 0 to 0.55; a gain is not."""
    return 0.55 * cost / greatest if cost > 0 else 0.0
