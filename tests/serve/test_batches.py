"""Rows that came while a model was at work go through it together, and each request gets its own answer."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest
from hand_made import write_digits

import kzoo.runtime
from kzoo.serve.batches import Batches


class Slow:
    """A model that works until it is told to go on, and remembers what it was given."""

    def __init__(self):
        self.given, self.go = [], threading.Event()

    def __call__(self, x):
        self.given.append(len(x))
        assert self.go.wait(10)
        if (x < 0).any():
            raise ValueError("negative")
        return x.reshape(len(x), -1).sum(axis=1)


def rows(*numbers):
    return np.array(numbers, float)[:, None]


def run(model, asked, most=8):
    """Ask for all of it at once while the model is at its first; return what came, errors among it."""

    async def ask():
        batches = Batches(model, most)
        first = asyncio.ensure_future(batches(rows(0)))
        while not model.given:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(batches(x)) for x in asked]
        await asyncio.sleep(0)
        model.go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    return asyncio.run(ask())[1:]


def test_what_came_meanwhile_goes_together():
    model = Slow()
    found = run(model, [rows(i) for i in range(6)])
    assert [one.tolist() for one in found] == [[i] for i in range(6)]
    assert model.given == [1, 6]


def test_a_large_request_goes_in_parts_between_those_of_others():
    model = Slow()
    found = run(model, [rows(*range(20)), rows(100), rows(101)])
    assert found[0].tolist() == list(range(20)) and [one.tolist() for one in found[1:]] == [[100], [101]]
    assert model.given == [1, 8, 8, 6]  # the last part, and both others


def test_shapes_do_not_mix():
    model = Slow()
    found = run(model, [rows(1), np.ones((2, 3)), rows(2)])
    assert [one.tolist() for one in found] == [[1], [3, 3], [2]]
    assert model.given == [1, 1, 2, 1]


def test_what_is_wrong_with_one_is_no_matter_of_the_others():
    found = run(Slow(), [rows(1), rows(-1), rows(2, 3)])
    assert found[0].tolist() == [1] and found[2].tolist() == [2, 3]
    assert isinstance(found[1], ValueError)


def test_answers_are_those_of_single_requests(tmp_path):
    model = kzoo.runtime.load(write_digits(tmp_path / "m"), threads=1)
    x = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1)).astype("float32")

    async def ask():
        batches = Batches(model.answer, 16)
        return await asyncio.gather(*(batches(x[i : i + 1]) for i in range(40)))

    single = np.concatenate([model.answer(x[i : i + 1]) for i in range(40)])
    np.testing.assert_allclose(np.concatenate(asyncio.run(ask())), single, atol=1e-6)


def test_a_model_that_nobody_holds_is_let_go_with_its_thread():
    async def ask():
        model = Slow()
        model.go.set()
        batches = Batches(model, 4)
        await batches(rows(1))
        return weakref.ref(model)

    model = asyncio.run(ask())
    gc.collect()
    assert model() is None
    with pytest.raises(StopIteration):  # its thread ends with it
        for _ in range(500):
            next(thread for thread in threading.enumerate() if thread.name.startswith("kzoo-model"))
            threading.Event().wait(0.01)
