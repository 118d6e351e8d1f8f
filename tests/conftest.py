import contextlib
import fcntl
import os
import shutil
from pathlib import Path

import pytest
from thin.sitecustomize import THIN

import modnet_keras  # noqa: F401, before TensorFlow: it chooses whose convolutions it takes
from modnet_keras.loading import loaded_for_good

CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""What the tests may use; empty where the system does not say (macOS)."""


def keep_to_own_cores():
    """Let this process, of several that the tests are spread over, use its share of them alone.

    Side by side they would get in each other's way. It is to be called before TensorFlow is loaded,
    which begins as many operations at once, and it changes no bit, as other numbers of threads
    within one would.
    """
    place = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    own = sorted(CORES)[place :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])] or CORES
    os.sched_setaffinity(0, own)
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(len(own)))


if "PYTEST_XDIST_WORKER" in os.environ:
    if CORES:
        keep_to_own_cores()
    with loaded_for_good():
        import modnet_keras.api  # noqa: F401, as the first test would load it

IMAGES_PER_CLASS = 20
LONGEST = (
    "test_train",
    # Beside the first, which makes the runs that others read.
    "test_kills",
    "test_devices",
    "test_estimate",
    "test_forgetting",
    "test_watch",
    "test_export",
    "test_interruptions",
    "test_serving_tree",
    "test_hostile_pictures",
    "test_real_pictures",
    "test_examples",
)
SMALL = {"image_size": 32, "epochs": 2, "batch_size": 32, "precision": "float32"}


def pytest_collection_modifyitems(items):
    """Put the files first that take longest, or one process would wait for the other's last."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Gives a folder of a name, made once for all processes that the tests are spread over.

    With `MODNET_KEEP_FIXTURES=FOLDER` it is kept there for the next call: for who works on a test,
    while nothing changes in what is trained.
    """
    root = tmp_path_factory.getbasetemp()
    if "MODNET_KEEP_FIXTURES" in os.environ:
        root = Path(os.environ["MODNET_KEEP_FIXTURES"])
        root.mkdir(parents=True, exist_ok=True)
    elif "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder_of(name, make):
        folder = root / name
        with (root / f"{name}.lock").open("w") as lock:
            # Held while it is made, so that the other processes wait for it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                make(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session", autouse=True)
def cache(made_once):
    """A cache folder of the tests' own, so that none reads or leaves anything in the user's."""
    folder = made_once("cache", Path.mkdir)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@contextlib.contextmanager
def thin():
    """Let networks be thin while it lasts, those too of processes that start meanwhile."""
    from modnet_keras.models import resnet

    with pytest.MonkeyPatch.context() as patch:
        for name, value in THIN.items():
            patch.setattr(resnet, name, value)
        patch.setenv("PYTHONPATH", str(Path(__file__).with_name("thin")), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def thin_networks():
    """Thin networks for a module that asks for it, as it must where it goes on from `runs`."""
    with thin():
        yield


@pytest.fixture(scope="session")
def demo(made_once):
    """The demo's classes with few pictures each."""
    from modnet_keras.data.demo import draw_demo

    return made_once("demo", lambda folder: draw_demo(folder, images_per_class=IMAGES_PER_CLASS))


@pytest.fixture(scope="session")
def runs(demo, made_once):
    """Runs of animals, canines (frozen) and wolf (frozen), thin, for reading only."""
    from modnet_keras import train

    with thin():
        return made_once("runs", lambda folder: train("wolf", data=demo, runs=folder, **SMALL))


@pytest.fixture(scope="session")
def trained(runs, made_once):
    """Canines by frozen, frozen-weights, finetune and scratch out of one run of animals."""
    from modnet_keras import train

    def make(folder):
        shutil.copytree(runs, folder)
        for strategy in ("frozen-weights", "finetune", "scratch"):
            options = {key: SMALL[key] for key in ("epochs", "batch_size", "precision")}
            train("canines", strategy=strategy, runs=folder, **options)

    with thin():
        return made_once("trained", make)


@contextlib.contextmanager
def all_cores():
    """Let this thread, and what it starts, use all cores while it lasts."""
    if not CORES:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def estimated(demo, made_once):
    """A runs folder with an estimate of canines, thin, two folds side by side; for reading only."""
    from modnet_keras import estimate

    def make(folder):
        options = SMALL | {"data": demo, "runs": folder, "folds": 2, "jobs": 2}
        with thin(), all_cores():
            estimate("canines", strategies=["finetune", "frozen"], **options)

    return made_once("estimated", make)


@pytest.fixture
def own_runs(runs, tmp_path):
    """A copy of the trained runs that a test may change."""
    return Path(shutil.copytree(runs, tmp_path / "runs"))


@pytest.fixture
def own_trained(trained, tmp_path):
    """A copy of the trained runs, without what was measured of them, that a test may change."""
    ignored = shutil.ignore_patterns("forgetting*", "attribution.png")
    return shutil.copytree(trained, tmp_path / "runs", ignore=ignored)


@pytest.fixture
def own_estimate(estimated, tmp_path):
    """A copy of the estimate that a test may change."""
    return Path(shutil.copytree(estimated, tmp_path / "runs"))


@pytest.fixture
def command(capsys):
    """Run a command in this process; gives its exit status, output and error output."""
    from modnet_keras.tools.__main__ import main

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def here(tmp_path):
    """A fresh folder as the current one."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


def real_pictures(name):
    """The folder or tar file of real pictures that is called `name`; skips where there is none."""
    folder = Path(os.environ.get("MODNET_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / name).exists():
        pytest.skip(f"no real pictures: {folder / name} is not there (set MODNET_REAL_DATA)")
    return folder / name
