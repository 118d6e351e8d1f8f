"""The command `serve`."""

import sys
from pathlib import Path
from typing import Annotated

from rich.console import Console

from modnet_keras.tools import options as option
from modnet_keras.tools.values import text, whole_number

Host = Annotated[str, text("the address to listen at; 0.0.0.0 lets other machines in", "ADDRESS")]
Port = Annotated[int, whole_number("the port to listen at; 0 takes any that is free", 0, 65535)]


def serve(
    run: option.RunFolder | None = None,
    tree: option.TreeRoot = None,
    runs: option.Runs = Path("runs"),
    pick: option.Pick = None,
    host: Host = "127.0.0.1",
    port: Port = 8501,
) -> None:
    r"""Serve a run, or a tree of runs, over HTTP: an API for programs and a page for people.

    Either --run or --tree is given. The page, at the address that is printed, shows for a picture
    that is dropped on it the path through the tree, the probability of every task and a heat map.
    The API is TensorFlow Serving's: POST /v1/models/NAME:predict, where NAME is the run's task or
    the tree's root. Requests that come at about the same time are computed together. POST /explain
    takes the bytes of one picture and gives what the page shows.

    A request may have 32 MiB. There is no password: with --host=0.0.0.0 whoever reaches this
    machine may ask. It ends on Ctrl+C, once what it was asked before is answered.

    Examples
    --------
    modnet serve --tree=animals
    modnet serve --tree=animals --pick=canines/finetune,wolf/frozen
    modnet serve --run=runs/canines/frozen --port=8080
    printf '{"instances": [{"b64": "%s"}]}' "$(base64 < wolf.jpg | tr -d '\n')" |
        curl -sS -d @- http://127.0.0.1:8501/v1/models/animals:predict
    curl -sS --data-binary @wolf.jpg http://127.0.0.1:8501/explain
    """
    from modnet_keras.serving.server import listen
    from modnet_keras.serving.server import serve as serve_until_told
    from modnet_keras.serving.tree import named_tree

    model = named_tree(run=run, tree=tree, runs=runs, pick=pick or ())
    with listen(host, port) as listener:
        with Console(stderr=True).status("Loading the networks"):
            from modnet_keras.serving.servable import Servable

            servable = Servable(model)
            servable.warm_up()

        def announce(url: str) -> None:
            body = """'{"instances": [{"b64": "%s"}]}' "$(base64 < picture.jpg | tr -d '\\n')\""""
            asked = ", ".join(found.title for found in model.runs)
            print(f"Asking {asked}", file=sys.stderr)
            print(f"Serving {servable.name} at {url} (Ctrl+C ends it)")
            print(
                f"printf {body} | curl -sS -d @- {url}v1/models/{servable.name}:predict", flush=True
            )

        serve_until_told(servable, listener, announce)
