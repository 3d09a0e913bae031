"""The process of a server: its memory, its first answer, refusals while it is busy, and its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import requests
from hand_made import write_digits
from messages import assert_mentions
from served import ROOT, requesting, serving

sys.path.append(str(ROOT / "tests" / "runtime"))
from test_light_install import HIDING, LIGHT

from kzoo.cli import main

pytest.importorskip("starlette", reason="pip install 'kzoo[serve]'")
from kzoo.serve import process

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from /proc")
X = np.ones((1, 8, 8, 1))
SLOW = """
import time
from kzoo.runtime import Model
run = Model.run
Model.run = lambda model, x, size=128: time.sleep({seconds}) or run(model, x, size)
import sys
from kzoo.cli import main
sys.exit(main({words!r}))
"""


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("process") / "m")


def slowly(seconds, *words):
    return SLOW.format(seconds=seconds, words=["serve", *map(str, words), "--port", "0"])


@linux
def test_it_is_a_small_process_that_answers_soon(tmp_path, digits):
    """Under 100 MiB, a first answer within a second of processor time, one process, in a light install."""
    code = HIDING.format(hidden=LIGHT)
    code += f"from kzoo.cli import main; sys.exit(main(['serve', {str(digits)!r}, '--port', '0']))"
    with serving(tmp_path, code=code) as server:
        server.answers("m", X)
        words = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK") < max(
            1.0, 4 * importing()
        )
        for _ in range(200):
            server.answers("m", X)
        assert 20 < server.memory() < 100
        children = Path(
            f"/proc/{server.process.pid}/task/{server.process.pid}/children"
        ).read_text()
        assert children == ""
        server.process.send_signal(signal.SIGINT)
        (line,) = server.process.stdout.read().splitlines()
        assert_mentions(line, "201 requests")


def test_at_its_end_all_accepted_requests_are_answered(tmp_path, digits):
    """SIGTERM during requests: only later connections fail."""
    with serving(tmp_path, code=slowly(0.05, digits)) as server:
        server.answers("m", X)
        # a connection that has sent half a request, which is finished after the signal
        held = server.connect()
        body = json.dumps({"instances": X.tolist()}).encode()
        head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        held.sendall(head + body[:20])
        with requesting(server, clients=8, pause=0) as results:
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for(lambda: server.log("ending"))
            held.sendall(body[20:])
            response = held.recv(65536)
            assert response.startswith(b"HTTP/1.1 200 ") and b"connection: close" in response
            assert server.process.wait(60) == 0
            time.sleep(0.1)
        held.close()
        failed = [text for status, _, text in results if status != 200]
        assert len(results) - len(failed) > 20
        # by the system: nothing listens any more
        assert all("refused" in text for text in failed), failed
        answered = sum(line["status"] == 200 for line in server.log("request"))
        assert answered == len(results) - len(failed) + 2
        assert server.log("ended")[0]["requests"] == answered


def test_requests_beyond_max_waiting_get_503(tmp_path, digits):
    with serving(
        tmp_path, code=slowly(0.3, digits, "--max-waiting", "3", "--max-batch", "1")
    ) as server:
        server.answers("m", X)
        responses = []

        def send():
            url = f"{server.url}/v1/models/m/answer"
            responses.append(requests.post(url, json=X.tolist(), timeout=20))

        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        busy = [response for response in responses if response.status_code == 503]
        assert {response.status_code for response in responses} == {200, 503} and 6 <= len(
            busy
        ) <= 9
        for response in busy:
            assert_mentions(response.json()["error"], "waiting")
            assert response.headers["retry-after"] == "1"
        assert server.answers("m", X).shape == (1, 10)  # normal again


STUCK = """
import threading, time
from kzoo.serve import tensorflow
from kzoo.runtime import Model
read, run = tensorflow.read, Model.run
def stay():
    {how}
def slow(request):
    return stay() if b"stay" in request.body else read(request)
tensorflow.read = slow
def late(model, x, size=128):
    return stay() if len(x) == 7 else run(model, x, size)
Model.run = late
import sys
from kzoo.cli import main
sys.exit(main({words!r}))
"""


@pytest.mark.parametrize(
    "body",
    ['{"stay": 1}', json.dumps({"instances": np.ones((7, 8, 8, 1)).tolist()})],
    ids=["read", "answered"],
)
@pytest.mark.parametrize(
    "how", ["threading.Event().wait()", "while True: pass"], ids=["waits", "works"]
)
def test_it_ends_while_a_request_hangs(tmp_path, digits, body, how):
    """A thread that never ends stops neither other answers nor the end of the server."""
    code = STUCK.format(how=how, words=["serve", str(digits), "--port", "0"])
    with serving(tmp_path, code=code) as server:
        server.answers("m", X)
        with server.connect() as held:
            head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            held.sendall((head + body).encode())
            time.sleep(0.5)
            assert server.get("/v2/health/live").json() == {"live": True}
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(60) == 0
        # seconds, more on a slow machine
        assert time.monotonic() - began < 3 + 2 * starting(tmp_path)
        assert server.log("ended")


def importing():
    """Return the processor seconds of importing NumPy and ONNX Runtime, measured now."""
    code = "import time, numpy, onnxruntime; print(time.process_time())"
    return float(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )


def starting(folder):
    """Return the seconds that a Python takes to begin and end, measured now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import kzoo.runtime"], cwd=folder, check=True)
    return time.monotonic() - began


def test_it_ends_soon_without_requests(tmp_path, digits):
    with serving(tmp_path, digits) as server:
        server.answers("m", X)
        server.session.close()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert time.monotonic() - began < 1.5 + 2 * starting(tmp_path)
        assert_mentions(server.process.stdout.read(), "1 requests")


def refusal_of(capsys, *words):
    assert main(["serve", *map(str, words)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1, printed.err
    return printed.err


def test_models_and_options_that_cannot_be_served_are_refused_in_a_line(
    digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("KZOO_TOKEN", raising=False)
    assert_mentions(refusal_of(capsys, tmp_path / "nothing"), "folder", "kzoo.export")
    (tmp_path / "empty").mkdir()
    assert_mentions(
        refusal_of(capsys, tmp_path / "empty"),
        str(tmp_path / "empty"),
        "exported model",
        "kzoo.export",
    )
    assert_mentions(refusal_of(capsys, digits, f"m={digits}"), "'m'", f"m-2={digits}")
    write_digits(tmp_path / "a b")
    assert_mentions(refusal_of(capsys, tmp_path / "a b"), "'a b'", f"mine={tmp_path / 'a b'}")
    assert_mentions(refusal_of(capsys, digits, "--port", "70000"), "--port 70000", "0", "65535")
    assert_mentions(refusal_of(capsys, digits, "--token", "short"), "token", "8", "ASCII")
    assert_mentions(refusal_of(capsys, digits, "--max-waiting", "0"), "--max-waiting 0", "1")
    assert_mentions(
        refusal_of(capsys, digits, "--format", "onnx_int8"),
        "--format 'onnx_int8'",
        str(digits),
        "onnx",
    )
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert_mentions(
            refusal_of(capsys, digits, "--port", port), f"--port {port}", "address already in use"
        )


def test_beyond_this_machine_without_a_token_it_warns(digits, capsys, monkeypatch):
    served = []
    monkeypatch.setattr(process, "serve", lambda app, **options: served.append(options) or 0)
    for host, token, warned in (
        ("0.0.0.0", "", 1),
        ("::", "", 1),
        ("example.org", "", 1),
        ("127.0.0.1", "", 0),
        ("::1", "", 0),
        ("localhost", "", 0),
        ("0.0.0.0", "from-the-environment", 0),
    ):
        monkeypatch.setenv("KZOO_TOKEN", token)
        assert main(["serve", str(digits), "--host", host]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["event"] for line in lines] == ["warning"] * warned, (host, lines)
        for line in lines:
            assert_mentions(line["text"], host, "KZOO_TOKEN", "127.0.0.1")
        assert served[-1]["host"] == host


def test_the_token_may_come_from_the_environment(tmp_path, digits):
    with serving(tmp_path, digits, env={"KZOO_TOKEN": "from-the-environment"}) as server:
        assert server.get("/v1/models").status_code == 401
        headers = {"Authorization": "Bearer from-the-environment"}
        assert server.get("/v1/models", headers=headers).status_code == 200


def test_without_its_packages_it_names_what_installs_them(tmp_path, digits):
    code = "import importlib.util as u; f = u.find_spec; "
    code += "u.find_spec = lambda n, *a: None if n == 'starlette' else f(n, *a)"
    code += "; import sys; from kzoo.cli import main; sys.exit(main(['serve', 'x']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert_mentions(done.stderr, 'pip install "kzoo[serve]"')
