"""Request handling: body, decoding by a protocol, batching, model and reply."""

import asyncio
import contextvars
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kzoo.inference.kinds.text.generation import Generation
from kzoo.serve import explanation, generation
from kzoo.serve.codecs import JSON, NOTES, DecodedRequest, ModelRequest, as_json
from kzoo.serve.limits import Limits, Refused, busy, once
from kzoo.serve.model_repository import Loaded, ModelRepository
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.serve.model_repository import ServedModel


_T = TypeVar("_T")
_SMALL = 1 << 16  # bytes of JSON, or output numbers, that take little time
_SLOW = 1.0  # seconds without progress after which a large response may be aborted for another
_JSON_BEGINS = (b"{", b"[", b'"', b" ", b"\n")
Protocol = Callable[[ModelRequest], DecodedRequest]


Respond = Callable[[Request, ModelRequest, Loaded], Awaitable[Response]]
FAULT = "Internal server error. See the server log for the id of this request."


class _Pending:
    """A request: it is counted as waiting for its model until `answered`, and its body until `end`."""

    def __init__(self, service: "Service", model: "ServedModel") -> None:
        self._service = service
        self._model = model
        self._waits = True
        self.body_bytes = 0
        model.waiting += 1

    def answered(self) -> None:
        """Count the request no longer as waiting."""
        self._model.waiting -= self._waits
        self._waits = False

    def end(self) -> None:
        self.answered()
        self._service.body_bytes -= self.body_bytes


class _Stream(StreamingResponse):
    """A response that is sent while it is made; `on_end` is called after its end, also if it is cut off."""

    on_end: Callable[[], object]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.on_end()


class _LargeResponse(StreamingResponse):
    """A response that is sent in pieces, so that a client that does not read holds no second copy of it.

    Attributes:
        size: in bytes.
        time: of the last progress.
    """

    def __init__(self, body: bytes, responses: "set[_LargeResponse]", **options: Any) -> None:
        super().__init__(self._pieces(body), **options)
        self.headers["Content-Length"] = str(len(body))
        self.size = len(body)
        self.time = time.monotonic()
        self._responses = responses
        self._task: asyncio.Future[None] | None = None
        self._is_complete = False
        responses.add(self)

    async def _pieces(self, body: bytes) -> AsyncIterator[bytes]:
        async for piece in _split(body):
            yield piece
            self.time = time.monotonic()
        self._is_complete = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._task = asyncio.ensure_future(super().__call__(scope, receive, send))
        try:
            await self._task
        except asyncio.CancelledError:
            if self in self._responses:  # the server ends
                raise
        finally:
            self._responses.discard(self)
        if not self._is_complete:
            raise ClientDisconnect

    def abort(self) -> None:
        """End the response, whose client does not read."""
        self._responses.discard(self)
        if self._task is not None:
            self._task.cancel()


class Service:
    """Serves the models of a repository.

    Args:
        repository: the models.
        limits: limits of requests.
    """

    def __init__(self, repository: ModelRepository, limits: Limits) -> None:
        self.repository = repository
        self.limits = limits
        self.body_bytes = 0
        self._responses: set[_LargeResponse] = set()
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
        return self._endpoint(partial(self._predictions, read))

    def explanation_endpoint(self) -> Callable[[Request], Any]:
        """Return the endpoint that explains predictions."""
        return self._endpoint(self._explained)

    def generation_endpoint(self) -> Callable[[Request], Any]:
        """Return the endpoint that continues texts."""
        return self._endpoint(self._continued)

    def _endpoint(self, respond: Respond) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            model = self.repository[request.path_params["name"]]
            version = request.path_params.get("version")
            context = request.scope["kzoo"]
            context["model"] = model.name
            if model.waiting >= self.limits.waiting:
                raise busy(f"{model.waiting} requests to {model.name!r} are already waiting")
            pending = context["pending"] = _Pending(self, model)
            try:
                model.version(version)  # raises Refused before the body is received
                body = await self._body(request, context)
                number, loaded = await model.load(version)
                context["version"] = str(number)
                NOTES.set([])
                model_request = ModelRequest(
                    model=loaded.model,
                    name=model.name,
                    version=str(number),
                    header=context["header"],
                    query=once(request.query_params.multi_items(), "The URL"),
                    body=body,
                    max_rows=loaded.max_rows,
                )
                response = await respond(request, model_request, loaded)
            except BaseException:
                pending.end()
                raise
            if isinstance(response, _Stream):
                response.on_end = pending.end
            else:
                pending.end()
            return response

        return endpoint

    async def _predictions(
        self, read: Protocol, request: Request, model_request: ModelRequest, loaded: Loaded
    ) -> Response:
        decoded = await self._done(_is_small(model_request.body), read, model_request)
        request.scope["kzoo"]["rows"] = len(decoded.encoded.x)
        outputs = loaded.model.check(await loaded.batches(decoded.encoded.x))
        reply = await self._done(outputs.size <= _SMALL, decoded.reply, outputs)
        return self._response(reply.body, reply.media, reply.headers)

    def _response(
        self, body: bytes, media: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return a response; those that are large share the memory for them.

        Raises:
            Refused: their memory is used up by others, whose clients read.
        """
        options: JsonObject = dict(media_type=media, headers=dict(headers or {}))
        if len(body) <= _SMALL:
            return Response(body, **options)
        while (
            self._responses
            and sum(other.size for other in self._responses) + len(body) > self.limits.responses
        ):
            slowest = min(self._responses, key=lambda response: response.time)
            if time.monotonic() - slowest.time < _SLOW:
                raise busy("The memory for large responses is used up by other requests")
            slowest.abort()
        return _LargeResponse(body, self._responses, **options)

    async def _explained(
        self, request: Request, model_request: ModelRequest, loaded: Loaded
    ) -> Response:
        """Explain one input. Its many predictions run in batches that alternate with those of other requests."""
        encoded = await self._done(_is_small(model_request.body), explanation.read, model_request)
        request.scope["kzoo"]["rows"] = 1
        loop = asyncio.get_running_loop()

        def run(x: np.ndarray) -> np.ndarray:
            return asyncio.run_coroutine_threadsafe(loaded.batches(x), loop).result()

        body = await self._done(False, partial(explanation.reply, model_request, encoded), run)
        return self._response(body, JSON)

    async def _continued(
        self, request: Request, model_request: ModelRequest, loaded: Loaded
    ) -> Response:
        read = partial(generation.read, most=self.limits.tokens)
        text = await self._done(_is_small(model_request.body), read, model_request)
        request.scope["kzoo"]["rows"] = 1
        ids = {"model": model_request.name, "version": model_request.version}
        pieces = self._pieces(loaded, text, request.scope["kzoo"])
        if generation.wants_events(model_request):
            events = self._events(request, text.prompt, pieces, ids)
            return _Stream(events, media_type=generation.EVENTS, headers=generation.HEADERS)
        parts = [text.prompt]
        async for piece in pieces:
            parts.append(piece)
            if await request.is_disconnected():
                request.scope["kzoo"]["lost"] = True
                return Response()
        return self._response(as_json(ids | {"text": "".join(parts)}), JSON)

    async def _pieces(
        self, loaded: Loaded, text: Generation, context: JsonObject
    ) -> AsyncIterator[str]:
        """Yield what each token adds to a text; its rows run in the same batches as those of other requests.

        A text with its first token is no longer waiting: it holds no place while it grows, or its client does not read.
        """
        last_time = math.inf  # soon after the server has been told to stop
        for tokens in range(text.sampling.length):
            if context["is_ending"]():
                last_time = min(last_time, time.monotonic() + self.limits.ending / 4)
                if time.monotonic() > last_time:
                    raise Refused(503, "The server is stopping, and the text is not complete.")
            async with loaded.turns(tokens):
                outputs = await loaded.batches(text.window())
                piece = await self._done(True, partial(loaded.model.next_token, text), outputs)
            context["pending"].answered()
            yield piece

    async def _events(
        self, request: Request, prompt: str, pieces: AsyncIterator[str], ids: dict[str, str]
    ) -> AsyncIterator[bytes]:
        """Yield an event for each token, and one at the end with the whole text, or with an error."""
        context = request.scope["kzoo"]
        parts = [prompt]
        try:
            async for piece in pieces:
                parts.append(piece)
                yield generation.event({"text": piece})
            async for part in _split(generation.event(ids | {"text": "".join(parts)}, "end")):
                yield part
        except (KzooError, Refused) as error:
            context["error"] = str(error)
            yield generation.event({"error": str(error)}, "error")
        except Exception:
            yield generation.event({"error": FAULT}, "error")
            raise
        except BaseException:  # cancelled, because the client has disconnected or the server ends
            context["lost"] = True
            raise

    async def _done(self, small: bool, function: Callable[[Any], _T], argument: object) -> _T:
        """Call a function in a thread for small requests, or in one for large requests."""
        run = partial(contextvars.copy_context().run, function, argument)
        return await asyncio.get_running_loop().run_in_executor(
            self._small if small else self._large, run
        )

    async def _body(self, request: Request, context: JsonObject) -> bytes:
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
                        context["pending"].body_bytes += len(part)
                        parts.append(part)
                        if self.body_bytes > self.limits.bodies:
                            refused = busy(
                                "The memory for request bodies is used up by other requests"
                            )
                            refused.headers["Connection"] = "close"
                            raise refused
        except TimeoutError:
            raise Refused(
                408,
                f"The body of the request took longer than {self.limits.seconds:g} s to arrive.",
                {"Connection": "close"},
            ) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def _split(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in pieces: the server goes on after each once the client has read most of it."""
    for start in range(0, len(body), _SMALL):
        yield body[start : start + _SMALL]
        await asyncio.sleep(0)  # a response is cancelled here if its client has disconnected


def _is_small(body: bytes) -> bool:
    """Return True if a body is short JSON without an encoded file (`b64`, also with escaped letters)."""
    return (
        len(body) <= _SMALL
        and body[:1] in _JSON_BEGINS
        and b"b64" not in body
        and b"\\u" not in body
    )
