"""Names that a package offers without loading what stands behind them (PEP 562)."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` for names whose modules are imported at the first use.

    Parameters
    ----------
    modules : mapping of str to str
        From each name to the module that defines it.
    """

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"no such name: {name}")
        return getattr(importlib.import_module(modules[name]), name)

    return __getattr__
