"""The server process: socket, signals, idle connections, and a graceful shutdown that loses no request."""

import asyncio
import faulthandler
import gc
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
from importlib import import_module
from types import FrameType
from typing import Any

import uvicorn

from kzoo.serve.limits import Limits
from kzoo.serve.log import Log
from kzoo.serve.middleware import Middleware
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.optional import is_installed

_MAX_HEADER = 1 << 16  # bytes of the headers of a request
_KEEP_ALIVE = 75  # seconds that idle connections are kept: longer than most clients keep them
# Python's thread switch interval: short, since a request passes through several threads
_SWITCH_SECONDS = 5e-4
_BACKLOG = 2048  # connections that the operating system queues until they are accepted
_QUIET = 1.0  # seconds for idle connections to send a last request during shutdown
_LATE = 0.5  # seconds after `Limits.ending` until a forced exit, even if threads are still busy
_WORKERS = ("kzoo-", "asyncio_")  # name prefixes of the threads that decode requests and run models


def serve(app: Middleware, *, host: str, port: int, limits: Limits, log: Log) -> int:
    """Serve until SIGTERM or Ctrl-C; return the number of requests.

    Raises:
        KzooError: the address is not available.
    """
    listening = _listen(host, port)
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = _Server(app, limits, log)
    _log_uvicorn_warnings(log)
    server.run(sockets=[listening])
    log("ended", requests=server.server_state.total_requests)
    server.cancel_forced_exit()
    return server.server_state.total_requests


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise KzooError(
            f"Cannot listen on host={host!r}, port={port}: {str(why).lower()}. Choose another port=."
        ) from None
    return listening


def _log_uvicorn_warnings(log: Log) -> None:
    """Write the warnings of uvicorn as log lines."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            trace = record.exc_info and "".join(traceback.format_exception(*record.exc_info)[-3:])
            log("uvicorn", text=record.getMessage(), trace=trace or None)

    logger = logging.getLogger("uvicorn")
    logger.handlers = [Handler(logging.WARNING)]
    logger.propagate = False


class _Server(uvicorn.Server):
    """uvicorn's server with a custom shutdown."""

    def __init__(self, app: Middleware, limits: Limits, log: Log) -> None:
        options: JsonObject = dict(
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=_KEEP_ALIVE,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=max(1, int(limits.ending)),
        )
        options["http"] = (
            _bounded_protocol() if is_installed("httptools") else _counting(_h11_protocol())
        )
        super().__init__(uvicorn.Config(app, **options))
        self._middleware, self._limits, self._log = app, limits, log
        # connection -> (time of the last progress, bytes sent by then)
        self._silent: dict[Any, tuple] = {}
        self._deadline = float("inf")  # deadline of the shutdown, on the monotonic clock
        self._exit_timer: threading.Timer | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM as a normal exit; uvicorn would raise the signal again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown, and a timer that forces the exit, since busy threads cannot be stopped."""
        if self._exit_timer is None:
            self._deadline = time.monotonic() + self._limits.ending
            self._exit_timer = threading.Timer(self._limits.ending + _LATE, self._force_exit)
            self._exit_timer.daemon = True
            self._exit_timer.start()
            # The same from C, in case a thread holds Python's GIL in a long call.
            faulthandler.dump_traceback_later(self._limits.ending + 1.5 * _LATE, exit=True)
        super().handle_exit(sig, frame)

    def _force_exit(self) -> None:
        self._log(
            "ended",
            requests=self.server_state.total_requests,
            unfinished=len(self.server_state.tasks) or None,
        )
        os._exit(0)

    def cancel_forced_exit(self) -> None:
        """Cancel the forced exit if all worker threads end in time; else keep it, since Python waits for threads."""
        if self._exit_timer is None:
            return
        # a model's thread ends with its last reference, which errors of cancelled requests may hold
        gc.collect()
        deadline = self._deadline + _LATE / 2
        while any(thread.name.startswith(_WORKERS) for thread in threading.enumerate()):
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
        self._exit_timer.cancel()
        faulthandler.cancel_dump_traceback_later()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for sock in sockets or []:
            host, port = sock.getsockname()[:2]
            self._log(
                "listening",
                url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
            )

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._close_silent()
        return await super().on_tick(counter)

    def _close_silent(self) -> None:
        """Close connections that neither continue a request nor receive a response; uvicorn has no such timeout."""
        current_time = time.monotonic()
        silent = {}
        connection: Any
        for connection in self.server_state.connections:
            cycle = connection.cycle
            unsent = connection.transport.get_write_buffer_size()
            answered = cycle is None or cycle.response_complete
            sent = connection.transport.written - unsent
            if unsent or (answered and connection.timeout_keep_alive_task is None):
                since, sent_before = self._silent.get(connection, (current_time, sent))
                since = since if sent == sent_before else current_time
                silent[connection] = (since, sent)
                if current_time - since > (
                    self._limits.sending if unsent else self._limits.seconds
                ):
                    connection.transport.abort()
        self._silent = silent

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, answer pending requests and one more per connection, then end."""
        self._log("ending", connections=len(self.server_state.connections))
        self._middleware.ending = True
        await self._accept_queued(sockets or [])
        deadline = min(time.monotonic() + _QUIET, self._deadline)
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._deadline < float("inf"):
            # uvicorn declares an int, but fractions of seconds work.
            seconds_left: Any = max(self._deadline - time.monotonic(), 0.1)
            self.config.timeout_graceful_shutdown = seconds_left
        await super().shutdown(sockets)

    async def _accept_queued(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections queued by the operating system; closing the socket would reset them."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            queue = sock.dup()  # keeps the queue open after the event loop closes its socket
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

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class _CountingTransport:
    """A transport that counts the bytes written to it: what is still to be sent grows while a response is made."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _counting(protocol: Any) -> type:
    """Return a protocol of uvicorn whose connections have a `_CountingTransport`."""

    class Counting(protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_CountingTransport(transport))

    return Counting


def _h11_protocol() -> type:
    return import_module("uvicorn.protocols.http.h11_impl").H11Protocol


def _bounded_protocol() -> type:
    """Return uvicorn's httptools protocol with a limit on header size, which its h11 protocol already has."""
    import httptools
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(HttpToolsProtocol):
        def on_message_begin(self) -> None:
            self._header_bytes = 0
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value))
            super().on_header(name, value)

        def _count(self, size: int) -> None:
            self._header_bytes += size + 32
            if self._header_bytes > _MAX_HEADER:
                # uvicorn responds with 400
                raise httptools.HttpParserError("the header is too long")

    return _counting(Bounded)
