"""A command's parameters, and the check of a call against them before anything runs.

A command is a function. Its parameters are its options, each annotated with the `Value` that it
takes (`Annotated[int, whole_number(...)]`); one without a default is required. `*images` takes
what stands on the command line without an option's name, at least one; the options then follow it.
"""

import difflib
import importlib
import inspect
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from modnet_keras.errors import CallError
from modnet_keras.tools.values import Value

_NEGATIVE_NUMBER = re.compile(r"-\.?[0-9]")


@dataclass(frozen=True)
class Command:
    """An entry of the table of commands: what the overview shows without loading the command.

    Parameters
    ----------
    target : str
        `module:function`.
    summary : str
        What it does, in a line.
    example : str
        The call that most users want.
    """

    target: str
    summary: str
    example: str

    def load(self) -> Callable[..., None]:
        """Import the command's module and give its function."""
        module, _, function = self.target.partition(":")
        return getattr(importlib.import_module(module), function)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command: an option, or what stands without a name."""

    name: str
    value: Value
    default: Any
    usage: str

    @property
    def is_required(self) -> bool:
        """Whether a call without it is refused."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Signature:
    """The parameters of a command.

    Parameters
    ----------
    options : dict
        By name, in the order of the function.
    operands : Parameter or None
        What the command takes without a name.
    """

    options: dict[str, Parameter]
    operands: Parameter | None


def signature_of(function: Callable[..., None]) -> Signature:
    """The parameters of a command's function.

    Raises
    ------
    TypeError
        If a parameter has no `Value`, or an option stands before `*operands`.
    """
    hints = get_type_hints(function, include_extras=True)
    options: dict[str, Parameter] = {}
    operands: Parameter | None = None
    for parameter in inspect.signature(function).parameters.values():
        value = _value_in(hints.get(parameter.name))
        if value is None:
            raise TypeError(f"{function.__name__}: '{parameter.name}' is annotated with no Value")
        if parameter.kind is parameter.VAR_POSITIONAL:
            if options:
                raise TypeError(f"{function.__name__}: '*{parameter.name}' must come first")
            usage = f"{parameter.name.upper()}..."
            operands = Parameter(parameter.name, value, parameter.default, usage)
        else:
            usage = f"--{parameter.name}{_usage_of_value(value)}"
            options[parameter.name] = Parameter(parameter.name, value, parameter.default, usage)
    return Signature(options, operands)


def checked_call(command: str, signature: Signature, arguments: Sequence[str]) -> list[str]:
    """The call in its one plain spelling, once every name and value in it is known to be right.

    Parameters
    ----------
    command : str
        The command's name, for the wording of errors.
    signature : Signature
        The parameters of the command.
    arguments : sequence of str
        What follows the command's name on the command line: `--option=value`, `--option value`,
        `--flag`, `--noflag` or an operand; hyphens and underscores in a name are alike.

    Returns
    -------
    list of str
        The operands, then `--option=value` for each option given.

    Raises
    ------
    CallError
        For the first mistake in the call.
    """
    given, operands = _split(command, signature, arguments)
    if operands and signature.operands is None:
        raise _stray_operand(command, signature, given, operands[0])
    missing = [o for name, o in signature.options.items() if o.is_required and name not in given]
    if signature.operands and not operands:
        missing.append(signature.operands)
    if missing:
        wanted = " and ".join(
            f"{parameter.usage} ({parameter.value.meaning})" for parameter in missing
        )
        raise CallError(f"{command} needs {wanted}.")
    for name, text in given.items():
        _read(f"--{name}", signature.options[name], text)
    if signature.operands:
        for text in operands:
            _read(signature.operands.usage, signature.operands, text)
    return operands + [f"--{name}={text}" for name, text in given.items()]


def _value_in(hint: Any) -> Value | None:
    """The `Value` of `Annotated[T, value]`, also where that is one side of a union."""
    parts = [*getattr(hint, "__metadata__", ()), *get_args(hint)]
    values = (part if isinstance(part, Value) else _value_in(part) for part in parts)
    return next((value for value in values if value is not None), None)


def _usage_of_value(value: Value) -> str:
    text = f"={value.metavar}" if value.metavar else ""
    return f"[{text}]" if value.is_flag and text else text


def _split(
    command: str, signature: Signature, arguments: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """The texts of the options by name, and the operands."""
    given: dict[str, str] = {}
    operands: list[str] = []
    rest = deque(arguments)
    while rest:
        argument = rest.popleft()
        if not argument.startswith("-"):
            operands.append(argument)
            continue
        name, text = _option(command, signature.options, argument, rest)
        if name in given:
            raise CallError(f"--{name} is given twice.")
        given[name] = text
    return given, operands


def _option(
    command: str, options: dict[str, Parameter], argument: str, rest: deque[str]
) -> tuple[str, str]:
    """The name and text of one option; its text may be the next argument, taken from `rest`."""
    written, equals, text = argument.partition("=")
    name = written.removeprefix("--").replace("-", "_")
    if not written.startswith("--"):
        raise _unknown_option(command, options, written)
    if name in options:
        return name, text if equals else _text_after(options[name], rest)
    denied = name.removeprefix("no").removeprefix("_")
    if name in (f"no{denied}", f"no_{denied}") and not equals:
        option = options.get(denied)
        if option and option.value.is_flag:
            return denied, "False"
    raise _unknown_option(command, options, written)


def _text_after(option: Parameter, rest: deque[str]) -> str:
    following = rest[0] if rest else ""
    if option.value.is_flag:
        return rest.popleft() if following.lower() in ("true", "false") else "True"
    if not rest or (following.startswith("-") and not _NEGATIVE_NUMBER.match(following)):
        raise CallError(f"--{option.name} needs a value, as in {option.usage}.")
    return rest.popleft()


def _read(name: str, parameter: Parameter, text: str) -> Any:
    try:
        return parameter.value.read(text)
    except CallError as error:
        raise CallError(f"{name}: {error}") from error


def _unknown_option(command: str, options: dict[str, Parameter], written: str) -> CallError:
    name = written.lstrip("-").lower().replace("-", "_")
    nearest = difflib.get_close_matches(name, [*options, "help"], n=1)
    hint = f"did you mean --{nearest[0]}?" if nearest else f"'modnet {command} --help' lists them."
    return CallError(f"{command} has no option {written}; {hint}")


def _stray_operand(
    command: str, signature: Signature, given: dict[str, str], operand: str
) -> CallError:
    """Refusal of an operand, with the first option not given that would take it."""
    for name, option in signature.options.items():
        if name in given:
            continue
        try:
            option.value.read(operand)
        except CallError:
            continue
        return CallError(
            f"{command} takes every value by its name; did you mean --{name}={operand}?"
        )
    return CallError(f"{command} does not take {operand!r}; 'modnet {command} --help' says what.")
