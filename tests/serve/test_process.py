"""The process: how small, how soon, when it says that it is busy, and how it ends."""

import json
import os
import re
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
from served import ROOT, asking, serving

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
answer = Model.answer
Model.answer = lambda model, x, size=128: time.sleep({seconds}) or answer(model, x, size)
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
def test_it_is_small_and_soon_and_one(tmp_path, digits):
    """Under 100 MiB, a first answer within a second of processor time, one process, in a light install."""
    code = HIDING.format(hidden=LIGHT)
    code += f"from kzoo.cli import main; sys.exit(main(['serve', {str(digits)!r}, '--port', '0']))"
    with serving(tmp_path, code=code) as server:
        server.answers("m", X)
        words = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        assert (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK") < max(1.0, 4 * importing())
        for _ in range(200):
            server.answers("m", X)
        assert 20 < server.memory() < 100
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
        assert children == ""
        server.process.send_signal(signal.SIGINT)
        said = server.process.stdout.read().splitlines()
        assert said == ["201 requests answered"]


def test_at_its_end_all_that_was_accepted_is_answered(tmp_path, digits):
    """SIGTERM while it is asked all the time: what fails is only the connections that come after."""
    with serving(tmp_path, code=slowly(0.05, digits)) as server:
        server.answers("m", X)
        held = server.connect()  # a connection that has sent half a request, which is finished after the signal
        body = json.dumps({"instances": X.tolist()}).encode()
        head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        held.sendall(head + body[:20])
        with asking(server, clients=8, pause=0) as found:
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for(lambda: server.log("ending"))
            held.sendall(body[20:])
            said = held.recv(65536)
            assert said.startswith(b"HTTP/1.1 200 ") and b"connection: close" in said
            assert server.process.wait(60) == 0
            time.sleep(0.1)
        held.close()
        failed = [text for status, _, text in found if status != 200]
        assert len(found) - len(failed) > 20
        assert all("refused" in text for text in failed), failed  # by the system: nobody listens any more
        answered = sum(line["status"] == 200 for line in server.log("request"))
        assert answered == len(found) - len(failed) + 2
        assert server.log("ended")[0]["requests"] == answered


def test_what_it_cannot_take_is_told_to_come_again(tmp_path, digits):
    with serving(tmp_path, code=slowly(0.3, digits, "--max-waiting", "3", "--max-batch", "1")) as server:
        server.answers("m", X)
        found = []
        ask = lambda: found.append(requests.post(f"{server.url}/v1/models/m/answer", json=X.tolist(), timeout=20))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        busy = [said for said in found if said.status_code == 503]
        assert {said.status_code for said in found} == {200, 503} and 6 <= len(busy) <= 9
        assert all(said.headers["retry-after"] == "1" and "waiting" in said.json()["error"] for said in busy)
        assert server.answers("m", X).shape == (1, 10)  # normal again


STUCK = """
import threading, time
from kzoo.serve import tensorflow
from kzoo.runtime import Model
read, answer = tensorflow.read, Model.answer
def stay():
    {how}
def slow(given):
    return stay() if b"stay" in given.body else read(given)
tensorflow.read = slow
def late(model, x, size=128):
    return stay() if len(x) == 7 else answer(model, x, size)
Model.answer = late
import sys
from kzoo.cli import main
sys.exit(main({words!r}))
"""


@pytest.mark.parametrize("body", ['{"stay": 1}', json.dumps({"instances": np.ones((7, 8, 8, 1)).tolist()})],
                         ids=["read", "answered"])  # fmt: skip
@pytest.mark.parametrize("how", ["threading.Event().wait()", "while True: pass"], ids=["waits", "works"])
def test_it_ends_while_a_request_is_still(tmp_path, digits, body, how):
    """A thread that never ends keeps neither others from their answers nor the server from its end."""
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
        assert time.monotonic() - began < 3 + 2 * starting(tmp_path)  # seconds, and what this machine is slow by
        assert server.log("ended")


def importing():
    """Return the seconds of the processor that a Python takes to import what answers, here and now."""
    code = "import time, numpy, onnxruntime; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def starting(folder):
    """Return the seconds that a Python takes to begin and end here and now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import kzoo.runtime"], cwd=folder, check=True)
    return time.monotonic() - began


def test_it_ends_soon_where_nothing_is_asked(tmp_path, digits):
    with serving(tmp_path, digits) as server:
        server.answers("m", X)
        server.session.close()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert time.monotonic() - began < 1.5 + 2 * starting(tmp_path)
        assert "1 requests answered" in server.process.stdout.read()


def refusal_of(capsys, *words):
    assert main(["serve", *map(str, words)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1, said.err
    return said.err


def test_what_cannot_be_served_is_one_line(digits, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("KZOO_TOKEN", raising=False)
    assert "is not a folder" in refusal_of(capsys, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "holds no exported model" in refusal_of(capsys, tmp_path / "empty")
    assert "Two models are called 'm'" in refusal_of(capsys, digits, f"m={digits}")
    write_digits(tmp_path / "a b")
    assert "name the model, such as mine=" in refusal_of(capsys, tmp_path / "a b")
    assert "--port 70000" in refusal_of(capsys, digits, "--port", "70000")
    assert "at least 8" in refusal_of(capsys, digits, "--token", "short")
    assert "max-waiting" in refusal_of(capsys, digits, "--max-waiting", "0")
    assert "is not a file that" in refusal_of(capsys, digits, "--format", "onnx_int8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert re.search(rf"--port {port} cannot be had: address", refusal_of(capsys, digits, "--port", port))


def test_beyond_this_machine_without_a_token_it_warns(digits, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(process, "serve", lambda app, **options: asked.append(options) or 0)
    for host, token, warned in (
        ("0.0.0.0", "", 1), ("::", "", 1), ("example.org", "", 1), ("127.0.0.1", "", 0), ("::1", "", 0),
        ("localhost", "", 0), ("0.0.0.0", "from-the-environment", 0),
    ):  # fmt: skip
        monkeypatch.setenv("KZOO_TOKEN", token)
        assert main(["serve", str(digits), "--host", host]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["event"] for line in lines] == ["warning"] * warned, (host, lines)
        assert asked[-1]["host"] == host


def test_the_token_may_come_from_the_environment(tmp_path, digits):
    with serving(tmp_path, digits, env={"KZOO_TOKEN": "from-the-environment"}) as server:
        assert server.get("/v1/models").status_code == 401
        headers = {"Authorization": "Bearer from-the-environment"}
        assert server.get("/v1/models", headers=headers).status_code == 200


def test_without_its_packages_it_says_what_installs_them(tmp_path, digits):
    code = "import importlib.util as u; f = u.find_spec; "
    code += "u.find_spec = lambda n, *a: None if n == 'starlette' else f(n, *a)"
    code += "; import sys; from kzoo.cli import main; sys.exit(main(['serve', 'x']))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 2 and 'pip install "kzoo[serve]"' in done.stderr, done.stderr
