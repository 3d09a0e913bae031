"""Rows that arrive while a model is busy go through it together, and each request gets the answers of its rows."""

import asyncio
import gc
import threading
import weakref

import numpy as np
from hand_made import write_digits

import kzoo.runtime
from kzoo.serve.batches import Batches


class Slow:
    """A model that works until an event is set, and records the length of each batch."""

    def __init__(self):
        self.lengths = []
        self.go = threading.Event()

    def __call__(self, x):
        self.lengths.append(len(x))
        assert self.go.wait(10)
        if (x < 0).any():
            raise ValueError("negative")
        return x.reshape(len(x), -1).sum(axis=1)


def rows(*numbers):
    return np.array(numbers, float)[:, None]


def run(model, requests, most=8):
    """Send requests at once while the model is at its first; return their answers or errors."""

    async def send():
        batches = Batches(model, most)
        first = asyncio.ensure_future(batches(rows(0)))
        while not model.lengths:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(batches(x)) for x in requests]
        await asyncio.sleep(0)
        model.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(send())[1:]


def test_requests_that_arrive_meanwhile_go_together():
    model = Slow()
    answers = run(model, [rows(i) for i in range(6)])
    assert [answer.tolist() for answer in answers] == [[i] for i in range(6)]
    assert model.lengths == [1, 6]


def test_a_large_request_goes_in_parts_between_those_of_others():
    model = Slow()
    answers = run(model, [rows(*range(20)), rows(100), rows(101)])
    assert answers[0].tolist() == list(range(20)) and [
        answer.tolist() for answer in answers[1:]
    ] == [[100], [101]]
    assert model.lengths == [1, 8, 8, 6]  # the last part, and both others


def test_shapes_do_not_mix():
    model = Slow()
    answers = run(model, [rows(1), np.ones((2, 3)), rows(2)])
    assert [answer.tolist() for answer in answers] == [[1], [3, 3], [2]]
    assert model.lengths == [1, 1, 2, 1]


def test_an_error_of_a_request_leaves_the_others_alone():
    answers = run(Slow(), [rows(1), rows(-1), rows(2, 3)])
    assert answers[0].tolist() == [1] and answers[2].tolist() == [2, 3]
    assert isinstance(answers[1], ValueError)


def test_answers_are_those_of_single_requests(tmp_path):
    model = kzoo.runtime.load(write_digits(tmp_path / "m"), threads=1)
    x = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1)).astype("float32")

    async def send():
        batches = Batches(model.run, 16)
        return await asyncio.gather(*(batches(x[i : i + 1]) for i in range(40)))

    single = np.concatenate([model.run(x[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(np.concatenate(asyncio.run(send())), single, atol=1e-6)


def test_a_model_without_references_is_freed_with_its_thread():
    threads = []  # its own: a server in another test may still have one

    class Model:
        def __call__(self, x):
            threads.append(threading.current_thread())
            return x

    async def send():
        model = Model()
        batches = Batches(model, 4)
        await batches(rows(1))
        return weakref.ref(model)

    model = asyncio.run(send())
    gc.collect()
    assert model() is None
    (thread,) = threads
    thread.join(timeout=5)
    assert not thread.is_alive()
