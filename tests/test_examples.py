"""Every example in a public docstring is run as it stands."""

import doctest
import importlib
import pkgutil

import pytest

import modnet_keras

MODULES = [
    module.name
    for module in pkgutil.walk_packages(modnet_keras.__path__, "modnet_keras.")
    if not module.name.endswith("__main__")
]


@pytest.fixture(scope="module")
def prepared(runs, estimated, demo, tmp_path_factory):
    """A folder as the examples expect it, with trained runs in it."""
    import shutil

    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(runs, folder / "runs")
    shutil.copytree(estimated, folder / "estimated")
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, prepared, demo, monkeypatch):
    monkeypatch.chdir(prepared)
    monkeypatch.setattr("modnet_keras.data.demo.demo_folder", lambda: demo)
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_every_name_of_the_surface_has_an_example():
    for name in modnet_keras.__all__:
        assert ">>>" in (getattr(modnet_keras, name).__doc__ or ""), name
