"""A stand-in for the networks that a server asks, a server of it, and how it is asked."""

import base64
import contextlib
import http.client
import io
import json
import threading
from types import SimpleNamespace

import numpy as np
import uvicorn
from PIL import Image

from modnet_keras.serving import server


class FakeTree(dict):
    """From each task to its parent."""

    @property
    def runs(self):
        return [SimpleNamespace(title=f"{task}/frozen") for task in self]


TREE = FakeTree({"animals": None, "canines": "animals", "wolf": "canines"})
ASKED = "Asking animals/frozen, canines/frozen, wolf/frozen\n"
NO_PICTURE = b"no picture at all"
BROKEN = 666
"""The number of a picture that the fake cannot stand."""


class FakeServable:
    """Answers by the colour of a picture, at once; keeps the sizes of the batches it was given."""

    def __init__(self, tree):
        self.name = next(iter(tree))
        self.tasks = tuple(tree)
        self.parents = tuple(tree.values())
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()

    def warm_up(self):
        pass

    def predict(self, contents):
        self.batches.append(len(contents))
        assert self.gate.wait(20)
        return [self.row(each) for each in contents]

    def explain(self, contents):
        assert self.gate.wait(20)
        row = self.row(contents)
        if not row["valid"]:
            return None
        size = 64
        picture = Image.open(io.BytesIO(contents)).convert("RGB").resize((size, size))
        heat = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, size, dtype="float32")] * 2))
        heat = np.clip(1 - heat, 0, 1)
        colours = Image.new("RGB", picture.size, "orange")
        mask = Image.fromarray((200 * heat).astype("uint8"))
        return SimpleNamespace(
            row=row,
            task=self.tasks[-1],
            picture=picture,
            heat=heat,
            overlay=lambda: Image.composite(colours, picture, mask),
        )

    def row(self, contents):
        number = number_of(contents)
        if number == BROKEN:
            raise ZeroDivisionError("a bug of the model")
        probabilities = [
            max(0.0, (number or 0) / 1000 - place / 10) for place in range(len(self.tasks))
        ]
        path = [t for t, p in zip(self.tasks, probabilities, strict=True) if p > 0.5]
        label = "" if number is None else (path or [f"not-{self.name}"])[-1]
        row = {"label": label, "valid": number is not None}
        if len(self.tasks) == 1:
            return {"probability": probabilities[0]} | row
        return {
            "probability": probabilities,
            "tasks": list(self.tasks),
            "path": " > ".join(path),
            "path_probability": float(np.prod(probabilities[: max(1, len(path))])),
        } | row


def picture_of(number, size=(1, 1)):
    """A picture that the fake answers `number` thousandths for."""
    file = io.BytesIO()
    Image.new("RGB", size, (number // 256, number % 256, 77)).save(file, "PNG")
    return file.getvalue()


def number_of(contents):
    try:
        picture = Image.open(io.BytesIO(contents)).convert("RGB")
    except OSError:
        return None
    high, low, _ = picture.getpixel((0, 0))
    return 256 * high + low


def head_of(path, length):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def in_base64(contents):
    return {"b64": base64.b64encode(contents).decode()}


@contextlib.contextmanager
def running(servable):
    """A server in a thread; gives its port."""
    with server.listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            server.make_app(servable), log_config=None, log_level="warning", lifespan="off"
        )
        running_server = uvicorn.Server(config)
        thread = threading.Thread(target=running_server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            servable.gate.set()
            running_server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def ask(port, path, body=None, method=None):
    """Status, content and headers of the answer to a request; a body that is no bytes is JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method or ("GET" if body is None else "POST"), path, body)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def ask_json(*arguments, **options):
    status, content, headers = ask(*arguments, **options)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    return status, json.loads(content)


PREDICT = "/v1/models/animals:predict"


def predict(port, *numbers):
    instances = [in_base64(picture_of(number)) for number in numbers]
    status, answer = ask_json(port, PREDICT, {"instances": instances})
    assert status == 200, answer
    return [round(1000 * row["probability"][0]) for row in answer["predictions"]]
