"""Rows that came while a model was at work go through it together: no clock, so nobody waits for company."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Batches:
    """The rows that wait for one model, which works in a thread of its own.

    The thread ends with the last reference to the object.

    Args:
        answer: function of rows (N, ...) that gives an answer to each.
        most: rows that go through together.
        done: called with the number of rows after each time.
    """

    def __init__(
        self, answer: Callable[[np.ndarray], np.ndarray], most: int, done: Callable[[int], object] = lambda rows: None
    ) -> None:
        self._answer, self._most, self._done = answer, most, done
        self._waiting: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kzoo-model")
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the answers to rows; many rows are answered in parts, between those of others."""
        if len(x) <= self._most:
            return await self._ask(x)
        parts = [self._ask(x[start : start + self._most]) for start in range(0, len(x), self._most)]
        return np.concatenate(await asyncio.gather(*parts))

    def _ask(self, x: np.ndarray) -> "asyncio.Future[np.ndarray]":
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._waiting.append((x, answer))
        if self._task is None:  # it begins once everything that has arrived by now is in line
            self._task = loop.create_task(self._work())
        return answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = self._next_group()
            try:
                x = group[0][0] if len(group) == 1 else np.concatenate([rows for rows, _ in group])
                answers = await loop.run_in_executor(self._thread, self._answer, x)
                self._done(len(x))
                start = 0
                for rows, answer in group:
                    if not answer.done():
                        answer.set_result(answers[start : start + len(rows)])
                    start += len(rows)
            except Exception as error:  # whatever a runtime raises
                await self._one_by_one(group, error)
        self._task = None

    def _next_group(self) -> list:
        """Return those who waited longest, as far as their rows have one shape and are not too many."""
        group = [self._waiting.popleft()]
        shape, rows = group[0][0].shape[1:], len(group[0][0])
        while self._waiting:
            x = self._waiting[0][0]
            if x.shape[1:] != shape or rows + len(x) > self._most:
                break
            group.append(self._waiting.popleft())
            rows += len(x)
        return group

    async def _one_by_one(self, group: list, error: Exception) -> None:
        """Answer each by itself after all: what is wrong with the rows of one is no matter of the others."""
        loop = asyncio.get_running_loop()
        for x, answer in group:
            try:
                if len(group) == 1:
                    raise error
                answers = await loop.run_in_executor(self._thread, self._answer, x)
            except Exception as own:  # as above
                if not answer.done():
                    answer.set_exception(own)
            else:
                if not answer.done():
                    answer.set_result(answers)
