"""The versions of installed packages."""

from importlib.metadata import PackageNotFoundError, version


def installed_version(package: str = "modnet-keras") -> str | None:
    """A package's version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
