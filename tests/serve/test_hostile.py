"""Requests that are meant to harm: each gets 4xx and a line, memory stays small, and no file is read.

A server with a token and a short timeout gets them all; it must still answer an honest request after them, and its log
must have no traceback.
"""

import base64
import io
import json
import socket
import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest
import requests
from hand_made import write_digits, write_series
from messages import assert_mentions
from PIL import Image
from served import serving

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
TOKEN = "a-token-of-tests"
SERVER = """
from kzoo.serve import app, limits, log, process
limits = limits.Limits(seconds=1.0, sending=1.0, rows=100, bodies=24 << 20)
log = log.Log()
app = app.make_app({exported!r}, token={token!r}, limits=limits, log=log)
process.serve(app, host="127.0.0.1", port=0, limits=limits, log=log)
"""
SECRET = "the canary sings"
X = [[[[1.0] for _ in range(8)] for _ in range(8)]]


def nested(depth):
    return "[" * depth + "]" * depth


def tensor(**changes):
    fields = {
        "name": "image",
        "datatype": "FP32",
        "shape": [1, 8, 8, 1],
        "data": [1.0] * 64,
    } | changes
    return json.dumps(
        {"inputs": [{name: value for name, value in fields.items() if value is not ...}]}
    )


def infer(**changes):
    return json.dumps(json.loads(tensor()) | changes)


def png_of(width, height):
    """Return a PNG of very many pixels in very few bytes."""

    def part(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", head)
        + part(b"IDAT", zlib.compress(bytes(100_000)))
        + part(b"IEND", b"")
    )


def picture(form, size=(9, 9)):
    stream = io.BytesIO()
    Image.new("RGB", size).save(stream, form)
    return stream.getvalue()


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


# What is no JSON, or JSON that nobody should have to hold; for every address that takes JSON.
DOCUMENTS = {
    "nothing": b"",
    "no JSON": b"{",
    "a word": b"hello",
    "half a character": b'["\xff"]',
    "nul": b"\0",
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "empty": b"{}",
    "empty list": b"[]",
    "a text": b'"x"',
    "deep": nested(100_000).encode(),
    "deep objects": b'{"a":' * 100_000,
    "deep inside": b'{"instances":' + nested(5_000).encode() + b"}",
    "deep tensors": b'{"inputs":' + nested(900).encode() + b"}",
    "NaN": b'{"instances": [NaN]}',
    "infinity": b'{"instances": [-Infinity]}',
    "huge number": b'{"instances": [[1e400]]}',
    "huge whole number": b'{"instances": [[' + b"9" * 10_000 + b"]]}",
    "utf-16": '{"instances": []}'.encode("utf-16"),
    "many lists": b'{"instances": [' + b"[]," * 200_000 + b"[]]}",
    "many objects": b"[" + b"{}," * 200_000 + b"{}]",
    "no inputs": b'{"instances": []}',
    "null inputs": b'{"instances": null}',
    "both": b'{"instances": [], "inputs": []}',
}
# Inputs of the model of images.
INPUTS = {
    "a name": "/etc/passwd",
    "a name of here": "canary.png",
    "a folder": ".",
    "an address": "http://127.0.0.1:1/x.png",
    "a file address": "file:///etc/passwd",
    "a bare number": 1,
    "a row of text": ["a"],
    "null": None,
    "true": True,
    "NaN as text": [[["NaN"] * 8] * 8],
    "wrong shape": [[1.0, 2.0]],
    "ragged": [[[1.0], [1.0, 2.0]]],
    "an object": {"a": 1},
    "b64 that is none": {"b64": "%%%"},
    "b64 of a number": {"b64": 1},
    "b64 of a name": b64(b"/etc/passwd"),
    "b64 of b64": {"b64": {"b64": "AAAA"}},
    "b64 of nothing": {"b64": ""},
    "b64 and more": {"b64": "AAAA", "path": "/etc/passwd"},
    "a bomb": b64(png_of(30_000, 30_000)),
    "overflow": [[[1e39] * 8] * 8],
    "a large number": [[[10**400] * 8] * 8],
    "half a picture": b64(picture("PNG")[:45]),
    "another format": b64(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    "icon": b64(picture("ICO", (16, 16))),
    "a text in numbers": [[[1.0] * 7 + ["2"]] * 8],
}
TENSORS = {
    "negative shape": tensor(shape=[-1, 8, 8, 1]),
    "huge shape": tensor(shape=[2**62, 2**62, 8, 1]),
    "shape of texts": tensor(shape=["1"]),
    "no shape": tensor(shape=...),
    "a shape of floats": tensor(shape=[1.5]),
    "other count": tensor(data=[1.0]),
    "no data": tensor(data=...),
    "data of texts": tensor(data=["a"] * 64),
    "data is a text": tensor(data="x"),
    "no type": tensor(datatype=...),
    "another type": tensor(datatype="FP128"),
    "type of another kind": tensor(datatype=["FP32"]),
    "bytes of a name": tensor(datatype="BYTES", shape=[1], data=["/etc/passwd"]),
    "another name": tensor(name="labels"),
    "a name that is none": tensor(name={"a": 1}),
    "huge rank": tensor(shape=[1] * 10_000),
    "shared memory": tensor(parameters={"shared_memory_region": "x"}),
    "parameters of text": tensor(parameters="x"),
    "binary size of none": tensor(parameters={"binary_data_size": 256}, data=...),
    "two tensors": json.dumps({"inputs": [{}, {}]}),
    "an id of another kind": infer(id=5),
    "a long id": infer(id="x" * 10_000),
    "outputs of text": infer(outputs="x"),
    "outputs of texts": infer(outputs=["x"]),
    "an output that is not": infer(outputs=[{"name": "/etc/passwd"}]),
    "a classification": infer(
        outputs=[{"name": "probabilities", "parameters": {"classification": 3}}]
    ),
    "another's memory": infer(
        outputs=[{"name": "probabilities", "parameters": {"shared_memory_region": "x"}}]
    ),
    "empty tensor": tensor(shape=[0, 8, 8, 1], data=[]),
    "zero sizes": tensor(shape=[2**60, 0], data=[]),
}
UPLOADS = {
    "bomb": ("image/png", png_of(30_000, 30_000)),
    "wide bomb": ("image/png", png_of(2**31 - 1, 1)),
    "16 million pixels and more": ("image/png", png_of(4097, 4097)),
    "empty": ("image/png", b""),
    "text": ("image/png", b"canary.png"),
    "half": ("image/jpeg", picture("JPEG")[:100]),
    "postscript": ("image/eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    "svg": (
        "image/svg+xml",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>',
    ),
    "a table": ("text/csv", b"a,b\n1,2\n"),
    "words": ("text/plain", b"/etc/passwd"),
    "xml": ("application/xml", b"<!DOCTYPE x SYSTEM '/etc/passwd'>"),
    "pickle": ("application/x-pickle", b"\x80\x04."),
    "numpy": ("application/octet-stream", b"\x93NUMPY"),
    "no boundary": ("multipart/form-data", b"x"),
    "no part": ("multipart/form-data; boundary=b", b"--b--"),
    "no file": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n/etc/passwd\r\n--b--\r\n',
    ),
    "many parts": ("multipart/form-data; boundary=b", b"--b\r\n" * 50_000 + b"--b--"),
    "a name for a file": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="/etc/passwd"\r\n\r\n\r\n--b--\r\n',
    ),
    "an endless part": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="' + b"x" * 500_000,
    ),
}
TABLES = {
    "a name": json.dumps(["canary.csv"]),
    "one name": json.dumps("canary.csv"),
    "inputs by name": json.dumps({"inputs": "canary.csv"}),
    "few rows": json.dumps([{"load": 1, "sun": 1}]),
    "no columns": json.dumps([{"a": 1}]),
    "lists in cells": json.dumps([{"load": [1, 2], "sun": {}}] * 9),
    "b64 of nothing": json.dumps([b64(b"")]),
    "b64 of no table": json.dumps([b64(b"\0" * 100)]),
    "open quote": json.dumps([b64(b'load,sun\n"1,2\n')]),
    "columns of two lengths": json.dumps({"load": [1], "sun": [1, 2]}),
    "other numbers": json.dumps([[1, 2, 3]] * 6),
}
CSVS = {
    "many columns": b"," * 300_000 + b"\n1\n",
    "many of a name": b"a," * 100_000 + b"a\n1\n",
    "no rows": b"load,sun\n",
    "nul": b"\0\0\0",
    "one line": b"x" * 500_000,
    "wide rows": b"load,sun\n" + b"1," * 200_000,
    "quotes": b'"' * 99_999,
    "formula": b"=cmd|'/c calc'!A1\n1\n",
}
PATHS = (
    "/v1/models/../../etc/passwd",
    "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/models/digits%00",
    "/v1/models/nothing",
    "/v1/models/digits/versions/../1",
    "/v1/models/digits/versions/-1",
    "/v1/models/digits/versions/1e0",
    "/v1/models/digits/versions/99999999999999999999",
    "/v1/models/digits/versions/\u0661",
    "/v2/models/digits/versions/2/ready",
    "/../../etc/passwd",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/canary.png",
    "/page",
    "/static/app.py",
    "/v1/models/digits/about/x",
    "/v1/models/" + "a" * 5_000,
    "/v2/models/\ud7ff",
    "/v1/models/{name}",
    "/metrics/",
    "/openapi.json/..",
)
HEADERS = {
    "gzip": {"Content-Encoding": "gzip"},
    "a long length of JSON": {"Inference-Header-Content-Length": "9" * 50},
    "a length that is none": {"Inference-Header-Content-Length": "-1"},
    "more than there is": {"Inference-Header-Content-Length": "99999"},
    "in other digits": {"Inference-Header-Content-Length": "\u00b2".encode("latin-1")},
}
CREDENTIALS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    f"Basic {TOKEN}",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    TOKEN,
    f"Bearer x {TOKEN}",
    "Bearer " + "a" * 20_000,
    "Bearer \xff\xfe",
)

JSON = {"Content-Type": "application/json"}
DIGITS, POWER = "/v1/models/digits", "/v1/models/power"
CASES = {
    **{
        f"{address}: {name}": (address, body, JSON)
        for address in (f"{DIGITS}:predict", "/v2/models/digits/infer", f"{DIGITS}/answer")
        for name, body in DOCUMENTS.items()
    },
    **{
        f"instances: {name}": (f"{DIGITS}:predict", json.dumps({"instances": [value]}), JSON)
        for name, value in INPUTS.items()
    },
    **{
        f"inputs: {name}": (f"{DIGITS}/answer", json.dumps({"inputs": [value]}), JSON)
        for name, value in INPUTS.items()
        if name not in ("wrong shape", "a bare number")
    },  # which are small images there
    **{
        f"tensors: {name}": ("/v2/models/digits/infer", body, JSON)
        for name, body in TENSORS.items()
    },
    **{
        f"upload: {name}": (f"{DIGITS}/answer", body, {"Content-Type": media})
        for name, (media, body) in UPLOADS.items()
    },
    **{f"series: {name}": (f"{POWER}/answer", body, JSON) for name, body in TABLES.items()},
    **{
        f"CSV: {name}": (f"{POWER}/answer", body, {"Content-Type": "text/csv"})
        for name, body in CSVS.items()
    },
    **{
        f"header: {name}": ("/v2/models/digits/infer", tensor(), header)
        for name, header in HEADERS.items()
    },
    "too many rows": (f"{DIGITS}:predict", json.dumps({"instances": X * 101}), JSON),
    "top of nothing": (f"{DIGITS}/answer?top=0", json.dumps(X), JSON),
    "top of everything": (f"{DIGITS}/answer?top=99999999999", json.dumps(X), JSON),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("hostile")
    exported = [str(write_digits(home / "digits", scale=1.0)), str(write_series(home / "power"))]
    Image.new("L", (8, 8)).save(home / "canary.png")
    (home / "canary.csv").write_text("load,sun\n" + f"{SECRET},1\n" * 9)
    code = f"import os; os.chdir({str(home)!r})\n" + SERVER.format(exported=exported, token=TOKEN)
    with serving(home, code=code) as running:
        running.session.headers["Authorization"] = f"Bearer {TOKEN}"
        (
            running.answers("digits", X),
            running.post(f"{POWER}/answer", json=[{"load": 1, "sun": 1}] * 6),
        )
        running.before = running.memory()
        yield running
        assert running.peak() < running.before + 150, "MiB"
        assert [line["trace"] for line in running.log() if "trace" in line] == []


def check(response):
    """A response of 4xx has its reason in a line, and nothing of the machine."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:300])
    reason = response.json()["error"]
    assert 0 < len(reason) < 500 and len(reason.splitlines()) == 1
    assert not any(
        word in response.text
        for word in ("Traceback", "site-packages", "root:", SECRET, "/exports")
    )
    assert "x-request-id" in response.headers


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_request_is_refused_in_a_line(server, case):
    address, body, headers = CASES[case]
    check(server.post(address, body.encode() if isinstance(body, str) else body, headers=headers))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_outside_of_the_server_is_not_found(server, path):
    """Sent unchanged: the package requests would normalise it."""
    with server.connect() as connection:
        target = (
            path.encode("utf-8")
            if path.isascii()
            else "".join(
                f"%{byte:02x}" if byte > 127 else chr(byte)
                for byte in path.encode("utf-8", "surrogatepass")
            ).encode()
        )
        connection.sendall(
            b"GET "
            + target
            + f" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
        )
        response = read_all(connection)
    assert response.startswith(b"HTTP/1.1 404 "), response[:200]
    assert b'{"error":' in response and b"root:" not in response and len(response.splitlines()) < 12


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=lambda sent: ascii(sent)[:30])
def test_requests_without_the_token_are_refused(server, credentials):
    headers = {} if credentials is None else {"Authorization": credentials.encode("latin-1")}
    for path in (f"{DIGITS}/about", "/metrics"):
        response = requests.get(server.url + path, headers=headers, timeout=10)
        assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
        check(response)
    assert (
        requests.get(server.url + "/v2/health/ready", headers=headers, timeout=10).status_code
        == 200
    )


def read_all(connection):
    content = b""
    while part := connection.recv(65536):
        content += part
    return content


def request(length, *more):
    lines = [f"POST {DIGITS}:predict HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *more]
    return "\r\n".join(
        [*lines, *([] if length is None else [f"Content-Length: {length}"]), "", ""]
    ).encode()


def test_slow_bodies_and_headers_end_with_a_timeout(server):
    """Each waits for the timeout of the server; so all wait at once."""
    begun = {
        "no body": request(100),
        "half a body": request(100) + b'{"instances":',
        "half a chunk": request(None, "Transfer-Encoding: chunked") + b"ff\r\nabc",
        "half a header": request(100)[:-10],
        "nothing": b"",
    }
    connections = {name: server.connect() for name in begun}
    for name, connection in connections.items():
        connection.sendall(begun[name])
    until = time.monotonic() + 0.9
    while time.monotonic() < until:  # a byte now and then does not help
        connections["half a body"].sendall(b" ")
        time.sleep(0.1)
    for name, connection in connections.items():
        try:
            response = read_all(connection)
        except ConnectionResetError:
            response = b""
        if "body" in name or "chunk" in name:
            assert response.startswith(b"HTTP/1.1 408 "), (name, response)
            assert_mentions(response.decode("latin-1"), "1 s")
        else:
            assert response == b"", (name, response)
        connection.close()


def test_a_client_that_reads_no_answer_is_cut_off(server):
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent = f"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            connection.sendall(sent * 500)  # the answers fill all buffers on their way
            for _ in range(100):
                time.sleep(0.1)
                connection.sendall(b"\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        request(9 << 20),
        request("9" * 400),
        request("-5"),
        request("1, 2"),
        request(5, "Content-Length: 7"),
        request(None, "Transfer-Encoding: chunked")
        + b"900000\r\n"
        + b" " * 0x900000
        + b"\r\n0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01" + b"x" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request(2, "X: " + "a" * 100_000),
        request(2, *("X: y" for _ in range(5_000))),
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        request(2, "X: a\nb\x00c"),
    ],
    ids=lambda sent: sent[-40:].decode("latin-1").encode("unicode_escape").decode()[:40],
)
def test_malformed_http_ends_the_connection(server, sent):
    with server.connect() as connection:
        try:
            connection.sendall(sent)
            response = read_all(connection)
        except (ConnectionResetError, BrokenPipeError):
            response = b""  # the answer was lost in transit
    assert not response or response[9:10] == b"4", response[:200]
    assert server.answers("digits", X).shape == (1, 10)


def test_many_bodies_at_once_are_not_all_in_memory(server):
    """Beyond so many bytes of bodies, further requests get 503."""
    before = server.memory()
    server.peak(anew=True)
    connections = [server.connect() for _ in range(14)]
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))
        connection.sendall(request(8_000_000))
    body = b" " * 7_900_000
    answers = []
    for connection in connections:
        with suppress(OSError):
            connection.sendall(body)
    for connection in connections:
        try:
            answers.append(read_all(connection)[9:12])
        except OSError:
            answers.append(b"")  # lost in transit
        connection.close()
    assert set(answers) <= {b"408", b"503", b""}
    assert server.peak() < before + 80, answers


def test_numbers_of_one_request_do_not_reach_another(server):
    """A number that overflows in the network changes no answer of other requests, also in the same batch."""
    wanted = server.answers("digits", X)
    for _ in range(3):
        assert (
            server.post(f"{DIGITS}:predict", json={"instances": [[[[3e38]] * 8] * 8]}).status_code
            == 400
        )
        np.testing.assert_allclose(server.answers("digits", X), wanted)
