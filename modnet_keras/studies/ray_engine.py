"""Folds on a Ray cluster (extra `cluster`): Ray Core's tasks, each in a worker of its own.

Not Ray Train, whose TensorFlow trainer falls back to Keras 2: a fold is a training on one machine.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import UNFINISHED, cache_folder
from modnet_keras.studies.fold_events import failure, is_last
from modnet_keras.studies.fold_process import run_job
from modnet_keras.studies.shipping import pack, ship_pictures, unpack, unship_pictures
from modnet_keras.studies.tables import ESTIMATE_SETTINGS
from modnet_keras.training.devices import INTRA_OP_THREADS
from modnet_keras.version import installed_version

PROBE_SECONDS = 5
# A worker that dies, with its node or alone, is replaced so often.
RETRIES = 3
STATUS_SECONDS = 60
PACKAGES = ("modnet-keras", "tensorflow", "keras", "numpy", "scikit-learn")
POLL_SECONDS = 0.5


def _find_ray(address):
    """Refuse to go on where Ray is not installed, or no cluster answers at an address.

    Ray itself would wait for minutes, and end the process where something else answers.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise CallError(
            '--engine=ray needs Ray, which is not installed: pip install "modnet-keras[cluster]".'
        ) from error
    if address is None:
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise CallError(
            f"--ray_address={address} is no HOST:PORT, as 10.0.0.1:6379, where 'ray start --head' "
            "listens."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise CallError(
            f"--ray_address={address}: no answer; give the HOST:PORT of 'ray start --head'."
        ) from error
    try:
        subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "status", f"--address={address}"],
            timeout=STATUS_SECONDS,
            check=True,
            capture_output=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = "what answers is no Ray cluster, or one of another version of Ray"
        if b"AuthenticationError" in (error.stderr or b""):
            reason = "the cluster asks for a token, set RAY_AUTH_MODE=token and copy it here"
        raise CallError(
            f"--ray_address={address}: {reason}; give the HOST:PORT of 'ray start --head'."
        ) from error


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to the cluster at an address, or to one that is started here.

    A connection that is there already is used and left as it is.

    Raises
    ------
    CallError
        If there is no Ray, or none that takes this machine as its node.
    WorkError
        If the cluster is lost.
    """
    _find_ray(address)
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # what Ray raises here has no common class
        reason = str(error).strip().split("\n", 1)[0]
        raise CallError(
            f"no connection to Ray at {address or 'this machine'} ({reason}); this machine must be "
            "a node of the cluster, with the same versions of Ray and Python."
        ) from error
    if threading.current_thread() is threading.main_thread():
        # Ray puts its own in the place of the program's.
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except ray.exceptions.RayError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise WorkError(
            f"the Ray cluster was lost ({reason}); go on with --resume when it is there again."
        ) from error
    finally:
        ray.shutdown()


def run_on_ray(
    jobs: Sequence[dict[str, Any]],
    ship: bool,
    tell: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    """Train folds on the Ray cluster that is connected, as many at a time as it has cores for.

    Parameters
    ----------
    jobs : list of dict
        As `fold_training.train_fold` takes them.
    ship : bool
        Whether the pictures are sent to the nodes, once to each, and the folds' runs sent back;
        otherwise every node must see both under the same paths.
    tell : callable
        Called, in this thread, with the job and each of its events. The last event of a job is
        `done`, or `failed` with `strategy` None.
    """
    import ray

    mailbox = _start_mailbox()
    pictures = ship_pictures(jobs[0]["options"]["data"], ray.put) if ship else None
    train = ray.remote(**_resources())(_train_on_node)
    settings = (Path(jobs[0]["folder"]).parent / ESTIMATE_SETTINGS).read_text()
    call = {"call": uuid.uuid4().hex, "versions": _versions(), "settings": settings}
    tasks = {
        train.remote(job | call, mailbox, pictures, pack(job["folder"]) if ship else None): job
        for job in jobs
    }
    listener = _Listener(mailbox, jobs, tell)
    while tasks:
        # Not within Ray, which makes of a signal's exit status its own.
        time.sleep(POLL_SECONDS)
        ended, _ = ray.wait(list(tasks), timeout=0)
        listener.pass_on()
        for task in ended:
            listener.end(tasks.pop(task), task)


def _versions():
    return {package: installed_version(package) for package in PACKAGES}


class _Mailbox:
    """Where workers leave their events for the caller, in order; a Ray actor."""

    def __init__(self):
        self.events = []

    def put(self, name, event):
        self.events.append((name, event))

    def take(self):
        taken, self.events = self.events, []
        return taken


def _start_mailbox():
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Beside the caller: the loss of another node must not take it away.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()


class _Listener:
    """Passes the workers' events on, and puts what they send back with them in its place."""

    def __init__(self, mailbox, jobs, tell):
        self.mailbox = mailbox
        self.jobs = {job["name"]: job for job in jobs}
        self.tell = tell
        self.ended = set()

    def pass_on(self):
        import ray

        for name, event in ray.get(self.mailbox.take.remote()):
            # A worker may be lost between its last word and its end, and does all again.
            if name in self.ended:
                continue
            job = self.jobs[name]
            if "files" in event:
                unpack(event.pop("files"), Path(job["folder"]), job["options"]["data"])
            self.tell(job, event)
            if is_last(event):
                self.ended.add(name)

    def end(self, job, task):
        """Say of a fold whose workers were lost, or could not begin, that it failed."""
        import ray

        try:
            ray.get(task)
        except ray.exceptions.RayError as error:
            if job["name"] not in self.ended:
                reason = str(error).strip().splitlines()[-1]
                self.tell(job, failure(f"{type(error).__name__}: {reason}"))


def _resources():
    """What a fold takes of a node, and that its worker serves no second one."""
    import ray

    cores = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    if cores < 1:
        raise WorkError("no node of the Ray cluster offers a core; start one with --num-cpus=2.")
    return {
        "max_calls": 1,
        "max_retries": RETRIES,
        "num_cpus": min(INTRA_OP_THREADS, cores),
        # Ray hides the GPUs from what does not ask for one.
        "num_gpus": 1 if ray.cluster_resources().get("GPU") else 0,
    }


def _train_on_node(job, mailbox, pictures, state):
    """Train a fold in this worker; what it tells goes to the caller's mailbox."""
    import ray

    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    node = ray.util.get_node_ip_address()
    sent = []

    def tell(event):
        # Not waited for: while a worker waits, Ray gives its cores to another fold.
        sent.append(mailbox.put.remote(job["name"], event | {"node": node}))

    found = _versions()
    others = [package for package in PACKAGES if found[package] != job["versions"][package]]
    if others:
        package = others[0]
        wanted = job["versions"][package]
        tell(failure(f"node {node} has {package} {found[package]}, the caller {wanted}"))
    elif pictures is None:
        _train_on_shared_path(job, tell, node)
    else:
        _train_shipped(job, tell, pictures, state)
    ray.get(sent)


def _train_on_shared_path(job, tell, node):
    folder = Path(job["folder"]).parent
    settings = folder / ESTIMATE_SETTINGS
    if not settings.is_file() or settings.read_text() != job["settings"]:
        tell(
            failure(
                f"node {node} does not see '{folder}'; put --runs on a path that all nodes "
                "share, or give --ship"
            )
        )
        return
    run_job(job, tell)


def _train_shipped(job, tell, pictures, state):
    """Train in the node's cache; send what is trained back, as soon as it is."""
    import ray

    data = str(unship_pictures(pictures, ray.get, job["fingerprint"]))
    folder = cache_folder() / "shipped" / job["call"] / job["name"]
    if not folder.exists():
        # What a worker that was lost has left here would be further than the caller's.
        fresh = folder.with_name(f"{UNFINISHED}{os.getpid()}-{folder.name}")
        unpack(state, fresh, data)
        fresh.mkdir(parents=True, exist_ok=True)
        fresh.rename(folder)
    sent: dict[Path, tuple[int, int]] = {}

    def tell_with_files(event):
        if event["event"] == "trained" or is_last(event):
            event = event | {"files": pack(folder, sent)}
        tell(event)

    here = {"folder": str(folder), "options": job["options"] | {"data": data}}
    run_job(job | here, tell_with_files)
    shutil.rmtree(folder)
    with suppress(OSError):
        # The last of the call's folds on this node takes the folder of all away.
        folder.parent.rmdir()
