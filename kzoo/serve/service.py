"""Request handling: body, decoding by a protocol, batching, model and reply."""

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
_SMALL = 1 << 16  # bytes of JSON, or output numbers, that take little time
_JSON_BEGINS = (b"{", b"[", b'"', b" ", b"\n")
Protocol = Callable[[ModelRequest], DecodedRequest]


class Service:
    """Serves the models of a repository.

    Args:
        repository: the models.
        limits: limits of requests.
    """

    def __init__(self, repository: ModelRepository, limits: Limits) -> None:
        self.repository, self.limits, self.body_bytes = repository, limits, 0
        # Requests are decoded and replies encoded in threads, so that the event loop stays responsive. Large ones run a
        # few at a time, which limits their memory; small ones have separate threads, so that they do not wait.
        self._small = ThreadPoolExecutor(2, thread_name_prefix="kzoo-small")
        self._large = ThreadPoolExecutor(2, thread_name_prefix="kzoo-large")

    def close(self) -> None:
        """Shut down the threads that decode requests and run models, once they are idle."""
        for pool in (self._small, self._large):
            pool.shutdown(wait=False, cancel_futures=True)
        for model in self.repository.models.values():
            for version in model.versions.values():
                version.close()

    def endpoint_of(self, read: Protocol) -> Callable[[Request], Any]:
        """Return the endpoint of a protocol, given its `read` function."""

        async def endpoint(request: Request) -> Response:
            model, version = self.repository[request.path_params["name"]], request.path_params.get("version")
            context = request.scope["kzoo"]
            context["model"] = model.name
            if model.waiting >= self.limits.waiting:
                raise busy(f"{model.waiting} requests to {model.name!r} are already waiting")
            model.waiting += 1
            context["held"] = 0  # bytes of the body
            try:
                return await self._respond(request, read, model, version, context)
            finally:
                model.waiting -= 1
                self.body_bytes -= context["held"]

        return endpoint

    async def _respond(
        self,
        request: Request,
        read: Protocol,
        model: ServedModel,
        requested_version: str | None,
        context: dict[str, Any],
    ) -> Response:
        model.version(requested_version)  # raises Refused before the body is received
        body = await self._body(request, context)
        version, loaded = await model.load(requested_version)
        context["version"] = str(version)
        NOTES.set([])
        model_request = ModelRequest(
            model=loaded.model, name=model.name, version=str(version), header=context["header"],
            query=request.query_params, body=body, max_rows=loaded.max_rows,
        )  # fmt: skip
        decoded = await self._done(_is_small(body), read, model_request)
        context["rows"] = len(decoded.encoded.x)
        outputs = loaded.model.check(await loaded.batches(decoded.encoded.x))
        reply = await self._done(outputs.size <= _SMALL, decoded.reply, outputs)
        return Response(reply.body, media_type=reply.media, headers=dict(reply.headers))

    async def _done(self, small: bool, function: Callable[[Any], _T], argument: Any) -> _T:
        """Call a function in a thread for small requests, or in one for large requests."""
        run = partial(contextvars.copy_context().run, function, argument)
        return await asyncio.get_running_loop().run_in_executor(self._small if small else self._large, run)

    async def _body(self, request: Request, context: dict[str, Any]) -> bytes:
        """Return the body of a request, and count its bytes against the limits.

        Raises:
            Refused: the body arrives too slowly, or the memory for bodies is used up.
        """
        parts = []
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    if part:
                        self.body_bytes += len(part)
                        context["held"] += len(part)
                        parts.append(part)
                        if self.body_bytes > self.limits.bodies:
                            refused = busy("The memory for request bodies is used up by other requests")
                            refused.headers["Connection"] = "close"
                            raise refused
        except TimeoutError:
            raise Refused(
                408,
                f"The body of the request took longer than {self.limits.seconds:g} s to arrive.",
                {"Connection": "close"},
            ) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_small(body: bytes) -> bool:
    """Return True if a body is short JSON without an encoded file (`b64`, also with escaped letters)."""
    return len(body) <= _SMALL and body[:1] in _JSON_BEGINS and b"b64" not in body and b"\\u" not in body
