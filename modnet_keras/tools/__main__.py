"""The program `modnet`, or `python -m modnet_keras.tools`: `modnet COMMAND --option=value`."""

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn

from modnet_keras.errors import TERMINATED, CallError, WorkError, printable, unknown_name
from modnet_keras.loading import loaded_for_good
from modnet_keras.quiet import stderr_dropped
from modnet_keras.tools.arguments import Command, checked_call, signature_of

COMMANDS = {
    "tasks": Command(
        "modnet_keras.tools.tasks:tasks",
        "show the hierarchy of tasks and which are trained",
        "modnet tasks",
    ),
    "data": Command(
        "modnet_keras.tools.data:data",
        "show the images that a task would be trained on",
        "modnet data --task=canines --data=path/to/images",
    ),
    "train": Command(
        "modnet_keras.tools.train:train",
        "train a task, and first its parents where they are not trained yet",
        "modnet train --task=canines --strategy=frozen",
    ),
    "evaluate": Command(
        "modnet_keras.tools.evaluate:evaluate",
        "measure a trained task, on its own images or on others",
        "modnet evaluate --run=runs/canines/frozen",
    ),
    "forget": Command(
        "modnet_keras.tools.forget:forget",
        "measure what runs have forgotten of their parent's task, and why",
        "modnet forget --task=canines",
    ),
    "estimate": Command(
        "modnet_keras.tools.estimate:estimate",
        "train a task on many splits by several strategies: error bars",
        "modnet estimate --task=canines --folds=5",
    ),
    "predict": Command(
        "modnet_keras.tools.predict:predict",
        "say what pictures show, by a trained task or a whole tree",
        "modnet predict --run=runs/canines/frozen path/to/images",
    ),
    "export": Command(
        "modnet_keras.tools.export:export",
        "ship a trained task, or a whole tree, as one model",
        "modnet export --tree=animals --to=served/animals",
    ),
    "serve": Command(
        "modnet_keras.tools.serve:serve",
        "answer over HTTP, with a page to drop pictures on",
        "modnet serve --tree=animals",
    ),
    "report": Command(
        "modnet_keras.tools.report:report",
        "write one page of everything that a runs folder holds",
        "modnet report --runs=runs",
    ),
}


def main(arguments: Sequence[str] | None = None, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Run one command and give the exit status of the program.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command's name and its options; those of the process where absent.
    commands : mapping of str to Command
        The commands by name.

    Returns
    -------
    int
        0 done, 1 the work failed, 2 the call was wrong, 130 interrupted, 143 terminated. What is
        none of these is a fault of the program and raised as it is.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if hasattr(sys.stdout, "reconfigure"):
        # A picture's name may hold bytes that are no text; listing it must not end the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _termination_as_exit(), _tensorflow_loads_well():
            _answer(arguments, commands)
            print(end="", flush=True)
        return 0
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        return _refuse(stop.code, WorkError.exit_status)
    except KeyboardInterrupt:
        return _refuse("Interrupted.", 130)
    except (CallError, WorkError) as error:
        return _refuse(str(error), error.exit_status)
    except BrokenPipeError:
        # Whoever read the output, as `head`, has seen enough; a message would only disturb.
        return WorkError.exit_status
    except OSError as error:
        return _refuse(_sentence(error), WorkError.exit_status)
    except MemoryError:
        hint = "a smaller --batch_size or --image_size takes less"
        return _refuse(f"The memory is used up; {hint}.", WorkError.exit_status)
    finally:
        _drop_unwritable_output()


def _answer(arguments: list[str], commands: Mapping[str, Command]) -> None:
    """Print help or the version, or run the command that is asked for."""
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h"):
        # Imported here and below: rich and Fire take longer to load than a refusal takes.
        from modnet_keras.tools.help import show_overview

        show_overview(commands)
    elif name == "--version":
        from modnet_keras.version import installed_version

        print(f"modnet-keras {installed_version() or '(not installed)'}")
    elif name.startswith("-"):
        raise CallError(
            f"The command comes before its options, as in 'modnet {next(iter(commands))} {name}';"
            " 'modnet --help' lists the commands."
        )
    elif name not in commands:
        raise unknown_name("command", name, commands)
    elif "--help" in rest or "-h" in rest:
        from modnet_keras.tools.help import show_command

        show_command(name, commands[name].load())
    else:
        _run(name, commands[name].load(), rest)


def _run(name: str, function: Callable[..., None], arguments: list[str]) -> None:
    """Check the call, then let Fire make it, with the values read by our own types."""
    signature = signature_of(function)
    call = checked_call(name, signature, arguments)

    import fire

    @fire.decorators.SetParseFns(
        **{option.name: option.value.read for option in signature.options.values()}
    )
    @functools.wraps(function)
    def command(*operands: object, **options: object) -> None:
        # Fire would print what a command returns, or call on.
        function(*operands, **options)

    if signature.operands:
        fire.decorators.SetParseFn(signature.operands.value.read)(command)
    fire.Fire(command, command=call, name=f"modnet {name}")


@contextlib.contextmanager
def _termination_as_exit() -> Iterator[None]:
    """End on SIGTERM as on an exception, so that what is half-written is cleared away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> NoReturn:
        # A second one would break into the clearing away.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _tensorflow_loads_well() -> Iterator[None]:
    """Have TensorFlow, if it is loaded in here, load faster and keep its remarks to itself.

    Who sets `TF_CPP_MIN_LOG_LEVEL` gets the remarks on the machine as TensorFlow writes them.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    quiet = "TF_CPP_MIN_LOG_LEVEL" not in os.environ and sys.stderr is not None
    if quiet:
        # 3: even on a machine that has no GPU, the search for one is reported as an error.
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    finder = _TensorflowFinder(quiet)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if quiet:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]


class _TensorflowFinder:
    """Loads TensorFlow for good, and without a word where `quiet`.

    While it loads, no setting of its own keeps it quiet.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            load = loaded_for_good()(spec.loader.exec_module)
            if self.quiet:
                load = stderr_dropped()(load)
            # A method is replaced, of this one loader.
            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _refuse(sentence: str, status: int) -> int:
    """Print why it ends, in one line that cannot steer a terminal, and give the status."""
    line = printable(sentence)
    # Where standard error is closed or full too, the status still tells.
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)
    return status


def _sentence(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename!r}." if error.filename else f"{reason}."


def _drop_unwritable_output() -> None:
    """Drop what cannot be written, or Python would try again at the end and report it anew."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
