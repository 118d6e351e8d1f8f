"""Keeping what libraries say about themselves out of a program's own output."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_dropped() -> Iterator[None]:
    """Lead the process's standard error to nowhere meanwhile, that of C++ code included."""
    try:
        kept = os.dup(2)
    except OSError:
        # It is closed already.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
