"""The command `serve`: its socket, its process, what it prints."""

import contextlib
import http.client
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_servable import ASKED, TREE, FakeServable, head_of, picture_of, predict, running

from modnet_keras.errors import CallError
from modnet_keras.serving import server
from modnet_keras.tools.__main__ import main
from modnet_keras.tools.arguments import Command


@pytest.fixture(scope="module")
def served():
    """A server of a tree, for requests that change nothing of it."""
    with running(FakeServable(TREE)) as port:
        yield port


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
            from fake_servable import TREE, FakeServable, number_of
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
        assert process.communicate(timeout=10) == ("", f"{ASKED}Interrupted.\n")
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
    said = "ERROR:    Cancel 1 running task(s), timeout graceful shutdown exceeded\n"
    assert error == ASKED + said


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
    assert (status, error) == (0, ASKED)
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


def test_the_help_teaches_the_command(command):
    status, output, *_ = command("--help")
    assert status == 0
    assert "curl -sS -d @- http://127.0.0.1:8501/v1/models/animals:predict" in output
    assert "tr -d '\\n'" in output
    assert max(map(len, output.splitlines())) <= 80
