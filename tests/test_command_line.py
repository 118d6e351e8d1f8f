"""The program as its users call it: what it prints, how it ends, and that nothing runs too soon."""

import errno
import importlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.errors import CallError, WorkError
from modnet_keras.tools import values
from modnet_keras.tools.__main__ import COMMANDS, main
from modnet_keras.tools.arguments import Command

PROGRAM = (sys.executable, "-m", "modnet_keras.tools")
calls = []
failures = {}


def train(
    task: Annotated[str, values.text("the task's name", metavar="TASK")],
    strategy: Annotated[
        str, values.choice("how the parent's stages are taken over", ["scratch", "frozen"])
    ] = "frozen",
    epochs: Annotated[int | None, values.whole_number("passes over the images", 1)] = None,
    val_fraction: Annotated[
        tuple[float, ...], values.list_of(values.fraction("the share for validation"))
    ] = (0.2,),
    resume: Annotated[bool, values.boolean("go on from the last snapshot")] = False,
):
    """Train a task, and first any ancestor that has no run.

    Prints a table and [the run's folder].

    Examples
    --------
    modnet train --task=canines
        # by the default strategy
    """
    calls.append(dict(locals()))
    return "a result to call methods of"


def predict(
    *images: Annotated[Path, values.path("files and folders")],
    run: Annotated[Path, values.path("the run's folder", metavar="RUN")],
):
    """Predict."""
    calls.append(dict(locals()))


def fail(kind: Annotated[str, values.text("which failure")]):
    """Fail."""
    raise failures[kind]


TABLE = {
    name: Command(f"{__name__}:{name}", f"{name} something", f"modnet {name} --option")
    for name in ("train", "predict", "fail")
}


@pytest.fixture(autouse=True)
def _no_calls_yet(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "calls", [])
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")


def run(*arguments):
    return main(arguments, TABLE)


def test_values_reach_the_command_as_its_types(capsys):
    assert run("train", "--task=1e5", "--val-fraction", "0.2,0.3", "--resume", "--epochs=3") == 0
    assert calls == [
        {
            "task": "1e5",
            "strategy": "frozen",
            "epochs": 3,
            "val_fraction": (0.2, 0.3),
            "resume": True,
        }
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "text", ["None", "[1,2]", "{a: b}", "True", "0x10", "a=b", "--x", "-", "#"]
)
def test_no_text_is_guessed_to_be_something_else(text):
    assert run("train", f"--task={text}") == 0
    assert calls[0]["task"] == text
    assert calls[0]["epochs"] is None


@given(st.text())
@settings(max_examples=50)
def test_any_text_reaches_the_command_or_is_refused(text):
    calls.clear()
    status = run("train", f"--task={text}")
    assert (status, [call["task"] for call in calls]) in ((0, [text]), (2, []))


def test_operands_reach_the_command():
    assert run("predict", "1", "--run", "2", "None") == 0
    assert calls == [{"images": (Path("1"), Path("None")), "run": Path("2")}]


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (["tran", "--task=x"], "did you mean 'train'?"),
        (["--task=x", "train"], "comes before its options"),
        (["train", "x"], "did you mean --task=x?"),
        (["train", "--task=x", "--epoch=3"], "did you mean --epochs?"),
        (["train", "--task=x", "--strategy=frozn"], "did you mean 'frozen'?"),
        (["train", "--task=x", "upper"], "does not take 'upper'"),
        (["train", "--task=x", "-", "upper"], "has no option -"),
        (["train", "--task=x", "--", "--interactive"], "has no option --"),
        (["train", "--task=x", "--", "--completion"], "has no option --"),
        (["train", "--task=x", "--trace"], "has no option --trace"),
        (["train", "-t", "x"], "has no option -t"),
        (["train", "--task=x\n\x1b[2J", "--task=y"], "--task is given twice"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_runs_nothing(arguments, hint, capsys):
    assert run(*arguments) == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert hint in error
    assert error.count("\n") == 1 and error.isascii()
    assert calls == []


@pytest.mark.parametrize(
    "failure, status, sentence",
    [
        (CallError("no such task."), 2, "no such task.\n"),
        (WorkError("class 'n1' has no pictures."), 1, "class 'n1' has no pictures.\n"),
        (WorkError("a\x1b[2Jb\nc."), 1, "a\\x1b[2Jb\\nc.\n"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/model.keras"),
            1,
            "No space left on device: 'runs/model.keras'.\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), 1, "Permission denied.\n"),
        (OSError("the disk is gone"), 1, "the disk is gone.\n"),
        (MemoryError(), 1, "The memory is used up; a smaller --batch_size or --image_size"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
        (SystemExit(143), 143, ""),
    ],
)
def test_each_way_to_fail_has_its_status_and_sentence(failure, status, sentence, capsys):
    failures["it"] = failure
    assert run("fail", "--kind=it") == status
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith(sentence) if sentence else error == ""


def test_a_fault_of_the_program_is_shown_whole():
    failures["it"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        run("fail", "--kind=it")


def test_a_call_leaves_the_process_as_it_was(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    handler, finders = signal.getsignal(signal.SIGTERM), list(sys.meta_path)
    assert run("train", "--task=x") == 0
    assert signal.getsignal(signal.SIGTERM) is handler
    assert sys.meta_path == finders
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ


def test_keras_runs_on_tensorflow_whatever_the_shell_says(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert run("train", "--task=x") == 0
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_a_command_runs_in_any_thread():
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(run("train", "--task=x")))
    thread.start()
    thread.join()
    assert statuses == [0]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_the_overview_lists_every_command_with_an_example(arguments, capsys):
    assert main(arguments) == 0
    output = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert name in output and command.summary in output and command.example in output
    assert max(map(len, output.splitlines())) <= 80


def test_the_help_of_a_command_teaches_it(capsys):
    assert run("train", "--epochs=wrong", "--help") == 0
    output = capsys.readouterr().out
    assert "Train a task, and first any ancestor that has no run.\n" in output
    assert "Prints a table and [the run's folder]." in output
    assert "modnet train --task=TASK [--option=value ...]" in output
    assert "the task's name (required)" in output
    assert re.search(r"--epochs=N +passes over the images\n", output)
    assert re.search(r"--resume +go on from the last snapshot\n", output)
    unfolded = " ".join(output.split())
    assert "how the parent's stages are taken over: scratch, frozen (default: frozen)" in unfolded
    assert "--val_fraction=FRACTION,... the share for validation (default: 0.2)" in unfolded
    assert "  modnet train --task=canines\n      # by the default strategy" in output
    assert "-----" not in output
    assert max(map(len, output.splitlines())) <= 80
    assert calls == []


def test_the_help_of_a_command_shows_its_operands(capsys):
    assert run("predict", "--help") == 0
    output = capsys.readouterr().out
    assert "modnet predict --run=RUN IMAGES..." in output
    assert "files and folders" in output


@pytest.mark.parametrize("columns", ["20", "200"])
def test_help_is_whole_at_any_width(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert run("train", "--help") == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= min(int(columns), 80)
    assert "…" not in output
    assert not re.search(r" $", output, re.MULTILINE)


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("modnet-keras ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_entry_of_the_table_has_a_command_and_a_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"modnet {name}" in capsys.readouterr().out


# Processes


@pytest.fixture
def program(tmp_path):
    """A program of stand-in commands, as a list of arguments to start it."""
    (tmp_path / "stand_in.py").write_text(
        textwrap.dedent(
            """
            import os, signal, sys, time
            from modnet_keras.tools.__main__ import main
            from modnet_keras.tools.arguments import Command

            def many():
                for number in range(100_000):
                    print(number)

            def wait():
                try:
                    print("waiting", flush=True)
                    time.sleep(60)
                finally:
                    print("clearing", flush=True)
                    sys.stdin.readline()
                    print("cleared away")

            def tensorflow():
                import tensorflow
                tensorflow.ones(3)

            def odd_name():
                print(os.fsdecode(b"caf\\xe9.jpg"))

            names = ("many", "wait", "tensorflow", "odd_name")
            sys.exit(main(None, {name: Command(f"__main__:{name}", "", "") for name in names}))
            """
        )
    )
    return [sys.executable, str(tmp_path / "stand_in.py")]


@pytest.fixture
def environment():
    folder = Path(importlib.import_module("modnet_keras").__file__).parents[1]
    unset = ("TF_CPP_MIN_LOG_LEVEL", "COLUMNS", "FORCE_COLOR", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "PYTHONPATH": str(folder)}


def test_help_loads_nothing_heavy(environment):
    result = subprocess.run(
        [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|")[-1].strip() for line in result.stderr.splitlines()}
    assert "rich.console" in loaded
    assert not loaded & {"tensorflow", "keras", "numpy", "pandas", "seaborn", "matplotlib", "fire"}
    assert "modnet train" in result.stdout and "\x1b" not in result.stdout


def test_a_wrong_call_from_the_shell(environment):
    result = subprocess.run(
        [*PROGRAM, "trian"], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1 and "did you mean 'train'?" in result.stderr


def test_a_closed_standard_error_leaves_the_output_alone(environment):
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *PROGRAM, "trian"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, b"")


@pytest.mark.parametrize(
    "signals, status, error",
    [
        ([signal.SIGINT], 130, "Interrupted.\n"),
        ([signal.SIGTERM], 143, ""),
        ([signal.SIGTERM, signal.SIGTERM], 143, ""),
    ],
)
def test_a_signal_ends_it_after_clearing_away(program, environment, signals, status, error):
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*program, "wait"], env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signals[0])
        assert process.stdout.readline() == "clearing\n"
        for impatient in signals[1:]:
            process.send_signal(impatient)
        assert process.communicate("\n", timeout=10) == ("cleared away\n", error)
        assert process.returncode == status


def test_a_reader_that_leaves_is_met_with_silence(program, environment):
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*program, "many"], env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=10) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["many", "odd_name"])
def test_a_full_disk_is_one_sentence(command, program, environment):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*program, command],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (1, "No space left on device.\n")


def test_a_file_name_that_is_no_text_is_printed(program, environment):
    result = subprocess.run(
        [*program, "odd_name"], env=environment, capture_output=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, b"caf\\udce9.jpg\n")


def test_tensorflow_says_nothing_of_itself(program, environment):
    result = subprocess.run(
        [*program, "tensorflow"], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
