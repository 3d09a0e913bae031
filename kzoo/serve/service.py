"""A request's way: to a model, through a protocol, in line with others, and back."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from kzoo.serve.codecs import NOTES, DecodedRequest, ModelRequest
from kzoo.serve.limits import Limits, Refused, busy
from kzoo.serve.model_repository import ModelRepository, ServedModel

_T = TypeVar("_T")
_SMALL = 1 << 16  # bytes of JSON, and numbers of an answer, that take little time
_JSON_BEGINS = (b"{", b"[", b'"', b" ", b"\n")
Protocol = Callable[[ModelRequest], DecodedRequest]


class Service:
    """What answers with models.

    Args:
        shelf: the models.
        limits: how much is taken.
    """

    def __init__(self, shelf: ModelRepository, limits: Limits) -> None:
        self.shelf, self.limits, self.held = shelf, limits, 0
        # Requests are read and answers written here, for the loop has to hear others meanwhile: what is large a few at
        # a time, which bounds the memory that it takes, and what is small beside it, so that it does not wait.
        self._small = ThreadPoolExecutor(2, thread_name_prefix="kzoo-small")
        self._large = ThreadPoolExecutor(2, thread_name_prefix="kzoo-large")

    def close(self) -> None:
        """Let the threads end that read requests and compute answers, once they have nothing to do."""
        for pool in (self._small, self._large):
            pool.shutdown(wait=False, cancel_futures=True)
        for model in self.shelf.models.values():
            for version in model.versions.values():
                version.close()

    def answering(self, read: Protocol) -> Callable[[Request], Any]:
        """Return the endpoint of a protocol."""

        async def endpoint(request: Request) -> Response:
            shelved, word = self.shelf[request.path_params["name"]], request.path_params.get("version")
            said = request.scope["kzoo"]
            said["model"] = shelved.name
            if shelved.waiting >= self.limits.waiting:
                raise busy(f"{shelved.waiting} requests to {shelved.name!r} are waiting")
            shelved.waiting += 1
            said["held"] = 0  # bytes of the body
            try:
                return await self._answered(request, read, shelved, word, said)
            finally:
                shelved.waiting -= 1
                self.held -= said["held"]

        return endpoint

    async def _answered(
        self, request: Request, read: Protocol, shelved: ServedModel, word: str | None, said: dict[str, Any]
    ) -> Response:
        shelved.version(word)  # before a body is taken
        body = await self._body(request, said)
        version, loaded = await shelved.load(word)
        said["version"] = str(version)
        NOTES.set([])
        given = ModelRequest(
            model=loaded.model, name=shelved.name, version=str(version), header=said["header"],
            query=request.query_params, body=body, most=loaded.most_rows,
        )  # fmt: skip
        asked = await self._done(_is_small(body), read, given)
        said["rows"] = len(asked.encoded.x)
        answers = loaded.model.check(await loaded.answers(asked.encoded.x))
        reply = await self._done(answers.size <= _SMALL, asked.reply, answers)
        return Response(reply.body, media_type=reply.media, headers=dict(reply.headers))

    async def _done(self, small: bool, function: Callable[[Any], _T], argument: Any) -> _T:
        """Call a function in a thread of those for small requests, or of the others."""
        run = partial(contextvars.copy_context().run, function, argument)
        return await asyncio.get_running_loop().run_in_executor(self._small if small else self._large, run)

    async def _body(self, request: Request, said: dict[str, Any]) -> bytes:
        """Return the body of a request, and note how much is held for it.

        Raises:
            Refused: it comes too slowly, or with too many others.
        """
        parts = []
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    if part:
                        self.held += len(part)
                        said["held"] += len(part)
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


def _is_small(body: bytes) -> bool:
    """Say whether a body is a little JSON, without a file in it, however that is written."""
    return len(body) <= _SMALL and body[:1] in _JSON_BEGINS and b"b64" not in body and b"\\u" not in body
