"""Middleware for every request: token and host checks, limits, request id, log line and metrics."""

import hmac
import ipaddress
import re
import secrets
import time
import traceback
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kzoo.serve.codecs import JSON, as_json
from kzoo.serve.limits import Limits, Refused
from kzoo.serve.log import Log
from kzoo.serve.metrics import Metrics
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import shown

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOST = 499  # status in log and metrics if the client has disconnected


class Middleware:
    """The outermost ASGI application.

    Args:
        app: the wrapped application.
        token: bearer token that requests must send, or None.
        open_to_all: paths that need no token: health probes, and the page that asks for the token.
        hosts: accepted host names in addition to those of this machine; None accepts any name.
        limits, metrics, log: of the server.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        open_to_all: frozenset[str],
        hosts: Collection[str] | None = None,
        limits: Limits,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._app = app
        self._open = open_to_all
        self._limits = limits
        self._metrics = metrics
        self._log = log
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        # prefix and counter of generated request ids
        self._id_prefix = secrets.token_hex(4)
        self._count = 0
        # while shutting down, each connection is closed after its next response
        self.ending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        header = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        context: JsonObject = {"header": header, "is_ending": lambda: self.ending}
        scope["kzoo"] = context
        request_id = header.get("x-request-id", "")
        if not _ID.fullmatch(request_id):
            self._count += 1
            request_id = f"{self._id_prefix}-{self._count:x}"

        async def send_response(message: Message) -> None:
            if message["type"] == "http.response.start":
                context["status"] = message["status"]
                message["headers"] += [
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
                if self.ending:
                    message["headers"].append((b"connection", b"close"))
            try:
                await send(message)
            except (OSError, RuntimeError):  # the connection was closed; uvloop raises RuntimeError
                context["lost"] = True
                raise ClientDisconnect from None

        trace = None
        try:
            self._check(scope, header)
            await self._app(scope, receive, send_response)
        except Refused as refused:
            await refusal(refused, context)(scope, receive, send_response)
        except ClientDisconnect:
            context["lost"] = True
        except Exception as error:  # an internal error: Starlette has sent the response 500
            trace = None if "lost" in context else "".join(traceback.format_exception(error)[-3:])
        seconds = time.perf_counter() - start
        status = _LOST if "lost" in context else context.get("status", _LOST)
        self._metrics.request(context.get("model"), status, seconds)
        self._log(
            "request",
            id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1e3 * seconds, 3),
            model=context.get("model"),
            version=context.get("version"),
            rows=context.get("rows"),
            error=context.get("error"),
            trace=trace,
        )

    def _check(self, scope: Scope, header: dict[str, str]) -> None:
        self._check_hosts(scope)
        if self._token is not None and scope["path"] not in self._open:
            scheme, _, credentials = header.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                credentials.strip().encode("latin-1"), self._token
            ):
                raise Refused(
                    401,
                    "This server requires a token. Send the header Authorization: Bearer TOKEN.",
                    {"WWW-Authenticate": "Bearer"},
                )
        length = header.get("content-length", "0")
        if len(length) > 15 or (length.isdecimal() and int(length) > self._limits.body):
            raise Refused(
                413,
                f"The request has {length[:20]} bytes, the limit is {self._limits.body:,}. Send it in parts.",
                {"Connection": "close"},
            )
        if header.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise Refused(
                415, "Compressed requests are not supported. Remove the header Content-Encoding."
            )

    def _check_hosts(self, scope: Scope) -> None:
        """Raise Refused if a web page of another site made a browser send the request.

        Such a page may resolve its own host name to this machine (DNS rebinding), which shows in `Host`, or send
        requests whose responses it cannot read, which shows in `Origin`. Other programs may omit both headers.
        """
        if self._hosts is None:
            return
        for name, value in scope["headers"]:
            if name in (b"host", b"origin") and not self._is_allowed_host(
                value.decode("latin-1"), name == b"origin"
            ):
                header_name = "Host" if name == b"host" else "Origin"
                raise Refused(
                    403,
                    f"{header_name} {shown(value.decode('latin-1'))} is not allowed. Use localhost or 127.0.0.1, "
                    "or start the server with --allow-host NAME or a token.",
                )

    def _is_allowed_host(self, value: str, is_origin: bool) -> bool:
        with suppress(ValueError):  # not a valid URL
            parts = urlsplit(value if is_origin else f"//{value}")
            host = (parts.hostname or "").removesuffix(".")
            return is_loopback(host) or host in (self._hosts or ())
        return False


def is_loopback(host: str) -> bool:
    """Return True if an address can be reached from this machine only."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def refusal(refused: Refused, context: MutableMapping[str, Any]) -> Response:
    """Return the response to a refused request, and store the message in the request's context for the log."""
    context["error"] = refused.message
    return Response(as_json({"error": refused.message}), refused.status, refused.headers, JSON)
