"""The model card: what a model is, how good it is and how it is called, beside every export."""

from dataclasses import dataclass
from pathlib import Path

from modnet_keras.errors import WorkError
from modnet_keras.reports.report_studies import read_studies, signed
from modnet_keras.serving.tree import Tree
from modnet_keras.tasks.synsets import is_synset, synset_name
from modnet_keras.templates import template_environment
from modnet_keras.training.measures import SHARES
from modnet_keras.version import installed_version

CARD = "README.md"
_MARK = "library_name: modnet-keras"


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes
    ----------
    folder : Path
        That of the new version.
    tree : Tree
    format : str
    pictures : int
        How many were answered by the exported model in a process of its own.
    difference : float
        The largest between its probabilities and those of the Keras network.
    is_folded : bool
        Whether batch norm is folded into the convolutions.
    """

    folder: Path
    tree: Tree
    format: str
    pictures: int
    difference: float
    is_folded: bool


def model_card(exported: Export) -> str:
    """The card of an export, as Markdown with the front matter of model hubs.

    Parameters
    ----------
    exported : Export

    Returns
    -------
    str
    """
    templates = template_environment("serving", autoescape=False)
    return templates.get_template("model_card.md.j2").render(
        exported=exported,
        tree=exported.tree,
        runs=[_entry(run) for run in exported.tree.runs],
        mark=f"{_MARK}\n{_subject(exported.tree)}",
        version=installed_version(),
        target=exported.folder.parent.name,
    )


def is_model_card(file: Path, of: Tree | None = None) -> bool:
    """Whether a file is a card that `model_card` made, of any model or of that of a tree."""
    if not file.is_file():
        return False
    head = file.read_text(encoding="utf-8", errors="replace")[:500]
    return _MARK in head and (of is None or f"{_subject(of)}\n" in head)


def _subject(tree):
    """The line of the front matter that all versions of a model have in common."""
    return f"model_name: {tree.name} ({'run' if tree.is_single else 'tree'})"


def _entry(run):
    spec = run.task.spec
    return {
        "task": spec.name,
        "title": f"{spec.name}/{run.name}",
        "parent": spec.parent,
        "positive": _classes(spec.positive),
        "negative": _classes(spec.negative),
        "config": run.config,
        "parameters": run.model.count_params(),
        "metrics": [
            {"split": split, "n": run.metrics[key]["n"]}
            | {name: _share(run.metrics[key][name]) for name in SHARES}
            for split, key in (("validation", "val"), ("training", "train"))
        ],
        "forgetting": _forgetting(run),
    }


def _classes(entries):
    if isinstance(entries, str):
        return entries
    return ", ".join(
        f"{entry} ({synset_name(entry)})" if is_synset(entry) else entry for entry in entries
    )


def _share(value):
    return "-" if value is None else f"{value:.3f}"


def _forgetting(run):
    """What the run was measured to have forgotten of its parent's task, a sentence, or None."""
    measured = read_studies(run.folder.parent)["forgetting"]
    if not measured:
        return None
    names = [name for name, hashes in measured["hashes"].items() if hashes == _hashes(run)]
    for row in measured["rows"]:
        if row["run"] == run.name and row["split"] == "val" and run.title in names:
            interval = row["forgetting"]
            return (
                f"{signed(interval['value'])} of {measured['parent']}'s accuracy (95 %: "
                f"{signed(interval['low'])} to {signed(interval['high'])}), on {row['n']} of its "
                "validation pictures"
            )
    return None


def _hashes(run):
    try:
        return run.hashes["after"]
    except WorkError:
        return None
