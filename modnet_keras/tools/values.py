"""What may stand behind an option: each kind of value reads its text, or refuses it.

Nothing is guessed from the text: the option says what it takes, so `None`, `1e5` or `[1,2]` is
text where text is asked for and refused where a number is. A command annotates its parameters:

>>> from typing import Annotated
>>> def train(epochs: Annotated[int, whole_number("passes over the images", minimum=1)] = 20):
...     ...
"""

import difflib
import itertools
import math
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modnet_keras.errors import CallError, unknown_name

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Value:
    """One kind of value.

    Parameters
    ----------
    metavar : str
        What stands for the value in the help, as `N` in `--seed=N`.
    meaning : str
        What the value is for, as a phrase in lower case without a full stop.
    read : callable
        Gives the value of a text, or raises `CallError` with a sentence that quotes the text.
    choices : sequence of str, or mapping of str to str, optional
        The names that are right, where only these are; a mapping says what each means.
    is_flag : bool
        Whether the option alone, without a value, means True.
    """

    metavar: str
    meaning: str
    read: Callable[[str], Any]
    choices: Sequence[str] | Mapping[str, str] | None = None
    is_flag: bool = False


def text(meaning: str, metavar: str = "TEXT") -> Value:
    """Any text of one line."""

    def read(given: str) -> str:
        if not given or not given.isprintable():
            raise CallError(f"{given!r} is not a text of one line.")
        return given

    return Value(metavar, meaning, read)


def choice(meaning: str, names: Sequence[str] | Mapping[str, str], metavar: str = "NAME") -> Value:
    """One of some names; a mapping says what each of them means."""

    def read(given: str) -> str:
        if given not in names:
            raise unknown_name("value", given, names)
        return given

    return Value(metavar, meaning, read, names)


def boolean(meaning: str) -> Value:
    """True or False; the option alone means True."""

    def read(given: str) -> bool:
        if given.lower() not in ("true", "false"):
            raise CallError(f"{given!r} is neither True nor False.")
        return given.lower() == "true"

    return Value("", meaning, read, is_flag=True)


def whole_number(
    meaning: str, minimum: int, maximum: int | None = None, metavar: str = "N"
) -> Value:
    """A whole number from `minimum` to `maximum`, both included."""
    bounds = f"of {minimum} or more" if maximum is None else f"from {minimum} to {maximum}"

    def read(given: str) -> int:
        try:
            # Python refuses to read a number of more than some thousand digits.
            number = int(given) if _WHOLE_NUMBER.fullmatch(given) else None
        except ValueError:
            number = None
        if number is None or number < minimum or (maximum is not None and number > maximum):
            raise CallError(f"{given!r} is not a whole number {bounds}.")
        return number

    return Value(metavar, meaning, read)


def positive_number(meaning: str, metavar: str = "X") -> Value:
    """A finite number above 0."""

    def read(given: str) -> float:
        number = _number(given)
        if not (math.isfinite(number) and number > 0):
            raise CallError(f"{given!r} is not a finite number above 0.")
        return number

    return Value(metavar, meaning, read)


def fraction(meaning: str, metavar: str = "FRACTION") -> Value:
    """A number between 0 and 1, both excluded."""

    def read(given: str) -> float:
        number = _number(given)
        if not 0 < number < 1:
            raise CallError(f"{given!r} is not a fraction between 0 and 1, as 0.2.")
        return number

    return Value(metavar, meaning, read)


def folder_name(meaning: str, metavar: str = "NAME") -> Value:
    """The name of one folder: it cannot lead out of the folder that it is put in."""

    def read(given: str) -> str:
        if not _FOLDER_NAME.fullmatch(given):
            raise CallError(
                f"{given!r} is not a folder's name: letters, digits, '.', '_' and '-', "
                "a letter or digit first."
            )
        return given

    return Value(metavar, meaning, read)


def path(meaning: str, metavar: str = "PATH") -> Value:
    """A path, there or not; a leading `~` is the user's home."""
    return Value(metavar, meaning, _path)


def existing_path(meaning: str, metavar: str = "PATH") -> Value:
    """The path of a file or folder that is there."""

    def read(given: str) -> Path:
        found = _path(given)
        _require_there(found)
        return found

    return Value(metavar, meaning, read)


def flag_or_folder(meaning: str, metavar: str = "FOLDER") -> Value:
    """The option alone for True, or the path of a folder, there or not."""

    def read(given: str) -> bool | Path:
        if given.lower() in ("true", "false"):
            return given.lower() == "true"
        found = _path(given)
        if _is_kind(found, stat.S_ISREG):
            raise CallError(f"{given!r} is a file, not a folder.")
        return found

    return Value(metavar, meaning, read, is_flag=True)


def file_ending_in(endings: Sequence[str], meaning: str, metavar: str = "FILE") -> Value:
    """The path of a file, there or not, whose ending says its format."""

    def read(given: str) -> Path:
        found = _path(given)
        if found.suffix not in endings:
            raise CallError(f"{given!r} ends in none of {', '.join(endings)}.")
        if _is_kind(found, stat.S_ISDIR):
            raise CallError(f"{given!r} is a folder, not a file.")
        return found

    return Value(metavar, meaning, read)


def list_of(value: Value) -> Value:
    """One or more values of a kind, separated by commas; read as a tuple."""

    def read(given: str) -> tuple:
        return tuple(value.read(part) for part in given.split(","))

    return Value(f"{value.metavar},...", value.meaning, read, value.choices)


def _number(given: str) -> float:
    return float(given) if _NUMBER.fullmatch(given) else math.nan


def _path(given: str) -> Path:
    if not given or "\0" in given:
        raise CallError(f"{given!r} is not a path.")
    try:
        # The shell leaves the ~ of --data=~/pictures as it is.
        return Path(given).expanduser()
    except RuntimeError as error:
        raise CallError(f"{given!r} begins with a home folder that is not known.") from error


def _is_kind(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether what lies at a path is of a kind; False where nothing does yet."""
    try:
        return kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CallError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _require_there(wanted: Path) -> None:
    try:
        wanted.stat()
    except FileNotFoundError as error:
        raise CallError(f"{str(wanted)!r} is not there{_did_you_mean(wanted)}.") from error
    except OSError as error:
        raise CallError(f"{str(wanted)!r} cannot be read: {error.strerror}.") from error


def _did_you_mean(missing: Path) -> str:
    """Hint at a path beside the missing one that is spelt nearly as it is."""
    try:
        # A folder of a million pictures must not make the refusal slow.
        names = [entry.name for entry in itertools.islice(missing.parent.iterdir(), 1000)]
    except OSError:
        return ""
    nearest = difflib.get_close_matches(missing.name, names, n=1)
    return f"; did you mean {str(missing.with_name(nearest[0]))!r}?" if nearest else ""
