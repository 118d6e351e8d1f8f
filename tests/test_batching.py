"""Rows of many requests in one batch."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from modnet_keras.serving.batching import Batcher


def batched(compute, *requests):
    """What each request gets, or the error that it gets; a request is a list of rows."""

    async def main():
        batcher = Batcher(compute, executor)
        answers = [batcher.answer(rows) for rows in requests]
        return await asyncio.gather(*answers, return_exceptions=True)

    with ThreadPoolExecutor(1) as executor:
        return asyncio.run(main())


def test_requests_are_put_together_and_a_long_one_is_split():
    batches = []

    def compute(rows):
        batches.append(rows)
        return [-row for row in rows]

    requests = [[1], [], [2, 3], list(range(100, 300)), [4]]
    assert batched(compute, *requests) == [[-row for row in rows] for rows in requests]
    assert list(map(len, batches)) == [64, 64, 64, 12]
    assert sum(batches, []) == sum(requests, [])


def test_an_error_reaches_the_requests_of_its_batch_and_no_other():
    computed = []

    def compute(rows):
        computed.extend(rows)
        if 70 in rows:
            raise ValueError("no 70")
        return rows

    first, second, third = [0, 1], list(range(2, 200)), list(range(200, 250))
    answers = batched(compute, first, second, third)
    assert answers[0] == first
    assert repr(answers[1]) == "ValueError('no 70')"
    assert answers[2] == third
    # The rest of the request that failed is not computed for nobody.
    assert 199 not in computed


def test_too_few_answers_are_an_error_and_never_given_to_others():
    answers = batched(lambda rows: rows[1:], [1], [2])
    assert all(isinstance(answer, ValueError) for answer in answers)


def test_a_request_that_is_given_up_is_left_out():
    computed = []

    def compute(rows):
        time.sleep(0.05)
        computed.append(rows)
        return rows

    async def main():
        batcher = Batcher(compute, executor)
        busy = asyncio.create_task(batcher.answer([0]))
        await asyncio.sleep(0.02)
        gone, stays = (asyncio.create_task(batcher.answer([number])) for number in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        assert await busy == [0] and await stays == [2]
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await batcher.answer([3]) == [3]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(main())
    assert computed == [[0], [2], [3]]


def test_a_full_batch_does_not_wait(monkeypatch):
    monkeypatch.setattr("modnet_keras.serving.batching.PATIENCE", 60)
    assert batched(list, [1] * 40, [2] * 24) == [[1] * 40, [2] * 24]
