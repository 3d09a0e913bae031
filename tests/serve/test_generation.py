"""Continued texts from a server: as JSON and as events, limits, clients that disconnect, other requests meanwhile."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from messages import assert_mentions
from served import serving

import kzoo.runtime
from kzoo.serve.limits import Limits

PATH = "/v1/models/language/generate"
EVENTS = {"Accept": "text/event-stream"}

# A server whose model takes its time.
SLOW = """
import time
import kzoo.runtime
run = kzoo.runtime.Model.run
def slow(self, *arguments):
    time.sleep(0.02)
    return run(self, *arguments)
kzoo.runtime.Model.run = slow
import kzoo.cli
raise SystemExit(kzoo.cli.main(["serve", *{words}, "--port", "0"]))
"""


@pytest.fixture(scope="module")
def model(exports):
    return kzoo.runtime.load(exports / "language")


def events_of(text):
    """Return (name, data) of each server-sent event."""
    assert text.endswith("\n\n")
    events = []
    for event in text.removesuffix("\n\n").split("\n\n"):
        *name, data = event.split("\n")
        assert (
            len(name) < 2
            and all(line.startswith("event: ") for line in name)
            and data.startswith("data: ")
        )
        events.append((name[0][7:] if name else "message", json.loads(data[6:])))
    return events


def ask(server, settings, **options):
    return server.post(PATH, json=settings, **options)


@pytest.mark.parametrize(
    "settings",
    [dict(temperature=0), dict(seed=3), dict(temperature=0.8, top_k=5, top_p=0.9, seed=1), {}],
)
def test_the_text_is_that_of_the_runtime(server, model, settings):
    settings = dict(length=50) | settings
    text = model.generate("the cat", **settings)
    response = ask(server, {"prompt": "the cat"} | settings)
    assert response.json() == {"model": "language", "version": "1", "text": text}
    streamed = ask(server, {"prompt": "the cat"} | settings, headers=EVENTS)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.headers["Cache-Control"] == "no-cache"
    *tokens, end = events_of(streamed.text)
    assert [name for name, _ in tokens] == 50 * ["message"] and end == ("end", response.json())
    assert "the cat" + "".join(data["text"] for _, data in tokens) == text
    of_version = server.post(
        "/v1/models/language/versions/1/generate", json={"prompt": "the cat"} | settings
    )
    assert of_version.json() == response.json()


def test_a_text_without_a_beginning(server, model):
    assert ask(server, {}).json()["text"] == model.generate()


def test_malformed_requests_are_refused_in_one_line(server):
    most = Limits().tokens
    for body, parts in (
        (b"", ("JSON",)),
        (b"[]", ("JSON object", "prompt")),
        (b'{"length": NaN}', ("NaN",)),
        (b'{"promt": "a"}', ("'promt'", "'prompt'")),
        (b'{"prompt": 3}', ("prompt=3", "string")),
        (b'{"prompt": null}', ("prompt=None", "string")),
        (json.dumps({"prompt": "\u4e2d"}).encode(), ("\u4e2d", "vocabulary")),
        (json.dumps({"length": most + 1}).encode(), (f"length={most + 1}", f"{most:,}")),
        (b'{"length": "5"}', ("length='5'",)),
        (b'{"temperature": "hot"}', ("temperature='hot'",)),
        (b'{"temperature": -0.1}', ("temperature=-0.1",)),
        (b'{"top_k": 1.5}', ("top_k=1.5",)),
        (b'{"top_p": 2}', ("top_p=2",)),
        (b'{"seed": -1}', ("seed=-1",)),
    ):
        for headers in ({}, EVENTS):
            response = server.post(PATH, body, headers=headers)
            assert response.status_code == 400, body
            assert_mentions(response.json()["error"], *parts)
            assert "\n" not in response.json()["error"]
    response = server.post("/v1/models/table/generate", json={"prompt": "the"})
    assert response.status_code == 400
    assert_mentions(response.json()["error"], "language model")
    assert server.get(PATH).status_code == 405
    assert server.post("/v1/models/nothing/generate", json={}).status_code == 404


def waiting(server, **options):
    lines = server.get("/metrics", **options).text.splitlines()
    (line,) = [line for line in lines if line.startswith('kzoo_waiting{model="language"}')]
    return int(line.split()[1])


def rows(server):
    lines = server.get("/metrics").text.splitlines()
    return sum(
        int(line.split()[1])
        for line in lines
        if line.startswith('kzoo_rows_total{model="language"}')
    )


@pytest.mark.parametrize("headers", [EVENTS, {}])
def test_a_client_that_disconnects_stops_the_generation(server, headers):
    body = json.dumps({"prompt": "the", "length": Limits().tokens}).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    before, logged = rows(server), len(server.log("request"))
    connection = server.connect()
    connection.sendall(
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
    )
    connection.sendall(body)
    if headers:
        assert b"200 OK" in connection.recv(4096)
    else:
        server.wait_for(lambda: rows(server) > before)
    connection.close()
    (line,) = server.wait_for(
        lambda: [r for r in server.log("request")[logged:] if r["path"] == PATH]
    )
    assert line["status"] == 499 and not line.get("trace") and not line.get("error")
    assert rows(server) - before < Limits().tokens and not waiting(server)


def test_requests_are_answered_while_texts_are_generated(server, model):
    """Their rows share batches, and each text is the one that it would be alone."""
    settings = [dict(prompt="the cat", length=60, seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        texts = [pool.submit(ask_once, server.url, s) for s in settings]
        others = [
            pool.submit(ask_once, server.url, ["the cat sees"], "answer?top=1") for _ in range(8)
        ]
        for s, text in zip(settings, texts, strict=True):
            assert text.result()["text"] == model.generate(**s)
        assert len({other.result()["predictions"][0]["label"] for other in others}) == 1


def ask_once(url, body, path="generate"):
    return requests.post(f"{url}/v1/models/language/{path}", json=body, timeout=60).json()


def test_waiting_texts_count_as_requests_and_need_the_token(exports, tmp_path):
    """A text is waiting until its first token; the model runs once the test has written a file."""
    words = [str(exports / "language"), "--max-waiting", "1", "--token", "a-secret-token"]
    gate = tmp_path / "gate"
    wait = f"while not __import__('os').path.exists({str(gate)!r}): time.sleep(0.01)"
    with serving(
        tmp_path, code=SLOW.format(words=words).replace("time.sleep(0.02)", wait)
    ) as server:
        headers = {"Authorization": "Bearer a-secret-token"}
        assert ask(server, {}).status_code == 401
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(
                requests.post, server.url + PATH, json={"length": 9}, headers=headers, timeout=60
            )
            server.wait_for(lambda: waiting(server, headers=headers) == 1)
            refused = ask(server, {}, headers=headers)
            gate.touch()
            assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
            assert first.result().status_code == 200
        assert ask(server, {"length": 1}, headers=headers).status_code == 200


def test_a_server_that_stops_ends_its_texts_with_an_error(exports, tmp_path):
    with serving(tmp_path, code=SLOW.format(words=[str(exports / "language")])) as server:
        streamed = ask(server, {"length": Limits().tokens}, headers=EVENTS, stream=True)
        lines = streamed.iter_lines()
        assert next(lines).startswith(b"data: ")
        server.process.terminate()
        start = time.monotonic()
        last = [line for line in lines if line][-2:]
        assert (
            last[0] == b"event: error" and b"stopping" in last[1] and time.monotonic() - start < 10
        )
        server.process.wait(20)
        assert not [line for line in server.log() if line.get("trace")]
