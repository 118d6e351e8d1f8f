"""Put a server under load and hold every answer against the one it gives when it is asked alone.

    python tools/load_server.py (--run=RUN | --tree=TASK [--runs=runs]) [--data=demo]
        [--clients=256] [--seconds=60] [--broken=0.05] [--hang_up=0.05] [--pictures=200] [--seed=0]

`modnet serve` runs in a process of its own. Each picture is first sent alone, one request after
another on one connection: what comes back is right, and how long it takes is what the load is
compared with. Then so many clients ask at once, each the next thing as soon as it has its answer. A
share of what they send are broken pictures, and at a share of their requests they hang up before
the answer. Counted are answers that differ, requests without an answer and other statuses than 200;
the server's memory is looked at every second.
"""

import base64
import contextlib
import http.client
import json
import math
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

TOLERANCE = 1e-5
"""Of a probability: in a batch of another size a network rounds otherwise."""

WARM = 0.25
"""The share of the time after which memory should not grow any more."""

TIMEOUT = 60


def load(
    run=None,
    tree=None,
    runs="runs",
    data="demo",
    clients=256,
    seconds=60,
    broken=0.05,
    hang_up=0.05,
    pictures=200,
    seed=0,
):
    """Print what was found; the exit status is 1 where an answer was wrong or is missing."""
    model = [f"--run={run}"] if run else [f"--tree={tree}", f"--runs={runs}"]
    sound = _pictures(data, pictures, seed)
    with _server(model) as (process, host, path):
        asked = [_body(contents) for contents in [*sound, *_broken(sound, seed)]]
        right, alone = _ask_one_by_one(host, path, asked)
        several = _Load(host, path, asked, right, len(sound), broken, hang_up)
        memory = several.run(clients, seconds, process.pid)
    _tell(alone, several, memory, clients, seconds)
    return 1 if several.wrong or several.lost else 0


def _pictures(data, count, seed):
    from modnet_keras.data.sources import find_source, index_source

    source = find_source(data)
    index = index_source(source)
    usable = [path for path in index.paths if path not in index.unreadable]
    chosen = random.Random(seed).sample(usable, min(count, len(usable)))
    return [(source.root / path).read_bytes() for path in chosen]


def _broken(pictures, seed):
    """As many broken ones: cut off, another's bytes in the midst, text, nothing."""
    generator = random.Random(seed)
    for number, contents in enumerate(pictures):
        place = generator.randrange(len(contents))
        yield (
            contents[:place],
            contents[:place] + generator.randbytes(200) + contents[place:],
            b"this is no picture",
            b"",
        )[number % 4]


def _body(contents):
    picture = {"b64": base64.b64encode(contents).decode()}
    return json.dumps({"instances": [picture]}).encode()


@contextlib.contextmanager
def _server(model):
    """A server of its own process: that, its host with port, and the path to ask at."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modnet_keras.tools", "serve", "--port=0", *model],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        name, url = re.match(r"Serving (\S+) at (\S+) ", process.stdout.readline()).groups()
        yield process, urlsplit(url).netloc, f"/v1/models/{name}:predict"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ask(connection, path, body):
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()


def _ask_one_by_one(host, path, asked):
    """The right answers, and the seconds that each request took alone, once all was warm."""
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    for body in asked[:20]:
        _ask(connection, path, body)
    right, seconds = [], []
    for body in asked:
        started = time.perf_counter()
        status, answer = _ask(connection, path, body)
        seconds.append(time.perf_counter() - started)
        if status != 200:
            raise SystemExit(f"asked alone, a request got {status}: {answer.decode()}")
        right.append(json.loads(answer)["predictions"][0])
    return right, seconds


class _Load:
    """Clients that ask at once, and what they got."""

    def __init__(self, host, path, asked, right, sound, broken, hang_up):
        self.host, self.path, self.asked, self.right = host, path, asked, right
        self.sound, self.broken, self.hang_up = sound, broken, hang_up
        self.lock = threading.Lock()
        self.seconds, self.statuses, self.wrong, self.lost = [], Counter(), [], []
        self.hung_up = self.answered_broken = 0

    def run(self, clients, seconds, server):
        """Ask for so many seconds; gives the server's memory in MiB at each of them."""
        self.until = time.perf_counter() + seconds
        threads = [threading.Thread(target=self._client, args=[k]) for k in range(clients)]
        for thread in threads:
            thread.start()
        memory = []
        while time.perf_counter() < self.until:
            memory.append(_memory(server))
            time.sleep(1)
        for thread in threads:
            thread.join()
        return memory

    def _client(self, number):
        generator = random.Random(number)
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
        while time.perf_counter() < self.until:
            is_broken = generator.random() < self.broken
            place = generator.randrange(self.sound) + is_broken * self.sound
            if generator.random() < self.hang_up:
                self._leave(self.asked[place], generator)
                continue
            try:
                self._compare(place, *self._timed(connection, self.asked[place]))
            except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
                with self.lock:
                    self.lost.append(repr(error))
                connection.close()

    def _timed(self, connection, body):
        started = time.perf_counter()
        status, answer = _ask(connection, self.path, body)
        return status, answer, time.perf_counter() - started

    def _compare(self, place, status, answer, seconds):
        row = json.loads(answer)["predictions"][0] if status == 200 else None
        with self.lock:
            self.seconds.append(seconds)
            self.statuses[status] += 1
            self.answered_broken += place >= self.sound
            if not is_same(row, self.right[place]):
                self.wrong.append((row, self.right[place]))

    def _leave(self, body, generator):
        """Hang up in the midst of the request or before its answer."""
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
        with contextlib.suppress(OSError):
            connection.putrequest("POST", self.path)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body[: generator.choice([len(body), len(body) // 2])])
        connection.close()
        with self.lock:
            self.hung_up += 1


def is_same(row, right):
    """Whether two answers are alike: labels and validity, and probabilities within TOLERANCE.

    A label may be another where the probability that decides is that near to one half.
    """
    if row is None or row.keys() != right.keys() or row["valid"] != right["valid"]:
        return False
    numbers = [key for key in right if "probability" in key]
    near = all(_are_near(row[key], right[key]) for key in numbers)
    undecided = any(abs(value - 0.5) <= TOLERANCE for value in _listed(right["probability"]))
    return near and (undecided or all(row[key] == right[key] for key in row if key not in numbers))


def _are_near(found, expected):
    return all(
        math.isclose(a, b, rel_tol=0, abs_tol=TOLERANCE)
        for a, b in zip(_listed(found), _listed(expected), strict=True)
    )


def _listed(value):
    return value if isinstance(value, list) else [value]


def _memory(process):
    """MiB that a process has in memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return math.nan


def _tell(alone, several, memory, clients, seconds):
    warm = memory[int(WARM * len(memory)) :]
    half = max(1, len(warm) // 2)
    first, last = statistics.median(warm[:half]), statistics.median(warm[-half:])
    print(f"alone: {len(alone) / sum(alone):.0f} requests/s, {_percentiles(alone)}")
    print(
        f"{clients} clients for {seconds} s: {len(several.seconds) / seconds:.0f} requests/s, "
        f"{_percentiles(several.seconds)}"
    )
    print(
        f"answered {len(several.seconds)}, of them {several.answered_broken} broken pictures; "
        f"statuses {dict(several.statuses)}; hung up {several.hung_up}"
    )
    print(f"wrong {len(several.wrong)}{_first(several.wrong)}")
    print(f"lost {len(several.lost)}{_first(several.lost)}")
    print(
        f"memory: {memory[0]:.0f} MiB at the start, then medians of {first:.0f} and "
        f"{last:.0f} MiB, at most {max(memory):.0f} MiB"
    )


def _percentiles(seconds):
    cuts = statistics.quantiles(seconds, n=100)
    return f"median {1000 * cuts[49]:.1f} ms, p99 {1000 * cuts[98]:.1f} ms"


def _first(found):
    return f", the first: {found[0]}" if found else ""


if __name__ == "__main__":
    import fire

    # Its result is the exit status.
    sys.exit(fire.Fire(load, serialize=lambda _: ""))
