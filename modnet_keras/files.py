"""Where files go and how they are written: whole or not at all."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for this package: below `$XDG_CACHE_HOME`, else below `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modnet_keras"


def write_whole(path: Path, contents: bytes | str) -> None:
    """Write a file so that a reader, or a crash, finds the old contents or the new, never a part.

    The contents go to a temporary name in the same folder, are synced to disk and renamed.
    """
    path = Path(path)
    data = contents.encode() if isinstance(contents, str) else contents
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
