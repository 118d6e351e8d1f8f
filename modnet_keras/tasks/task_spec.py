"""One task as its author writes it: a YAML file of four keys, checked before anything runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from modnet_keras.errors import CallError, unknown_name

REST_OF_PARENT = "rest-of-parent"

LARGEST_SPEC = 64 * 1024  # bytes; a list of all of ImageNet's 1,000 ids takes a fifth of it

_KNOWN_KEYS = "name, positive, negative and, below another task, parent"

_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)

_TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class TaskSpec:
    """A yes/no question: which pictures are a yes, which are a no.

    Attributes
    ----------
    name
        Names the task and its folder of runs.
    parent
        Name of the task above, or `None` for a root.
    positive, negative
        Entries: folder names, or WordNet synsets (see `find_synset`). `negative` may instead be
        `REST_OF_PARENT`: the parent's positives that are not this task's.

    Raises
    ------
    CallError
        If a value has the wrong type or does not fit the others.

    Examples
    --------
    >>> TaskSpec("cats", parent="pets", positive=("cats",), negative=REST_OF_PARENT).name
    'cats'
    """

    name: str
    parent: str | None
    positive: tuple[str, ...]
    negative: tuple[str, ...] | Literal["rest-of-parent"]

    def __post_init__(self):
        """Check every value."""
        _check_task_name("name", self.name)
        if self.parent is not None:
            _check_task_name("parent", self.parent)
        _check_entries("positive", self.positive)
        if self.negative == REST_OF_PARENT:
            if self.parent is None:
                raise CallError(
                    f"negative is {REST_OF_PARENT} but the task has no parent; add the key parent "
                    "or list the negative entries."
                )
            return
        _check_entries("negative", self.negative)
        both = sorted(set(self.positive) & set(self.negative))
        if both:
            raise CallError(
                f"{_short(both[0])} is both positive and negative; keep it in one of them."
            )

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON and YAML can hold, in the order of a spec file.

        >>> TaskSpec("cats", parent=None, positive=("cats",), negative=("dogs",)).to_dict()
        {'name': 'cats', 'positive': ['cats'], 'negative': ['dogs']}
        """
        values = {"name": self.name, "parent": self.parent, "positive": list(self.positive)}
        values["negative"] = self.negative if isinstance(self.negative, str) else [*self.negative]
        return {key: value for key, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TaskSpec":
        """Spec of the values that `to_dict` gave, or of a parsed spec file."""
        if not isinstance(values, Mapping):
            raise CallError(f"a task spec is a mapping of {_KNOWN_KEYS}, not {_type(values)}.")
        for key in values:
            if key not in _KEYS:
                raise unknown_name("key", str(key), _KEYS)
        missing = [key for key in _KEYS if key != "parent" and key not in values]
        if missing:
            raise CallError(f"key '{missing[0]}' is missing; a task spec has {_KNOWN_KEYS}.")
        return cls(**{"parent": None} | {key: _frozen(value) for key, value in values.items()})


def read_task_spec(path: str | Path) -> TaskSpec:
    """Read a task spec from a YAML file.

    Raises
    ------
    CallError
        If the file cannot be read, is not plain YAML of the known keys, or its values do not fit;
        the message begins with the path.
    """
    path = Path(path)
    try:
        return TaskSpec.from_dict(_parse(_read_text(path)))
    except CallError as error:
        raise CallError(f"{path}: {error}") from None


_KEYS = [field.name for field in fields(TaskSpec)]


def _check_task_name(key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise CallError(f"{key} must be a task's name, not {_type(value)}.")
    if not _TASK_NAME.fullmatch(value):
        raise CallError(
            f"{key} {_short(value)} does not fit a folder; take up to 100 letters, digits, '.', "
            "'_' and '-' that begin with a letter or digit."
        )


def _check_entries(key: str, entries: Any) -> None:
    choice = f", or {REST_OF_PARENT}" if key == "negative" else ""
    if not isinstance(entries, tuple):
        found = _short(entries) if isinstance(entries, str) else _type(entries)
        raise CallError(
            f"{key} must be a list such as [n02083346, my_folder]{choice}; found {found}."
        )
    if not entries:
        raise CallError(f"{key} is an empty list; name at least one folder or synset{choice}.")
    for entry in entries:
        if not isinstance(entry, str) or not entry.strip():
            found = "an empty text" if isinstance(entry, str) else _type(entry)
            raise CallError(f"an entry of {key} must be a folder or synset by name; found {found}.")
        if entry == REST_OF_PARENT:
            raise CallError(f"{REST_OF_PARENT} is no entry; write it alone: negative: {entry}.")


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _type(value: Any) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            contents = file.read(LARGEST_SPEC + 1)
    except FileNotFoundError:
        raise CallError("there is no such file; name a task or a task spec's YAML file.") from None
    except OSError as error:
        raise CallError(f"cannot be read: {error.strerror}.") from None
    if len(contents) > LARGEST_SPEC:
        raise CallError(f"is over {LARGEST_SPEC // 1024} KiB, so it is hardly a task spec.")
    try:
        return contents.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallError(f"is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None


def _parse(text: str) -> dict[str, str | list[str]]:
    """Parse the YAML of strings and lists of strings that a spec is made of.

    The safe loader's nodes are taken as they are, before it makes values of them: it would keep
    the last of two equal keys in silence and turn an unquoted `2020-01-01` into a date.
    """
    try:
        _check_tokens(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise CallError(f"{_line_of(error.problem_mark)} is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise CallError(f"is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(root, yaml.MappingNode):
        raise CallError(f"a task spec is a mapping of {_KNOWN_KEYS}.")
    values: dict[str, str | list[str]] = {}
    for key_node, value_node in root.value:
        key = _string(key_node)
        if key in values:
            raise CallError(f"{_line(key_node)} gives '{key}' a second time; give it once.")
        is_list = isinstance(value_node, yaml.SequenceNode)
        values[key] = [*map(_string, value_node.value)] if is_list else _string(value_node)
    return values


def _check_tokens(text: str) -> None:
    """Refuse, while reading, what a spec never needs and YAML takes long or without end over."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise CallError(f"{_line(token)} has an anchor or alias; write the value out.")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > 4:
            raise CallError(f"{_line(token)} is nested too deeply; a task spec has lists of names.")


def _string(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise CallError(f"{_line(node)} has a list or mapping where a name is due.")
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        raise CallError(f"{_line(node)} has no value where a name is due; fill it in or remove it.")
    if kind != "str":
        raise CallError(
            f"{_line(node)} has {_short(node.value)}, of type {kind} in YAML; write it in quotes."
        )
    return node.value


def _line(part: yaml.Node | yaml.Token) -> str:
    return _line_of(part.start_mark)


def _line_of(mark: yaml.Mark | None) -> str:
    return "a line" if mark is None else f"line {mark.line + 1}"
