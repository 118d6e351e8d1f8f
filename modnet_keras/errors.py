"""The two ways in which a call ends badly, and how both are worded.

An error is one sentence that names the file, key or option, what was found and what would be
right. Commands print it and exit with its status; from Python it is an ordinary exception.
"""

import difflib
from collections.abc import Iterable

TERMINATED = 143
"""Exit status of what ended on SIGTERM, as shells give it."""


class WorkError(Exception):
    """The call was right, the work failed: a class without pictures, a damaged run, a full disk."""

    exit_status = 1


class CallError(ValueError):
    """The call was wrong: an option, a value, a name, a spec, a path that is not there."""

    exit_status = 2


def printable(text: str) -> str:
    """A text in one line that cannot steer a terminal.

    >>> print(printable("a\\nb"))
    a\\nb
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def unknown_name(kind: str, given: str, known: Iterable[str]) -> CallError:
    """Error for a name that is not among the known ones, with the nearest right one.

    >>> print(unknown_name("strategy", "frozn", ["scratch", "frozen"]))
    strategy 'frozn' is not known (did you mean 'frozen'?); known are frozen, scratch.
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(given, known, n=1)
    hint = f" (did you mean '{nearest[0]}'?)" if nearest else ""
    return CallError(f"{kind} '{given}' is not known{hint}; known are {', '.join(known)}.")
