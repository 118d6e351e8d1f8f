"""The server as its clients meet it, over real connections, with a stand-in for the networks."""

import asyncio
import base64
import contextlib
import http.client
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modnet_keras.errors import CallError
from modnet_keras.serving import request_body, server
from modnet_keras.serving.batching import LARGEST_BATCH, Batcher
from modnet_keras.tools.__main__ import main
from modnet_keras.tools.arguments import Command

TREE = {"animals": None, "canines": "animals", "wolf": "canines"}
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


@pytest.fixture(scope="module")
def served():
    """A server of a tree, for requests that change nothing of it."""
    with running(FakeServable(TREE)) as port:
        yield port


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


# The API


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/animals/versions/1:predict"])
@pytest.mark.parametrize("more", [{}, {"signature_name": "serving_default"}, {"any": "thing"}])
def test_rows_are_answered_in_rows(served, path, more):
    picture = in_base64(picture_of(650))
    instances = [picture, {"image_bytes": in_base64(picture_of(490))}, in_base64(NO_PICTURE)]
    status, answer = ask_json(served, path, {"instances": instances} | more)
    assert status == 200
    assert answer.keys() == {"predictions"}
    first = answer["predictions"][0]
    assert first["probability"] == pytest.approx([0.65, 0.55, 0.45])
    assert (first["path"], first["tasks"]) == ("animals > canines", list(TREE))
    assert [row["label"] for row in answer["predictions"]] == ["canines", "not-animals", ""]
    assert [row["valid"] for row in answer["predictions"]] == [True, True, False]


@pytest.mark.parametrize("named", [True, False])
def test_columns_are_answered_in_columns(served, named):
    column = [in_base64(picture_of(650)), in_base64(NO_PICTURE)]
    body = {"inputs": {"image_bytes": column} if named else column}
    status, answer = ask_json(served, PREDICT, body)
    assert status == 200
    assert answer.keys() == {"outputs"}
    columns = answer["outputs"]
    assert columns["label"] == ["canines", ""]
    assert columns["valid"] == [True, False]
    assert columns["probability"] == [pytest.approx([0.65, 0.55, 0.45]), [0, 0, 0]]
    assert columns["tasks"] == [list(TREE)] * 2


def test_a_single_run_of_an_odd_name_is_served_by_it():
    with running(FakeServable({"my-pets.2_x": None})) as port:
        body = {"instances": [in_base64(picture_of(650))]}
        status, answer = ask_json(port, "/v1/models/my-pets.2_x:predict", body)
    assert status == 200
    row = {"probability": 0.65, "label": "my-pets.2_x", "valid": True}
    assert answer == {"predictions": [row]}


@pytest.mark.parametrize("path", ["/v1/models/animals", "/v1/models/animals/versions/1"])
def test_the_model_is_said_to_be_available(served, path):
    status, answer = ask_json(served, path)
    assert status == 200
    version = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert answer == {"model_version_status": [version]}


def test_a_picture_is_explained(served):
    status, answer = ask_json(served, "/explain", picture_of(750, size=(30, 30)))
    assert status == 200
    assert answer["row"]["path"] == "animals > canines > wolf"
    assert (answer["tasks"], answer["parents"]) == (list(TREE), list(TREE.values()))
    assert answer["task"] == "wolf"
    pictures = []
    for key in ("picture", "heat"):
        kind, _, text = answer[key].partition(",")
        assert kind == "data:image/png;base64"
        pictures.append(Image.open(io.BytesIO(base64.b64decode(text, validate=True))))
    assert pictures[0].size == pictures[1].size == (64, 64)
    assert pictures[0].tobytes() != pictures[1].tobytes()


# Wrong requests


RIGHT = in_base64(picture_of(1))


@pytest.mark.parametrize(
    "body, found",
    [
        (b"", "no JSON"),
        (b"{'instances': []}", "no JSON"),
        (b"\xff\xd8\xff\xe0 the bytes of a picture", "no JSON"),
        (b"9" * 10_000, "no JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"instances": ' + b'{"a":' * 200_000, "nested too deeply"),
        ([], "the body is a list"),
        (None, "the body is null"),
        (1.5, "the body is a number"),
        ({}, "no 'instances'"),
        ({"instance": [RIGHT]}, "no 'instances'"),
        ({"instances": [RIGHT], "inputs": [RIGHT]}, "both 'instances' and 'inputs'"),
        ({"instances": [RIGHT], "signature_name": "other"}, "signature_name is 'other'"),
        ({"instances": [RIGHT], "signature_name": []}, "signature_name is []"),
        ({"instances": [RIGHT], "signature_name": "\ud800" * 500}, r"\ud800"),
        ({"instances": {"b64": ""}}, "instances is an object of the keys ['b64']"),
        ({"instances": None}, "instances is null"),
        ({"instances": []}, "instances is an empty list"),
        ({"instances": [RIGHT, "text"]}, "instances[1] is a text"),
        ({"instances": [[RIGHT]]}, "instances[0] is a list"),
        ({"instances": [{}]}, "instances[0] is an empty object"),
        ({"instances": [{"url": "x"}]}, "instances[0] is an object of the keys ['url']"),
        ({"instances": [RIGHT | {"key": 1}]}, "['b64', 'key']"),
        ({"instances": [{"\ud800": 1}]}, r"['\ud800']"),
        ({"instances": [{"image_bytes": "x"}]}, "instances[0].image_bytes is a text"),
        ({"instances": [{"image_bytes": {"image_bytes": RIGHT}}]}, "keys ['image_bytes']"),
        ({"instances": [{"b64": 7}]}, "instances[0].b64 is a number"),
        ({"instances": [{"b64": True}]}, "instances[0].b64 is true or false"),
        ({"instances": [{"b64": "YQ"}]}, "instances[0].b64 is no base64"),
        ({"instances": [{"b64": "Y Q=="}]}, "instances[0].b64 is no base64"),
        ({"instances": [{"b64": "YQ==\n"}]}, "instances[0].b64 is no base64"),
        ({"instances": [{"b64": "YQ==YQ=="}]}, "instances[0].b64 is no base64"),
        ({"instances": [{"b64": "-_-_"}]}, "instances[0].b64 is no base64"),
        ({"instances": [{"b64": "äöü="}]}, "instances[0].b64 is no base64"),
        ({"inputs": []}, "inputs is an empty list"),
        ({"inputs": RIGHT}, "inputs is an object of the keys ['b64']"),
        ({"inputs": {"images": [RIGHT]}}, "inputs is an object of the keys ['images']"),
        ({"inputs": {"image_bytes": RIGHT}}, "inputs is an object of the keys ['b64']"),
        ({"inputs": [{"image_bytes": RIGHT}]}, "inputs[0] is an object of the keys"),
    ],
)
def test_a_wrong_body_is_refused_in_a_sentence(served, body, found):
    body = b"null" if body is None else body
    status, answer = ask_json(served, PREDICT, body)
    assert status == 400
    assert answer.keys() == {"error"}
    assert found in answer["error"]
    assert "right " in answer["error"] and answer["error"].endswith(".")
    assert len(answer["error"]) < 600


@pytest.mark.parametrize(
    "method, path, status, sentence",
    [
        (
            "POST",
            "/v1/models/canine:predict",
            404,
            "model 'canine' is not known; known are animals.",
        ),
        ("GET", "/v1/models/animal", 404, "did you mean 'animals'?"),
        ("POST", "/v1/models/animals/versions/2:predict", 404, "version '2' is not there"),
        ("GET", "/v1/models/animals/versions/x", 404, "right is '1'"),
        ("POST", "/v1/models/animals:classify", 404, "'classify' is no verb of this server"),
        ("GET", "/v1/models/animals:predict", 405, "does not take GET; right is POST."),
        ("DELETE", "/v1/models/animals/versions/1:predict", 405, "right is POST."),
        ("POST", "/v1/models/animals", 405, "right is GET or HEAD."),
        ("GET", "/explain", 405, "'/explain' does not take GET; right is POST."),
        ("POST", "/", 405, "right is GET or HEAD."),
        ("GET", "/v1/models/animals/metadata", 404, "'/v1/models/animals/metadata' is not there"),
        ("GET", "/explain/", 404, "is not there; there are '/', '/explain'"),
        ("GET", "/../etc/passwd", 404, "is not there"),
        ("GET", "/v1/models/" + "x" * 5000, 404, "known are animals."),
        ("GET", "/v1/models/animals/versions/" + "2" * 5000, 404, "right is '1'"),
        ("GET", "/%ff%00%0a" + "x" * 5000, 404, "is not there"),
    ],
)
def test_a_wrong_path_or_method_is_refused_in_a_sentence(served, method, path, status, sentence):
    found, answer = ask_json(served, path, b"{}", method)
    assert (found, answer.keys()) == (status, {"error"})
    assert sentence in answer["error"]
    assert len(answer["error"]) < 600


@pytest.mark.parametrize("body", [b"", NO_PICTURE, picture_of(1)[:30], b"[" * 100_000])
def test_what_is_no_picture_is_not_explained(served, body):
    status, answer = ask_json(served, "/explain", body)
    assert status == 422
    assert answer == {
        "error": "the body is no picture that can be read; a JPEG, PNG, BMP, GIF or WebP file "
        "would be right."
    }


TOO_LONG = {"error": "the body is longer than 32 MiB; send less at a time."}


@pytest.mark.parametrize("path", [PREDICT, "/explain"])
def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(served, path):
    connection = http.client.HTTPConnection("127.0.0.1", served, timeout=20)
    with contextlib.closing(connection):
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(server.LARGEST_BODY + 1))
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (413, TOO_LONG)


def test_a_body_that_turns_out_too_long_is_refused_as_soon_as_it_is(served):
    """It never ends: the answer comes while it is being sent."""
    with socket.create_connection(("127.0.0.1", served), timeout=20) as connection:
        connection.sendall(
            b"POST /explain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
        for _ in range(33):
            connection.sendall(chunk)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert (response.status, json.loads(response.read())) == (413, TOO_LONG)


def test_a_body_of_the_largest_size_is_read(served):
    status, answer = ask_json(served, PREDICT, b" " * (server.LARGEST_BODY - 2) + b"[]")
    assert (status, answer["error"][:20]) == (400, "the body is a list; ")


def test_a_fault_of_the_model_is_told_without_its_traceback(served, caplog):
    for path, body in [
        (PREDICT, {"instances": [in_base64(picture_of(BROKEN))]}),
        ("/explain", picture_of(BROKEN)),
    ]:
        status, answer = ask_json(served, path, body)
        assert status == 500
        assert answer == {"error": "the server failed at this request; what it printed says why."}
        wait_until(lambda: "a bug of the model" in caplog.text)
        caplog.clear()
    assert predict(served, 1) == [1]


# Many clients


def test_many_requests_at_once_get_each_their_own_answers(caplog):
    servable = FakeServable(TREE)
    bodies = [NO_PICTURE if number == 13 else picture_of(number) for number in range(64)]
    start = threading.Barrier(64)

    def client(number):
        instances = [in_base64(bodies[number])] * (1 + number % 3)
        start.wait()
        return ask_json(port, PREDICT, {"instances": instances})

    with running(servable) as port, ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(client, range(64)))
    for number, (status, answer) in enumerate(answers):
        assert status == 200
        assert len(answer["predictions"]) == 1 + number % 3
        for row in answer["predictions"]:
            assert row == servable.row(bodies[number])
    assert sum(servable.batches) == sum(1 + number % 3 for number in range(64))
    assert len(servable.batches) < 64
    assert max(servable.batches) <= LARGEST_BATCH
    assert caplog.text == ""


def test_a_client_that_hangs_up_disturbs_nobody_and_is_not_computed_for(caplog):
    servable = FakeServable(TREE)
    with running(servable) as port, ThreadPoolExecutor(2) as clients:
        servable.gate.clear()
        first = clients.submit(predict, port, 1)
        wait_until(lambda: servable.batches == [1])
        with socket.create_connection(("127.0.0.1", port)) as gone:
            body = json.dumps({"instances": [in_base64(picture_of(2))] * 5}).encode()
            gone.sendall(head_of(PREDICT, len(body)) + body)
            time.sleep(0.2)
        last = clients.submit(predict, port, 3)
        time.sleep(0.2)
        servable.gate.set()
        assert (first.result(), last.result()) == ([1], [3])
    assert servable.batches == [1, 1]
    assert caplog.text == ""


def test_a_client_that_hangs_up_while_it_sends_is_forgotten(served, caplog):
    for path in (PREDICT, "/explain"):
        with socket.create_connection(("127.0.0.1", served)) as gone:
            gone.sendall(head_of(path, 1000) + b"[")
            time.sleep(0.1)
    assert predict(served, 4) == [4]
    assert caplog.text == ""


def head_of(path, length):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def wait_until(holds, seconds=10):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


# Batches


def batched(compute, *requests):
    """What each request gets, or the error that it gets; a request is a list of rows."""

    async def main():
        batcher = Batcher(compute, executor)
        answers = [batcher.answer(rows) for rows in requests]
        return await asyncio.gather(*answers, return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        return asyncio.run(main())


def test_requests_are_put_together_and_a_long_one_is_split():
    batches = []

    def compute(rows):
        batches.append(rows)
        return [-row for row in rows]

    requests = [[1], [], [2, 3], list(range(100, 300)), [4]]
    assert batched(compute, *requests) == [[-row for row in rows] for rows in requests]
    assert list(map(len, batches)) == [64, 64, 64, 12]
    assert sum(batches, []) == sum(requests, [])


def test_an_error_reaches_the_requests_of_its_batch_and_no_other():
    computed = []

    def compute(rows):
        computed.extend(rows)
        if 70 in rows:
            raise ValueError("no 70")
        return rows

    first, second, third = [0, 1], list(range(2, 200)), list(range(200, 250))
    answers = batched(compute, first, second, third)
    assert answers[0] == first
    assert repr(answers[1]) == "ValueError('no 70')"
    assert answers[2] == third
    # The rest of the request that failed is not computed for nobody.
    assert 199 not in computed


def test_too_few_answers_are_an_error_and_never_given_to_others():
    answers = batched(lambda rows: rows[1:], [1], [2])
    assert all(isinstance(answer, ValueError) for answer in answers)


def test_a_request_that_is_given_up_is_left_out():
    computed = []

    def compute(rows):
        time.sleep(0.05)
        computed.append(rows)
        return rows

    async def main():
        batcher = Batcher(compute, executor)
        busy = asyncio.create_task(batcher.answer([0]))
        await asyncio.sleep(0.02)
        gone, stays = (asyncio.create_task(batcher.answer([number])) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        assert await busy == [0] and await stays == [2]
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await batcher.answer([3]) == [3]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main())
    assert computed == [[0], [2], [3]]


def test_a_full_batch_does_not_wait(monkeypatch):
    monkeypatch.setattr("modnet_keras.serving.batching.PATIENCE", 60)
    assert batched(list, [1] * 40, [2] * 24) == [[1] * 40, [2] * 24]


# The page


def test_the_page_is_whole_and_lets_nothing_else_in(served):
    status, text, headers = ask(served, "/")
    text = text.decode()
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert len(nonce) > 20 and policy["style-src"] == policy["script-src"]
    assert text.count("<script") == text.count(f'<script nonce="{nonce}">') == 1
    assert text.count("<style") == text.count(f'<style nonce="{nonce}">') == 1
    assert "style=" not in text
    addresses = text.replace("http://www.w3.org/2000/svg", "")
    assert (
        "http:" not in addresses
        and "https:" not in addresses
        and "//" not in addresses.split("<script")[0]
    )
    other = ask(served, "/")[2]["Content-Security-Policy"]
    assert nonce not in other


# The socket and the process


def test_a_port_in_use_is_refused_in_a_sentence():
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(CallError, match=rf"^--port: {port} is in use; name another one, or 0 "):
            server.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "192.0.2.1", "a..b"])
def test_a_host_that_is_not_this_machine_is_refused_in_a_sentence(host):
    with pytest.raises(CallError, match=rf"^--host: '{host}' is no address of this machine; "):
        server.listen(host, 0)


@pytest.fixture
def program(tmp_path):
    """The command `serve`, with the fake for a model, as a list of arguments to start it."""
    (tmp_path / "stand_in.py").write_text(
        textwrap.dedent(
            f"""
            import sys, time, types
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from test_server import TREE, FakeServable, number_of
            from modnet_keras.serving import server
            from modnet_keras.tools.__main__ import main
            from modnet_keras.tools.arguments import Command

            class Slow(FakeServable):
                def predict(self, contents):
                    print("computing", flush=True)
                    time.sleep(number_of(contents[0]) / 1000)
                    return super().predict(contents)

            server.SECONDS_TO_FINISH = 1
            stand_in = types.SimpleNamespace(named_tree=lambda **options: TREE, Servable=Slow)
            sys.modules["modnet_keras.serving.tree"] = stand_in
            sys.modules["modnet_keras.serving.servable"] = stand_in
            table = {{"serve": Command("modnet_keras.tools.serve:serve", "", "")}}
            sys.exit(main(None, table))
            """
        )
    )
    return [sys.executable, str(tmp_path / "stand_in.py")]


@contextlib.contextmanager
def started(program):
    """The program's process, its port and the first line that it printed."""
    pipe = subprocess.PIPE
    folder = Path(importlib.import_module("modnet_keras").__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [*program, "serve", "--run=.", "--port=0"]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            line, _ = process.stdout.readline(), process.stdout.readline()
            yield process, int(line.split("127.0.0.1:")[1].split("/")[0]), line
        finally:
            process.kill()


def test_an_interrupt_ends_it_once_what_was_asked_is_answered(program):
    with started(program) as (process, port, line):
        assert line == f"Serving animals at http://127.0.0.1:{port}/ (Ctrl+C ends it)\n"
        with ThreadPoolExecutor(1) as clients:
            asked = clients.submit(predict, port, 300)
            assert process.stdout.readline() == "computing\n"
            process.send_signal(signal.SIGINT)
            assert asked.result() == [300]
        assert process.communicate(timeout=10) == ("", "Interrupted.\n")
        assert process.returncode == 130


def test_termination_waits_for_what_was_asked_and_not_for_an_upload_that_never_ends(program):
    with started(program) as (process, port, _), ThreadPoolExecutor(1) as clients:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head_of("/explain", 9) + b"[")
            asked = clients.submit(predict, port, 300)
            assert process.stdout.readline() == "computing\n"
            process.send_signal(signal.SIGTERM)
            assert asked.result() == [300]
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 503
            assert b"the server is ending" in response.read()
        output, error = process.communicate(timeout=10)
        assert (process.returncode, output) == (143, "")
    assert error == "ERROR:    Cancel 1 running task(s), timeout graceful shutdown exceeded\n"


@pytest.fixture
def command(capsys, monkeypatch):
    """The command `serve` in this process with a fake model; what it serves is kept in `seen`."""
    seen = {}

    def named_tree(**options):
        seen["options"] = options
        return TREE

    def load(tree):
        seen["loaded"] = tree
        return FakeServable(tree)

    def serve(servable, listener, on_ready):
        seen["servable"], seen["address"] = servable, listener.getsockname()
        on_ready("http://127.0.0.1:8501/")

    def run(*arguments):
        table = {"serve": Command("modnet_keras.tools.serve:serve", "", "")}
        return main(["serve", *arguments], table), *capsys.readouterr(), seen

    stand_in = SimpleNamespace(named_tree=named_tree, Servable=load)
    monkeypatch.setitem(sys.modules, "modnet_keras.serving.tree", stand_in)
    monkeypatch.setitem(sys.modules, "modnet_keras.serving.servable", stand_in)
    monkeypatch.setattr(server, "serve", serve)
    return run


def test_the_line_that_is_printed_asks_it(command, served, tmp_path):
    (tmp_path / "picture.jpg").write_bytes(picture_of(750, size=(300, 300)))
    status, output, error, seen = command("--tree=animals", "--pick=wolf/a,canines/b", "--port=0")
    first, line = output.splitlines()
    assert (status, error) == (0, "")
    assert first == "Serving animals at http://127.0.0.1:8501/ (Ctrl+C ends it)"
    options = {"run": None, "tree": "animals", "runs": Path("runs")}
    assert seen["options"] == options | {"pick": ("wolf/a", "canines/b")}
    line = line.replace(":8501", f":{served}")
    answer = subprocess.check_output(["bash", "-c", line], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert json.loads(answer)["predictions"][0]["label"] == "wolf"


def test_answers_are_sent_without_waiting_for_the_client():
    """Headers and body are two packets; the second would wait until the first is acknowledged."""
    with (
        server.listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_in_use_is_refused_before_a_model_is_loaded(command):
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        status, output, error, seen = command("--tree=animals", f"--port={port}")
    assert (status, output) == (2, "") and "loaded" not in seen
    assert error.startswith(f"--port: {port} is in use; ") and error.count("\n") == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["/9j/", "AA==", "serving_default"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["instances", "inputs", "image_bytes", "b64", "signature_name"])
        | st.text(max_size=5),
        inner,
        max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    json_values.map(lambda value: json.dumps(value).encode())
    | st.lists(json_values, max_size=3).map(lambda rows: json.dumps({"instances": rows}).encode())
    | json_values.map(lambda value: json.dumps({"inputs": value}).encode())
    | st.binary(max_size=40)
    | st.sampled_from([b"[" * 100_000, b'{"instances":' * 50_000, b"9" * 5000, b"\xff\xfe["])
)
def test_any_body_gives_pictures_or_is_refused_in_one_sentence(body):
    try:
        columnar, pictures = request_body.read_call(body)
    except request_body.RequestError as error:
        assert error.status in (400, 413) and 10 < len(str(error)) < 700
    else:
        assert pictures and all(isinstance(each, bytes) for each in pictures)
        assert columnar == (b'"inputs"' in body)


def test_more_pictures_than_one_request_may_hold_are_refused():
    body = json.dumps({"instances": [{"b64": ""}] * (request_body.MOST_PICTURES + 1)}).encode()
    with pytest.raises(
        request_body.RequestError, match="1001 pictures; send at most 1000"
    ) as refusal:
        request_body.read_call(body)
    assert refusal.value.status == 413


def test_the_help_teaches_the_command(command):
    status, output, *_ = command("--help")
    assert status == 0
    assert "curl -sS -d @- http://127.0.0.1:8501/v1/models/animals:predict" in output
    assert "tr -d '\\n'" in output
    assert max(map(len, output.splitlines())) <= 80


def test_tensorflow_is_not_loaded_by_the_server():
    check = "import sys, modnet_keras.serving.server as _; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
