"""What holds for every request: who may ask, how much, its id, its line in the log, and its count."""

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
from kzoo.utils.formatting import shown

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOST = 499  # in log and metrics: whoever asked has gone


class Middleware:
    """The outermost application.

    Args:
        app: what answers.
        token: that requests must bring, or None.
        open_to_all: paths that need none: what probes ask, and the page that asks for the token.
        hosts: names beside this machine's own by which requests may call the server; None takes any name.
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
        self._app, self._open, self._limits, self._metrics, self._log = app, open_to_all, limits, metrics, log
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._name, self._count = secrets.token_hex(4), 0  # of this server, and requests without an id of their own
        self.ending = False  # each connection gets one more answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        header = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        said: dict[str, Any] = {"header": header}
        scope["kzoo"] = said
        number = header.get("x-request-id", "")
        if not _ID.fullmatch(number):
            self._count += 1
            number = f"{self._name}-{self._count:x}"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                said["status"] = message["status"]
                message["headers"] += [(b"x-request-id", number.encode()), (b"x-content-type-options", b"nosniff")]
                if self.ending:
                    message["headers"].append((b"connection", b"close"))
            try:
                await send(message)
            except (OSError, RuntimeError):  # the connection was closed meanwhile; uvloop raises the latter
                said["lost"] = True
                raise ClientDisconnect from None

        trace = None
        try:
            self._check(scope, header)
            await self._app(scope, receive, answer)
        except Refused as no:
            await refusal(no, said)(scope, receive, answer)
        except ClientDisconnect:
            said["lost"] = True
        except Exception as error:  # a fault of ours: Starlette has answered 500
            trace = None if "lost" in said else "".join(traceback.format_exception(error)[-3:])
        seconds = time.perf_counter() - began
        status = _LOST if "lost" in said else said.get("status", _LOST)
        self._metrics.request(said.get("model"), status, seconds)
        self._log(
            "request", id=number, method=scope["method"], path=scope["path"], status=status, ms=round(1e3 * seconds, 3),
            model=said.get("model"), version=said.get("version"), rows=said.get("rows"), error=said.get("error"),
            trace=trace,
        )  # fmt: skip

    def _check(self, scope: Scope, header: dict[str, str]) -> None:
        self._check_names(scope)
        if self._token is not None and scope["path"] not in self._open:
            scheme, _, given = header.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), self._token):
                raise Refused(
                    401, "This server asks for its token: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
                )
        length = header.get("content-length", "0")
        if len(length) > 15 or (length.isdecimal() and int(length) > self._limits.body):
            raise Refused(
                413, f"The request has {length[:20]} bytes; at most {self._limits.body:,} are taken: send it in parts.",
                {"Connection": "close"},
            )  # fmt: skip
        if header.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise Refused(415, "Compressed requests are not taken: leave Content-Encoding out.")

    def _check_names(self, scope: Scope) -> None:
        """Refuse what the page of another site had a browser send.

        Such a page may have its own name lead to this machine (DNS rebinding), which `Host` shows, or may send requests
        whose answers it cannot read, which `Origin` shows. Programs that are no browsers may leave both out.
        """
        if self._hosts is None:
            return
        for name, value in scope["headers"]:
            if name in (b"host", b"origin") and not self._is_own(value.decode("latin-1"), name == b"origin"):
                what = "Host" if name == b"host" else "Origin"
                raise Refused(
                    403, f"{what} {shown(value.decode('latin-1'))} is not this machine: call the server localhost or "
                    "127.0.0.1, or start it with --allow-host NAME or a token.",
                )  # fmt: skip

    def _is_own(self, value: str, is_origin: bool) -> bool:
        with suppress(ValueError):  # no address
            parts = urlsplit(value if is_origin else f"//{value}")
            host = (parts.hostname or "").removesuffix(".")
            return is_loopback(host) or host in (self._hosts or ())
        return False


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def refusal(no: Refused, said: MutableMapping[str, Any]) -> Response:
    """Return the answer to a request that is refused, and note why for its line in the log."""
    said["error"] = no.why
    return Response(as_json({"error": no.why}), no.status, no.headers, JSON)
