"""Where files go and how they are written: whole or not at all."""

import contextlib
import csv
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """The user's cache folder for this package: below `$XDG_CACHE_HOME`, else below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modnet_keras"


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path; what is written there becomes `path`, synced and renamed, at the end.

    A reader, or a crash, finds the old contents or the new, never a part. If the block raises,
    nothing is left of it. The temporary path has the ending of `path`.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
