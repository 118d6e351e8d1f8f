"""The command `export`."""

from pathlib import Path
from typing import Annotated

from rich.console import Console

from modnet_keras.serving.formats import FORMATS
from modnet_keras.tools import options as option
from modnet_keras.tools.values import choice, path

Target = Annotated[Path, path("a folder for the versions of this model", "FOLDER")]
Format = Annotated[
    str,
    choice("what is written", {name: entry.summary for name, entry in FORMATS.items()}),
]


def export(
    to: Target,
    run: option.RunFolder | None = None,
    tree: option.TreeRoot = None,
    runs: option.Runs = Path("runs"),
    pick: option.Pick = None,
    format: Format = "saved_model",
) -> None:
    """Write a run, or with --tree a task and everything below it, as a model that others load.

    The next version is written, FOLDER/1, FOLDER/2 and so on, as TensorFlow Serving and others want
    it, and FOLDER/README.md, a model card: what it is, how good it is and how it is called. A
    SavedModel takes the bytes of image files, or pictures as numbers; the other formats take
    pictures. In a tree what the tasks have in common, all that `frozen` took over, is computed
    once. Before it is put there the model is loaded in a process of its own and has to answer 32
    pictures as the network does.

    Examples
    --------
    modnet export --run=runs/canines/frozen --to=served/canines
    modnet export --tree=animals --to=served/animals
    modnet export --tree=animals --pick=canines/finetune --to=served/animals
    modnet export --run=runs/canines/frozen --format=onnx --to=served/canines-onnx
    """
    with Console(stderr=True).status("Writing the model and asking it"):
        from modnet_keras.serving.export import export as export_model
        from modnet_keras.serving.tree import named_tree

        model = named_tree(run=run, tree=tree, runs=runs, pick=pick or ())
        exported = export_model(model, to, format)
    print(
        f"{', '.join(exported.tree.tasks)}: {exported.pictures} pictures answered by the exported "
        f"model, no probability off by more than {exported.difference:.1e}; batch norm "
        f"{'folded' if exported.is_folded else 'not folded'}."
    )
    print(exported.folder)
