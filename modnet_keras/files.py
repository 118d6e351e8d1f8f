"""Where files go, how they are written (whole or not at all, by one process at a time) and read."""

import contextlib
import csv
import fcntl
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modnet_keras.errors import WorkError

UNFINISHED = ".unfinished-"
"""What the names of files begin with that are being written, or were when a process was killed."""


def cache_folder() -> Path:
    """The user's cache folder for this package: below `$XDG_CACHE_HOME`, else below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modnet_keras"


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path; what is written there becomes `path`, synced and renamed, at the end.

    A reader, or a crash, finds the old contents or the new, never a part. If the block raises,
    nothing is left of it. The temporary path has the ending of `path`.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            # A full disk does not say which file it had no room for, or names the temporary one.
            error.filename = str(path)
        raise


def _sync(path: Path) -> None:
    """Have the disk hold a file, or a folder's names, as they are now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock_folder(folder: Path, use: str) -> Iterator[None]:
    """Hold a folder that is there, so that no other process holds it meanwhile.

    By `flock` on the folder itself: the system lets go however the process ends, and no file is
    left, which filelock's locks would leave. Where there are no such locks, as on NFS, nothing is
    held.

    Parameters
    ----------
    folder : path
    use : str
        What is done with it, for the sentence: "run 'runs/animals/scratch' is being trained".

    Raises
    ------
    WorkError
        If another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise WorkError(f"{use} by another process; wait for its end, or end it.") from error
    except OSError:
        # No such locks on this file system.
        pass
    try:
        yield
    finally:
        os.close(handle)


def write_whole(path: Path, contents: bytes | str) -> None:
    """Write contents to a file by `whole_file`."""
    data = contents.encode() if isinstance(contents, str) else contents
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same keys, at least one, to a CSV file by `whole_file`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # A picture's name may hold bytes that are no text.
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is no JSON. NaN and infinities, which Python writes, are none.
    """
    try:
        return json.loads(Path(path).read_bytes(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file whose first line names the columns.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or is no CSV.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            return list(csv.DictReader(text))
    except csv.Error as error:
        raise ValueError(str(error)) from error
