"""Requests that come at about the same time are computed together, and each gets its own answers.

A network takes hardly longer for a few pictures than for one, so a server that computes request
after request answers far fewer of them.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

LARGEST_BATCH = 64
PATIENCE = 0.002
"""Seconds that a batch that is not full waits for more rows."""


class Batcher:
    """Puts the rows of many requests together into batches, for use in one event loop.

    Parameters
    ----------
    compute : callable
        Gives a list of answers for a list of rows, one each and in their order.
    executor : concurrent.futures.Executor
        Where `compute` is called, for one batch after another.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> async def ask_twice():
    ...     batcher = Batcher(lambda rows: [len(row) for row in rows], ThreadPoolExecutor(1))
    ...     return await asyncio.gather(batcher.answer([b"a", b"bc"]), batcher.answer([b"def"]))
    >>> asyncio.run(ask_twice())
    [[1, 2], [3]]
    """

    def __init__(self, compute: Callable[[list[Any]], Sequence[Any]], executor: Executor) -> None:
        self._compute = compute
        self._executor = executor
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._is_full = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def answer(self, rows: Sequence[Any]) -> list[Any]:
        """The answers for the rows of one request, any number of them, in their order.

        What `compute` raises is raised for every request that has a row in that batch, and for no
        other.
        """
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in rows]
        self._waiting.extend(zip(rows, answers, strict=True))
        if len(self._waiting) >= LARGEST_BATCH:
            self._is_full.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            return await asyncio.gather(*answers)
        finally:
            # Where a batch failed or the client is gone, the request's other rows are not wanted.
            for answer in answers:
                answer.cancel()

    async def _work(self):
        """Compute batches until no row waits."""
        while self._waiting:
            await self._wait_for_more()
            if batch := self._take():
                await self._answer_batch(*zip(*batch, strict=True))

    async def _wait_for_more(self):
        if len(self._waiting) >= LARGEST_BATCH:
            return
        self._is_full.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._is_full.wait()

    def _take(self):
        """The rows of the next batch with the futures of their answers, the oldest first."""
        batch: list[tuple[Any, asyncio.Future[Any]]] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            row, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((row, answer))
        return batch

    async def _answer_batch(self, rows, answers):
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._executor, self._compute, list(rows))
            pairs = list(zip(answers, found, strict=True))
        except Exception as error:
            for answer in answers:
                if not answer.done():
                    answer.set_exception(error)
            return
        for answer, value in pairs:
            # Its client may have gone meanwhile.
            if not answer.done():
                answer.set_result(value)
