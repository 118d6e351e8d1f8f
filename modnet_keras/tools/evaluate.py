"""The command `evaluate`."""

from modnet_keras.tools.options import Data, RunFolder, TableFile


def evaluate(run: RunFolder, data: Data | None = None, to: TableFile = None) -> None:
    """Measure a run: on its validation pictures, or with --data on all of another source.

    Pictures of another source are taken as they are, unbalanced. If it holds the very pictures of
    the run's own (the folder was moved), the run's validation pictures are taken.

    Examples
    --------
    modnet evaluate --run=runs/canines/frozen
    modnet evaluate --run=runs/canines/frozen --data=other/pictures --to=metrics.json
    """
    from modnet_keras.data.sources import find_source, refuse_inside
    from modnet_keras.tools.output import show_table, write_rows
    from modnet_keras.training.evaluation import evaluate as evaluate_run
    from modnet_keras.training.run import load_run

    found = load_run(run)
    if to:
        refuse_inside(find_source(data or found.config["data"]).root, to, "to")
    metrics = evaluate_run(found, data)
    show_table(f"{run} on {data or 'its validation pictures'}", [metrics])
    if to:
        write_rows(to, [metrics])
        print(f"Written to {to}")
