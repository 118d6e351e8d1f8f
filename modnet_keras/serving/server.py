"""A servable over HTTP: TensorFlow Serving's REST predict API, heat maps, and a page to try it on.

The API is that of https://www.tensorflow.org/tfx/serving/api_rest.
"""

import asyncio
import base64
import contextlib
import errno
import io
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from modnet_keras.errors import CallError, unknown_name
from modnet_keras.serving.batching import Batcher
from modnet_keras.serving.request_body import RequestError, read_call, shortened
from modnet_keras.templates import template_environment

if TYPE_CHECKING:
    from modnet_keras.serving.servable import Servable

LARGEST_BODY = 32 * 2**20  # bytes

SECONDS_TO_FINISH = 5
"""How long requests that are under way may take once the server is told to end."""

_VERSION = "1"
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


def make_app(servable: "Servable") -> Starlette:
    """The ASGI application that serves a servable.

    Parameters
    ----------
    servable : Servable

    Returns
    -------
    Starlette
    """
    model = "/v1/models/{name}"
    version = f"{model}/versions/{{version}}"
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/explain", _explain, methods=["POST"]),
            # The longer paths first, and for every method: the shorter would take them for a name.
            *(Route(f"{path}:{{verb}}", _Call) for path in (version, model)),
            *(Route(path, _status) for path in (version, model)),
        ],
        exception_handlers={
            RequestError: _refuse,
            HTTPException: _refuse_route,
            ClientDisconnect: _leave,
            Exception: _admit_fault,
        },
    )
    app.router.redirect_slashes = False
    app.state.servable = servable
    # One thread for all: networks use every core by themselves, and explaining need not be safe in
    # several at once.
    app.state.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="servable")
    app.state.batcher = Batcher(servable.predict, app.state.worker)
    app.state.page = template_environment("serving", autoescape=True).get_template("page.html")
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that nobody else can take its port while a model is loaded.

    Parameters
    ----------
    host : str
        Name or address of an interface of this machine.
    port : int
        0 takes any that is free.

    Returns
    -------
    socket.socket

    Raises
    ------
    CallError
        If the host is no address of this machine or the port cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        listener = socket.create_server(address, family=family)
    except (socket.gaierror, UnicodeError) as error:
        raise _not_an_address(host) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "name another one, or 0 for any that is free"
            raise CallError(f"--port: {port} is in use; {hint}.") from error
        if error.errno == errno.EACCES:
            raise CallError(f"--port: {port} is not open to you; name one from 1024 on.") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise _not_an_address(host) from error
        raise
    # Every connection has it from here: asyncio sets it only on sockets that name their protocol,
    # and an answer would wait 40 ms for the client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve(servable: "Servable", listener: socket.socket, on_ready: Callable[[str], object]) -> None:
    """Serve a servable until the process is told to end by SIGINT or SIGTERM.

    Requests that are under way then are answered first, and the signal is raised again after it.

    Parameters
    ----------
    servable : Servable
    listener : socket.socket
        As `listen` gives it.
    on_ready : callable
        Called with the server's URL, which ends in a slash, as soon as it answers.
    """
    config = uvicorn.Config(
        make_app(servable),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    _Server(config, lambda: on_ready(_url(listener))).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config, on_ready):
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        self._on_ready()


def _not_an_address(host):
    hint = "127.0.0.1 is, and 0.0.0.0 stands for all it has"
    return CallError(f"--host: {host!r} is no address of this machine; {hint}.")


def _url(listener):
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def _page(request):
    """The page to try the model on; its own script and style run, and nothing else does."""
    servable = request.app.state.servable
    nonce = secrets.token_urlsafe(16)
    text = request.app.state.page.render(
        name=servable.name,
        tasks=servable.tasks,
        parents=servable.parents,
        largest=LARGEST_BODY,
        nonce=nonce,
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, headers=headers | _NO_SNIFFING | {"Cache-Control": "no-store"})


class _Call(HTTPEndpoint):
    """What is asked of the model by its verb."""

    async def post(self, request):
        """Answer pictures, in rows or columns as they were asked."""
        _check_model(request)
        verb = request.path_params["verb"]
        if verb != "predict":
            found = shortened.repr(verb)
            raise RequestError(f"{found} is no verb of this server; right is 'predict'.", 404)
        with _refusal_at_the_end():
            is_columnar, pictures = read_call(await _body(request))
            rows = await _unless_gone(request, request.app.state.batcher.answer(pictures))
        if is_columnar:
            return _json({"outputs": {key: [row[key] for row in rows] for key in rows[0]}})
        return _json({"predictions": rows})


async def _status(request):
    """That the model is loaded, as TensorFlow Serving says it."""
    _check_model(request)
    fine = {"error_code": "OK", "error_message": ""}
    version = {"version": _VERSION, "state": "AVAILABLE", "status": fine}
    return _json({"model_version_status": [version]})


async def _explain(request):
    """The answer for one picture, the body, with what the network saw and where it looked."""
    state = request.app.state
    loop = asyncio.get_running_loop()
    with _refusal_at_the_end():
        contents = await _body(request)
        explaining = loop.run_in_executor(state.worker, _explained, state.servable, contents)
        explained = await _unless_gone(request, explaining)
    if explained is None:
        right = "a JPEG, PNG, BMP, GIF or WebP file would be right"
        raise RequestError(f"the body is no picture that can be read; {right}.", 422)
    return _json(explained)


def _explained(servable, contents):
    explanation = servable.explain(contents)
    if explanation is None:
        return None
    return {
        "row": explanation.row,
        "tasks": list(servable.tasks),
        "parents": list(servable.parents),
        "task": explanation.task,
        "picture": _data_url(explanation.picture),
        "heat": _data_url(explanation.overlay()),
    }


def _data_url(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _check_model(request):
    name = request.path_params["name"]
    right = request.app.state.servable.name
    if name != right:
        error = unknown_name("model", shortened.repr(name)[1:-1], [right])
        raise RequestError(str(error), 404)
    version = request.path_params.get("version", _VERSION)
    if version != _VERSION:
        found = shortened.repr(version)
        raise RequestError(f"version {found} is not there; right is '{_VERSION}'.", 404)


@contextlib.contextmanager
def _refusal_at_the_end():
    """Answer a request that the server, being told to end, does not wait for any longer."""
    try:
        yield
    except asyncio.CancelledError as error:
        raise RequestError("the server is ending; ask again once it is up.", 503) from error


async def _body(request):
    """The body, given up as soon as it is known to be too long."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        raise _too_long()
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise _too_long()
    return bytes(body)


def _too_long():
    limit = f"{LARGEST_BODY // 2**20} MiB"
    return RequestError(f"the body is longer than {limit}; send less at a time.", 413)


async def _unless_gone(request, work):
    """What work gives; it is cancelled where the client goes away meanwhile."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _departure(request):
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refuse(request, error):
    return _error(str(error), error.status)


async def _refuse_route(request, error):
    """Refusal of a path or a method that there is not."""
    path = shortened.repr(request.url.path)
    if error.status_code == 405:
        allowed = " or ".join(sorted(error.headers["Allow"].split(", ")))
        sentence = f"{path} does not take {request.method}; right is {allowed}."
        return _error(sentence, 405, error.headers)
    model = f"/v1/models/{request.app.state.servable.name}"
    right = f"'/', '/explain', '{model}' and '{model}:predict'"
    return _error(f"{path} is not there; there are {right}.", 404)


async def _leave(request, error):
    # Nobody is there to read it, but a request ends with a response.
    return Response(status_code=400)


async def _admit_fault(request, error):
    return _error("the server failed at this request; what it printed says why.", 500)


def _error(sentence, status, headers=None):
    return _json({"error": sentence}, status, headers)


def _json(content, status=200, headers=None):
    return JSONResponse(content, status, {**(headers or {}), **_NO_SNIFFING})
