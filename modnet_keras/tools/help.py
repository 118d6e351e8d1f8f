"""What `--help` prints: written with rich, plain where the output is not a terminal."""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modnet_keras.tools.arguments import Command, Parameter, Signature, signature_of

_WIDTH = 80
_INDENT = (0, 0, 0, 2)
_EXAMPLES = re.compile(r"^Examples\n-+\n", re.MULTILINE)
_PURPOSE = (
    "modnet learns a semantic hierarchy (animal > canine > wolf) one task at a time: each "
    "task's network grows out of its parent's. It trains the networks, measures them and shows "
    "what each way of growing costs and gains."
)
_MORE = (
    "\n'modnet COMMAND --help' explains a command and its options, 'modnet --version' says which "
    "version this is. Where 'modnet' is not found, 'python -m modnet_keras.tools' is the same."
)


def show_overview(commands: Mapping[str, Command]) -> None:
    """Print what the program is for, its commands and an example of each."""
    with _page() as page:
        page.print(_PURPOSE)
        _show_lines(page, "Usage", ["modnet COMMAND [--option=value ...]"])
        _show_pairs(page, "Commands", [(name, entry.summary) for name, entry in commands.items()])
        _show_lines(page, "Examples", [entry.example for entry in commands.values()])
        page.print(_MORE)


def show_command(name: str, function: Callable[..., None]) -> None:
    """Print what a command does, how it is called and what it takes."""
    signature = signature_of(function)
    purpose, *examples = _EXAMPLES.split(inspect.getdoc(function) or "", maxsplit=1)
    operands = [signature.operands] if signature.operands else []
    with _page() as page:
        page.print("\n\n".join(_paragraphs(purpose)))
        _show_lines(page, "Usage", [_usage(name, signature)])
        _show_pairs(page, "Arguments", [(each.usage, _meaning(each)) for each in operands])
        options = signature.options.values()
        _show_pairs(page, "Options", [(each.usage, _meaning(each)) for each in options])
        _show_lines(page, "Examples", "".join(examples).strip().splitlines())


@contextlib.contextmanager
def _page() -> Iterator[Console]:
    """A console that takes text as it stands, no wider than what reads well."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, _WIDTH)
    with console.capture() as page:
        yield console
    for line in page.get().splitlines():
        print(line.rstrip())


def _show_lines(page: Console, heading: str, lines: Sequence[str]) -> None:
    if lines:
        page.print(f"\n{heading}", style="bold")
    for line in lines:
        page.print(Padding(Text(line, overflow="fold"), _INDENT))


def _show_pairs(page: Console, heading: str, pairs: Sequence[tuple[str, str]]) -> None:
    if not pairs:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", max_width=_WIDTH * 2 // 5, overflow="fold")
    table.add_column(overflow="fold")
    for name, meaning in pairs:
        table.add_row(Text(name), Text(meaning))
    page.print(f"\n{heading}", style="bold")
    page.print(Padding(table, _INDENT))


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each on one line, for the console to fold."""
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def _usage(name: str, signature: Signature) -> str:
    options = signature.options.values()
    parts = ["modnet", name, *(option.usage for option in options if option.is_required)]
    if any(not option.is_required for option in options):
        parts.append("[--option=value ...]")
    if signature.operands:
        parts.append(signature.operands.usage)
    return " ".join(parts)


def _meaning(parameter: Parameter) -> str:
    """What a parameter is for, the names it takes, and what it is where it is not given."""
    sentence, choices = parameter.value.meaning, parameter.value.choices
    meanings = choices if isinstance(choices, Mapping) else {}
    if choices and not meanings:
        sentence += f": {', '.join(choices)}"
    if parameter.is_required:
        sentence += " (required)"
    elif parameter.default is not None and parameter.default is not False:
        sentence += f" (default: {_as_written(parameter.default)})"
    if meanings:
        sentence += ":" + "".join(f"\n- {name}: {meaning}" for name, meaning in meanings.items())
    return sentence


def _as_written(default: Any) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
