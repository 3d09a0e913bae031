"""The process: its socket, its signals, connections that say nothing, and an end that loses no request."""

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from kzoo.serve.limits import Limits
from kzoo.serve.log import Log
from kzoo.serve.middleware import Middleware
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import is_installed

_HEADER = 1 << 16  # bytes of a request's header
_KEEP_ALIVE = 75  # seconds that an idle connection is kept: longer than most clients' own
_TURN = 5e-4  # seconds that a thread computes while another waits: a request goes through several, one after the other
_BACKLOG = 2048  # connections that the system keeps until they are accepted
_QUIET = 1.0  # seconds that idle connections get to send one more request, at the end
_LATE = 0.5  # seconds after the end's, when threads that still work are left behind
_WORKERS = ("kzoo-", "asyncio_")  # how the names of threads begin that read requests and compute answers


def serve(app: Middleware, *, host: str, port: int, limits: Limits, log: Log) -> int:
    """Answer until SIGTERM or Ctrl-C; return how many requests there were.

    Raises:
        KzooError: the address cannot be had.
    """
    listening = _listen(host, port)
    sys.setswitchinterval(_TURN)
    server = _Server(app, limits, log)
    _say_what_uvicorn_says(log)
    server.run(sockets=[listening])
    log("ended", requests=server.server_state.total_requests)
    server.leave_nothing()
    return server.server_state.total_requests


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise KzooError(
            f"host={host!r}, port={port} cannot be had: {str(why).lower()}. Choose another port=."
        ) from None
    return listening


def _say_what_uvicorn_says(log: Log) -> None:
    """Let uvicorn's warnings be lines like all others."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            trace = record.exc_info and "".join(traceback.format_exception(*record.exc_info)[-3:])
            log("uvicorn", text=record.getMessage(), trace=trace or None)

    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [Handler(logging.WARNING)], False


class _Server(uvicorn.Server):
    """uvicorn's, with an end of our own."""

    def __init__(self, app: Middleware, limits: Limits, log: Log) -> None:
        options: dict[str, Any] = dict(
            ws="none", log_config=None, access_log=False, server_header=False, proxy_headers=False,
            limit_concurrency=limits.connections, timeout_keep_alive=_KEEP_ALIVE, backlog=_BACKLOG,
            timeout_graceful_shutdown=max(1, int(limits.ending)),
        )  # fmt: skip
        options["http"] = _bounded() if is_installed("httptools") else "h11"
        super().__init__(uvicorn.Config(app, **options))
        self._front, self._limits, self._log = app, limits, log
        self._silent: dict[Any, tuple] = {}  # connection -> since when nothing comes or goes, bytes that it has to take
        self._until = float("inf")  # when the end has to be over
        self._leaving: threading.Timer | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End by a signal as one ends well: uvicorn would raise it once more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to end, and see to it that this does not take for ever: no thread can be told to stop."""
        if self._leaving is None:
            self._until = time.monotonic() + self._limits.ending
            self._leaving = threading.Timer(self._limits.ending + _LATE, self._leave)
            self._leaving.daemon = True
            self._leaving.start()
            # The same without Python, which a thread may keep busy in a long call of C.
            faulthandler.dump_traceback_later(self._limits.ending + 1.5 * _LATE, exit=True)
        super().handle_exit(sig, frame)

    def _leave(self) -> None:
        self._log("ended", requests=self.server_state.total_requests, unfinished=len(self.server_state.tasks) or None)
        os._exit(0)

    def leave_nothing(self) -> None:
        """Call off the forced end once no thread works any more; else leave it on, for Python waits for its threads."""
        if self._leaving is None:
            return
        until = self._until + _LATE / 2
        while any(thread.name.startswith(_WORKERS) for thread in threading.enumerate()):
            if time.monotonic() > until:
                return
            time.sleep(0.01)
        self._leaving.cancel()
        faulthandler.cancel_dump_traceback_later()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for sock in sockets or []:
            host, port = sock.getsockname()[:2]
            self._log("listening", url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._close_silent()
        return await super().on_tick(counter)

    def _close_silent(self) -> None:
        """Close connections that do not go on with a request, or do not take an answer: uvicorn waits for ever."""
        now, owing = time.monotonic(), {}
        connection: Any
        for connection in self.server_state.connections:
            cycle, unsent = connection.cycle, connection.transport.get_write_buffer_size()
            answered = cycle is None or cycle.response_complete
            if unsent or (answered and connection.timeout_keep_alive_task is None):
                since, before = self._silent.get(connection, (now, unsent))
                owing[connection] = (since if unsent == before else now, unsent)
        self._silent = owing
        for connection, (since, _) in owing.items():
            if now - since > self._limits.seconds:
                connection.transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer what has come and one more request of each connection, and end."""
        self._log("ending", connections=len(self.server_state.connections))
        self._front.ending = True
        await self._accept_the_last(sockets or [])
        until = min(time.monotonic() + _QUIET, self._until)
        while self.server_state.connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
        if self._until < float("inf"):
            left: Any = max(self._until - time.monotonic(), 0.1)  # asyncio takes parts of seconds too
            self.config.timeout_graceful_shutdown = left
        await super().shutdown(sockets)

    async def _accept_the_last(self, sockets: Sequence[socket.socket]) -> None:
        """Accept who has been let in by the system: to close the socket would send them away unheard."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            queue = sock.dup()  # so that the system's queue outlives the loop's reader
            queue.setblocking(False)
            for server in self.servers:
                server.close()
            await asyncio.sleep(0)
            with queue:
                while True:
                    try:
                        connection, _ = queue.accept()
                    except (BlockingIOError, OSError):
                        break
                    await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> Any:
        make: Any = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _bounded() -> type:
    """Return uvicorn's faster protocol with a limit on headers, which its slower one has."""
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(HttpToolsProtocol):
        def on_message_begin(self) -> None:
            self._taken = 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)

        def _count(self, size: int) -> None:
            self._taken += size + 32
            if self._taken > _HEADER:
                raise httptools.HttpParserError("the header is too long")  # answered with 400

    return Bounded
