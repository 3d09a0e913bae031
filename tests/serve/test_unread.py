"""Clients that ask and do not read: they hold no place of others and little memory, and are cut off."""

import json
import socket
import time
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
from served import serving
from test_generation import EVENTS, PATH, SLOW, ask, waiting

from kzoo.serve import process
from kzoo.serve.limits import Limits

INFER = "/v2/models/digits/infer"
COUNT = 25_000
TENSOR = {"name": "image", "datatype": "FP32", "shape": [COUNT, 8, 8, 1], "data": [1] * 64 * COUNT}
ROWS = json.dumps({"inputs": [TENSOR]}, separators=(",", ":")).encode()
FEW_ROWS = json.dumps({"inputs": [TENSOR | {"shape": [1, 8, 8, 1], "data": [1] * 64}]}).encode()
X = np.ones((1, 8, 8, 1))
SERVER = """
from kzoo.serve.limits import Limits
Limits.__init__.__kwdefaults__.update({limits})
import kzoo.cli
raise SystemExit(kzoo.cli.main(["serve", *{words}, "--port", "0"]))
"""


def unread(server, path, settings, headers=()):
    """Send a request whose response is never read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect((server.host, server.port))
    body = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in dict(headers).items())
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_texts_that_nobody_reads_hold_no_place(exports, tmp_path):
    words = [str(exports / "language"), "--max-waiting", "4"]
    with serving(tmp_path, code=SLOW.format(words=words)) as server, ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(
                unread(server, PATH, {"prompt": "the", "length": Limits().tokens}, EVENTS)
            )
            server.wait_for(lambda: not waiting(server))
        for _ in range(12):
            stack.enter_context(unread(server, PATH, {"prompt": "the", "length": Limits().tokens}))
            server.wait_for(lambda: not waiting(server))
        # none has ended
        assert not [line for line in server.log("request") if line["path"] == PATH]
        for body, headers in (({"length": 3}, {}), ({"length": 3}, EVENTS)):
            assert ask(server, body, headers=headers).status_code == 200
        assert (
            server.post("/v1/models/language/answer?top=1", json=["the cat sees"]).status_code
            == 200
        )


@pytest.mark.parametrize("kind", ["events", "numbers"])
def test_a_response_that_nobody_reads_is_cut_off(exports, tmp_path, kind):
    words = [str(exports / "language"), str(exports / "digits")]
    with serving(
        tmp_path, code=SERVER.format(words=words, limits={"sending": 1.0, "rows": COUNT})
    ) as server:
        if kind == "events":  # the last one has the whole text
            path = PATH
            headers = EVENTS
            body = {"prompt": "the cat " * 1_000_000, "length": 1}
        else:
            path = INFER
            headers = {}
            body = ROWS
        with unread(server, path, body, headers):
            (line,) = server.wait_for(
                lambda: [line for line in server.log("request") if line["path"] == path]
            )
        assert line["status"] == 499 and not line.get("trace"), line


@pytest.mark.slow
def test_others_are_answered_within_a_second_beside_300_clients_that_do_not_read(exports, tmp_path):
    """On a machine with nothing else to do."""
    code = SERVER.format(
        words=[str(exports / "language"), str(exports / "digits")], limits={"sending": 120.0}
    )
    with serving(tmp_path, code=code) as server, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(
                unread(server, PATH, {"prompt": "the", "length": Limits().tokens}, EVENTS)
            )
        server.wait_for(lambda: not waiting(server))
        seconds = []
        for _ in range(20):
            for send in (
                lambda: ask(server, {"length": 3}, headers=EVENTS),
                lambda: server.post(INFER, FEW_ROWS),
            ):
                before = time.perf_counter()
                assert send().status_code == 200
                seconds.append(time.perf_counter() - before)
        # they are all still there
        assert not [line for line in server.log("request") if line["status"] == 499]
    print(f"slowest of {len(seconds)} answers: {sorted(seconds)[-3:]} s")
    assert max(seconds) < 1


def test_large_responses_that_nobody_reads_give_way_to_others(exports, tmp_path):
    """The memory for responses is that of one; a response that is read is whole."""
    limits = {"responses": 1, "rows": COUNT}
    code = SERVER.format(words=[str(exports / "digits")], limits=limits)
    with serving(tmp_path, code=code) as server, ExitStack() as stack:
        for _ in range(2):  # the system takes some 3 MB for a client that does not read
            stack.enter_context(unread(server, INFER, ROWS))

        def is_answered():
            response = server.post(INFER, ROWS)
            assert response.status_code in (200, 503)
            return response.status_code == 200 and response

        response = server.wait_for(is_answered)
        assert (
            response.headers["Content-Length"] == str(len(response.content))
            and len(response.content) > 4 << 20
        )
        assert len(response.json()["outputs"][0]["data"]) == 10 * COUNT
        assert server.answers("digits", X).shape == (1, 10)
        server.wait_for(
            lambda: (
                len([line for line in server.log("request") if line["status"] in (499, 503)]) >= 2
            )
        )


class Transport:
    """A connection whose client has read `read` bytes."""

    def __init__(self):
        self.sent = self.read = 0
        self.aborted = False

    def write(self, data):
        self.sent += len(data)

    def get_write_buffer_size(self):
        return self.sent - self.read

    def abort(self):
        self.aborted = True


def test_bytes_that_are_written_are_no_progress(monkeypatch):
    """Tokens come one by one: what is still to be sent grows, although the client reads nothing."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(process.time, "monotonic", lambda: clock.now)
    server = process._Server(lambda *_: None, Limits(), lambda *_, **__: None)
    unread, slow = (process._CountingTransport(Transport()) for _ in range(2))
    cycle = SimpleNamespace(response_complete=False)
    server.server_state.connections = {_Connection(unread, cycle), _Connection(slow, cycle)}
    for _ in range(40):
        clock.now += 1
        unread.write(b"token"), slow.write(b"token")
        slow._transport.read += 1
        server._close_silent()
    assert (unread.aborted, slow.aborted) == (True, False)


class _Connection:
    timeout_keep_alive_task = None

    def __init__(self, transport, cycle):
        self.transport, self.cycle = transport, cycle
