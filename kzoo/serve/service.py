"""A request's way: to a model, through a protocol, in line with others, and back."""

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from kzoo.serve.exchange import NOTES, Asked, Given
from kzoo.serve.limits import Limits, Refused, busy
from kzoo.serve.shelf import Shelf

_T = TypeVar("_T")
_SMALL = 1 << 16  # bytes of JSON that are read, and numbers that are written, without a thread of their own
Protocol = Callable[[Given], Asked]


class Service:
    """What answers with models.

    Args:
        shelf: the models.
        limits: how much is taken.
    """

    def __init__(self, shelf: Shelf, limits: Limits) -> None:
        self.shelf, self.limits, self.held = shelf, limits, 0
        # What is large is read and written here: two at a time bounds the memory that it takes.
        self._apart = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="kzoo-read")

    def answering(self, read: Protocol) -> Callable[[Request], Any]:
        """Return the endpoint of a protocol."""

        async def endpoint(request: Request) -> Response:
            shelved, word = self.shelf[request.path_params["name"]], request.path_params.get("version")
            said = request.scope["kzoo"]
            said["model"] = shelved.name
            if shelved.waiting >= self.limits.waiting:
                raise busy(f"{shelved.waiting} requests to {shelved.name!r} are waiting")
            shelved.waiting += 1
            kept: list[int] = []
            try:
                return await self._answered(request, read, shelved, word, said, kept)
            finally:
                shelved.waiting -= 1
                self.held -= sum(kept)

        return endpoint

    async def _answered(
        self, request: Request, read: Protocol, shelved: Any, word: str | None, said: dict, kept: list[int]
    ) -> Response:
        shelved.version(word)  # before a body is taken
        body = await self._body(request, kept)
        version, loaded = await shelved.load(word)
        said["version"] = str(version)
        NOTES.set([])
        given = Given(
            model=loaded.model, name=shelved.name, version=str(version), header=said["header"],
            query=request.query_params, body=body, most=loaded.most_rows,
        )  # fmt: skip
        plain = len(body) <= _SMALL and b'"b64"' not in body and body[:1] in (b"{", b"[", b" ", b"\n", b'"')
        asked = await self._done(plain, read, given)
        said["rows"] = len(asked.encoded.x)
        answers = loaded.model.check(await loaded.answers(asked.encoded.x))
        reply = await self._done(answers.size <= _SMALL, asked.reply, answers)
        return Response(reply.body, media_type=reply.media, headers=dict(reply.headers))

    async def _done(self, here: bool, function: Callable[[Any], _T], argument: Any) -> _T:
        """Call a function here, or in a thread where it may take long."""
        if here:
            return function(argument)
        run = partial(contextvars.copy_context().run, function, argument)
        return await asyncio.get_running_loop().run_in_executor(self._apart, run)

    async def _body(self, request: Request, kept: list[int]) -> bytes:
        """Return the body of a request.

        Args:
            kept: gets the bytes that are held for it.

        Raises:
            Refused: it comes too slowly, or with too many others.
        """
        parts = []
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    if part:
                        self.held += len(part)
                        kept.append(len(part))
                        parts.append(part)
                        if self.held > self.limits.bodies:
                            no = busy("Other requests take all the memory that there is for bodies")
                            no.headers["Connection"] = "close"
                            raise no
        except TimeoutError:
            raise Refused(
                408, f"The body of the request took longer than {self.limits.seconds:g} s.", {"Connection": "close"}
            ) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)
