"""Dynamic batching without delay: rows that arrive while a model is busy run in its next batch."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import numpy as np


class Batches:
    """The queue of rows for one model, which runs in a separate thread.

    The thread ends with the last reference to the object.

    Args:
        run: function from rows (N, ...) to their outputs (N, ...).
        max_rows: largest number of rows in a batch.
        on_batch: called with the number of rows after each batch.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        max_rows: int,
        on_batch: Callable[[int], object] = lambda rows: None,
    ) -> None:
        self._run, self._max_rows, self._on_batch = run, max_rows, on_batch
        self._waiting: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kzoo-model")
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of rows; more than `max_rows` are split into batches, interleaved with other requests."""
        if len(x) <= self._max_rows:
            return await self._submit(x)
        parts = [
            self._submit(x[start : start + self._max_rows])
            for start in range(0, len(x), self._max_rows)
        ]
        return np.concatenate(await asyncio.gather(*parts))

    def _submit(self, x: np.ndarray) -> "asyncio.Future[np.ndarray]":
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append((x, future))
        if self._task is None:  # it starts after all requests that have arrived are queued
            self._task = loop.create_task(self._work())
        return future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group = self._next_group()
            try:
                x = group[0][0] if len(group) == 1 else np.concatenate([rows for rows, _ in group])
                outputs = await loop.run_in_executor(self._thread, self._run, x)
                self._on_batch(len(x))
                start = 0
                for rows, future in group:
                    if not future.done():
                        future.set_result(outputs[start : start + len(rows)])
                    start += len(rows)
            except Exception as error:  # a runtime may raise any exception
                await self._run_separately(group, error)
        self._task = None

    def _next_group(self) -> list[Any]:
        """Remove and return the oldest requests with rows of the same shape, up to `max_rows` rows."""
        group = [self._waiting.popleft()]
        shape = group[0][0].shape[1:]
        rows = len(group[0][0])
        while self._waiting:
            x = self._waiting[0][0]
            if x.shape[1:] != shape or rows + len(x) > self._max_rows:
                break
            group.append(self._waiting.popleft())
            rows += len(x)
        return group

    async def _run_separately(self, group: list[Any], error: Exception) -> None:
        """Run the requests of a failed batch separately, so that invalid rows fail their own request only."""
        loop = asyncio.get_running_loop()
        for x, future in group:
            try:
                if len(group) == 1:
                    raise error
                outputs = await loop.run_in_executor(self._thread, self._run, x)
            except Exception as row_error:  # as above
                if not future.done():
                    future.set_exception(row_error)
            else:
                if not future.done():
                    future.set_result(outputs)


class Turns:
    """Turns of texts that are continued, those with the fewest tokens first: a new text does not wait for long ones.

    Args:
        most: number of texts that have their turn at the same time.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap

    @asynccontextmanager
    async def __call__(self, tokens: int) -> AsyncIterator[None]:
        """Wait for the turn of a text that has so many tokens; the turn ends with the block."""
        if self._free:
            self._free -= 1
        else:
            future = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (tokens, next(self._numbers), future))
            try:
                await future
            except asyncio.CancelledError:
                if not future.cancelled():  # its turn had begun
                    self._end()
                raise
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        while self._waiting:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
