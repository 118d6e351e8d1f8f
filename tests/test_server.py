"""The server as its clients meet it, over real connections, with a stand-in for the networks."""

import base64
import contextlib
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_servable import (
    BROKEN,
    NO_PICTURE,
    PREDICT,
    TREE,
    FakeServable,
    ask,
    ask_json,
    head_of,
    in_base64,
    picture_of,
    predict,
    running,
)
from PIL import Image

from modnet_keras.serving import server
from modnet_keras.serving.batching import LARGEST_BATCH


@pytest.fixture(scope="module")
def served():
    """A server of a tree, for requests that change nothing of it."""
    with running(FakeServable(TREE)) as port:
        yield port


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


def wait_until(holds, seconds=10):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


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


def test_tensorflow_is_not_loaded_by_the_server():
    check = "import sys, modnet_keras.serving.server as _; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
